"""A hub, a module (or device) of it, and a recorder of what a transport tells."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from device_agent.messages.iothub.connection_string import Endpoint
from device_agent.messages.iothub.identity import Identity, KeySigner, find_identity
from device_agent.messages.message import Message, MethodCall, Received
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Loss, Transport
from tests.fakes.fake_iot_hub import HUB_NAME, FakeIotHub
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.device_agent.messages.transport_contract import BLOCKED_S

KEY = secrets.token_bytes(32)
DEVICE = "edge-1"
MODULE = "edge-1/scorer"


class Recorder:
    """Events of a transport, which it closes in the end.

    `acknowledges`: at once, in order. `reconnects`: after every loss, at once.
    """

    def __init__(self, transport: Transport, *, acknowledges: bool = True, reconnects: bool = False) -> None:
        self.transport = transport
        self.acknowledges = acknowledges
        self.reconnects = reconnects
        self.is_connected = False
        self.connects = 0
        self.losses: list[tuple[Loss, str]] = []
        self.inputs: list[Received] = []
        self.confirmed: list[int] = []
        self.refusals: list[tuple[int, str]] = []
        self.desired_seen: list[dict[str, Any]] = []
        self.calls: list[MethodCall] = []
        self.unconfirmed: dict[int, Message] = {}
        self._in_call = False
        self._loop = asyncio.get_running_loop()

    def connect(self) -> None:
        """Connect the transport."""
        self._guard(lambda: self.transport.connect(self))

    def publish(self, key: int, message: Message) -> None:
        """Publish now if connected, and again after a loss until it is confirmed."""
        self.unconfirmed[key] = message
        if self.is_connected:
            self._guard(lambda: self.transport.publish(key, message))

    def disconnect(self, loss: Loss, reason: str) -> None:
        """End the connection."""
        self._guard(lambda: self.transport.disconnect(loss, reason))

    def _guard(self, call: Callable[[], None]) -> None:
        """No event may come from inside a call."""
        before, self._in_call = self._in_call, True
        try:
            call()
        finally:
            self._in_call = before

    def connected(self) -> None:
        """See TransportEvents."""
        assert not self._in_call
        assert not self.is_connected
        self.is_connected = True
        self.connects += 1
        for key, message in self.unconfirmed.items():
            self._guard(lambda key=key, message=message: self.transport.publish(key, message))  # type: ignore[misc]

    def disconnected(self, loss: Loss, reason: str) -> None:
        """See TransportEvents."""
        assert not self._in_call
        self.is_connected = False
        self.losses.append((loss, reason))
        if self.reconnects:
            self._loop.call_later(0 if loss is Loss.PLANNED else 0.05, self.connect)

    def received(self, message: Received) -> None:
        """See TransportEvents."""
        assert not self._in_call
        assert self.is_connected
        self.inputs.append(message)
        if self.acknowledges:
            self._guard(lambda: self.transport.acknowledge(message.receipt))

    def published(self, key: int) -> None:
        """See TransportEvents."""
        assert not self._in_call
        assert self.is_connected
        self.confirmed.append(key)
        del self.unconfirmed[key]

    def refused(self, key: int, reason: str) -> None:
        """See TransportEvents."""
        assert not self._in_call
        assert self.is_connected
        self.refusals.append((key, reason))
        del self.unconfirmed[key]

    def desired(self, properties: Mapping[str, Any]) -> None:
        """See TransportEvents."""
        assert not self._in_call
        assert self.is_connected
        self.desired_seen.append(dict(properties))

    def method_called(self, call: MethodCall) -> None:
        """See TransportEvents."""
        assert not self._in_call
        self.calls.append(call)

    async def until(self, condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        """Wait until a condition holds; the loop's own latency is watched meanwhile."""
        deadline_s = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline_s, f"not within {seconds} s: {what}; losses {self.losses}"
            before_s = time.monotonic()
            await asyncio.sleep(0.002)
            assert time.monotonic() - before_s < BLOCKED_S, "the event loop was blocked"

    async def up(self) -> None:
        """Connect, and wait until it is."""
        self.connect()
        await self.until(lambda: self.is_connected, "connected")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        losses = len(self.losses)
        await self.transport.close()
        assert len(self.losses) == losses, "no event follows close()"

    async def lost(self) -> tuple[Loss, str]:
        """Wait for the next loss."""
        count = len(self.losses)
        await self.until(lambda: len(self.losses) > count, "a loss")
        return self.losses[-1]


def key_identity(hub: FakeIotHub, ca_file: Path, client_id: str = MODULE) -> Identity:
    """An identity that signs with the key."""
    ca_file.write_text(hub.ca_pem)
    device_id, _, module_id = client_id.partition("/")
    return Identity(HUB_NAME, Endpoint(hub.host, hub.port), device_id, module_id, KeySigner(KEY, str(ca_file)))


@contextmanager
def running_hub(inputs_at_a_time: int = 1) -> Iterator[FakeIotHub]:
    """A hub that knows a device and its module."""
    with FakeIotHub({MODULE: KEY, DEVICE: KEY}, inputs_at_a_time=inputs_at_a_time) as hub:
        yield hub


@contextmanager
def edge(folder: Path) -> Iterator[tuple[FakeIotHub, FakeWorkload, Identity]]:
    """edgeHub, a security daemon, and the identity that a module finds in its environment."""
    with running_hub() as hub, FakeWorkload(folder / "workload.sock", KEY, hub.ca_pem) as workload:
        environment = workload.environment(HUB_NAME, f"localhost:{hub.port}", DEVICE)
        yield hub, workload, find_identity(MessageSettings(), environment)


def message(number: int, **more: Any) -> Message:
    """A numbered message."""
    return Message(b"%d" % number, "amlOutput", f"id-{number}", **more)
