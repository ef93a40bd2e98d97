"""How the values of features were spread at first, how many fall where now, and how far that is apart. Pure.

A baseline is JSON, made by `edgepack drift baseline`:

    {"edgepack_drift": 1, "rows": 5000, "threshold": 0.2, "part": "request", "field": "", "features": [
      {"name": "petal length", "kind": "number", "edges": [1.4, 1.5, ...], "shares": [0.1, 0.1, ...],
       "missing": 0.0, "count": 5000, "quantile": 21.67},
      {"name": "colour", "kind": "category", "categories": ["red", "blue"], "shares": [0.6, 0.3, 0.1], ...}]}

A number `v` belongs to the bin i with edges[i-1] < v <= edges[i]; the bins at both ends are open, so there is one share
more than edges. The last share of categories is that of all others. Values that are missing (null, NaN, infinite, no
number, a list) belong to no bin and have a share of their own, `missing`. The texts True and False, as pandas writes
them into CSV, are true and false.

    PSI = sum over bins of (c - b) * ln(c / b), a share being at least FLOOR, and at least that of half a value

Two samples of n and m from one source have a PSI of about (bins - 1) * (1/n + 1/m), so little data looks like drift;
`limit` is the threshold, or what chance exceeds in one of a hundred cases (`quantile` is that of chi-square), if that
is more.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

FLOOR = 1e-4
"""The least share of a bin: an empty bin would make the index infinite. Of few values, half a value is the least."""
NUMBER, CATEGORY = "number", "category"
REQUEST, RESPONSE = "request", "response"
PSI = 0.2
"""From this index on it is drift, unless a baseline says otherwise: a rule of thumb of the field."""
MISSING_CHANGE = 0.05
"""Of the share of missing values: a smaller change is not drift."""
Z_99 = 2.5758
"""Standard deviations that chance exceeds in one of a hundred cases, on either side."""
FORMAT = "edgepack_drift"
TRUTHS = {text: text.lower() for truth in ("true", "false") for text in (truth, truth.title(), truth.upper())}
"""Texts that are true and false -> the names of the categories."""
MOST_FEATURES = 1000
MOST_BINS = 1000


class Feature(NamedTuple):
    """One feature of a baseline: see the module. `size`, in JSON `count`: how many values are not missing."""

    name: str
    kind: str
    shares: tuple[float, ...]
    size: int
    quantile: float
    missing: float = 0.0
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def rows(self) -> float:
        """How many rows it was made from, those with missing values too."""
        return self.size / max(1e-9, 1.0 - self.missing)

    @property
    def places(self) -> dict[str, int]:
        """The bin of each category, by the name that `as_category` gives it."""
        return {TRUTHS.get(category, category): place for place, category in enumerate(self.categories)}


class Baseline(NamedTuple):
    """The features of a baseline, its number of rows, and the PSI from which on it is drift.

    `part` and `member` (in JSON `field`) say where such rows are in requests: see drift_rows.
    """

    features: tuple[Feature, ...]
    rows: int
    threshold: float = PSI
    part: str = REQUEST
    member: str = ""


def as_number(value: object) -> float | None:
    """`value` as a finite number; None for what is missing or none. Texts such as "5.1" are numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float(value) if isinstance(value, bool) else None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return {"true": 1.0, "false": 0.0}.get(TRUTHS.get(value, "")) if isinstance(value, str) else None
    return number if math.isfinite(number) else None


def as_category(value: object) -> str | None:
    """`value` as the name of a category; None for what is missing. 1 and 1.0 are one category, true is `true`."""
    if isinstance(value, str):
        return TRUTHS.get(value, value) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    return None


def bin_of(feature: Feature, places: dict[str, int], value: object) -> int:
    """The bin of a value; -1 when it is missing. `places` are the feature's, which it does not keep."""
    if feature.kind == NUMBER:
        number = value if type(value) is float and value - value == 0.0 else as_number(value)
        return -1 if number is None else bisect_left(feature.edges, number)
    category = as_category(value)
    return -1 if category is None else places.get(category, len(feature.categories))


def psi(baseline: Sequence[float], current: Sequence[float], baseline_count: float, current_count: float) -> float:
    """The population stability index of the shares of the same bins in two samples of so many values: 0 (equal) and
    more. Symmetric.
    """
    total = 0.0
    least_before, least_now = max(FLOOR, 0.5 / baseline_count), max(FLOOR, 0.5 / current_count)
    for before, now in zip(baseline, current, strict=True):
        before, now = max(before, least_before), max(now, least_now)
        total += (now - before) * math.log(now / before)
    return total


def limit(feature: Feature, threshold: float, count: int) -> float:
    """The PSI from which on `count` values, not missing ones, have drifted; infinite for none."""
    if not count or not feature.size:
        return math.inf
    return max(threshold, feature.quantile * (1.0 / count + 1.0 / feature.size))


