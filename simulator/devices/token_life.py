"""When a connection has to be replaced because its token ends. Pure.

MQTT has no other way to give a new token than a new connection. Before the end the session hands out no more messages,
until those under way are acknowledged or two seconds are over; then it is time to hang up.
"""

import math

from device_agent.messages.iothub.sas_token import renewal_after_s
from simulator.devices.session import Session

_HOLD_S = 2.0


class TokenLife:
    """Of one connection after the other. Times are seconds of a clock that does not jump."""

    def __init__(self) -> None:
        self._renewal_s = self._hold_until_s = math.inf

    def begin(self, ttl_s: float, now_s: float) -> None:
        """A connection begins with a token of this life."""
        self._renewal_s = now_s + renewal_after_s(ttl_s)
        self._hold_until_s = math.inf

    def is_over(self, session: Session, now_s: float) -> bool:
        """Whether it is time to hang up and connect again; from the renewal on the session is told to hold back."""
        if now_s >= self._renewal_s:
            self._renewal_s = math.inf
            self._hold_until_s = now_s + _HOLD_S
            session.hold_back()
        return self._hold_until_s < math.inf and (now_s >= self._hold_until_s or not session.under_way)
