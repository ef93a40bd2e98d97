"""Services as containers of a Docker engine (`--runner docker`), which must be on this machine.

The image is loaded from its layout unless the engine has it. HTTP is published on the chosen address; where the engine
has no network of its own, the container uses the host's. Containers, and the volume, carry labels: what a killed
command has left is found by them. Nothing restarts a container that has ended.

A fresh copy of a script folder lies in a volume of the container's own over the image's folder, which begins empty: so
what was deleted since the image was made is not there. It goes with the container.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.base.root import APP_ROOT, HOME, USER_ID
from edgepack.engine_connection import engine
from edgepack.errors import InputError
from edgepack.host_image import host_platform
from edgepack.oci.unpack import unpack_archive
from edgepack.oci.validate import choose_platform
from edgepack.services.access import key_lines
from edgepack.services.ports import free_port
from edgepack.services.record import AccessKeys
from edgepack.services.runner import Life, Sight
from edgepack.services.running_script import place_of, running_script
from edgepack.services.stored import IMAGE_NAME

if TYPE_CHECKING:
    from edgepack.script_folder import Script

LABEL, PLACE_LABEL, LIFE_LABEL = "io.edgepack.service", "io.edgepack.service.place", "io.edgepack.service.life"
STOP_S = 15
_PORT = 5001
_KEY_FILE = "run/edgepack-keys"
_LOG_OPTIONS = {"max-size": "4m", "max-file": "4"}


class ContainerRunner:
    """See `runner.Runner`."""

    def check(self) -> None:
        """An engine answers."""
        with _engine():
            pass

    def start(self, life: Life) -> None:
        """Load the image, create the container, put in what is newer than the image, start it."""
        from docker.errors import APIError

        with _engine() as client:
            image = _load(client, life)
            networks = {network.name for network in client.networks.list()}
            body = _body(life, image, has_bridge="bridge" in networks)
            if not life.is_trial:
                client.volumes.create(_volume(life.place), labels=_labels(life.place))
            container = client.containers.create(**body, name=_name(life.place, life.id))
            try:
                for root, archive in _archives(life):
                    container.put_archive(root, archive)
                container.start()
            except APIError as error:
                container.remove(force=True, v=True)
                if life.port is not None and re.search("port is already allocated|address already in use", str(error)):
                    raise InputError(f"port {life.port} is in use; choose another with --port") from error
                raise

    def look(self, place: Path, life: str) -> Sight:
        """What the engine says."""
        from docker.errors import NotFound

        name = _name(place, life)
        with _engine() as client:
            try:
                found = client.containers.get(name).attrs
            except NotFound:
                return Sight(False, end="its container is gone: somebody removed it")
        state = found["State"]
        if state["Status"] == "running":
            return Sight(True, _port_of(found), int(state["Pid"]), name)
        code = int(state.get("ExitCode") or 0)
        why = " for lack of memory" if state.get("OOMKilled") else ""
        said = f": {state['Error']}" if state.get("Error") else ""
        end = f"its container ended with exit code {code}{why}{said}"
        return Sight(False, container=name, end=end, exit_code=code)

    def stop(self, place: Path, life: str) -> None:
        """SIGTERM, and SIGKILL after its time."""
        from docker.errors import NotFound

        with _engine() as client:
            try:
                client.containers.get(_name(place, life)).stop(timeout=STOP_S)
            except NotFound:
                return

    def log(self, place: Path, life: str, lines: int) -> str:
        """From the engine, which keeps 16 MB of it."""
        from docker.errors import NotFound

        with _engine() as client:
            try:
                content: bytes = client.containers.get(_name(place, life)).logs(tail=lines)
            except NotFound:
                return ""
        return content.decode(errors="replace")

    def follow(self, place: Path, life: str, lines: int) -> Iterator[str]:
        """From the engine, until the container has ended."""
        from docker.errors import NotFound

        with _engine() as client:
            try:
                pieces = client.containers.get(_name(place, life)).logs(tail=lines, stream=True, follow=True)
            except NotFound:
                return
            rest = b""
            for piece in pieces:
                *whole, rest = (rest + piece).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
            if rest:
                yield rest.decode(errors="replace")

    def put_keys(self, place: Path, life: str, keys: AccessKeys) -> None:
        """Into the running container, where the agent sees that its file has changed."""
        with _engine() as client:
            client.containers.get(_name(place, life)).put_archive("/", _key_archive(keys))

    def script(self, place: Path, life: str, into: Path) -> "Script | None":
        """Copied out of the container."""
        with _engine() as client:
            container = client.containers.get(_name(place, life))
            variables = _variables_of(container.attrs)
            if where := place_of(variables):
                pieces, _ = container.get_archive(f"/{APP_ROOT}/{where}")
                with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
                    unpack_archive(archive, (into / where).parent, Path(where))
        return running_script(into, variables)

    def sweep(self, place: Path, keep: str | None) -> None:
        """By the labels."""
        from docker.errors import NotFound

        with _engine() as client:
            for container in client.containers.list(all=True, filters={"label": f"{PLACE_LABEL}={_place_id(place)}"}):
                if container.labels.get(LIFE_LABEL) != keep:
                    try:
                        container.remove(force=True, v=True)
                    except NotFound:
                        continue

    def forget(self, place: Path, *, image: bool, volume: bool) -> None:
        """The volume and, if asked for, the image's name (the engine removes what has no other name)."""
        from docker.errors import ImageNotFound, NotFound

        with _engine() as client:
            if volume:
                with suppress(NotFound):
                    client.volumes.get(_volume(place)).remove(force=True)
            if image:
                with suppress(ImageNotFound):
                    client.images.remove(_image_name(place))


