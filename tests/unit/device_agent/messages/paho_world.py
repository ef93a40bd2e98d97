"""A PahoConnection without a socket: a loop, a transport and a broker that do what the test says."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from device_agent.messages.mqtt.connection import ConnectionOptions
from device_agent.messages.mqtt.paho_connection import PahoConnection
from device_agent.messages.transport import Loss

ACCEPTED = {"5": b"\x20\x03\x00\x00\x00", "3.1.1": b"\x20\x02\x00\x00"}


class Timer:
    """A call that is due at some time."""

    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s = due_s
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        """Do not call."""
        self.is_cancelled = True


class HandLoop:
    """An event loop that is turned by hand. It never dials."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._ready: list[Callable[[], None]] = []
        self._timers: list[Timer] = []

    def time(self) -> float:
        """Seconds."""
        return self.now_s

    def call_soon(self, call: Callable[..., None], *arguments: Any) -> None:
        """In the next turn."""
        self._ready.append(lambda: call(*arguments))

    def call_at(self, due_s: float, call: Callable[..., None], *arguments: Any) -> Timer:
        """Then."""
        timer = Timer(due_s, lambda: call(*arguments))
        self._timers.append(timer)
        return timer

    def call_later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> Timer:
        """After so many seconds."""
        return self.call_at(self.now_s + delay_s, call, *arguments)

    def create_task(self, work: Coroutine[Any, Any, None]) -> Timer:
        """Nothing: the test connects."""
        work.close()
        return Timer(0, lambda: None)

    def turn(self) -> None:
        """Call what is ready."""
        ready, self._ready = self._ready, []
        for call in ready:
            call()

    def turn_until_idle(self) -> None:
        """As often as there is something to do."""
        while self._ready:
            self.turn()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        until_s = self.now_s + seconds
        while due := [t for t in self._timers if not t.is_cancelled and t.due_s <= until_s]:
            timer = min(due, key=lambda t: t.due_s)
            self._timers.remove(timer)
            self.now_s = timer.due_s
            timer.call()
            self.turn_until_idle()
        self.now_s = until_s


class Wire:
    """What the connection takes for its transport."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_aborted = False
        self.is_reading = True

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.writes.append(data)

    def abort(self) -> None:
        """The connection tells the test itself that it is over."""
        self.is_aborted = True

    def pause_reading(self) -> None:
        """Send it nothing for now."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """Go on."""
        self.is_reading = True

    def take(self) -> bytes:
        """All that was written since the last time."""
        data = b"".join(self.writes)
        self.writes.clear()
        return data


class PahoWorld:
    """A connection that is open, and what it told. `on_message` is called within the event."""

    def __init__(self, version: str = "5", **options: Any) -> None:
        self.loop = HandLoop()
        self.wire = Wire()
        self.events: list[tuple[Any, ...]] = []
        self.on_message: Callable[[], None] = lambda: None
        self.connection = PahoConnection(
            ConnectionOptions("broker", 1883, "me", version=version, **options),
            self,
            cast("asyncio.AbstractEventLoop", self.loop),
        )
        self.connection.open()
        self.connection.connection_made(cast("asyncio.Transport", self.wire))
        self.loop.turn_until_idle()
        assert self.wire.take()[0] == 0x10, "CONNECT"

    def accept(self) -> None:
        """The broker takes the connection."""
        self.receive(ACCEPTED[self.connection._options.version])
        assert self.events.pop() == ("opened", False)

    def receive(self, data: bytes) -> None:
        """Bytes come from the broker."""
        self.connection.data_received(data)
        self.loop.turn_until_idle()

    def opened(self, session_present: bool) -> None:
        """See ConnectionEvents."""
        self.events.append(("opened", session_present))

    def closed(self, loss: Loss, reason: str, code: int | None) -> None:
        """See ConnectionEvents."""
        self.events.append(("closed", loss, reason, code))

    def message(
        self, topic: str, payload: bytes, mid: int, qos: int, dup: bool, retain: bool, properties: bytes
    ) -> None:
        """See ConnectionEvents."""
        self.events.append(("message", topic, payload, mid, qos, dup, retain, properties))
        self.on_message()

    def confirmed(self, mid: int) -> None:
        """See ConnectionEvents."""
        self.events.append(("confirmed", mid))

    def refused(self, number: int, reason: str, code: int) -> None:
        """See ConnectionEvents."""
        self.events.append(("refused", number, reason, code))

    def subscribed(self, mid: int, codes: list[int]) -> None:
        """See ConnectionEvents."""
        self.events.append(("subscribed", mid, codes))
