"""Two samples of each feature -> how far apart they are, and whether that is drift. Pure.

A measure counts as drift when it is both large enough to matter (a threshold) and too large for chance (`alpha`): with
many rows every difference is significant, and with few every difference is large. Docs/decisions/0021 says why.
"""

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from device_agent.drift_sketch import CATEGORY, NUMBER, Baseline, Feature, bin_of, limit, missing_has_changed, psi
from edgepack.drift.sketching import sketch
from edgepack.drift.table import Table, categories, is_word, kind_of, numbers, unsuited, why_empty, words_among_numbers

FEW_ROWS = 100
_MOST_NAMED = 10
_MOST_EXACT = 100_000
_DIGITS, _PARTS = 4, 500
"""Digits of the edges of bins at least, and of how many parts of their range they may be beside."""
_PLAIN = (1e-4, 1e9)
"""Numbers that are shown without an exponent."""
_SQUARES = (1e-100, 1e100)
"""Numbers whose squares a float holds, and sums of them."""


@dataclass(frozen=True)
class Thresholds:
    """From where on a measure is drift.

    `psi`; `ks`: largest distance of the distribution functions; `wasserstein`: in standard deviations of the baseline;
    `cramers_v`: of the chi-square test; `missing`: difference of shares; `alpha`: below it, chance is ruled out.
    """

    psi: float = 0.2
    ks: float = 0.1
    wasserstein: float = 0.25
    cramers_v: float = 0.1
    missing: float = 0.05
    alpha: float = 0.01


@dataclass(frozen=True)
class FeatureReport:
    """What was found for one feature; None where a measure does not apply. Shares are of bins, as in the baseline."""

    name: str
    kind: str
    baseline_count: int
    current_count: int
    baseline_missing: float
    current_missing: float
    psi: float | None
    psi_limit: float | None
    ks: float | None = None
    ks_p: float | None = None
    wasserstein: float | None = None
    chi_square: float | None = None
    chi_square_p: float | None = None
    cramers_v: float | None = None
    new_categories: tuple[str, ...] = ()
    gone_categories: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    baseline_shares: tuple[float, ...] = ()
    current_shares: tuple[float, ...] = ()

    @property
    def is_drift(self) -> bool:
        """Whether any measure says so."""
        return bool(self.reasons)


