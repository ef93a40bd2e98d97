"""What every transport must do, as tests: subclass TransportContract in a test module, with a fixture `world`."""

import asyncio
import contextlib
import functools
import gc
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple, ParamSpec, Protocol

import pytest
import uvloop

from device_agent.messages.message import Message, MethodCall, Received
from device_agent.messages.transport import Loss, Transport
from tests.integration.device_agent.messages.mosquitto_server import HOST, free_port

DEADLINE_S = 10.0
BLOCKED_S = 2.0
"""A turn of the loop that takes longer was blocked: what could block it would do so for far longer, while a busy
machine may keep a process from running for some tenths of a second."""

ENDS_WITHIN_S = 5.0
"""close() ends within a second, and has to whatever the peer does; on a busy machine a little later."""
P = ParamSpec("P")


class Upstream(NamedTuple):
    """A message that has arrived on the other side."""

    body: bytes
    output: str
    message_id: str
    correlation_id: str
    properties: tuple[tuple[str, str], ...]
    content_type: str


class World(Protocol):
    """The other side of a transport. All methods may block for some milliseconds.

    `has_properties`: ids, properties and content type are carried. `secret`: what must not be in any reason.
    """

    has_properties: bool
    secret: str

    def transport(
        self, *, keep_alive_s: int = 60, window: int = 100, is_trusted: bool = True, port: int = 0
    ) -> Transport:
        """A transport to this side (or to that port), with wrong credentials when it is not trusted."""
        ...

    def inject(self, body: bytes, message_id: str = "", properties: Mapping[str, str] | None = None) -> None:
        """Send an input message to the transport's session; return when the other side has it."""
        ...

    def upstream(self) -> list[Upstream]:
        """What has arrived so far."""
        ...

    def cut(self) -> None:
        """Reset the connection."""
        ...

    def cut_after(self, count_bytes: int) -> None:
        """Reset it once so many more bytes have been sent by the transport."""
        ...

    def freeze(self) -> None:
        """Answer nothing any more, without closing anything."""
        ...

    def thaw(self) -> None:
        """Go on."""
        ...

    def restart(self) -> None:
        """Stop in order and start again; sessions are kept."""
        ...


def on_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an asynchronous test on the agent's loop."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        async def limited() -> None:
            async with asyncio.timeout(3 * DEADLINE_S):
                await test(*arguments, **named)

        uvloop.run(limited())

    return run


