"""A device on asyncio's loop: it connects over TLS, comes back after a loss, and renews its token in time.

- After a loss it waits for a random time before the next attempt, up to a bound that doubles from 1 to 60 seconds.
- A token is made for each connection. Before it ends the device holds new messages back until those under way are
  acknowledged (two seconds at most), says goodbye and connects again: MQTT has no other way.
- `clock_skew_s` is how wrong the device's clock is. Its tokens are as wrong: one whose clock is more than the life of a
  token behind is refused.

Not here: when the device measures, which is whoever's calls `Device.turn`, and then `flush`.
"""

import asyncio
import math
import ssl
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from device_agent.backoff import spread_delay_s
from device_agent.messages.iothub.identity import Identity, fetch_credentials, trust
from device_agent.messages.iothub.sas_token import TTL_S
from device_agent.messages.iothub.workload import WorkloadFailure
from simulator.devices.device import Device
from simulator.devices.entrance import Entrance, NoEntrance
from simulator.devices.session import SessionFault, Telemetry
from simulator.devices.token_life import TokenLife


class ClientEvents(Protocol):
    """Who wants to know."""

    def acknowledged(self, client: "DeviceClient", messages: list[Telemetry]) -> None:
        """The hub has these."""
        ...

    def changed(self, client: "DeviceClient") -> None:
        """It is connected now, or not any more."""
        ...

    def problem(self, name: str, reason: str) -> None:
        """Something went wrong with the device of this name, in one sentence."""
        ...


class ClientSettings(NamedTuple):
    """How to connect. `tls` None: the identity's signer says whom to trust, at each connection."""

    tls: ssl.SSLContext | None = None
    token_ttl_s: float = TTL_S
    clock_skew_s: float = 0.0


class _Link(asyncio.Protocol):
    """One connection of a client; what an earlier one still has to say is not listened to."""

    def __init__(self, client: "DeviceClient") -> None:
        self._client = client
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio
        self._client.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if self._client.link is self:
            self._client.data_received(data)

    def pause_writing(self) -> None:
        if self._client.link is self:
            self._client.pause_writing()

    def resume_writing(self) -> None:
        if self._client.link is self:
            self._client.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client.link is self:
            self._client.connection_lost(exc)


class DeviceClient:
    """See the module. `start` and `stop` on a running loop; `wake` is to be called about every second."""

    def __init__(
        self,
        device: Device,
        identity: Identity,
        settings: ClientSettings,
        entrance: Entrance,
        events: ClientEvents,
        chance: Callable[[], float],
    ) -> None:
        self.device = device
        self.clock_skew_s = settings.clock_skew_s
        self.reconnects = -1
        """Connections after the first."""
        self.is_connected = False
        self._session = device.session
        self._identity = identity
        self._settings = settings
        self._entrance = entrance
        self._events = events
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self.link: _Link | None = None
        """The connection that counts."""
        self._attempt: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0
        self._is_stopping = False
        self._token = TokenLife()
        self._password = b""

    def start(self) -> None:
        """Connect, and stay connected."""
        self._begin()

    async def stop(self) -> None:
        """Say goodbye, and come back no more."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait({self._attempt})
        if self.link is not None:
            self._hang_up(0.0)

    def flush(self) -> None:
        """Send what the device has made, and tell what the session told."""
        messages = self.device.digest()
        if messages:
            self._events.acknowledged(self, messages)
        if self.device.problems:
            for problem in self.device.problems:
                self._tell(problem)
            self.device.problems.clear()
        self._write()

    def wake(self, now_s: float) -> None:
        """Look at the time (the loop's): keep-alive, silence, the end of the token."""
        if self.link is None:
            return
        try:
            self._session.wake(now_s)
        except SessionFault as fault:
            self._fail(fault)
            return
        if self._token.is_over(self._session, now_s):
            self._hang_up(0.0)
        else:
            self._write()

    def drop(self) -> None:
        """End the connection as if the network had; the device comes back as after any loss."""
        if self.link is not None:
            self._drop(self._delay_s())

    # What the connection calls.

    def connection_made(self, link: _Link) -> None:
        """See asyncio.Protocol."""
        self.link = link
        now_s = self._loop.time()
        self._token.begin(self._settings.token_ttl_s, now_s)
        self._session.open(self._password, now_s)
        self._write()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            self._session.feed(data, self._loop.time())
        except SessionFault as fault:
            self._fail(fault)
            return
        if not self.is_connected and self._session.is_open:
            self.is_connected = True
            self.reconnects += 1
            self._failures = 0
            self._events.changed(self)
        self.flush()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._session.is_paused = True

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._session.is_paused = False
        self._session.pump()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._tell(f"lost the connection: {exc or 'closed by the other side'}")
        self._drop(self._delay_s())

    # The rest is its own business.

    def _begin(self) -> None:
        self._timer = None
        self._attempt = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        identity, settings = self._identity, self._settings
        delay_s = None
        try:
            async with self._entrance.turn():
                expiry_s = math.ceil(time.time() + self.clock_skew_s + settings.token_ttl_s)
                credentials = await fetch_credentials(identity, expiry_s)
                self._password = credentials.password.encode()
                tls = settings.tls
                if tls is None:
                    tls = await asyncio.to_thread(trust, credentials.authorities)
                await self._entrance.connect(tls, lambda: _Link(self))
        except (NoEntrance, WorkloadFailure, OSError) as error:
            self._tell(str(error))
            delay_s = self._delay_s()
        finally:
            if self._attempt is asyncio.current_task():
                self._attempt = None
        if delay_s is not None and not self._is_stopping:
            self._timer = self._loop.call_later(delay_s, self._begin)

    def _delay_s(self) -> float:
        self._failures += 1
        return spread_delay_s(self._failures - 1, self._chance(), least_s=0.0, first_s=1.0)

    def _fail(self, fault: SessionFault) -> None:
        self._tell(str(fault))
        self._drop(self._delay_s())

    def _hang_up(self, delay_s: float) -> None:
        """End the connection in order."""
        self._session.hang_up()
        self._write()
        self._drop(delay_s, in_order=True)

    def _drop(self, delay_s: float, *, in_order: bool = False) -> None:
        """Close what there is, and connect again after a while."""
        link, self.link = self.link, None
        self.flush()  # what was acknowledged before the end
        self._session.lost()
        if link is not None and in_order:
            link.transport.close()
        elif link is not None:
            link.transport.abort()
        if self.is_connected:
            self.is_connected = False
            self._events.changed(self)
        if not self._is_stopping:
            self._timer = self._loop.call_later(delay_s, self._begin)

    def _write(self) -> None:
        if self.link is not None:
            taken = self._session.take(self._loop.time())
            if taken:
                self.link.transport.write(taken)

    def _tell(self, reason: str) -> None:
        self._events.problem(self._identity.client_id, reason)
