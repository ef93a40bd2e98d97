"""IoT Hub's REST interface behind httpx, without a socket: the simulator's rules answer, and troubles come by script.

What a hub refuses is refused: signatures, expired tokens, versions of the interface, stale etags, too many calls. Time
is virtual: what waits, waits on `clock`, and the hub's own clock goes along.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx

from edgepack.deployment.service_connection import ServiceConnection
from edgepack.hub_calls import IotHub
from edgepack.hub_client import Clock, HubClient
from simulator.cloud.service_request import MethodCall, Reply, Request
from simulator.cloud.service_rules import answer
from tests.fakes.service_world import NOW_S, OWNER_KEY, ServiceWorld

KEY_TEXT = base64.b64encode(OWNER_KEY).decode()
CONNECTION = ServiceConnection("localhost", "iothubowner", OWNER_KEY)


@dataclass(frozen=True)
class Trouble:
    """Instead of an answer. `status` 0: the connection ends. `is_done`: the hub carries the call out all the same."""

    status: int = 0
    is_done: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class FakeHub(httpx.BaseTransport):
    """A transport. `troubles` happen to the next calls; `calls` are all that came, as `METHOD /path`.

    `on_pause` is called, with the time since the start, whenever the client has waited: what devices do meanwhile.
    """

    def __init__(self, *, throttled: bool = False) -> None:
        self.world = ServiceWorld(throttled=throttled)
        self.troubles: list[Trouble | None] = []
        self.calls: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.pauses: list[float] = []
        self.said: list[str] = []
        self.on_pause: Callable[[float], None] = lambda _now_s: None
        self.machine_is_ahead_s = 0.0
        self.clock = Clock(
            wall_s=lambda: self.world.now_s + self.machine_is_ahead_s,
            steady_s=lambda: self.world.now_s - NOW_S,
            pause=self._pause,
            chance=lambda: 1.0,
        )

    def client(self, connection: ServiceConnection = CONNECTION, *, timeout_s: float = 60) -> HubClient:
        """A client of this hub."""
        return HubClient(connection, timeout_s=timeout_s, say=self.said.append, clock=self.clock, transport=self)

    def hub(self, *, timeout_s: float = 60) -> IotHub:
        """The calls, as its owner."""
        return IotHub(self.client(timeout_s=timeout_s))

    def changes(self) -> list[str]:
        """The calls that were made to change something."""
        return [
            call for call in self.calls if not call.startswith("GET") and not call.endswith(("/query", "/testQueries"))
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the hub, or as the script says."""
        path = request.url.raw_path.decode().partition("?")[0]
        self.calls.append(f"{request.method} {path}")
        self.headers.append(dict(request.headers))
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is None or trouble.is_done:
            reply = self._answer(request)
            if trouble is None:
                body = b"" if reply.document is None else json.dumps(reply.document).encode()
                return httpx.Response(reply.status, headers=dict(reply.headers), content=body)
        assert trouble is not None
        if not trouble.status:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(trouble.status, headers=trouble.headers, content=trouble.body)

    def _answer(self, request: httpx.Request) -> Reply:
        parts = [unquote(part) for part in request.url.raw_path.decode().partition("?")[0].strip("/").split("/")]
        given = Request(
            request.method,
            tuple(parts),
            dict(request.url.params),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
            self.world.now_s,
        )
        found = answer(self.world.hub, given)
        assert not isinstance(found, MethodCall)
        return found

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.world.now_s += seconds
        self.on_pause(self.world.now_s - NOW_S)