async def until(is_true: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition."""
    until_s = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < until_s, f"waited in vain for {what}"
        await asyncio.sleep(0.002)


class Recorder:
    """Events of a transport. `acknowledges`: inputs at once. `window`: messages sent and not confirmed at a time."""

    def __init__(self, transport: Transport, *, acknowledges: bool = False, window: int = 100) -> None:
        self.transport = transport
        self.acknowledges = acknowledges
        self.is_connected = False
        self.connects = 0
        self.losses: list[tuple[Loss, str]] = []
        self.inputs: list[Received] = []
        self.confirmed: list[int] = []
        self.refusals: list[tuple[int, str]] = []
        self._window = window
        self._waiting: list[tuple[int, Message]] = []
        self._under_way = 0
        self._is_inside = False

    async def connect(self) -> None:
        """Connect, and wait for it."""
        connects = self.connects
        self.begin()
        await until(lambda: self.connects > connects or self.losses, "connected")
        assert self.is_connected, self.losses

    async def lost(self, count: int = 1) -> tuple[Loss, str]:
        """Wait for a loss; return the last."""
        await until(lambda: len(self.losses) >= count, "disconnected")
        assert not self.is_connected
        return self.losses[-1]

    async def reconnect(self) -> None:
        """After a loss."""
        self.losses.clear()
        await self.connect()

    def begin(self) -> None:
        """Begin to connect."""
        self._call(lambda: self.transport.connect(self))

    def publish(self, key: int, body: bytes, **fields: Any) -> None:
        """Publish a message as soon as there is room in the window."""
        self.publish_to("out", key, body, **fields)

    def publish_to(self, output: str, key: int, body: bytes, **fields: Any) -> None:
        """The same to this output."""
        self._waiting.append((key, Message(body, output, f"id-{key}", **fields)))
        self._fill()

    def disconnect(self, loss: Loss, reason: str) -> None:
        """End the connection."""
        self._call(lambda: self.transport.disconnect(loss, reason))

    def acknowledge(self, received: Received) -> None:
        """Acknowledge an input."""
        self._call(lambda: self.transport.acknowledge(received.receipt))

    def _fill(self) -> None:
        while self._waiting and self._under_way < self._window and self.is_connected:
            key, message = self._waiting.pop(0)
            self._under_way += 1
            self._call(lambda key=key, message=message: self.transport.publish(key, message))  # type: ignore[misc]

    def _call(self, call: Callable[[], None]) -> None:
        before, self._is_inside = self._is_inside, True
        call()
        self._is_inside = before

    def connected(self) -> None:
        """See TransportEvents."""
        assert not self._is_inside
        assert not self.is_connected
        self.is_connected = True
        self.connects += 1

    def disconnected(self, loss: Loss, reason: str) -> None:
        """See TransportEvents."""
        assert not self._is_inside
        self.is_connected = False
        self._under_way = 0
        self.losses.append((loss, reason))

    def received(self, message: Received) -> None:
        """See TransportEvents."""
        assert not self._is_inside
        assert self.is_connected, "inputs come after connected"
        self.inputs.append(message)
        if self.acknowledges:
            self.acknowledge(message)

    def published(self, key: int) -> None:
        """See TransportEvents."""
        assert not self._is_inside
        self.confirmed.append(key)
        self._under_way -= 1
        self._fill()

    def refused(self, key: int, reason: str) -> None:
        """See TransportEvents."""
        assert not self._is_inside
        self.refusals.append((key, reason))
        self._under_way -= 1
        self._fill()

    def desired(self, properties: Mapping[str, Any]) -> None:
        """See TransportEvents."""

    def method_called(self, call: MethodCall) -> None:
        """See TransportEvents."""


class Lag:
    """How late the loop was at its turns, at most and in all, while it is entered: blocked, or kept from running."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.total_s = 0.0

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Measure."""
        gc.collect()
        gc.freeze()  # what pytest has in memory is not to be looked through meanwhile
        task = asyncio.get_running_loop().create_task(self._measure())
        try:
            yield
        finally:
            task.cancel()
            gc.unfreeze()

    async def _measure(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.002)
            late_s = time.monotonic() - before_s - 0.002
            self.longest_s = max(self.longest_s, late_s)
            self.total_s += late_s


class TransportContract:
    """See the module."""

    @pytest.fixture
    def closed_port(self) -> int:
        """A port on which connections are refused."""
        return free_port()

    @pytest.fixture
    def silent_port(self) -> Iterator[int]:
        """A port that takes connections, and says nothing."""
        with socket.create_server((HOST, 0)) as listener:
            yield listener.getsockname()[1]

    @on_loop
    async def test_ends_with_the_loss_that_it_is_told(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        recorder.disconnect(Loss.SILENT, "the test said so")
        assert await recorder.lost() == (Loss.SILENT, "the test said so")
        await recorder.reconnect()
        await recorder.transport.close()
        await recorder.transport.close()
        assert recorder.losses == [], "no event follows close"

    @on_loop
    async def test_says_where_it_connects_to_without_secrets(self, world: World) -> None:
        recorder = Recorder(world.transport())
        before = recorder.transport.address
        await recorder.connect()
        for address in (before, recorder.transport.address):
            assert address
            assert world.secret not in address
        await recorder.transport.close()

    @on_loop
    async def test_confirms_what_has_arrived_in_order(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        for number in range(50):
            recorder.publish(number, b"%d" % number)
        await until(lambda: len(recorder.confirmed) == 50, "confirmations")
        await until(lambda: len(world.upstream()) == 50, "messages")
        assert [message.body for message in world.upstream()] == [b"%d" % number for number in range(50)]
        assert recorder.confirmed == list(range(50))
        await recorder.transport.close()

    @on_loop
    async def test_carries_everything_about_a_message(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        pairs = (("kind", "t\u00e9mp / + # $ 100 %"), ("empty", ""))
        recorder.publish(7, b'{"a": 1}', correlation_id="was-this", properties=pairs)
        await until(world.upstream, "the message")
        message = world.upstream()[0]
        assert message.body == b'{"a": 1}'
        if world.has_properties:
            assert message.message_id == "id-7"
            assert message.correlation_id == "was-this"
            assert sorted(message.properties) == sorted(pairs)
            assert message.content_type == "application/json"
        await recorder.transport.close()

    @on_loop
    async def test_inputs_come_in_order_with_all_that_they_have(self, world: World) -> None:
        recorder = Recorder(world.transport(), acknowledges=True)
        await recorder.connect()
        for number in range(30):
            world.inject(b"%d" % number, f"mid-{number}", {"n": f"{number} \u00e9"})
        await until(lambda: len(recorder.inputs) == 30, "inputs")
        assert [received.body for received in recorder.inputs] == [b"%d" % number for number in range(30)]
        if world.has_properties:
            assert [received.message_id for received in recorder.inputs] == [f"mid-{number}" for number in range(30)]
            assert ("n", "3 \u00e9") in recorder.inputs[3].properties
        await recorder.transport.close()

    @on_loop
    async def test_what_was_not_acknowledged_comes_again(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        if not recorder.transport.capabilities.acknowledges_by_hand:
            pytest.skip("this transport acknowledges by itself")
        for number in range(6):
            world.inject(b"%d" % number)
        await until(lambda: len(recorder.inputs) == 6, "inputs")
        first = {received.body: received for received in recorder.inputs}
        for received in recorder.inputs[:2]:
            recorder.acknowledge(received)
        recorder.publish(1, b"behind the acknowledgements")
        await until(lambda: recorder.confirmed, "a confirmation")
        world.cut()
        assert (await recorder.lost())[0] is Loss.CLOSED
        recorder.inputs.clear()
        await recorder.reconnect()
        await until(lambda: len(recorder.inputs) == 4, "redelivery")
        assert [received.body for received in recorder.inputs] == [b"2", b"3", b"4", b"5"]
        for received in recorder.inputs:
            assert received.redelivered
            assert received.origin == first[received.body].origin
        await recorder.transport.close()

    @on_loop
    async def test_a_receipt_of_an_earlier_connection_is_worth_nothing(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        if not recorder.transport.capabilities.acknowledges_by_hand:
            pytest.skip("this transport acknowledges by itself")
        world.inject(b"keep me")
        await until(lambda: recorder.inputs, "the input")
        stale = recorder.inputs.pop()
        for _ in range(2):
            world.cut()
            await recorder.lost()
            recorder.acknowledge(stale)
            await recorder.reconnect()
            recorder.acknowledge(stale)
            await until(lambda: recorder.inputs, "redelivery")
            recorder.inputs.clear()
        await recorder.transport.close()

    @on_loop
    async def test_a_session_outlives_its_connection_and_the_other_side(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        await recorder.transport.close()
        world.inject(b"while away")
        world.restart()
        again = Recorder(world.transport(), acknowledges=True)
        await again.connect()
        await until(lambda: again.inputs, "the input")
        assert again.inputs[0].body == b"while away"
        world.restart()
        assert (await again.lost())[0] is Loss.CLOSED
        await again.transport.close()

    @on_loop
    async def test_large_messages(self, world: World) -> None:
        recorder = Recorder(world.transport(), acknowledges=True)
        await recorder.connect()
        body = bytes(range(256)) * 800
        lag = Lag()
        with lag.watch():
            for number in range(5):
                recorder.publish(number, body)
            await until(lambda: len(recorder.confirmed) == 5, "confirmations")
        world.inject(body)
        await until(lambda: recorder.inputs and len(world.upstream()) == 5, "large messages")
        assert recorder.inputs[0].body == body
        assert all(message.body == body for message in world.upstream())
        assert lag.longest_s < BLOCKED_S
        await recorder.transport.close()

    @on_loop
    async def test_full_windows_both_ways(self, world: World) -> None:
        recorder = Recorder(world.transport(), acknowledges=True)
        await recorder.connect()
        for number in range(500):
            recorder.publish(number, b"%d" % number)
        await asyncio.to_thread(self._inject_all, world, 500)
        await until(lambda: len(recorder.confirmed) == 500, "confirmations")
        await until(lambda: len(recorder.inputs) == 500 and len(world.upstream()) == 500, "messages")
        expected = [b"%d" % number for number in range(500)]
        assert [message.body for message in world.upstream()] == expected
        assert [received.body for received in recorder.inputs] == expected
        assert recorder.losses == []
        await recorder.transport.close()

    @staticmethod
    def _inject_all(world: World, count: int) -> None:
        for number in range(count):
            world.inject(b"%d" % number)

    @pytest.mark.parametrize("sends", [False, True])
    @on_loop
    async def test_a_frozen_peer_is_noticed_in_one_and_a_half_keep_alives(self, world: World, sends: bool) -> None:
        keep_alive_s = 1
        recorder = Recorder(world.transport(keep_alive_s=keep_alive_s), acknowledges=True)
        await recorder.connect()
        lag = Lag()
        try:
            number = 0
            with lag.watch():
                world.freeze()
                frozen_s = time.monotonic()
                while not recorder.losses and time.monotonic() < frozen_s + 30 * keep_alive_s:
                    if sends:
                        recorder.publish(number, b"anybody there?")
                        number += 1
                    await asyncio.sleep(0.01)
                noticed_s = time.monotonic() - frozen_s
            assert recorder.losses, "not noticed"
            assert recorder.losses[0][0] is Loss.SILENT
            assert noticed_s - lag.total_s < 1.5 * keep_alive_s  # less what the machine did not let the loop run
        finally:
            world.thaw()
        await recorder.transport.close()

    @on_loop
    async def test_an_idle_connection_stays(self, world: World) -> None:
        recorder = Recorder(world.transport(keep_alive_s=2), acknowledges=True)
        await recorder.connect()
        await asyncio.sleep(4.4)  # two pings and more
        assert recorder.losses == []
        world.inject(b"still here")
        await until(lambda: recorder.inputs, "the input")
        await recorder.transport.close()

    @on_loop
    async def test_wrong_credentials_are_refused(self, world: World) -> None:
        recorder = Recorder(world.transport(is_trusted=False))
        recorder.begin()
        loss, reason = await recorder.lost()
        assert loss is Loss.REFUSED
        assert world.secret not in reason
        assert "refused" in reason
        await recorder.transport.close()

    @on_loop
    async def test_nobody_listens(self, world: World, closed_port: int) -> None:
        recorder = Recorder(world.transport(port=closed_port))
        lag = Lag()
        with lag.watch():
            recorder.begin()
            loss, reason = await recorder.lost()
        assert loss is Loss.UNREACHABLE
        assert str(closed_port) in reason
        assert "refused" in reason
        assert lag.longest_s < BLOCKED_S
        await recorder.transport.close()

    @on_loop
    async def test_nobody_answers(self, world: World, silent_port: int) -> None:
        recorder = Recorder(world.transport(port=silent_port))
        lag = Lag()
        with lag.watch():
            recorder.begin()
            await asyncio.sleep(0.2)  # it could block now
            recorder.disconnect(Loss.PLANNED, "enough")
            assert await recorder.lost() == (Loss.PLANNED, "enough")
            recorder.losses.clear()
            recorder.begin()
            await asyncio.sleep(0.05)
            async with asyncio.timeout(ENDS_WITHIN_S):
                await recorder.transport.close()
        assert recorder.losses == []
        assert lag.longest_s < BLOCKED_S

    @on_loop
    async def test_closing_while_it_connects(self, world: World) -> None:
        for turns in range(12):
            recorder = Recorder(world.transport())
            recorder.begin()
            for _ in range(turns):
                await asyncio.sleep(0)
            await recorder.transport.close()
            connects = recorder.connects
            await asyncio.sleep(0)
            assert recorder.losses == []
            assert recorder.connects == connects

    @on_loop
    async def test_a_cut_in_the_middle_of_a_message(self, world: World) -> None:
        recorder = Recorder(world.transport())
        await recorder.connect()
        world.cut_after(100_000)
        recorder.publish(1, bytes(200_000))
        assert (await recorder.lost())[0] is Loss.CLOSED
        assert recorder.confirmed == []
        await recorder.reconnect()
        recorder.publish(1, bytes(200_000))
        await until(lambda: recorder.confirmed and world.upstream(), "the message")
        assert len(world.upstream()) == 1
        await recorder.transport.close()
