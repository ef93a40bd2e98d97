"""Runs modules in a Docker engine (`--runner docker`): the image itself, created with its createOptions.

The engine is the one that DOCKER_HOST or the default socket reaches; it must be on this machine, since containers use
the host's network and the workload socket. An image with a layout at hand is loaded from there, any other pulled.
A module that restarts has the same container again, one that is updated another; volumes stay until the end of the run.
Containers and volumes carry a label with the process that made them: what a killed run has left is removed by the next.
HTTP is on loopback as with processes (`http_ports`). All calls of the engine are made in threads.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils.socket import frames_iter

from edgepack.engine import load_image
from edgepack.errors import InputError, RemoteError
from edgepack.oci.validate import read_layout
from simulator.edge_agent.container_body import DEVICE_LABEL, OWNER_LABEL, container_body
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.http_ports import HttpPorts
from simulator.edge_agent.image_layouts import Images, find_layout
from simulator.edge_agent.image_name import parse_image_name
from simulator.edge_agent.module_log import ModuleLog
from simulator.edge_agent.process_owner import is_alive, own_name

_TIMEOUT_S = 600


class RunningContainer:
    """A run of a container, see `runner.Running`. A thread of its own reads its output and waits for its end."""

    def __init__(self, client: docker.DockerClient, container_id: str, output: Any, url: str, log: ModuleLog) -> None:
        self.url = url
        self.pid = 0
        self.image_id = ""
        self._client = client
        self._id = container_id
        self._output = output
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = self._loop.create_future()
        self._signals: set[asyncio.Task[None]] = set()

    def begin(self, document: Mapping[str, Any], *, is_terminal: bool) -> None:
        """It runs; `document` is what the engine says about it. A terminal's output is not framed."""
        self.pid = int(document["State"]["Pid"])
        self.image_id = str(document["Image"])
        threading.Thread(
            target=self._follow, args=[is_terminal], name=f"container {self._id[:12]}", daemon=True
        ).start()

    async def wait(self) -> int:
        """The exit code, as the engine tells it."""
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        """SIGTERM to the container's first process."""
        self._send("SIGTERM")

    def kill(self) -> None:
        """SIGKILL, which ends all in the container."""
        self._send("SIGKILL")

    def _send(self, signal: str) -> None:
        def send() -> None:
            try:
                self._client.api.kill(self._id, signal)
            except DockerException as error:  # it has ended, or the engine has: both show elsewhere
                self._tell(self._log.say, f"{signal} was not sent: {error}")

        if not self._end.done():
            task = self._loop.create_task(asyncio.to_thread(send))
            self._signals.add(task)
            task.add_done_callback(self._signals.discard)

    def _follow(self, is_terminal: bool) -> None:
        """In the thread: output as it comes, then the exit code."""
        code = 255
        frames: Callable[[Any, bool], Iterable[tuple[int, bytes]]] = frames_iter
        try:
            for _, piece in frames(self._output, is_terminal):
                self._tell(self._log.write, piece)
            code = int(self._client.api.wait(self._id, timeout=_TIMEOUT_S)["StatusCode"])
        except (DockerException, OSError) as error:
            self._tell(self._log.say, f"the engine was lost: {error}")
        finally:
            self._tell(self._see_end, code)
            _close(self._output)

    def _see_end(self, code: int) -> None:
        self._log.end_line()
        if not self._end.done():
            self._end.set_result(code)

    def _tell(self, call: Callable[[Any], None], value: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, value)


@dataclass(frozen=True)
class _Made:
    """A module's container and the body that it was made with."""

    container_id: str
    body: dict[str, Any]


