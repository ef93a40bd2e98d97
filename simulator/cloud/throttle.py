"""How many calls the hub takes: one bucket of tokens for each kind of call, filled again as time goes by. Pure."""

from collections.abc import Mapping

A_MINUTE = {"configurations": 20.0, "identities": 100.0, "queries": 20.0}
"""Calls a minute of the smallest paid hub; other calls are not counted."""


class Throttle:
    """Buckets that start full."""

    def __init__(self, a_minute: Mapping[str, float] = A_MINUTE) -> None:
        self._a_minute = dict(a_minute)
        self._left = dict(a_minute)
        self._at_s: dict[str, float] = {}

    def wait_s(self, kind: str, now_s: float) -> float:
        """Take a token for a call of this kind and return 0, or return after how many seconds there will be one."""
        most = self._a_minute.get(kind)
        if most is None:
            return 0.0
        passed_s = max(0.0, now_s - self._at_s.get(kind, now_s))
        left = min(most, self._left[kind] + passed_s * most / 60)
        self._at_s[kind] = now_s
        if left < 1:
            self._left[kind] = left
            return (1 - left) * 60 / most
        self._left[kind] = left - 1
        return 0.0
