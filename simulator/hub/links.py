"""What a network does to the bytes on it: away, slow, lossy, narrow, or half open. Pure: time and chance come in.

MQTT runs on TCP, so a lost packet is a late one: it is sent again after 200 ms, then 400, 800, and what came after it
waits (RFC 6298, without its smoothing). After seven losses in a row the connection ends. Bandwidth is a queue: bytes
leave one after the other. A half-open link takes bytes and delivers none, without an end of the connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

UPSTREAM_LINK, MODULES_LINK, DEVICES_LINK = "upstream", "modules", "devices"
"""Between edgeHub, or a client of IoT Hub, and IoT Hub; between modules and edgeHub; between devices and edgeHub."""

_RETRANSMIT_S = 0.2
_SEGMENT_BYTES = 1400
_MOST_LOSSES = 7


@dataclass(frozen=True, slots=True)
class LinkCondition:
    """How a link is. `loss` is the share of segments of 1,400 bytes, 0 to 1; `bandwidth_kbit` None: any."""

    up: bool = True
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    bandwidth_kbit: float | None = None
    half_open: bool = False

    @property
    def is_perfect(self) -> bool:
        """Whether bytes pass as they come."""
        return self == _PERFECT


_PERFECT = LinkCondition()


class Channel:
    """One direction of one connection on a link: says when bytes arrive. Never before those that were sent earlier."""

    def __init__(self) -> None:
        self._free_s = 0.0
        self._arrival_s = 0.0

    def arrival_s(
        self, condition: LinkCondition, size_bytes: int, now_s: float, chance: Callable[[], float]
    ) -> float | None:
        """When these bytes arrive (real seconds, the clock of `now_s`); None: the connection ends before they do.

        `chance` gives numbers of 0 (included) to 1.
        """
        leaves_s = now_s
        if condition.bandwidth_kbit is not None:
            leaves_s = max(now_s, self._free_s) + size_bytes * 8 / (condition.bandwidth_kbit * 1000)
            self._free_s = leaves_s
        late_s = (condition.latency_ms + condition.jitter_ms * chance()) / 1000
        if condition.loss > 0:
            for _ in range(1 + size_bytes // _SEGMENT_BYTES):
                losses = 0
                while chance() < condition.loss:
                    losses += 1
                    if losses > _MOST_LOSSES:
                        return None
                late_s += _RETRANSMIT_S * (2**losses - 1)
        self._arrival_s = max(self._arrival_s, leaves_s + late_s)
        return self._arrival_s


class Network:
    """The three links. Whoever has to do something when one changes, watches."""

    def __init__(self) -> None:
        self._conditions = {name: LinkCondition() for name in (UPSTREAM_LINK, MODULES_LINK, DEVICES_LINK)}
        self._watchers: list[Callable[[str, LinkCondition], None]] = []

    def condition(self, link: str) -> LinkCondition:
        """How a link is. Raises KeyError for a name that is none."""
        return self._conditions[link]

    def change(self, link: str, **fields: Any) -> None:
        """Change fields of a link's condition; tells those who watch."""
        self._conditions[link] = condition = replace(self._conditions[link], **fields)
        for watcher in self._watchers:
            watcher(link, condition)

    def watch(self, watcher: Callable[[str, LinkCondition], None]) -> None:
        """Call `watcher` after every change, with the link's name and its condition."""
        self._watchers.append(watcher)
