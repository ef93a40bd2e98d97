"""What has happened to messages since the agent started, and its names among the metrics."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from device_agent.messages.buffer.interface import Figures
from device_agent.metrics import Metrics


class Road(Protocol):
    """What the message road counts."""

    received_count: int
    failed_count: int


class Counts:
    """Numbers that only grow. `dropped` by reason: `expired`, `full`, or `overload`: inputs that nobody sends again,
    and that came faster than they could be held.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.set_aside = 0
        self.refused = 0
        self.connections = 0
        self.dropped: Counter[str] = Counter(expired=0, full=0, overload=0)


def report_figures(figures: Figures, counts: Counts, road: Road) -> dict[str, dict[str, int]]:
    """The same for the reported properties."""
    return {
        "buffer": {
            "messages": figures.messages,
            "setAside": figures.set_aside,
            "bytes": figures.size_bytes,
            "oldestSeconds": round(figures.oldest_s),
            "damaged": figures.damaged,
        },
        "messages": {
            "received": road.received_count,
            "failed": road.failed_count,
            "sent": counts.sent,
            "expired": counts.dropped["expired"],
            "dropped": counts.dropped["full"] + counts.dropped["overload"],
        },
    }


def watch(
    metrics: Metrics,
    counts: Counts,
    *,
    road: Road,
    figures: Callable[[], Figures],
    is_connected: Callable[[], bool],
) -> None:
    """Give them all to the metrics."""
    for name, text, read in (
        ("edgepack_messages_received_total", "Input messages received, also again.", lambda: road.received_count),
        ("edgepack_messages_failed_total", "Inputs that gave an error message.", lambda: road.failed_count),
        ("edgepack_messages_refused_total", "Times that the buffer refused a result.", lambda: counts.refused),
        ("edgepack_messages_sent_total", "Messages that the other side has confirmed.", lambda: counts.sent),
        (
            "edgepack_messages_set_aside_total",
            "Messages set aside because nobody takes them.",
            lambda: counts.set_aside,
        ),
        ("edgepack_upstream_connections_total", "Connections made upstream.", lambda: counts.connections),
    ):
        metrics.watch(name, text, read, counts=True)
    for name, text, read_now in (
        ("edgepack_buffer_messages", "Messages kept until they are sent.", lambda: figures().messages),
        ("edgepack_buffer_set_aside", "Messages kept, but not sent any more.", lambda: figures().set_aside),
        ("edgepack_buffer_bytes", "Size of the buffer on disk.", lambda: figures().size_bytes),
        ("edgepack_buffer_oldest_seconds", "Age of the oldest message kept.", lambda: figures().oldest_s),
        ("edgepack_upstream_connected", "1 while connected upstream.", lambda: float(is_connected())),
    ):
        metrics.watch(name, text, read_now)
    text = "Messages that were stored and not delivered, by reason."
    name = "edgepack_messages_dropped_total"
    metrics.watch_each(
        name, text, ("reason",), lambda: {(reason,): count for reason, count in counts.dropped.items()}, counts=True
    )