def missing_has_changed(
    before: float,
    before_rows: float,
    now: float,
    now_rows: float,
    threshold: float = MISSING_CHANGE,
    sigmas: float = Z_99,
) -> bool:
    """Whether the share of missing values has changed by at least `threshold`, and by more than chance: `sigmas`
    standard deviations of the difference of two proportions.
    """
    change = abs(now - before)
    if change < threshold or not now_rows:
        return False
    pooled = (before * before_rows + now * now_rows) / (before_rows + now_rows)
    spread = math.sqrt(pooled * (1.0 - pooled) * (1.0 / max(before_rows, 1.0) + 1.0 / now_rows))
    return not spread or change >= sigmas * spread


def baseline_document(baseline: Baseline) -> dict[str, Any]:
    """As JSON."""
    features = []
    for feature in baseline.features:
        of_kind = "edges" if feature.kind == NUMBER else "categories"
        features.append(
            {
                "name": feature.name,
                "kind": feature.kind,
                of_kind: list(getattr(feature, of_kind)),
                "shares": list(feature.shares),
                "missing": feature.missing,
                "count": feature.size,
                "quantile": feature.quantile,
            }
        )
    place = {"part": baseline.part, "field": baseline.member}
    return {FORMAT: 1, "rows": baseline.rows, "threshold": baseline.threshold, **place, "features": features}


def read_baseline(document: object, where: str) -> tuple[Baseline | None, list[str]]:
    """A baseline from JSON, or all that is wrong with it, each sentence beginning with `where`."""
    if not isinstance(document, dict) or FORMAT not in document:
        return None, [f"{where} is no baseline: make one with `edgepack drift baseline`"]
    if document[FORMAT] != 1:
        return None, [f"{where} has the format {document[FORMAT]!r}; this version reads 1: make the baseline again"]
    given = document.get("features")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_FEATURES:
        return None, [f"{where}: `features` is no list of 1 to {MOST_FEATURES} features"]
    problems: list[str] = []
    features = [_read_feature(each, f"{where}, features[{place}]", problems) for place, each in enumerate(given)]
    names = [feature.name for feature in features if feature is not None]
    problems += [f"{where}: the feature {name!r} is there twice" for name in sorted({*names}) if names.count(name) > 1]
    rows, threshold = document.get("rows"), document.get("threshold")
    if not _is_number(rows, 1) or not _is_number(threshold, 0):
        problems.append(f"{where}: `rows` and `threshold` are numbers, at least 1 and 0")
    part, member = document.get("part", REQUEST), document.get("field", "")
    if part not in (REQUEST, RESPONSE) or not isinstance(member, str):
        problems.append(f"{where}: `part` is {REQUEST} or {RESPONSE}, and `field` a text")
    if problems:
        return None, problems
    found = tuple(feature for feature in features if feature is not None)
    return Baseline(found, int(document["rows"]), float(document["threshold"]), part, member), []


def _read_feature(given: object, where: str, problems: list[str]) -> Feature | None:
    if not isinstance(given, dict):
        problems.append(f"{where} is no object")
        return None
    name, kind, shares = given.get("name"), given.get("kind"), given.get("shares")
    edges, categories = given.get("edges", []), given.get("categories", [])
    faults = []
    if not _is_text(name):
        faults.append("`name` is no text")
    if kind not in (NUMBER, CATEGORY):
        faults.append(f"`kind` is {kind!r}, not {NUMBER} or {CATEGORY}")
    bins = edges if kind == NUMBER else categories
    if not isinstance(bins, list) or len(bins) > MOST_BINS:
        faults.append(f"`edges` or `categories` is no list of at most {MOST_BINS}")
    elif kind == NUMBER and not (all(map(_is_number, bins)) and bins == sorted({*bins})):
        faults.append("`edges` are not numbers that grow")
    elif kind == CATEGORY and not (all(map(_is_text, bins)) and len({*bins}) == len(bins)):
        faults.append("`categories` are not different texts")
    elif not isinstance(shares, list) or len(shares) != len(bins) + 1 or not all(_is_number(s, 0, 1) for s in shares):
        faults.append(f"`shares` are not {len(bins) + 1} numbers of 0 to 1")
    if not _is_number(given.get("count"), 1) or int(given["count"]) != given["count"]:
        faults.append("`count` is no whole number of at least 1")
    if not _is_number(given.get("quantile"), 0) or not given["quantile"]:
        faults.append("`quantile` is no number above 0")
    if not _is_number(given.get("missing"), 0, 1):
        faults.append("`missing` is no number of 0 to 1")
    problems += [f"{where}: {fault}" for fault in faults]
    if faults:
        return None
    return Feature(
        str(name),
        str(kind),
        tuple(map(float, shares or ())),
        int(given["count"]),
        float(given["quantile"]),
        float(given["missing"]),
        tuple(map(float, bins)) if kind == NUMBER else (),
        tuple(map(str, bins)) if kind == CATEGORY else (),
    )


def _is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether it is a finite number of the range, that a float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value)) and least <= value <= most
    except OverflowError:
        return False


def _is_text(value: object) -> bool:
    """Whether it is a text that can be written as UTF-8."""
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False
