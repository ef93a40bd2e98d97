"""The last rows that the model got, counted by bin, beside a baseline. Pure; no row is kept.

The window slides by a tenth of itself: it is made of ten panes, and when the newest is full, all are judged and the
oldest goes. Nothing is judged before there were as many rows as the window has.
"""

from collections.abc import Iterable
from typing import NamedTuple

from device_agent.drift_rows import Row
from device_agent.drift_sketch import Baseline, bin_of, limit, missing_has_changed, psi

PANES = 10


class FeatureDrift(NamedTuple):
    """One feature in the window. `psi` is None when all its values are missing; `missing` is a share of 0 to 1."""

    name: str
    psi: float | None
    limit: float
    missing: float
    has_drifted: bool


class DriftWindow:
    """Counts rows (at least PANES in a window). `latest` is what the last whole window gave, () before the first."""

    def __init__(self, baseline: Baseline, rows: int) -> None:
        self.baseline = baseline
        self.rows = 0
        self.latest: tuple[FeatureDrift, ...] = ()
        self._pane_rows = max(1, rows // PANES)
        self._places = [feature.places for feature in baseline.features]
        self._panes: list[list[list[int]]] = [self._new_pane()]
        self._in_pane = 0

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the features that have drifted."""
        return tuple(feature.name for feature in self.latest if feature.has_drifted)

    def add(self, rows: Iterable[Row]) -> bool:
        """Count `rows`; says whether `latest` is new."""
        is_new = False
        features = list(zip(self.baseline.features, self._places, self._panes[-1], strict=True))
        for row in rows:
            for feature, places, counts in features:
                counts[bin_of(feature, places, row.get(feature.name))] += 1  # the last is for missing values
            self.rows += 1
            self._in_pane += 1
            if self._in_pane == self._pane_rows:
                is_new = self._turn() or is_new
                features = list(zip(self.baseline.features, self._places, self._panes[-1], strict=True))
        return is_new

    def _new_pane(self) -> list[list[int]]:
        return [[0] * (len(feature.shares) + 1) for feature in self.baseline.features]

    def _turn(self) -> bool:
        is_whole = len(self._panes) == PANES
        if is_whole:
            self.latest = self._judge()
            del self._panes[0]
        self._panes.append(self._new_pane())
        self._in_pane = 0
        return is_whole

    def _judge(self) -> tuple[FeatureDrift, ...]:
        rows = self._pane_rows * PANES
        found = []
        for place, feature in enumerate(self.baseline.features):
            counts = [sum(bins) for bins in zip(*(pane[place] for pane in self._panes), strict=True)]
            gone = counts.pop()
            known = rows - gone
            most = limit(feature, self.baseline.threshold, known)
            index = psi(feature.shares, [count / known for count in counts], feature.size, known) if known else None
            is_other = index is not None and index >= most
            has_gaps = missing_has_changed(feature.missing, feature.rows, gone / rows, rows)
            found.append(FeatureDrift(feature.name, index, most, gone / rows, is_other or has_gaps))
        return tuple(found)