@dataclass(frozen=True)
class DriftReport:
    """The comparison of two tables. `notes` are sentences about what to be careful with."""

    baseline_name: str
    current_name: str
    baseline_rows: int
    current_rows: int
    thresholds: Thresholds
    features: tuple[FeatureReport, ...]
    notes: tuple[str, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the features that have drifted."""
        return tuple(feature.name for feature in self.features if feature.is_drift)


def compare_tables(
    baseline: Table, current: Table, names: Sequence[str], kinds: Mapping[str, str], thresholds: Thresholds
) -> DriftReport:
    """Compare rows with rows."""
    features, notes = [], [*baseline.notes, *current.notes]
    for name in names:
        absent = [table.name for table in (baseline, current) if name not in table.columns]
        if absent:
            notes.append(f"{name} is not compared: {absent[0]} does not have it")
            continue
        before, now = baseline.columns[name], current.columns[name]
        kind = kinds.get(name) or kind_of(before)
        if why := unsuited(name, kind, name in kinds, baseline, current):
            notes.append(f"{name} is not compared: {why}")
            continue
        if name not in kinds and (among := words_among_numbers(name, before)):
            notes.append(f"{name} is compared by categories: {among}")
        found = _compare(sketch(name, kind, before, thresholds.alpha), before, now, thresholds)
        if found.baseline_count or found.current_count:
            features.append(found)
        else:
            notes.append(f"{name} is not compared: {why_empty([*before, *now])}")
    return _report(baseline.name, baseline.rows, current, thresholds, features, notes)


def compare_with_baseline(
    baseline: Baseline, where: str, current: Table, names: Sequence[str], thresholds: Thresholds
) -> DriftReport:
    """Compare rows with a baseline file: by bins only."""
    features, notes = (
        [],
        [*current.notes, f"{where} is a baseline without rows: only PSI and missing values are compared"],
    )
    for feature in baseline.features:
        if feature.name not in names:
            continue
        if feature.name not in current.columns:
            notes.append(f"{feature.name} is not compared: {current.name} does not have it")
            continue
        features.append(_compare(feature, None, current.columns[feature.name], thresholds))
    return _report(where, baseline.rows, current, thresholds, features, notes)


def _report(
    where: str,
    rows: int,
    current: Table,
    thresholds: Thresholds,
    features: Sequence[FeatureReport],
    notes: Sequence[str],
) -> DriftReport:
    few = [
        f"{name} has {count} rows, fewer than {FEW_ROWS}: only large drift can be told from chance"
        for name, count in ((where, rows), (current.name, current.rows))
        if count < FEW_ROWS
    ]
    return DriftReport(where, current.name, rows, current.rows, thresholds, tuple(features), (*notes, *few))


def _compare(
    feature: Feature, before: Sequence[Any] | None, now: Sequence[Any], thresholds: Thresholds
) -> FeatureReport:
    places = feature.places
    counts = Counter(bin_of(feature, places, value) for value in now)
    missing = counts.pop(-1, 0) / len(now)
    total = counts.total()
    shares = tuple(counts[place] / total if total else 0.0 for place in range(len(feature.shares)))
    index = psi(feature.shares, shares, feature.size, total) if total and feature.size else None
    most = limit(feature, thresholds.psi, total)
    reasons, notes = [], []
    if index is not None and index >= most:
        reasons.append(f"PSI {index:.3f}, limit {most:.3f}")
    if reason := _missing_reason(feature, before, missing, len(now), thresholds):
        reasons.append(reason)
    if not total:
        notes.append("no values now")
    measures: dict[str, Any] = {}
    if feature.kind == NUMBER:
        texts = sum(map(is_word, now))
        notes += [f"{texts} values are no numbers, and count as missing"] if texts else []
        if before is not None and total and feature.size:
            measures = _number_measures(numbers(before), numbers(now))
            if measures["ks_p"] < thresholds.alpha and measures["ks"] >= thresholds.ks:
                reasons.append(f"KS {measures['ks']:.3f} (p {measures['ks_p']:.2g})")
            far = measures["wasserstein"]
            if far is not None and far >= thresholds.wasserstein and measures["ks_p"] < thresholds.alpha:
                reasons.append(f"Wasserstein {far:.3f} standard deviations")
    elif before is not None and total and feature.size:
        measures = _category_measures(categories(before), categories(now))
        strength, p = measures["cramers_v"], measures["chi_square_p"]
        if p is not None and p < thresholds.alpha and strength >= thresholds.cramers_v:
            reasons.append(f"chi-square {measures['chi_square']:.1f} (p {p:.2g}, V {strength:.2f})")
        if measures["new_categories"]:
            notes.append(f"new: {named(measures['new_categories'])}")
        if measures["gone_categories"]:
            notes.append(f"gone: {named(measures['gone_categories'])}")
    return FeatureReport(
        feature.name,
        feature.kind,
        feature.size,
        total,
        feature.missing,
        missing,
        index,
        most if math.isfinite(most) else None,
        **measures,
        reasons=tuple(reasons),
        notes=tuple(notes),
        bins=bin_names(feature),
        baseline_shares=feature.shares,
        current_shares=shares,
    )


def _missing_reason(
    feature: Feature, before: Sequence[Any] | None, now: float, now_rows: int, thresholds: Thresholds
) -> str:
    """A share of missing values that has changed by more than the threshold and more than chance (two proportions)."""
    rows = len(before) if before is not None else feature.rows
    sigmas = float(stats.norm.isf(thresholds.alpha / 2.0))
    if not missing_has_changed(feature.missing, rows, now, now_rows, thresholds.missing, sigmas):
        return ""
    return f"missing {now:.1%}, before {feature.missing:.1%}"


def _number_measures(before: Sequence[float], now: Sequence[float]) -> dict[str, Any]:
    is_small = len(before) * len(now) <= _MOST_EXACT
    with np.errstate(all="ignore"), warnings.catch_warnings():  # the approximation divides by zero for a handful
        warnings.simplefilter("ignore", RuntimeWarning)  # where the exact one does not end, scipy approximates
        test = stats.ks_2samp(before, now, method="exact" if is_small else "asymp")
    p = float(test.pvalue)
    largest = float(max(np.abs(before).max(), np.abs(now).max()))
    scale = largest if largest and not _SQUARES[0] < largest < _SQUARES[1] else 1.0
    spread = float(np.std(np.array(before) / scale))
    moved = float(stats.wasserstein_distance(np.array(before) / scale, np.array(now) / scale))
    far: float | None = moved / spread if spread else (0.0 if not moved else None)
    return {"ks": float(test.statistic), "ks_p": p if p == p else 1.0, "wasserstein": far}


def _category_measures(before: Sequence[str], now: Sequence[str]) -> dict[str, Any]:
    counts, now_counts = Counter(before), Counter(now)
    names = sorted({*counts, *now_counts})
    found: dict[str, Any] = {
        "chi_square": 0.0,
        "chi_square_p": 1.0,
        "cramers_v": 0.0,
        "new_categories": tuple(name for name in names if name not in counts),
        "gone_categories": tuple(name for name in names if name not in now_counts),
    }
    if len(names) > 1:
        cells = np.array([[side[name] for name in names] for side in (counts, now_counts)])
        test = stats.chi2_contingency(cells, correction=False)
        found["chi_square"], found["chi_square_p"] = float(test.statistic), float(test.pvalue)
        found["cramers_v"] = math.sqrt(found["chi_square"] / cells.sum())
    return found


def bin_names(feature: Feature) -> tuple[str, ...]:
    """What each bin holds, in words."""
    if feature.kind == CATEGORY:
        return (*feature.categories, "others")
    if not feature.edges:
        return ("all",)
    after = math.nextafter(feature.edges[0], math.inf) + 0.0  # of minus zero, zero
    is_shut = not after or len(repr(after)) < len(repr(feature.edges[0])) - _DIGITS
    edges = _told_apart([after, *feature.edges[1:]] if is_shut else feature.edges)
    middle = (f"{low} to {high}" if low != high else low for low, high in pairwise(edges))
    return (f"{'below' if is_shut else 'up to'} {edges[0]}", *middle, f"above {edges[-1]}")


def _told_apart(edges: Sequence[float]) -> list[str]:
    """Numbers as texts, with as many digits as tell them apart and show where they lie between each other."""
    scale = max(map(abs, edges)) or 1.0
    most = (edges[-1] / scale - edges[0] / scale) / _PARTS
    for digits in range(_DIGITS, 16):
        names = [_short(edge, digits) for edge in edges]
        is_near = all(abs(float(name) / scale - edge / scale) <= most for name, edge in zip(names, edges, strict=True))
        if len({*names}) == len({*edges}) and (is_near or len(edges) == 1):
            return names
    return list(map(repr, edges))


def _short(number: float, digits: int) -> str:
    text = f"{number:.{digits}g}"
    return f"{float(text):.15g}" if "e" in text and _PLAIN[0] <= abs(number) < _PLAIN[1] else text


def named(names: Sequence[str]) -> str:
    """The first ten, shortened, and how many more."""
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
