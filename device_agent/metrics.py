"""The agent's figures, and their text for Prometheus (its text format, version 0.0.4). Names and labels are public.

A class of our own for so little because the client library costs more here than it does: 60 ms of a start of 200 and
5 MB of 30. Its parser judges the text in the tests. Used on one event loop: no locks.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metrics:
    """One set of figures; every agent has one."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._scoring_s = 0.0
        self._watched: list[tuple[str, str, str, Callable[[], float]]] = []
        self._watched_each: list[
            tuple[str, str, str, Sequence[str], Callable[[], Mapping[tuple[str, ...], float]]]
        ] = []
        self.script_errors = 0

    def count_request(self, route: str, status: int) -> None:
        """One more request has been answered."""
        key = route, status
        self._requests[key] = self._requests.get(key, 0) + 1

    def count_scoring(self, exec_ms: float | None, failed: bool | None, seconds: float) -> None:
        """One more request was answered by the script: what its result says, and how long it took from outside."""
        if exec_ms is not None:
            seconds = exec_ms / 1000.0
        elif not failed:
            return
        self._buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self._scoring_s += seconds
        if failed:
            self.script_errors += 1

    def watch(self, name: str, text: str, read: Callable[[], float], *, counts: bool = False) -> None:
        """A figure that is read when it is asked for; one that `counts` only ever grows, and ends in _total."""
        self._watched.append((name, text, "counter" if counts else "gauge", read))

    def watch_each(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
        *,
        counts: bool = False,
    ) -> None:
        """The same for figures by the values of labels."""
        self._watched_each.append((name, text, "counter" if counts else "gauge", labels, read))

    def text(self) -> bytes:
        """All figures."""
        return "".join(f"{line}\n" for line in self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        name = "edgepack_scoring_seconds"
        yield from _head(name, "Seconds spent in run(); for a run that failed, seconds until its end.", "histogram")
        total = 0
        for limit, count in zip((*BUCKETS_S, "+Inf"), self._buckets, strict=True):
            total += count
            yield f'{name}_bucket{{le="{limit}"}} {total}'
        yield f"{name}_sum {self._scoring_s!r}"
        yield f"{name}_count {total}"
        name = "edgepack_requests_total"
        yield from _head(name, "Requests answered, by route and status.", "counter")
        for (route, status), count in sorted(self._requests.items()):
            yield f'{name}{{route="{route.translate(_ESCAPES)}",code="{status}"}} {count}'
        name = "edgepack_script_errors_total"
        yield from _head(name, "Requests that the script failed to answer.", "counter")
        yield f"{name} {self.script_errors}"
        yield from _head("edgepack_info", "The agent's version.", "gauge")
        yield f'edgepack_info{{version="{self._version.translate(_ESCAPES)}"}} 1'
        for name, text, kind, read in self._watched:
            yield from _head(name, text, kind)
            yield f"{name} {read()!r}"
        for name, text, kind, labels, read_each in self._watched_each:
            yield from _head(name, text, kind)
            for values, figure in read_each().items():
                pairs = (f'{label}="{value.translate(_ESCAPES)}"' for label, value in zip(labels, values, strict=True))
                yield f"{name}{{{','.join(pairs)}}} {figure!r}"


def _head(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
