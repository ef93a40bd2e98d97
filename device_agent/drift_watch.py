"""Whether what the model gets and answers drifts from a baseline (EDGEPACK_DRIFT_BASELINE): a scorer around the scorer.

- Rows of requests, or of answers, as the baseline says, of what was scored without an error. The answer goes out
  first.
- It takes CPU time of at most EDGEPACK_DRIFT_COST_PERCENT of the time spent in run(): each run() adds that share to a
  credit, and a request is looked at only while there is some, so a fast script has a part of its requests looked at,
  a slow one all. Chance decides which ones, for senders that take turns.
- Bodies of more than 64 KiB are not looked at, and of many rows only the first, at most MOST_CELLS values in all: it is
  done on the event loop, and would hold up others.
- The window is in memory: it begins anew with the agent.
"""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from device_agent.around_scorer import AroundScorer
from device_agent.drift_rows import Row, rows_of
from device_agent.drift_sketch import REQUEST, Baseline
from device_agent.drift_window import DriftWindow, FeatureDrift
from device_agent.metrics import Metrics
from device_agent.scorer import Scorer, ScoringRequest, ScoringResult, Ticket

MOST_BODY_BYTES = 64 * 1024
MOST_CELLS = 2000
MOST_CREDIT_S = 0.1
MOST_REPORTED = 20
_NAME = 100
_WITHOUT_ROWS = 20
_LOG = logging.getLogger("edgepack.agent")


class DriftScorer(AroundScorer):
    """Implements Scorer."""

    def __init__(self, scorer: Scorer, watch: "DriftWatch") -> None:
        super().__init__(scorer)
        self._watch = watch

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Ticket:
        """See Scorer."""
        watch = self._watch

        def answered(result: ScoringResult) -> None:
            answer(result)
            exec_ms = result.exec_ms
            if exec_ms is not None and result.status < 400:
                watch.scored(request.body, result.body, exec_ms / 1000.0)

        return self._scorer.submit(request, answered)


