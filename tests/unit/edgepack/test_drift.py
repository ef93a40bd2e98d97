"""Drift: reading, measures beside those of scipy and by hand, verdicts, page, command."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import Table as ArrowTable
from pyarrow import parquet
from scipy import stats

from device_agent.drift_rows import rows_of
from device_agent.drift_sketch import Baseline, baseline_document, bin_of, psi, read_baseline
from edgepack.cli.main import cli
from edgepack.drift.comparing import DriftReport, Thresholds, compare_tables
from edgepack.drift.page import html_page
from edgepack.drift.reading import read_table
from edgepack.drift.sketching import baseline_of, bin_shares, number_edges
from edgepack.drift.table import Table, kind_of
from edgepack.errors import InputError
from tests.examples import examples

SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3)
VALUES = st.lists(st.floats(-1e6, 1e6) | st.integers(-5, 5), min_size=1, max_size=60)


def normal(seed: int, mean: float = 0.0, count: int = 1000) -> list[float]:
    """Numbers from a normal distribution of the deviation 1."""
    return [float(value) for value in np.random.default_rng(seed).normal(mean, 1.0, count)]


def compared(before: list[Any], now: list[Any], **kinds: str) -> DriftReport:
    """One feature `x`, before and now."""
    tables = Table("before", {"x": before}, len(before)), Table("now", {"x": now}, len(now))
    return compare_tables(*tables, ["x"], kinds, Thresholds())


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"data": [[1, 2], [3, 4]]}, [{"0": 1, "1": 2}, {"0": 3, "1": 4}]),
        ({"data": [{"a": 1}, {"a": 2}]}, [{"a": 1}, {"a": 2}]),
        ({"data": {"a": [1, 2], "b": [3, 4]}}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"input_data": {"columns": ["a"], "index": [0], "data": [[7]]}}, [{"a": 7}]),
        ({"dataframe_split": {"columns": ["a"], "data": [[7]]}}, [{"a": 7}]),
        ({"dataframe_records": [{"a": 7}]}, [{"a": 7}]),
        ({"columns": ["a", "b"], "data": [[1, 2]]}, [{"a": 1, "b": 2}]),
        ({"data": [5.1, 3.5]}, [{"0": 5.1, "1": 3.5}]),
        ({"text": "good"}, [{"text": "good"}]),
        (None, []),
        ([], []),
    ],
)
def test_rows_of_request_bodies(document: object, rows: list[Any]) -> None:
    assert rows_of(document) == rows


def test_rows_of_answers_and_of_a_named_member() -> None:
    assert rows_of([0, 2], is_request=False) == [{"value": 0}, {"value": 2}]
    assert rows_of({"predictions": [0, 2]}, is_request=False) == [{"value": 0}, {"value": 2}]
    assert rows_of({"out": {"deep": [{"a": 1}]}}, "out.deep") == [{"a": 1}]
    assert rows_of({"out": 1}, "out.deep") == []


def test_psi_by_hand() -> None:
    assert psi([0.5, 0.5], [0.8, 0.2], 100, 100) == pytest.approx(0.3 * math.log(1.6) - 0.3 * math.log(0.4))
    assert psi([1.0, 0.0], [0.0, 1.0], 1e6, 1e6) == pytest.approx(2 * 0.9999 * math.log(1e4))


@given(SHARES, SHARES)
def test_psi_is_symmetric_and_not_negative(one: list[float], other: list[float]) -> None:
    assert psi(one, other, 9, 2000) == pytest.approx(psi(other, one, 2000, 9))
    assert psi(one, other, 50, 50) >= 0.0 == psi(one, one, 50, 50)


@settings(max_examples=examples(40), deadline=None)
@given(VALUES, VALUES)
def test_single_values_fall_into_the_bins_that_arrays_fall_into(before: list[float], now: list[float]) -> None:
    edges = number_edges(np.array(before, dtype=float))
    table = Table("t", {"x": before}, len(before))
    feature = baseline_of(table, ["x"], {"x": "number"}, threshold=0.2, alpha=0.01)[0].features[0]
    assert feature.edges == edges
    counts = [0] * len(feature.shares)
    for value in now:
        counts[bin_of(feature, {}, value)] += 1
    assert bin_shares(edges, np.array(now, dtype=float)) == pytest.approx([count / len(now) for count in counts])


@settings(max_examples=examples(15), deadline=None)
@given(VALUES, st.randoms())
def test_a_sample_has_not_drifted_from_itself_in_another_order(values: list[float], chance: Any) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)
    feature = compared(list(values), shuffled).features[0]
    assert feature.psi == pytest.approx(0.0)
    assert feature.ks == 0.0
    assert not feature.is_drift
    assert feature.wasserstein in (None, pytest.approx(0.0, abs=1e-9))


def test_measures_of_numbers_are_those_of_scipy() -> None:
    before, now = normal(1), normal(2, 1.0)
    feature = compared(before, now).features[0]
    test = stats.ks_2samp(before, now)
    assert feature.ks == pytest.approx(test.statistic)
    assert feature.wasserstein == pytest.approx(stats.wasserstein_distance(before, now) / np.std(before))
    assert [reason.split()[0] for reason in feature.reasons] == ["PSI", "KS", "Wasserstein"]


def test_measures_of_categories_by_hand() -> None:
    feature = compared(["a"] * 60 + ["b"] * 40, ["a"] * 30 + ["c"] * 70).features[0]
    assert feature.chi_square == pytest.approx(10 + 40 + 70)
    assert feature.cramers_v == pytest.approx(math.sqrt(120 / 200))
    assert (feature.new_categories, feature.gone_categories) == (("c",), ("b",))
    assert feature.is_drift


@pytest.mark.parametrize("count", [20, 100, 5000])
def test_samples_of_one_source_have_not_drifted(count: int) -> None:
    drifted = [seed for seed in range(40) if compared(normal(seed, count=1000), normal(seed + 99, count=count)).drifted]
    assert len(drifted) <= 2


def test_a_constant_that_changes_is_seen_on_either_side() -> None:
    for now in (4, 6):
        assert compared([5] * 300, [now] * 300).drifted == ("x",)
    assert not compared([5] * 300, [5] * 300).drifted


def test_missing_values_and_texts_among_numbers() -> None:
    before, now = normal(1), normal(2)
    worse: list[Any] = [None if place % 5 == 0 else value for place, value in enumerate(now)]
    assert compared(before, worse).features[0].reasons == ("missing 20.0%, before 0.0%",)
    feature = compared(before, ["broken" if value is None else value for value in worse]).features[0]
    assert feature.notes == ("200 values are no numbers, and count as missing",)
    assert compared(before, [None] * 200).features[0].psi is None


def test_kinds() -> None:
    assert [kind_of(values) for values in (["1", "2.5", None], ["1", "x"], [True, False], [None])] == [
        "number",
        "category",
        "category",
        "category",
    ]


def test_a_baseline_comes_back_and_what_is_wrong_is_told_at_once() -> None:
    table = Table("t", {"n": normal(1), "c": ["a", "b"] * 500, "id": [f"i{n}" for n in range(1000)]}, 1000)
    baseline, notes = baseline_of(table, ["n", "c", "id"], {}, threshold=0.2, alpha=0.01)
    assert notes == ["id is left out: nearly every value is another one"]
    document = json.loads(json.dumps(baseline_document(baseline)))
    assert read_baseline(document, "f") == (baseline, [])
    assert isinstance(baseline, Baseline)
    document["features"][0]["edges"] = [2, 1]
    document["features"][1]["count"] = "many"
    assert read_baseline(document, "f")[1] == [
        "f, features[0]: `edges` are not numbers that grow",
        "f, features[1]: `count` is no whole number of at least 1",
    ]
    assert read_baseline([], "f")[1] == ["f is no baseline: make one with `edgepack drift baseline`"]


def test_formats_give_the_same_table(tmp_path: Path) -> None:
    rows = [{"a": 1.5, "b": "x"}, {"a": None, "b": "y"}]
    (tmp_path / "t.csv").write_text("a;b;$aml_request_id\n1.5;x;1\nNA;y;2\n")
    (tmp_path / "t.json").write_text(json.dumps(rows))
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    parquet.write_table(ArrowTable.from_pylist(rows), tmp_path / "t.parquet")
    for name in ("t.json", "t.jsonl", "t.parquet"):
        assert read_table(tmp_path / name).columns == {"a": [1.5, None], "b": ["x", "y"]}
    assert read_table(tmp_path / "t.csv").columns == {"a": ["1.5", None], "b": ["x", "y"]}
    assert read_table(tmp_path).rows == 8


def test_records_of_requests_also_from_parquet(tmp_path: Path) -> None:
    good = {"status": 200, "request": {"data": [{"a": 1}]}, "response": [0, 1]}
    records = [good, {**good, "status": 500}]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, records)))
    texts = [{**each, "request": json.dumps(each["request"]), "response": "[0, 1]"} for each in records]
    parquet.write_table(ArrowTable.from_pylist(texts), tmp_path / "r.parquet")
    for name in ("r.jsonl", "r.parquet"):
        table = read_table(tmp_path / name)
        assert (table.columns, len(table.notes)) == ({"a": [1]}, 1)
        assert read_table(tmp_path / name, part="response").columns == {"value": [0, 1]}


def test_all_problems_of_a_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2,3\n1\n")
    with pytest.raises(InputError) as raised:
        read_table(path)
    assert raised.value.problems == (
        f"{path}, line 2: 3 values for 2 columns",
        f"{path}, line 3: 1 values for 2 columns",
    )
    for name, content in (("e.csv", b""), ("d.csv", b"a,a\n1,2\n"), ("l.csv", b"a\n\xff\n"), ("p.parquet", b"no")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            read_table(tmp_path / name)


def test_the_page_escapes_what_it_shows_and_loads_nothing() -> None:
    page = html_page(compared(["a"] * 200, ["<script>alert(1)</script>"] * 200), "1")
    assert "<script" not in page
    assert "http" not in page
    assert "1 of 1 features have drifted" in page


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, mean in (("before.csv", 0.0), ("now.csv", 2.0)):
        Path(name).write_text("x\n" + "\n".join(f"{value:.4f}" for value in normal(int(mean), mean)))
    both = ["drift", "--baseline", "before.csv", "--current", "now.csv"]
    run = CliRunner()
    failed = run.invoke(cli, ["--json", *both, "--fail-on", "drift", "--html", "page.html"])
    assert failed.exit_code == 3
    assert json.loads(failed.stdout)["drifted"] == ["x"]
    assert Path("page.html").read_text().startswith("<!DOCTYPE html>")
    same = run.invoke(cli, ["drift", "--baseline", "now.csv", "--current", "now.csv", "--fail-on", "drift"])
    assert (same.exit_code, "No feature has drifted" in same.stdout) == (0, True)
    assert run.invoke(cli, ["drift", "baseline", "before.csv"]).exit_code == 0
    by_file = run.invoke(cli, ["--json", "drift", "--baseline", "drift-baseline.json", "--current", "now.csv"])
    (feature,) = json.loads(by_file.stdout)["features"]
    assert feature["psi"] == json.loads(failed.stdout)["features"][0]["psi"]
    assert json.loads(by_file.stdout)["thresholds"]["psi"] == 0.2
    wrong = run.invoke(cli, [*both, "--ignore", "y", "--feature", "z"])
    assert isinstance(wrong.exception, InputError)
    assert len(wrong.exception.problems) == 2


def test_a_made_baseline_knows_which_part_and_member_it_is_of_and_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = [{"scores": [{"good": value}]} for value in normal(1)]
    lines = (json.dumps({"status": 200, "request": {"data": [1]}, "response": answer}) for answer in answers)
    Path("records.jsonl").write_text("\n".join(lines))
    run = CliRunner()
    made = run.invoke(
        cli, ["drift", "baseline", "records.jsonl", "--part", "response", "--field", "scores", "--psi", "0.5"]
    )
    assert made.exit_code == 0
    compared = run.invoke(cli, ["--json", "drift", "--baseline", "drift-baseline.json", "--current", "records.jsonl"])
    report = json.loads(compared.stdout)
    assert [feature["name"] for feature in report["features"]] == ["good"]
    assert report["thresholds"]["psi"] == 0.5
    document = json.loads(Path("drift-baseline.json").read_text())
    assert (document["part"], document["field"]) == ("response", "scores")
    assert read_baseline({**document, "part": "both"}, "f")[1] == [
        "f: `part` is request or response, and `field` a text"
    ]


def test_a_piece_beside_its_parquet_is_read_once_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    hour = tmp_path / "requests/2026/11/26/10"
    hour.mkdir(parents=True)
    records = [
        {"time": "2026-11-26T10:00:00.123Z", "id": f"{n}", "status": 200, "ms": 1, "request": [[n]], "response": n}
        for n in range(4)
    ]
    lines = [json.dumps(record) + "\n" for record in records]
    (hour / "a.jsonl").write_text("".join(lines[:2]))
    texts = [{**record, "request": json.dumps(record["request"]), "response": "0"} for record in records[:2]]
    parquet.write_table(ArrowTable.from_pylist(texts), hour / "a.parquet")
    (hour / "b.jsonl").write_text(lines[2] + lines[3][:20])
    table = read_table(tmp_path)
    assert sorted(table.columns["0"]) == [0, 1, 2]
    assert any("1 last lines were torn" in note for note in table.notes)
    assert read_table(hour / "a.jsonl").rows == 2
    (hour / "c.jsonl").write_text(lines[3][:20])
    with pytest.raises(InputError, match=r"c\.jsonl, line 1: no JSON"):
        read_table(tmp_path)
