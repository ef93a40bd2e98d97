"""Many devices in one process, on one loop: no task and no timer a message.

One tick for all looks at a heap of what is due when; what a device makes in a tick is one write. Connections begin
one after the other (`connects_per_s`). Reports go to `report`, at most ten a second.

Simulated time decides when devices measure; it stands still for them while the fleet is paused. Tokens, keep-alive and
back-off follow the machine's clock. What a fleet that cannot keep up does not make within two real seconds is left out
and counted as not produced.
"""

import asyncio
import contextlib
import heapq
import random
import ssl
import time
from pathlib import Path
from typing import Any

from device_agent.messages.iothub import topics
from device_agent.messages.iothub.connection_string import Endpoint
from device_agent.messages.iothub.identity import Identity, KeySigner, trust
from edgepack.errors import InputError
from simulator.clock import Clock
from simulator.devices.addressing import HubAddressing
from simulator.devices.device import Counts, Device, Habits
from simulator.devices.device_client import ClientSettings, DeviceClient
from simulator.devices.entrance import Entrance
from simulator.devices.plan import FLEET_MARK, DeviceCredential, FleetPlan
from simulator.devices.report import Report
from simulator.devices.schedule import Schedule
from simulator.devices.session import Session, SessionSettings, Telemetry
from simulator.devices.sources import MakeSource

_TICK_S = 0.005
_LONGEST_TICK_S = 0.004
_REPORT_S = 0.1
_VIEW_S = 1.0
_LATEST_S = 2.0
_MOST_SHOWN = 200
_MOST_OUTSTANDING_TOLD = 1000


