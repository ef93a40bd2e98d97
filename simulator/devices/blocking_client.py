"""A device on a blocking socket, for programs with a thread or greenlet a device: the same device model, no loop.

`step` does what is due, and waits for the other side at most as long as it is told; nothing else may call it meanwhile.
A connection that was interrupted while bytes were written is not used any more.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import NamedTuple

from device_agent.backoff import spread_delay_s
from device_agent.messages.iothub.connection_string import Endpoint
from simulator.devices.device import Device
from simulator.devices.session import SessionFault, Telemetry
from simulator.devices.token_life import TokenLife

_CONNECT_TIMEOUT_S = 20.0
_LEAST_WAIT_S = 0.001
_RECEIVE_BYTES = 65_536


class BlockingSettings(NamedTuple):
    """Where to. `tls` None for a plain connection. `password` makes one that ends at a time; None: there is none."""

    server: Endpoint
    tls: ssl.SSLContext | None
    password: Callable[[int], bytes] | None = None
    token_ttl_s: float = 3600.0


class BlockingClient:
    """See the module. `problem` is told what goes wrong, `connected` how long a connection took (seconds)."""

    def __init__(
        self,
        device: Device,
        settings: BlockingSettings,
        chance: Callable[[], float],
        connected: Callable[[float], None],
        problem: Callable[[str], None],
    ) -> None:
        self.device = device
        self._settings = settings
        self._chance = chance
        self._connected = connected
        self._problem = problem
        self._session = device.session
        self._socket: socket.socket | None = None
        self._is_writing = False
        self._is_up = False
        self._token = TokenLife()
        self._failures = 0
        self._start_s = time.monotonic()
        self._begun_s = self._next_s = self._start_s

    def step(self, longest_s: float, *, produces: bool = True) -> list[Telemetry]:
        """Connect if that is due, make and send what is due, wait for at most `longest_s`; what was acknowledged."""
        now_s = time.monotonic()
        until_s = now_s + longest_s
        if self._is_writing:
            self._fail("interrupted while bytes were written")
        if self._socket is None and now_s >= self._next_s:
            self._connect()
        if produces and not self.device.has_ended:
            wall_s = time.time()
            next_s = self.device.turn(now_s - self._start_s, wall_s, wall_s, self.device.interval_s + 2.0)
            if next_s is not None:
                until_s = min(until_s, next_s + self._start_s)
        self._talk(until_s)
        acknowledged = self.device.digest()
        for problem in self.device.problems:
            self._problem(problem)
        self.device.problems.clear()
        return acknowledged

    def drain(self, longest_s: float) -> list[Telemetry]:
        """Make nothing any more, and wait until all is acknowledged; then say goodbye. What was acknowledged."""
        until_s = time.monotonic() + longest_s
        acknowledged = []
        while self._session.held and (left_s := until_s - time.monotonic()) > 0:
            acknowledged += self.step(min(left_s, 0.1), produces=False)
        if self._socket is not None and not self._is_writing:
            self._session.hang_up()
            with contextlib.suppress(OSError):
                self._write()
        self._close()
        return acknowledged

    def _talk(self, until_s: float) -> None:
        """Send what there is, and take what comes, until the other side is silent."""
        wait_s = until_s - time.monotonic()
        if self._socket is None:
            time.sleep(max(_LEAST_WAIT_S, wait_s))
            return
        try:
            now_s = time.monotonic()
            self._session.wake(now_s)
            is_over = self._token.is_over(self._session, now_s)
            if is_over:
                self._session.hang_up()
            self._write()
            if is_over:
                self._close()
                return
            self._receive(max(_LEAST_WAIT_S, wait_s))
            self._write()
        except (SessionFault, OSError) as error:
            self._fail(str(error))

    def _receive(self, wait_s: float) -> None:
        if self._socket is None:
            return
        self._socket.settimeout(wait_s)
        try:
            received = self._socket.recv(_RECEIVE_BYTES)
        except (TimeoutError, ssl.SSLWantReadError):
            return
        if not received:
            raise ConnectionResetError("lost the connection: closed by the other side")
        self._session.feed(received, time.monotonic())
        if self._session.is_open and not self._is_up:
            self._is_up = True
            self._failures = 0
            self._connected(time.monotonic() - self._begun_s)

    def _connect(self) -> None:
        settings = self._settings
        self._begun_s = time.monotonic()
        connection: socket.socket | None = None
        try:
            connection = socket.create_connection(settings.server, _CONNECT_TIMEOUT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if settings.tls is not None:
                connection = settings.tls.wrap_socket(connection, server_hostname=settings.server.host)
        except OSError as error:
            if connection is not None:
                connection.close()
            self._fail(f"cannot connect to {settings.server.host}:{settings.server.port}: {error}")
            return
        self._socket = connection
        password = None if settings.password is None else settings.password(int(time.time() + settings.token_ttl_s) + 1)
        if password is not None:
            self._token.begin(settings.token_ttl_s, time.monotonic())
        self._session.open(password, time.monotonic())

    def _write(self) -> None:
        taken = self._session.take(time.monotonic())
        if taken and self._socket is not None:
            self._is_writing = True
            self._socket.settimeout(_CONNECT_TIMEOUT_S)
            self._socket.sendall(taken)
            self._is_writing = False

    def _fail(self, reason: str) -> None:
        self._problem(reason)
        self._close()
        self._next_s = time.monotonic() + spread_delay_s(self._failures, self._chance(), least_s=0.0, first_s=1.0)
        self._failures += 1

    def _close(self) -> None:
        self._is_up = self._is_writing = False
        self._session.lost()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
