"""When the module's state is reported: soon after a change, changes that come together once; and now and then."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from device_agent.messages.transport import Transport

SOON_S = 1.0
EVERY_S = 60.0


class Reporter:
    """Reports what `read` gives, where it differs from what was reported over this connection."""

    def __init__(
        self, transport: Transport, loop: asyncio.AbstractEventLoop, read: Callable[[], dict[str, Any]]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._read = read
        self._reported: dict[str, Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.last_error: dict[str, str] | None = None
        self.is_connected = False

    def connected(self) -> None:
        """Nothing has been reported over this connection."""
        self.is_connected = True
        self._reported = None
        self._report()

    def changed(self) -> None:
        """Report soon."""
        if not self._is_closed:
            self._again(SOON_S)

    def error(self, text: str) -> None:
        """Something went wrong: the newest such sentence is part of the state."""
        self.last_error = {"text": text, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        self.changed()

    def close(self) -> None:
        """Report no more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._report)

    def _report(self) -> None:
        self._again(EVERY_S)
        report = self._read()
        if self.is_connected and report != self._reported:
            self._reported = report
            has_twin = self._transport.capabilities.has_twin
            self._transport.report({"edgepack": report} if has_twin else {**report, "script": report["state"]})