class Fleet:
    """See the module. Made on a running loop; `run` returns when the fleet is done."""

    def __init__(self, plan: FleetPlan, make_source: MakeSource, tls: ssl.SSLContext, report: Report) -> None:
        self._plan = plan
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._clock = Clock(plan.speed)
        begun_s = 0.0 if plan.started_s is None else time.time() - plan.started_s
        self._ahead_s = begun_s * (plan.speed - 1)
        self._paused_s = 0.0
        self._paused_since_s: float | None = None
        self._is_producing = True
        self._stop = asyncio.Event()
        self._deadline_s: float | None = None
        self._changed: set[int] = set()
        self._released: dict[DeviceClient, asyncio.Task[None]] = {}
        entrance = Entrance(Endpoint(plan.host, plan.port), plan.connects_per_s)
        self._clients = [self._make_client(credential, make_source, tls, entrance) for credential in plan.devices]
        self._places = {client: place for place, client in enumerate(self._clients)}
        self._due = [(client.device.schedule.due_s, place) for place, client in enumerate(self._clients)]
        heapq.heapify(self._due)

    async def run(self) -> dict[str, Any]:
        """Produce until `stop` or the end of the plan, wait until all is acknowledged, and give the last account."""
        for client in self._clients:
            client.start()
        tick = self._loop.call_soon(self._tick)
        background = [asyncio.create_task(self._wake()), asyncio.create_task(self._report_all())]
        try:
            await self._wait_for_end()
            self._is_producing = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline_s or self._loop.time() + self._plan.drain_s):
                    await self._wait_until_drained()
        finally:
            tick.cancel()
            for task in background:
                task.cancel()
            await asyncio.wait(background)
        await asyncio.gather(*(client.stop() for client in self._clients))
        held = [message for client in self._own() for message in client.device.session.held_messages()]
        outstanding = list(dict.fromkeys(message.message_id for message in held))
        return {
            "done": True,
            **self._account(),
            "outstanding": len(outstanding),
            "outstanding_ids": outstanding[:_MOST_OUTSTANDING_TOLD],
        }

    def pause(self) -> None:
        """Produce nothing until `resume`. Connections stay."""
        if self._paused_since_s is None:
            self._paused_since_s = self._clock.now_s()

    def resume(self) -> None:
        """Go on where `pause` was."""
        if self._paused_since_s is not None:
            self._paused_s += self._clock.now_s() - self._paused_since_s
            self._paused_since_s = None

    def stop(self, drain_s: float) -> None:
        """Produce nothing any more, and wait at most so long (real seconds) for acknowledgements."""
        self._deadline_s = self._loop.time() + drain_s
        self._stop.set()

    def skew(self, by_s: float, device_ids: list[str] | None) -> None:
        """Move the clocks of these devices (None: of all) by so much, in addition to what they are wrong already."""
        chosen = None if device_ids is None else set(device_ids)
        for client in self._clients:
            if chosen is None or client.device.device_id in chosen:
                client.clock_skew_s += by_s

    def release(self, device_ids: list[str]) -> None:
        """Somebody else is these devices from now on: they send no more, do not come back, and hold nothing."""
        for client in self._clients:
            if client.device.device_id in device_ids and client not in self._released:
                client.device.has_ended = True
                self._released[client] = self._loop.create_task(client.stop())
                self._changed.add(self._places[client])

    # See ClientEvents.

    def acknowledged(self, client: DeviceClient, messages: list[Telemetry]) -> None:
        """See ClientEvents."""
        self._report.acknowledged(client.device.device_id, time.time(), messages)

    def changed(self, client: DeviceClient) -> None:
        """See ClientEvents."""
        self._changed.add(self._places[client])

    def problem(self, name: str, reason: str) -> None:
        """See ClientEvents."""
        self._report.problem(name, reason)

    # The rest is its own business.

    def _make_client(
        self, credential: DeviceCredential, make_source: MakeSource, tls: ssl.SSLContext, entrance: Entrance
    ) -> DeviceClient:
        plan = self._plan
        chance = random.Random(f"{plan.seed}/{credential.device_id}")  # noqa: S311 - what a sensor measures
        endpoint = Endpoint(plan.host, plan.port)
        identity = Identity(plan.hub_name, endpoint, credential.device_id, "", KeySigner(credential.key))
        filters = hub_filters(credential.device_id) if plan.listens else ()
        session = Session(
            SessionSettings(
                identity.client_id,
                f"{identity.user_name}{FLEET_MARK}",
                filters,
                plan.qos,
                plan.window,
                plan.backlog,
                plan.keep_alive_s,
            )
        )
        device = Device(
            credential.device_id,
            make_source(credential.device_id, chance),
            session,
            HubAddressing(credential.device_id),
            Schedule(1 / plan.rate_per_s, chance.random, jitter=plan.jitter, burst=plan.burst),
            Habits(1 / plan.rate_per_s, plan.duplicate_share, plan.first_sequence, plan.listens),
            chance.random,
        )
        settings = ClientSettings(tls, plan.token_ttl_s, plan.clock_skew_s)
        back_off = random.Random()  # noqa: S311 - it spreads reconnections
        return DeviceClient(device, identity, settings, entrance, self, back_off.random)

    def _tick(self) -> None:
        if not self._is_producing:
            return
        if self._paused_since_s is not None:
            self._loop.call_later(_TICK_S, self._tick)
            return
        until_s = time.monotonic() + _LONGEST_TICK_S
        now_s = self._clock.now_s() - self._paused_s
        wall_s, created_s = self._clock.wall_s() + self._ahead_s, time.time()
        latest_s = max(_LATEST_S * self._plan.speed, 1e-9)
        due, clients = self._due, self._clients
        while due and due[0][0] <= now_s:
            place = due[0][1]
            client = clients[place]
            next_s = client.device.turn(now_s, wall_s + client.clock_skew_s, created_s, latest_s)
            if next_s is None:
                heapq.heappop(due)
            else:
                heapq.heapreplace(due, (next_s, place))
            client.flush()
            if time.monotonic() > until_s:  # connections and answers have their turn, too
                self._loop.call_soon(self._tick)
                return
        self._loop.call_later(_TICK_S, self._tick)

    async def _wait_for_end(self) -> None:
        """Until `stop`, the end of the duration, or of all sources."""
        while not self._stop.is_set():
            left_s = _REPORT_S
            if self._plan.duration_s is not None:
                left_s = self._clock.real_s(self._plan.duration_s - self._clock.now_s())
            if left_s <= 0 or not self._due:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _REPORT_S)):
                    await self._stop.wait()

    async def _wait_until_drained(self) -> None:
        while any(client.device.session.held for client in self._own()):
            await asyncio.sleep(_TICK_S * 4)

    async def _wake(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            now_s = self._loop.time()
            for client in self._clients:
                client.wake(now_s)

    async def _report_all(self) -> None:
        view_s = 0.0
        while True:
            await asyncio.sleep(_REPORT_S)
            if not self._report.is_ready():
                continue
            now_s = self._loop.time()
            more: dict[str, Any] = {}
            if now_s - view_s >= _VIEW_S:
                view_s = now_s
                self._changed.update(range(min(_MOST_SHOWN, len(self._clients))))
                more = self._account()
            states = {self._clients[place].device.device_id: self._state(place) for place in self._changed}
            self._changed.clear()
            self._report.send({"connected": self._connected(), **({"states": states} if states else {}), **more})

    def _own(self) -> list[DeviceClient]:
        return [client for client in self._clients if client not in self._released]

    def _connected(self) -> int:
        return sum(client.is_connected for client in self._clients)

    def _state(self, place: int) -> dict[str, Any]:
        client = self._clients[place]
        counts, last = client.device.counts, client.device.last
        shown = dict(last.values) if last is not None else {}
        return {
            "connected": client.is_connected,
            "sent": counts.produced,
            "acked": counts.acknowledged,
            "held": client.device.session.held,
            "ended": client.device.has_ended,
            "last": shown,
        }

    def _account(self) -> dict[str, Any]:
        counts = [client.device.counts for client in self._clients]
        totals = {name: sum(getattr(count, name) for count in counts) for name in Counts._fields}
        held = sum(client.device.session.held for client in self._clients)
        reconnects = sum(max(0, client.reconnects) for client in self._clients)
        return {"totals": {**totals, "held": held, "reconnects": reconnects}}


def hub_filters(device_id: str, module_id: str = "") -> tuple[str, ...]:
    """What a device or module of a hub subscribes to."""
    return topics.TWIN_ANSWERS, topics.DESIRED_PATCHES, topics.METHODS, topics.inputs_filter(device_id, module_id)


def read_authorities(ca_file: str) -> ssl.SSLContext:
    """Whom to trust; "" for the system's. Raises InputError."""
    try:
        return trust(Path(ca_file).read_text() if ca_file else "")
    except (OSError, ValueError) as error:
        raise InputError(f"{ca_file}: no file of certificate authorities: {error}") from error
