"""Drift: which values are numbers, categories or missing, and what is said about columns that are none of it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from device_agent.drift_sketch import CATEGORY, Baseline, Feature
from device_agent.drift_window import DriftWindow
from edgepack.cli.main import cli
from edgepack.cli.session import Session
from edgepack.drift.comparing import DriftReport, Thresholds, compare_tables
from edgepack.drift.reading import read_table
from edgepack.drift.sketching import baseline_of
from edgepack.drift.table import Table, kind_of
from edgepack.errors import InputError


def wave(count: int = 500, start: float = 0.0) -> list[float]:
    """Different numbers around `start`."""
    return [start + math.sin(place) for place in range(count)]


def compared(before: list[Any], now: list[Any], **kinds: str) -> DriftReport:
    """The features `x`, before and now, and `y`, the same."""
    first, second = (Table(f"of {len(x)}", {"x": x, "y": wave(len(x))}, len(x)) for x in (before, now))
    return compare_tables(first, second, ["x", "y"], kinds, Thresholds())


def drift(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["drift", *map(str, arguments)])


@pytest.mark.parametrize("texts", [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_truths_in_csv_are_those_of_requests(tmp_path: Path, texts: tuple[str, str]) -> None:
    (tmp_path / "training.csv").write_text("on\n" + "\n".join(texts[place % 3 == 0] for place in range(300)))
    records: list[Any] = [
        {"status": 200, "request": {"data": [{"on": place % 3 != 0}]}, "response": 1} for place in range(300)
    ]
    (tmp_path / "kept.jsonl").write_text("\n".join(map(json.dumps, records)))
    files = tmp_path / "training.csv", tmp_path / "kept.jsonl"
    assert drift("--baseline", files[0], "--current", files[1], "--fail-on", "drift").exit_code == 0
    before, now = map(read_table, files)
    (feature,) = compare_tables(before, now, ["on"], {}, Thresholds()).features
    assert (feature.kind, feature.psi, feature.new_categories, feature.gone_categories) == ("category", 0.0, (), ())
    (as_numbers,) = compare_tables(before, now, ["on"], {"on": "number"}, Thresholds()).features
    assert (as_numbers.psi, as_numbers.current_missing) == (0.0, 0.0)
    window = DriftWindow(baseline_of(before, ["on"], {}, threshold=0.2, alpha=0.01)[0], 100)
    window.add(record["request"]["data"][0] for record in records)
    assert (window.latest[0].missing, window.drifted) == (0.0, ())


def test_truths_in_a_baseline_that_names_them_as_csv_does_are_found() -> None:
    window = DriftWindow(
        Baseline((Feature("on", CATEGORY, (0.5, 0.5, 0.0), 100, 6.63, categories=("True", "False")),), 100), 100
    )
    window.add({"on": place % 2 == 0} for place in range(100))
    assert window.drifted == ()
    assert window.latest[0].psi == 0.0


def test_kinds_go_by_the_values_that_are_there() -> None:
    columns: list[list[Any]] = [[1.5, math.inf], ["1", "-inf"], [2, 10**400], [1, None, math.nan], [1, [2]]]
    assert {kind_of(values) for values in columns} == {"number"}
    columns = [["True", "False"], [True], [1, "True"], [1, "n.d."], [[1], {}], []]
    assert {kind_of(values) for values in columns} == {"category"}


def test_one_infinite_number_does_not_hide_drift() -> None:
    report = compared([*wave(), math.inf], wave(start=9.0))
    assert report.drifted == ("x",)
    assert report.features[0].baseline_missing == pytest.approx(1 / 501)
    texts = compared([*map(str, wave()), "inf"], [*map(str, wave(start=9.0)), "inf", "n.d."])
    assert texts.drifted == ("x",)
    assert "1 values are no numbers, and count as missing" in texts.features[0].notes


def test_a_few_texts_among_numbers_are_told_with_what_to_do() -> None:
    among = "it has 500 numbers and 1 text ('n.d.'): --numeric x compares the numbers"
    report = compared([*wave(), "n.d."], wave())
    assert report.notes == (f"x is not compared: nearly every value is another one; {among}",)
    few = [place % 5 for place in range(500)]
    assert f"x is compared by categories: {among}" in compared([*few, "n.d."], few).notes
    assert not compared([*few, "n.d."], few, x="number").notes
    table = Table("t", {"x": [*few, "n.d."]}, 501)
    assert baseline_of(table, ["x"], {}, threshold=0.2, alpha=0.01)[1] == [f"x is kept by categories: {among}"]


def test_a_file_of_one_column_that_will_not_do_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v\nn.d.\n" + "\n".join(map(str, wave())))
    (tmp_path / "b.csv").write_text("v\n" + "\n".join(map(str, wave(start=9.0))))
    result = drift("--baseline", tmp_path / "a.csv", "--current", tmp_path / "b.csv")
    assert isinstance(result.exception, InputError)
    first, second = result.exception.problems
    assert first == "there is no feature that can be compared"
    assert second.startswith("v is not compared: nearly every value is another one; it has 500 numbers and 1 text")
    given = ("--baseline", tmp_path / "a.csv", "--current", tmp_path / "b.csv", "--numeric", "v", "--fail-on", "drift")
    assert drift(*given).exit_code == 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [1.0, 1e307, 1.7e308, 1e-300])
def test_the_measures_of_numbers_do_not_depend_on_their_unit(factor: float) -> None:
    before, now = [math.sin(place) for place in range(500)], [math.sin(place) / 2 + 0.5 for place in range(500)]
    plain = compared(before, now).features[0]
    feature = compared([factor * value for value in before], [factor * value for value in now]).features[0]
    for name in ("psi", "ks", "ks_p", "wasserstein"):
        assert getattr(feature, name) == pytest.approx(getattr(plain, name))
    few = compared([-factor, factor] * 100, [factor] * 200).features[0]
    assert len(few.bins) == 4
    assert few.wasserstein == pytest.approx(1.0)


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    Session(Path(), as_json=True).result({"a": [math.nan, math.inf, 1.5], "ü": -math.inf}, "")
    assert json.loads(capsys.readouterr().out, parse_constant=refuse) == {"a": [None, None, 1.5], "ü": None}


def test_what_has_no_values_on_either_side_is_no_match() -> None:
    report = compared([None] * 200, [math.nan] * 200)
    assert [feature.name for feature in report.features] == ["y"]
    assert report.notes == ("x is not compared: it has no values",)
    assert compared([[1, 2]] * 200, [{}] * 200).notes == (
        "x is not compared: its values are lists and objects; --field reads the lists of a member as rows",
    )
    assert compared([None] * 200, wave(200)).drifted == ("x",)