class DockerRunner:
    """Runs the modules of one device, see `runner.Runner`. `folder` is not used: what is written is in volumes."""

    def __init__(self, device_id: str, folder: Path, images: Images) -> None:
        self._device_id = device_id
        self._images = images
        self._owner = own_name()
        self._prefix = _engine_name(f"edgepack-{device_id}-{self._owner}-")
        self._labels = {OWNER_LABEL: self._owner, DEVICE_LABEL: device_id}
        self._client: docker.DockerClient | None = None
        self._made: dict[str, _Made] = {}
        self._ports = HttpPorts()

    async def start(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> RunningContainer:
        """Start a module, see `runner.Runner`."""
        try:
            return await self._start(module, environment, log)
        except DockerException as error:
            raise _explained(error, module) from error

    async def remove(self, name: str) -> None:
        """Remove a module's container; its volumes stay."""
        self._ports.forget(name)
        made = self._made.pop(name, None)
        if made is not None:
            await asyncio.to_thread(self._remove_container, made.container_id)

    async def close(self) -> None:
        """Remove all containers and volumes of this device's run."""
        if self._client is not None:
            await asyncio.to_thread(self._clean, lambda owner: owner == self._owner, self._device_id)
            await asyncio.to_thread(self._client.close)
            self._client = None
        self._made.clear()

    async def _start(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> RunningContainer:
        if self._client is None:
            await asyncio.to_thread(self._connect)
        client = self._engine()
        port = self._ports.choose(module, log)
        variables = {**environment, "EDGEPACK_HTTP": f"127.0.0.1:{port}"}
        image = await asyncio.to_thread(self._image_of, module, log)
        made = await asyncio.to_thread(self._container_of, module, image, variables)
        output = await asyncio.to_thread(client.api.attach_socket, made.container_id)
        running = RunningContainer(client, made.container_id, output, f"http://127.0.0.1:{port}", log)
        try:
            await asyncio.to_thread(client.api.start, made.container_id)
            document = await asyncio.to_thread(client.api.inspect_container, made.container_id)
        except BaseException:
            _close(output)
            raise
        running.begin(document, is_terminal=bool(made.body.get("Tty")))
        return running

    def _connect(self) -> None:
        self._client = docker.from_env(timeout=_TIMEOUT_S)
        self._clean(lambda owner: not is_alive(owner))

    def _image_of(self, module: WantedModule, log: ModuleLog) -> str:
        """The id of the module's image, which is in the engine then."""
        client = self._engine()
        layout = find_layout(module.image, self._images)
        if layout is not None:
            for platform in read_layout(layout).platforms:
                try:
                    found = client.images.get(platform.config_digest)
                except ImageNotFound:
                    continue
                if found.attrs.get("Architecture") == _architecture(client):
                    return platform.config_digest
            log.say(f"loading {module.image} from {layout} into the engine")
            return load_image(layout, None, self._load_name(module)).image_id
        try:
            return str(client.images.get(module.image).id)
        except ImageNotFound:
            if module.pull_policy == "never":
                raise
        log.say(f"pulling {module.image}")
        name = parse_image_name(module.image)
        return str(client.images.pull(name.repository, tag=name.digest or name.tag or "latest").id)

    def _load_name(self, module: WantedModule) -> str:
        """A name for an image that comes from a layout: engines do not keep a digest of what was loaded."""
        name = parse_image_name(module.image)
        return f"{name.repository}:{name.tag or 'edgepack-' + name.digest.removeprefix('sha256:')[:12]}"

    def _container_of(self, module: WantedModule, image: str, variables: Mapping[str, str]) -> _Made:
        """The container of the last run, or a new one where it would differ."""
        client = self._engine()
        body, volumes = container_body(module, image, variables, self._labels, self._prefix)
        made = self._made.get(module.name)
        if made is not None and made.body == body:
            return made
        if made is not None:
            self._remove_container(made.container_id)
        for volume in volumes:
            client.api.create_volume(volume, labels=self._labels)
        create: Callable[..., dict[str, Any]] = client.api.create_container_from_config
        made = _Made(create(body, name=_engine_name(self._prefix + module.name))["Id"], body)
        self._made[module.name] = made
        return made

    def _remove_container(self, container_id: str) -> None:
        try:
            self._engine().api.remove_container(container_id, v=True, force=True)
        except NotFound:
            pass
        except DockerException as error:
            raise RemoteError(f"the Docker engine did not remove container {container_id[:12]}: {error}") from error

    def _clean(self, is_chosen: Callable[[str], bool], device_id: str | None = None) -> None:
        """Remove containers and volumes whose owner is chosen, of one device or of all."""
        client = self._engine()
        for container in client.api.containers(all=True, filters={"label": OWNER_LABEL}):
            if _is_chosen(container.get("Labels"), is_chosen, device_id):
                self._remove_container(container["Id"])
        for volume in client.api.volumes(filters={"label": OWNER_LABEL}).get("Volumes") or []:
            if _is_chosen(volume.get("Labels"), is_chosen, device_id):
                client.api.remove_volume(volume["Name"], force=True)

    def _engine(self) -> docker.DockerClient:
        if self._client is None:
            raise RemoteError("the runner is closed", retryable=False)
        return self._client


def _close(output: Any) -> None:
    """Close a socket of the SDK: where it is a part of a response, by that."""
    getattr(output, "_response", output).close()


def _is_chosen(labels: Mapping[str, str] | None, is_chosen: Callable[[str], bool], device_id: str | None) -> bool:
    found = labels or {}
    return is_chosen(found.get(OWNER_LABEL, "")) and device_id in (None, found.get(DEVICE_LABEL))


def _architecture(client: docker.DockerClient) -> str:
    name = str(client.version().get("Arch", ""))
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(name, name)


def _explained(error: DockerException, module: WantedModule) -> InputError | RemoteError:
    """An engine's refusal in this project's terms."""
    if isinstance(error, ImageNotFound):
        return InputError(
            f"image {module.image} is neither in the engine nor among the images at hand, and cannot be pulled: {error}"
        )
    if isinstance(error, APIError) and error.status_code == 400:
        return InputError(f"the engine does not take the createOptions of {module.name}: {error.explanation}")
    return RemoteError(
        f"the Docker engine does not run {module.name} ({error}); is it running, and may you use it? DOCKER_HOST names "
        "another one"
    )


def _engine_name(text: str) -> str:
    """A text as engines take names of containers and volumes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)
