"""One module on the message road: ties transport, delivery, buffer, road and twin together. On the event loop.

Everything that happens ends in `_pump`, which runs once for all that happened in one turn of the loop, and carries out
what the delivery core wants.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Mapping
from typing import Any

from device_agent import __version__
from device_agent.child_process import ChildScorer
from device_agent.messages.buffer.buffer_thread import BufferThread
from device_agent.messages.buffer.interface import Refusal
from device_agent.messages.counts import Counts, report_figures
from device_agent.messages.delivery import Delivery
from device_agent.messages.delivery_actions import Connect, Load, Publish, Remove, SetAside, State
from device_agent.messages.forwarding import ForwardingScorer
from device_agent.messages.message import SPARE, MethodCall, Received, Stored, key_lane
from device_agent.messages.message_ids import MessageIds
from device_agent.messages.message_road import MessageRoad
from device_agent.messages.methods import MethodCalls
from device_agent.messages.reporter import Reporter
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Loss, Transport
from device_agent.messages.twin_settings import apply_desired
from device_agent.metrics import Metrics
from device_agent.monitoring import Monitoring
from device_agent.scorer import ScoringResult

_POLL_S = 0.02
_CONFIRMATIONS_S = 1.0
MOST_WAITING_BYTES = 64 * 1024 * 1024
"""Inputs that are held unacknowledged; a broker that sends more without waiting is left for a while."""
_LOG = logging.getLogger("edgepack.agent")


class MessageModule:
    """Implements TransportEvents and BufferEvents. Call `open` first, with the buffer's thread that reports here.

    `given` are the variables of the environment; `models` what the script serves: name and version.
    """

    def __init__(
        self,
        scorer: ChildScorer,
        transport: Transport,
        settings: MessageSettings,
        given: Mapping[str, str],
        models: Collection[tuple[str, str]],
        monitoring: Monitoring,
    ) -> None:
        self.scorer = scorer
        self._monitoring = monitoring
        self.settings = settings
        """Those in force."""
        self.counts = Counts()
        self._transport = transport
        self._given = given
        self._models = models
        self._delivery = Delivery(window=settings.window, live_first=settings.drain == "live_first")
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random()  # noqa: S311 - it spreads reconnections
        self._has_pump = False
        self._alarm: asyncio.TimerHandle | None = None
        self._reporter = Reporter(transport, self._loop, self.state_report)
        monitoring.when_changed(self._reporter.changed)
        self._twin_report: dict[str, dict[str, str]] = {}
        self._is_refusing = False
        self._calls = MethodCalls(self, transport)
        self._is_closing = False

    def open(self, store: BufferThread, metrics: Metrics, ids: MessageIds) -> None:
        """Begin to connect."""
        self._store = store
        self._ids = ids
        self.road = MessageRoad(
            self._monitoring.way,
            store,
            settings=lambda: self.settings,
            acknowledge=self._transport.acknowledge,
            refusal=self._transport.refusal,
            observe=lambda result, seconds: self._observe(metrics, result, seconds),
            refused=self._on_refusal,
            ids=self._ids,
        )
        self._delivery.start()
        self._wake()

    @property
    def is_connected(self) -> bool:
        """Whether it can publish."""
        return self._delivery.state is State.CONNECTED

    @property
    def messages_left(self) -> int:
        """Messages in the buffer that are to be sent."""
        return self._store.figures.messages

    def forwarding(self) -> ForwardingScorer:
        """The scorer for HTTP, whose results may go upstream too."""
        return ForwardingScorer(
            self._monitoring.way,
            self._store,
            settings=lambda: self.settings,
            new_id=self._ids.new,
            refusal=self._transport.refusal,
            refused=self._on_refusal,
        )

    # --- TransportEvents (see transport)

    def connected(self) -> None:
        self.counts.connections += 1
        _LOG.info("Connected upstream to %s; messages waiting: %d", self._transport.address, self.messages_left)
        self._delivery.connected(self._store.now_s())
        self._reporter.connected()
        self._wake()

    def disconnected(self, loss: Loss, reason: str) -> None:
        self.road.lost_connection()
        self._reporter.is_connected = False
        was_connected = self.is_connected
        now_s = self._store.now_s()
        self._delivery.disconnected(loss, now_s, self._chance.random())
        again = "at once" if (due_s := self._delivery.wake_at_s) is None else f"in {due_s - now_s:.1f} s"
        if loss is Loss.PLANNED:
            _LOG.info("Upstream: %s; connecting again %s", reason, again)
        else:
            self._reporter.error(reason)
            _LOG.warning(
                "%s upstream: %s; next attempt %s", "Lost" if was_connected else "Not connected", reason, again
            )
        self._wake()

    def received(self, message: Received) -> None:
        if self.road.waiting_bytes > MOST_WAITING_BYTES and message.receipt is None:
            self.counts.dropped["overload"] += 1  # nobody would send it again, and it cannot wait
            return
        self.road.received(message)
        if self.road.waiting_bytes > MOST_WAITING_BYTES and message.receipt is not None:
            text = (
                f"{self.road.waiting} inputs were sent without waiting for an acknowledgement, more than are held here"
            )
            self._transport.disconnect(Loss.OVERLOADED, text)

    def published(self, key: int) -> None:
        self.counts.sent += 1
        self._delivery.published(key)
        self._wake()

    def refused(self, key: int, reason: str) -> None:
        _LOG.error("The message with key %d is set aside: %s", key, reason)
        self._reporter.error(reason)
        self._delivery.unsendable(key)
        self._wake()

    def desired(self, properties: Mapping[str, Any]) -> None:
        settings, self._twin_report = apply_desired(properties, self._given)
        for report in self._twin_report.values():
            if report["status"] == "refused":
                _LOG.warning("Desired property refused: %s", report["reason"])
        if settings != self.settings:
            changed = [f for f in settings._fields if getattr(settings, f) != getattr(self.settings, f)]
            _LOG.info("Settings changed by the twin: %s", ", ".join(changed))
            self.settings = settings
            self._delivery.live_first = settings.drain == "live_first"
            self._store.change_policy(settings.buffer_policy)
        self._reporter.changed()

    def method_called(self, call: MethodCall) -> None:
        self._calls.begin(call)

    # --- BufferEvents (see buffer_thread)

    def stored(self, messages: list[Stored]) -> None:
        self._is_refusing = False
        self._delivery.stored(messages)
        self._wake()

    def removed(self, keys: Collection[int]) -> None:
        self._delivery.removed(keys)
        self.road.go_on()
        self._wake()

    def dropped(self, keys: list[int]) -> None:
        self._monitoring.lose(self._delivery.discarded(key for key in keys if key_lane(key) == SPARE))
        count = self._delivery.discarded(key for key in keys if key_lane(key) != SPARE)
        if count and not self.counts.dropped["full"]:
            _LOG.warning("The buffer is full: the oldest messages are dropped")
        self.counts.dropped["full"] += count
        self._wake()

    def expired(self, keys: list[int]) -> None:
        self.counts.dropped["expired"] += self._delivery.discarded(keys)
        self.road.go_on()
        self._wake()

    def failed(self, text: str) -> None:
        _LOG.error("Messages cannot be kept: %s", text)
        self._reporter.error(text)

    def recovered(self) -> None:
        _LOG.info("Messages can be kept again")
        self._delivery.rescan()
        self.road.go_on()
        self._wake()

    # --- what others ask for

    async def flush(self) -> int:
        """Connect now, and send again what was set aside; return how many that were."""
        restored: asyncio.Future[int] = self._loop.create_future()
        self._store.restore(restored.set_result)
        count = await restored
        self._delivery.rescan()
        self._delivery.hurry()
        self._wake()
        return count

    def state_report(self) -> dict[str, Any]:
        """The reported properties."""
        return {
            "version": __version__,
            "state": self.scorer.not_ready_reason or "running",
            "models": dict(self._models),
            "lastError": self._reporter.last_error,
            **report_figures(self._store.figures, self.counts, self.road),
            **self._monitoring.report(),
            "settings": self._twin_report,
        }

    def state_changed(self) -> None:
        """The script is ready, or no longer."""
        self.road.go_on()
        self._reporter.changed()

    async def close(self, drain_s: float) -> None:
        """Take no more inputs; finish what is with the script, for at most `drain_s`; say goodbye.

        What is not sent then stays on disk. The buffer's thread is left to whoever opened it. May be called again.
        """
        self.road.drain()
        deadline_s = self._loop.time() + drain_s
        while self.road.under_way and self._loop.time() < deadline_s:
            await asyncio.sleep(_POLL_S)
        deadline_s = min(deadline_s, self._loop.time() + _CONFIRMATIONS_S)
        while self.is_connected and (self._delivery.in_flight or self._has_pump) and self._loop.time() < deadline_s:
            await asyncio.sleep(_POLL_S)
        self._is_closing = True
        self._reporter.close()
        if self._alarm is not None:
            self._alarm.cancel()
        self._calls.close()
        self._delivery.close()
        await self._transport.close()

    # --- inside

    def _on_refusal(self, refusal: Refusal) -> None:
        """The buffer has refused a result; told once for as long as nothing is stored."""
        self.counts.refused += 1
        if not self._is_refusing:
            self._is_refusing = True
            _LOG.warning("%s; inputs wait unacknowledged, and HTTP gets 503", refusal.text)
            self._reporter.error(refusal.text)

    def _observe(self, metrics: Metrics, result: ScoringResult, seconds: float) -> None:
        metrics.count_scoring(result.exec_ms, result.script_failed, seconds)
        if result.status >= 400:
            self._reporter.error("an input could not be scored: the log says why")

    def _wake(self) -> None:
        if not self._has_pump:
            self._has_pump = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._has_pump = False
        if self._is_closing:
            return
        while actions := self._delivery.poll(self._store.now_s()):
            for action in actions:
                self._carry_out(action)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._delivery.wake_at_s is not None:
            self._alarm = self._loop.call_later(max(0.0, self._delivery.wake_at_s - self._store.now_s()), self._wake)

    def _carry_out(self, action: Connect | Publish | Load | Remove | SetAside) -> None:
        match action:
            case Publish(Stored(key=key, message=message)):
                reason = self._transport.refusal(message)
                if reason:
                    _LOG.error("Message %s cannot be sent: %s; it is set aside", message.message_id, reason)
                    self._delivery.unsendable(key)
                else:
                    self._transport.publish(key, message)
            case Remove(keys, expired):
                if expired:
                    self.counts.dropped["expired"] += len(keys)
                if self._delivery.leaving * 2 < self.settings.window:
                    self._store.remove_soon(keys)
                else:
                    self._store.remove(keys)
            case Load(number, after, until, limit, limit_bytes):
                self._store.read(after, until, limit, limit_bytes, lambda found: self._loaded(number, found))
            case SetAside(key):
                self.counts.set_aside += 1
                _LOG.error("The message with key %d is set aside: the other side does not take it", key)
                self._store.set_aside(key)
            case Connect():
                self._transport.connect(self)

    def _loaded(self, number: int, found: list[Stored]) -> None:
        self._delivery.loaded(number, found)
        self._wake()
