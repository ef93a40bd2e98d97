"""The page of a drift report: what stands in it, and how bins are called."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.drift.comparing import DriftReport, FeatureReport, Thresholds, bin_names, compare_tables
from edgepack.drift.page import html_page
from edgepack.drift.sketching import sketch
from edgepack.drift.table import Table


def names_of(values: list[Any], kind: str = "number") -> tuple[str, ...]:
    return bin_names(sketch("x", kind, values, 0.01))


def report_of(before: list[Any], now: list[Any]) -> DriftReport:
    tables = (Table("before", {"x": before}, len(before)), Table("now", {"x": now}, len(now)))
    return compare_tables(tables[0], tables[1], ["x"], {}, Thresholds())


def shown_bins(page: str) -> list[str]:
    return re.findall(r'<th scope="row">(.*?)</th>', page)


def test_bins_of_few_numbers_are_called_by_their_values() -> None:
    assert names_of([0, 1, 2] * 50) == ("below 0", "0 to 0.5", "0.5 to 1.5", "1.5 to 2", "above 2")
    assert names_of([5] * 100) == ("below 5", "5", "above 5")
    assert names_of([-3, 0.1] * 50) == ("below -3", "-3 to -1.45", "-1.45 to 0.1", "above 0.1")
    assert names_of([]) == ("all",)


@pytest.mark.parametrize(
    ("least", "step", "first"),
    [
        (0, 0.015, "up to 1.5"),
        (1e6, 0.015, "up to 1000001.5"),
        (50_000, 90, "up to 59000"),
        (1e12, 1e9, "up to 1.1e+12"),
        (0, 1e-8, "up to 1e-06"),
    ],
)
def test_bins_have_the_digits_that_tell_them_apart(least: float, step: float, first: str) -> None:
    names = names_of([least + step * each for each in range(1001)])
    assert names[0] == first
    assert len({*names}) == 10


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_bins_are_called_differently_whatever_the_numbers(values: list[float]) -> None:
    feature = sketch("x", "number", values, 0.01)
    names = bin_names(feature)
    assert len(names) == len(feature.shares) == len({*names})


def test_the_verdict_stands_beside_the_name() -> None:
    page = html_page(report_of([math.sin(each) for each in range(300)], [3.0] * 300), "1")
    assert "x</a></td><td class='verdict'>drift</td>" in page


def test_of_many_bins_the_largest_are_shown_and_the_others_can_be_unfolded() -> None:
    before = [f"c{each}" for each in range(60) for _ in range(each + 1)]
    page = html_page(report_of(before, ["new", *before] * 2), "1")
    first, _, rest = page.partition("<details>")
    shown, others = shown_bins(first), shown_bins(rest)
    assert (len(shown), shown[0], shown[-1]) == (20, "c59", "others")
    assert (len(others), "31 more" in rest) == (31, True)
    assert re.findall(r"width:([\d.]+)%", first)[0] == "100.0"


def test_bins_that_are_empty_are_shown_of_numbers_only() -> None:
    assert shown_bins(html_page(report_of(["a", "b"] * 99, ["a", "b"] * 99), "1")) == ["a", "b"]
    assert shown_bins(html_page(report_of([1, 2] * 99, [1, 2] * 99), "1"))[0] == "below 1"


def test_a_feature_that_had_no_values_has_a_section() -> None:
    for now in ([1.5] * 99, ["a"] * 99):
        report = report_of([None] * 99, now)
        (feature,) = report.features
        assert isinstance(feature, FeatureReport)
        assert "missing 0.0%, before 100.0%" in html_page(report, "1")
