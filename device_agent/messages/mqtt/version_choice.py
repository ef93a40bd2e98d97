"""Which version of MQTT is spoken to a broker, when that is for us to find out (`auto`). Pure.

    MQTT 5   accepted                          it stays, until the broker says that it does not know it (any more)
             "unsupported protocol version"    3.1.1 at once, and it stays
             hung up, twice in a row           3.1.1 at once; the next connection begins with 5 again

One hang-up may be anything: a broker that starts, a proxy without one.
"""

from device_agent.messages.transport import Loss

_UNSUPPORTED_VERSION = 0x84
_HANG_UPS_TO_FALL_BACK = 2


class VersionChoice:
    """See the module. `wanted` is "5", "3.1.1" or "auto". `version` is that of this attempt, or connection."""

    def __init__(self, wanted: str) -> None:
        self._is_auto = wanted == "auto"
        self._known = "" if self._is_auto else wanted
        self._spoken = ""
        self._hang_ups = 0
        self._may_fall_back = False
        self._was_refused = False
        self.version = ""

    def begin(self) -> None:
        """A new connection is wanted."""
        self._may_fall_back = self._is_auto and not self._known
        self.version = self._known or "5"

    def accepted(self) -> bool:
        """The broker takes it. True when that is a change to 3.1.1 which nobody asked for."""
        self._may_fall_back = False
        if self._is_auto and (self.version == "5" or self._was_refused):
            self._known = self.version
        if self.version == "5":
            self._hang_ups = 0
        is_change, self._spoken = self._spoken != self.version, self.version
        return is_change and self._is_auto and self.version != "5"

    def given_up(self) -> None:
        """We end the attempt, or the connection, ourselves."""
        self._may_fall_back = False

    def failed(self, loss: Loss, code: int | None) -> bool:
        """It is over. True when it is to be tried again at once, with what is `version` now."""
        if self._is_auto and code == _UNSUPPORTED_VERSION:
            self._known = ""
        if not self._may_fall_back:
            return False
        self._may_fall_back = False
        self._was_refused = code == _UNSUPPORTED_VERSION
        self._hang_ups = self._hang_ups + 1 if code is None and loss is Loss.CLOSED else 0
        if not self._was_refused and self._hang_ups < _HANG_UPS_TO_FALL_BACK:
            return False
        self.version = "3.1.1"
        return True
