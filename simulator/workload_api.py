"""The workload API of one simulated device: a unix socket a module, served by the HTTP server of the device agent.

What is answered is in `workload_rules`. A socket's path must fit into 107 bytes, so the folder has to be short; a name
that is too long gives way to a number. Whoever can open a socket is that module: in the product the daemon looks at
the process that asks, here all modules are this user's.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from device_agent.http_message import Limits, Reply, Request
from device_agent.http_server import HttpServer
from edgepack.errors import InputError
from simulator.cloud.registry import IdentityRemoved, Registry
from simulator.workload_rules import (
    API_VERSION,
    Authority,
    Daemon,
    ModuleOfDevice,
    WorkloadAnswer,
    WorkloadRequest,
    answer,
)

MOST_PATH_BYTES = 107
_LIMITS = Limits(body_bytes=1024 * 1024, held_bytes=16 * 1024 * 1024, connections=256)
_GRACE_S = 1.0
_JSON = b"content-type: application/json\r\n"


class WorkloadApi:
    """The daemon of a device. `hub` and `gateway` are the host names that modules are to use; use it on one loop.

    `modules` lists what `GET /modules` answers. The folder and the sockets in it are made when they are needed.
    """

    def __init__(
        self,
        device_id: str,
        registry: Registry,
        authority: Authority,
        folder: Path,
        *,
        hub: str,
        gateway: str,
        modules: Callable[[], Sequence[ModuleOfDevice]] = tuple,
    ) -> None:
        self._device_id = device_id
        self._registry = registry
        self._authority = authority
        self._folder = folder.absolute()
        self._hub = hub
        self._gateway = gateway
        self._modules = modules
        self._sockets: dict[str, Path] = {}
        self._servers: dict[str, HttpServer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbered = 0
        registry.watch(self._forget_removed)

    def environment(self, module_id: str) -> dict[str, str]:
        """The variables that edgeAgent gives a module; its socket listens from now on.

        Raises:
            KeyError: the hub has no such identity.
            InputError: the path of the socket would be too long.
        """
        identity = self._registry.identity(f"{self._device_id}/{module_id}")
        if identity is None:
            raise KeyError(module_id)
        return {
            "IOTEDGE_IOTHUBHOSTNAME": self._hub,
            "IOTEDGE_GATEWAYHOSTNAME": self._gateway,
            "IOTEDGE_DEVICEID": self._device_id,
            "IOTEDGE_MODULEID": module_id,
            "IOTEDGE_MODULEGENERATIONID": identity.generation_id,
            "IOTEDGE_WORKLOADURI": f"unix://{self.socket_of(module_id)}",
            "IOTEDGE_APIVERSION": API_VERSION,
            "IOTEDGE_AUTHSCHEME": "sasToken",
        }

    def socket_of(self, module_id: str) -> Path:
        """The socket of a module, which listens from now on.

        Raises:
            InputError: its path would be too long.
        """
        if module_id not in self._sockets:
            path = self._choose_path(module_id)
            listener = _listen(path)
            self._sockets[module_id] = path
            server = self._servers[module_id] = HttpServer(_Application(self, module_id), _LIMITS)
            self._begin(server.start([listener]))
        return self._sockets[module_id]

    async def close(self) -> None:
        """Listen no more, and remove the sockets."""
        for module_id in list(self._servers):
            self._shut(module_id)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def answer(self, module_id: str, request: WorkloadRequest) -> WorkloadAnswer:
        """What a module is told."""
        identity = self._registry.identity(f"{self._device_id}/{module_id}")
        if identity is None:
            return WorkloadAnswer(404, {"message": f"There is no module {module_id} on {self._device_id} any more"})
        return answer(request, Daemon(identity, self._authority, self._modules(), datetime.now(UTC)))

    def _choose_path(self, module_id: str) -> Path:
        path = self._folder / f"{module_id}.sock"
        if len(os.fsencode(path)) > MOST_PATH_BYTES:
            self._numbered += 1
            path = self._folder / f"~{self._numbered}.sock"  # no module id has a ~
        if len(os.fsencode(path)) > MOST_PATH_BYTES:
            raise InputError(
                f"{path} has {len(os.fsencode(path))} bytes, and the path of a socket {MOST_PATH_BYTES} at most: "
                "choose a folder with a shorter path for the run"
            )
        return path

    def _shut(self, module_id: str) -> None:
        self._begin(self._servers.pop(module_id).close(_GRACE_S))
        self._sockets.pop(module_id).unlink(missing_ok=True)

    def _begin(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget_removed(self, change: object) -> None:
        if isinstance(change, IdentityRemoved):
            device_id, _, module_id = change.client_id.partition("/")
            if device_id == self._device_id and module_id in self._servers:
                self._shut(module_id)


class _Application:
    """Requests on one module's socket, for the HTTP server."""

    def __init__(self, api: WorkloadApi, module_id: str) -> None:
        self._api = api
        self._module_id = module_id

    def refuse(self, request: Request) -> Reply | None:
        """Nothing is refused before its body has come."""
        return None

    def answer(self, request: Request, reply: Callable[[Reply], None]) -> None:
        """Answer at once."""
        asked = WorkloadRequest(request.method, request.path, request.query.decode("latin-1"), request.body)
        reply(_reply(self._api.answer(self._module_id, asked)))

    def gone(self, request: Request) -> None:
        """No request ever waits, so none is withdrawn."""

    def error_reply(self, status: int, text: str, request: Request | None = None) -> Reply:
        """What is no proper request."""
        return _reply(WorkloadAnswer(status, {"message": text}))


def _reply(found: WorkloadAnswer) -> Reply:
    return Reply(found.status, _JSON, json.dumps(found.document).encode())


def _listen(path: Path) -> socket.socket:
    """A socket at `path`, in place of one that a killed run left; containers of other users may use it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(64)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