class DriftWatch:
    """Looks at scored requests within the budget. `when_changed` is called when other features have drifted."""

    def __init__(
        self,
        baselines: Sequence[Baseline],
        *,
        rows: int,
        cost_percent: float,
        clock: Callable[[], float] = time.thread_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.windows = tuple(DriftWindow(baseline, rows) for baseline in baselines)
        self.when_changed: Callable[[], None] = lambda: None
        self.spent_s = 0.0
        self.looked = 0
        self.unread = 0
        self._share = cost_percent / 100.0
        self._clock = clock
        self._chance = chance
        self._credit_s = 0.0
        self._from_s = 0.0

    def scored(self, request: bytes, answer: bytes, seconds: float) -> None:
        """One more request was answered, after `seconds` in run()."""
        self._credit_s += self._share * seconds
        if self._credit_s <= self._from_s:
            return
        self._credit_s = min(self._credit_s, MOST_CREDIT_S)
        begun_s = self._clock()
        for window in self.windows:
            body = request if window.baseline.part == REQUEST else answer
            self._look(window, body)
        cost_s = self._clock() - begun_s
        self.looked += 1
        self.spent_s += cost_s
        self._credit_s -= cost_s
        self._from_s = min(2.0 * self._chance() * cost_s, MOST_CREDIT_S / 2.0)

    def _look(self, window: DriftWindow, body: bytes) -> None:
        rows = _rows(body, window.baseline) if len(body) <= MOST_BODY_BYTES else []
        if not rows:
            self._note_unread(window.baseline)
            return
        before = window.drifted
        if window.add(rows) and window.drifted != before:
            self._tell(window, before)

    def _note_unread(self, baseline: Baseline) -> None:
        self.unread += 1
        if self.unread == _WITHOUT_ROWS and not any(window.rows for window in self.windows):
            place = baseline.member or "a member that is known"
            _LOG.warning(
                "Drift is not watched so far: no %s of at most %d bytes had rows in %s",
                baseline.part,
                MOST_BODY_BYTES,
                place,
            )

    def _tell(self, window: DriftWindow, before: Sequence[str]) -> None:
        part = window.baseline.part
        new = [each for each in window.latest if each.has_drifted and each.name not in before]
        for feature in new[:MOST_REPORTED]:
            _LOG.warning("Drift of %s: %s", part, _sentence(feature))
        if len(new) > MOST_REPORTED:
            _LOG.warning("Drift of %s: %d more features, see /metrics", part, len(new) - MOST_REPORTED)
        if back := [name[:_NAME] for name in before if name not in window.drifted]:
            more = f" and {len(back) - MOST_REPORTED} more" if len(back) > MOST_REPORTED else ""
            _LOG.info("No drift of %s any more: %s%s", part, ", ".join(back[:MOST_REPORTED]), more)
        self.when_changed()

    def report(self) -> dict[str, Any]:
        """For the reported properties, by part: `{"isJudged", "drifted", "features": [{"name", "psi", "missing"}]}`.

        The features that are furthest from their limits come first, at most 20; a twin takes 32 KiB in all.
        """
        return {window.baseline.part: _report(window) for window in self.windows}

    def show_in(self, metrics: Metrics) -> None:
        """Give the figures to the metrics."""

        def of_each(read: Callable[[FeatureDrift], float | None]) -> Callable[[], Mapping[tuple[str, ...], float]]:
            return lambda: {
                (window.baseline.part, feature.name): figure
                for window in self.windows
                for feature in window.latest
                if (figure := read(feature)) is not None
            }

        labels = ("part", "feature")
        for name, text, read in (
            ("psi", "Population stability index of the window; see edgepack_drift_limit.", lambda each: each.psi),
            (
                "limit",
                "The index from which on it is drift.",
                lambda each: each.limit if each.psi is not None else None,
            ),
            ("missing_ratio", "Share of missing values in the window.", lambda each: each.missing),
            ("detected", "1 for a feature that has drifted.", lambda each: float(each.has_drifted)),
        ):
            metrics.watch_each(f"edgepack_drift_{name}", text, labels, of_each(read))
        text = "Rows that were counted."
        rows = {(window.baseline.part,): window for window in self.windows}
        metrics.watch_each(
            "edgepack_drift_rows_total",
            text,
            ("part",),
            lambda: {label: window.rows for label, window in rows.items()},
            counts=True,
        )
        for name, text, figure in (
            ("requests", "Requests that were looked at.", lambda: self.looked),
            ("unread", "Bodies that were looked at, and in which there were no rows.", lambda: self.unread),
            ("seconds", "Seconds of CPU time spent on watching drift.", lambda: self.spent_s),
        ):
            metrics.watch(f"edgepack_drift_{name}_total", text, figure, counts=True)


def _report(window: DriftWindow) -> dict[str, Any]:
    worst = sorted(window.latest, key=lambda each: (not each.has_drifted, -(each.psi or 0.0) / each.limit))
    features = []
    for each in worst[:MOST_REPORTED]:
        index = {} if each.psi is None else {"psi": round(each.psi, 3)}
        features.append({"name": each.name[:_NAME], **index, "missing": round(each.missing, 3)})
    drifted = [name[:_NAME] for name in window.drifted[:MOST_REPORTED]]
    return {"isJudged": bool(window.latest), "drifted": drifted, "features": features}


def _sentence(feature: FeatureDrift) -> str:
    index = "no values" if feature.psi is None else f"PSI {feature.psi:.3f}, limit {feature.limit:.3f}"
    return f"{feature.name[:_NAME]}: {index}, {feature.missing:.1%} missing"


def _rows(body: bytes, baseline: Baseline) -> list[Row]:
    most = max(1, MOST_CELLS // len(baseline.features))
    try:
        return rows_of(json.loads(body), baseline.member, is_request=baseline.part == REQUEST, most=most)
    except (ValueError, RecursionError):
        return []
