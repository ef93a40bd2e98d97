"""Tries an image in a container of a Docker engine, as a device would run it: read-only, no network, its own user."""

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from edgepack.engine_archive import EngineImage, streamed, write_archive
from edgepack.engine_connection import Engine, engine
from edgepack.errors import RemoteError
from edgepack.oci.layout import blob_path
from edgepack.oci.validate import PlatformContent
from edgepack.trial import ask
from edgepack.trial.trial import (
    FOREIGN_CPU_FOLDER,
    Answer,
    NotRunnable,
    Trial,
    hides_processors,
    last_lines,
    started,
)

_GRACE_S = 60
_FOREIGN = "exec format error"
_TMPFS = "rw,nosuid,nodev,size=64m"


def engine_platform() -> str | NotRunnable:
    """The platform of the engine that answers."""
    try:
        with engine("answer", timeout_s=10) as found:
            return found.platform
    except RemoteError:
        return NotRunnable("no Docker engine answers")


def try_in_container(
    layout: Path, content: PlatformContent, requests: Sequence[bytes], limit_s: float
) -> Trial | NotRunnable:
    """Load the image for the time being, run it in a container, and send it `requests`. `limit_s` is for its run.

    Raises:
        RemoteError: the engine was lost on the way.
    """
    with engine("run the image") as found:
        name = f"edgepack-check:{uuid.uuid4().hex}"
        layers = tuple((layer.digest, blob_path(layout, layer.digest)) for layer in content.layers)
        image = EngineImage(blob_path(layout, content.config_digest).read_bytes(), layers)
        with streamed(lambda file: write_archive(image, name, file)) as stream:
            found.client.images.load(stream)
        try:
            return _try(found, name, content, requests, limit_s)
        finally:
            found.client.images.remove(name, force=True)


def _try(
    found: Engine, name: str, content: PlatformContent, requests: Sequence[bytes], limit_s: float
) -> Trial | NotRunnable:
    from docker.errors import APIError

    how = f"in Docker engine {found.version}"
    tmpfs = {"/tmp": _TMPFS}  # noqa: S108 - of the container
    if hides_processors(content.name, found.platform):
        tmpfs[FOREIGN_CPU_FOLDER] = ""
    container = found.client.containers.create(
        name,
        init=True,  # without it a crash of the first process hangs
        read_only=True,
        network_mode="none",
        cap_drop=["ALL"],
        tmpfs=tmpfs,
    )
    try:
        try:
            container.start()
            result = _ask(found.client, container, content, requests, limit_s)
        except APIError as error:
            result = {"answers": [], "problem": f"the container does not run: {error.explanation or error}"}
        log = last_lines(container.logs(stdout=True, stderr=True).decode(errors="replace"))
        if result["problem"] and _FOREIGN in f"{log} {result['problem']}".lower():
            return NotRunnable(
                f"the Docker engine {found.version} does not run programs of {content.name} ({_FOREIGN}): install "
                "qemu-user-static where it runs"
            )
        container.reload()
        state = container.attrs["State"]
        if result["problem"] and state["Status"] == "exited":
            result["problem"] = f"the module ended with exit code {state['ExitCode']}"
        answers = tuple(Answer(each["status"], base64.b64decode(each["body"])) for each in result["answers"])
        return Trial(answers, result["problem"], log, how)
    finally:
        container.remove(force=True, v=True)


def _ask(
    client: Any, container: Any, content: PlatformContent, requests: Sequence[bytes], limit_s: float
) -> dict[str, Any]:
    """What `ask` says, run by the image's own Python inside the container."""
    run = started(content)
    order = {"port": run.port, "limit_s": limit_s, "bodies": [base64.b64encode(body).decode() for body in requests]}
    command = [run.command[0], "-c", Path(ask.__file__).read_text()]
    made = client.api.exec_create(container.id, command, stdin=True, environment={"PYTHONUNBUFFERED": "1"})
    connection = client.api.exec_start(made["Id"], socket=True)
    try:
        wire = getattr(connection, "_sock", connection)
        wire.settimeout(limit_s + _GRACE_S)
        wire.sendall(json.dumps(order).encode() + b"\n")
        output, errors = _received(connection)
    except TimeoutError:
        return {"answers": [], "problem": f"the module has not answered within {limit_s:g} s"}
    finally:
        getattr(connection, "_response", connection).close()
    try:
        result: dict[str, Any] = json.loads(output)
    except ValueError:
        problem = f"it cannot be asked: {last_lines(errors.decode(errors='replace')) or 'its process ended'}"
        return {"answers": [], "problem": problem}
    return result


def _received(connection: Any) -> tuple[bytes, bytes]:
    """Standard output and standard error of an exec, to their end."""
    from docker.utils.socket import frames_iter

    frames: Callable[[Any, bool], Iterable[tuple[int, bytes]]] = frames_iter
    output = {1: b"", 2: b""}
    for stream, piece in frames(connection, False):
        output[stream] += piece
    return output[1], output[2]
