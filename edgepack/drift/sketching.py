"""Values -> bins and shares: the baseline that is judged by. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from device_agent.drift_sketch import CATEGORY, NUMBER, Baseline, Feature
from edgepack.drift.table import Table, categories, kind_of, numbers, unsuited, why_empty, words_among_numbers
from edgepack.errors import InputError

BINS = 10
MOST_CATEGORIES = 50
"""Further ones share the last bin."""
_HUGE = 1e307
"""Differences of such numbers may be infinite."""


def sketch(name: str, kind: str, values: Sequence[Any], alpha: float) -> Feature:
    """Bins of about equal shares for numbers (a bin a value where there are few), the most frequent categories.

    `alpha`: how often a sample of the same source may exceed the limit.
    """
    if kind == NUMBER:
        known = np.array(numbers(values))
        edges = number_edges(known)
        shares = bin_shares(edges, known)
        return _feature(name, NUMBER, values, len(known), shares, alpha, edges=edges)
    counts = Counter(categories(values))
    kept = tuple(sorted(counts, key=lambda each: (-counts[each], each))[:MOST_CATEGORIES])
    total = counts.total()
    shares = tuple(counts[each] / total for each in kept) if total else ()
    return _feature(name, CATEGORY, values, total, (*shares, max(0.0, 1.0 - sum(shares))), alpha, categories=kept)


def number_edges(known: Any) -> tuple[float, ...]:
    """Edges of bins: deciles; for at most BINS different numbers midpoints, and the outermost numbers themselves, so
    that what lies outside them is seen.
    """
    different = np.unique(known)
    if not len(different):
        return ()
    if len(different) <= BINS:
        middles = different[:-1] / 2 + different[1:] / 2  # not by their difference, which may be infinite
        edges = np.concatenate(([math.nextafter(different[0], -math.inf)], middles, [different[-1]]))
    else:
        scale = 4.0 if max(-different[0], different[-1]) > _HUGE else 1.0
        edges = np.quantile(known / scale, np.arange(1, BINS) / BINS) * scale
    return tuple(float(edge) for edge in np.unique(edges) if math.isfinite(edge))


def bin_shares(edges: Sequence[float], known: Any) -> tuple[float, ...]:
    """The share of the numbers in each bin; zeros when there are none."""
    places = np.searchsorted(np.array(edges), known, side="left")
    counts = np.bincount(places, minlength=len(edges) + 1)
    return tuple(float(count) / max(len(known), 1) for count in counts)


def baseline_of(
    table: Table, names: Sequence[str], kinds: Mapping[str, str], *, threshold: float, alpha: float
) -> tuple[Baseline, list[str]]:
    """The baseline of a table, and sentences about what was left out.

    Raises:
        InputError: no feature is left.
    """
    features, notes = [], []
    for name in names:
        values = table.columns[name]
        kind = kinds.get(name) or kind_of(values)
        if why := unsuited(name, kind, name in kinds, table):
            notes.append(f"{name} is left out: {why}")
            continue
        if name not in kinds and (among := words_among_numbers(name, values)):
            notes.append(f"{name} is kept by categories: {among}")
        feature = sketch(name, kind, values, alpha)
        if not feature.size:
            notes.append(f"{name} is left out: {why_empty(values)}")
            continue
        features.append(feature)
    if not features:
        raise InputError(f"{table.name} has no feature to watch", *notes)
    return Baseline(tuple(features), table.rows, threshold), notes


def _feature(
    name: str,
    kind: str,
    values: Sequence[Any],
    count: int,
    shares: tuple[float, ...],
    alpha: float,
    *,
    edges: tuple[float, ...] = (),
    categories: tuple[str, ...] = (),
) -> Feature:
    filled = sum(share > 0.0 for share in shares)
    quantile = float(stats.chi2.ppf(1.0 - alpha, max(1, filled - 1)))
    missing = 1.0 - count / len(values) if len(values) else 0.0
    return Feature(name, kind, shares, count, quantile, missing, edges, categories)