@contextmanager
def _engine() -> Iterator[Any]:
    """A client of the engine. A NotFound has to be caught within the block.

    Raises:
        RemoteError: none answers, or it refuses.
    """
    with engine("run services") as found:
        yield found.client


def _load(client: Any, life: Life) -> str:
    """The id of the life's image, which is in the engine then, under the service's name."""
    from docker.errors import ImageNotFound

    name = _image_name(life.place)
    content = choose_platform(life.layout, str(host_platform()))
    try:
        found = client.images.get(content.config_digest)
        found.tag(name)
    except ImageNotFound:
        from edgepack.engine import load_image

        return load_image(life.layout, content.name, name).image_id
    return str(found.id)


def _body(life: Life, image: str, *, has_bridge: bool) -> dict[str, Any]:
    """The arguments of `containers.create`."""
    environment = {**life.variables, "SEPERATE_HEALTH_ENDPOINT": "false", "SERVICE_NAME": life.name}
    if life.keys is not None:
        environment["EDGEPACK_HTTP_KEY_FILE"] = f"/{_KEY_FILE}"
    if life.is_trial:
        environment["EDGEPACK_TRANSPORT"] = "none"
    mounts = []
    if life.script is not None:
        from docker.types import Mount

        from edgepack.project import script_location  # with all that reads projects: only where it is needed

        folder, variables = script_location(life.script, APP_ROOT)
        environment |= variables
        if life.script.source_name is not None:
            mounts = [Mount(f"/{folder}", None, no_copy=True)]
    body: dict[str, Any] = {
        "image": image,
        "labels": {LABEL: life.name, LIFE_LABEL: life.id, **_labels(life.place)},
        "log_config": {"type": "json-file", "config": _LOG_OPTIONS},
        "environment": environment,
        "mounts": mounts,
    }
    if not life.is_trial:
        body["volumes"] = {_volume(life.place): {"bind": f"/{HOME}", "mode": "rw"}}
    if has_bridge:
        return {**body, "ports": {f"{_PORT}/tcp": (life.host, life.port)}}
    host = f"[{life.host}]" if ":" in life.host else life.host
    environment["EDGEPACK_HTTP"] = f"{host}:{life.port or free_port(life.host)}"
    return {**body, "network_mode": "host"}


def _port_of(attributes: dict[str, Any]) -> int | None:
    """The port on the host by which a container is reached."""
    if attributes["HostConfig"]["NetworkMode"] == "host":
        variables = _variables_of(attributes)
        return int(variables["EDGEPACK_HTTP"].rpartition(":")[2])
    published = (attributes["NetworkSettings"].get("Ports") or {}).get(f"{_PORT}/tcp") or []
    return int(published[0]["HostPort"]) if published else None


def _variables_of(attributes: dict[str, Any]) -> dict[str, str]:
    """Those of a container; a name without "=" is one of the image's that is not set in it."""
    return dict(each.split("=", 1) for each in attributes["Config"]["Env"] if "=" in each)


def _archives(life: Life) -> Iterator[tuple[str, bytes]]:
    """What goes into a container before it starts: (folder there, tar)."""
    if life.keys is not None:
        yield "/", _key_archive(life.keys)
    if life.script is not None:
        from edgepack.project import script_location

        folder, _ = script_location(life.script, APP_ROOT)
        yield (
            "/",
            _archive(
                (f"{folder}/{name}", path.read_bytes(), 0o755 if executable else 0o644)
                for name, path, executable in life.script.files
            ),
        )


def _key_archive(keys: AccessKeys) -> bytes:
    return _archive([(_KEY_FILE, key_lines(keys), 0o400)], owner=USER_ID)


def _archive(files: Any, owner: int = 0) -> bytes:
    """A tar of files: (path, content, mode)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content, mode in files:
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.uid, member.gid = len(content), mode, owner, owner
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _place_id(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:24]


def _labels(place: Path) -> dict[str, str]:
    return {PLACE_LABEL: _place_id(place)}


def _name(place: Path, life: str) -> str:
    return f"edgepack-{place.name}-{_place_id(place)[:8]}-{life}"


def _volume(place: Path) -> str:
    return f"edgepack-{place.name}-{_place_id(place)[:8]}"


def _image_name(place: Path) -> str:
    return f"{IMAGE_NAME}/{place.name}:{_place_id(place)[:8]}"
