"""Drift: tables of real tools and captures of real services -> columns."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as arrow
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from device_agent.drift_rows import MOST_APART, rows_of
from edgepack.cli.main import cli
from edgepack.drift.comparing import DriftReport, Thresholds, compare_tables
from edgepack.drift.reading import read_table
from edgepack.drift.sketching import baseline_of
from edgepack.errors import InputError

COLOURS = np.array(["red", "blue", "green"])


def frame(seed: int = 1, count: int = 200) -> pandas.DataFrame:
    """A table as a notebook has it."""
    chance = np.random.default_rng(seed)
    return pandas.DataFrame(
        {
            "data": chance.normal(0, 1, count),
            "x": chance.normal(5, 1, count),
            "c": COLOURS[chance.integers(0, 3, count)],
        }
    )


def jsonl(path: Path, documents: list[Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, documents)))
    return path


def kept(path: Path, bodies: list[Any]) -> Path:
    """What the agent keeps of requests with these bodies."""
    return jsonl(path, [{"status": 200, "request": body, "response": [0]} for body in bodies])


def against_itself(path: Path, **kinds: str) -> DriftReport:
    table = read_table(path)
    return compare_tables(table, table, list(table.columns), kinds, Thresholds())


def test_a_table_with_a_column_that_is_called_as_a_member_of_bodies_keeps_all_columns(tmp_path: Path) -> None:
    table = frame()
    table.to_parquet(tmp_path / "t.parquet")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_json(tmp_path / "t.json")
    table.to_json(tmp_path / "index.json", orient="index")
    table.to_json(tmp_path / "records.json", orient="records")
    table.to_json(tmp_path / "split.json", orient="split")
    for file in sorted(tmp_path.iterdir()):
        report = compare_tables(read_table(tmp_path / "t.csv"), read_table(file), ["data", "x", "c"], {}, Thresholds())
        assert [(each.name, each.current_count) for each in report.features] == [("data", 200), ("x", 200), ("c", 200)]
        assert not report.drifted


def test_members_of_bodies_hold_lists_or_objects() -> None:
    assert rows_of({"inputs": 5, "x": 2}) == [{"inputs": 5, "x": 2}]
    assert rows_of({"inputs": "a text", "data": [[1]]}) == [{"0": 1}]
    assert rows_of({"data": None, "x": 2}) == [{"data": None, "x": 2}]
    assert rows_of({"predictions": 0.5, "model": "m"}, is_request=False) == [{"value": 0.5}]


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"age": [[1], [2]], "city": [["a"], ["b"]]}, [{"age": 1, "city": "a"}, {"age": 2, "city": "b"}]),
        ({"X": [[1, 2], [3, 4]]}, [{"X.0": 1, "X.1": 2}, {"X.0": 3, "X.1": 4}]),
        ({"X": [[1, 2]], "n": [7]}, [{"X.0": 1, "X.1": 2, "n": 7}]),
        ({"instances": [{"X": [1, 2], "s": "a"}]}, [{"X.0": 1, "X.1": 2, "s": "a"}]),
        ([[[1], [2]], [[3], [4]]], [{"0": 1, "1": 2}, {"0": 3, "1": 4}]),
        ({"tokens": [[1, 2], [3]]}, [{"tokens": [1, 2]}, {"tokens": [3]}]),
        ({"X": [[[1, 2]]]}, [{"X": [[1, 2]]}]),
        ({"X": [[0] * (MOST_APART + 1)], "n": [[7]]}, [{"X": [0] * (MOST_APART + 1), "n": 7}]),
    ],
)
def test_tensors_with_a_row_each_are_taken_apart(document: Any, rows: list[Any]) -> None:
    assert rows_of(document) == rows


def test_requests_to_an_onnx_model_are_judged(tmp_path: Path) -> None:
    training = pandas.DataFrame({"age": np.arange(300) % 70, "city": COLOURS[np.arange(300) % 3]})
    training.to_csv(tmp_path / "training.csv", index=False)

    def bodies(older: int) -> list[Any]:
        return [
            {"age": [[each % 70 + older] for each in range(at, at + 3)], "city": [[str(COLOURS[i])] for i in range(3)]}
            for at in range(0, 300, 3)
        ]

    both = ["drift", "--fail-on", "drift", "--baseline", str(tmp_path / "training.csv"), "--current"]
    for older, code in ((0, 0), (40, 3)):
        path = kept(tmp_path / f"{older}.jsonl", bodies(older))
        assert CliRunner().invoke(cli, [*both, str(path)]).exit_code == code
    baseline, notes = baseline_of(read_table(tmp_path / "0.jsonl"), ["age", "city"], {}, threshold=0.2, alpha=0.01)
    assert ([feature.name for feature in baseline.features], notes) == (["age", "city"], [])
    images = kept(tmp_path / "images.jsonl", [{"X": [[0] * 100]}] * 100)
    with pytest.raises(InputError, match="there is no feature that can be compared") as caught:
        CliRunner().invoke(
            cli, [*both[:3], "--baseline", str(images), "--current", str(images)], catch_exceptions=False
        )
    assert "X is not compared: its values are lists" in caught.value.problems[1]


def columns_of_all_types(count: int = 100) -> arrow.Table:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[str, tuple[Any, Any]] = {
        "price": (arrow.decimal128(10, 2), [Decimal(each) / 4 for each in range(count)]),
        "half": (arrow.float16(), np.arange(count, dtype=np.float16)),
        "took": (arrow.duration("ms"), [timedelta(seconds=each) for each in range(count)]),
        "at": (arrow.time64("us"), [time(each % 24) for each in range(count)]),
        "made": (arrow.timestamp("ns", "UTC"), [start + timedelta(hours=each) for each in range(count)]),
        "born": (arrow.date32(), [date(1970, 1, 1) + timedelta(days=each) for each in range(count)]),
        "raw": (arrow.binary(), [bytes([each]) for each in range(count)]),
        "pair": (arrow.list_(arrow.float64()), [[each, 1] for each in range(count)]),
        "wide": (arrow.list_(arrow.float64()), [[0] * 100] * count),
        "kind": (arrow.dictionary(arrow.int8(), arrow.string()), ["a", "b"] * (count // 2)),
    }
    return arrow.table({name: arrow.array(given, kind) for name, (kind, given) in values.items()})


def test_each_type_of_parquet_is_compared_or_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(columns_of_all_types(), path)
    columns = read_table(path).columns
    assert [columns[name][3] for name in ("price", "half", "took", "at", "pair.0", "kind")] == [
        0.75,
        3,
        3,
        10800,
        3,
        "b",
    ]
    report = against_itself(path)
    assert [feature.name for feature in report.features] == ["price", "half", "took", "at", "pair.0", "pair.1", "kind"]
    assert [feature.current_missing for feature in report.features] == [0.0] * 7
    assert report.notes == (
        "made is not compared: its type is timestamp[ns, tz=UTC]; --numeric made compares it in seconds",
        "born is not compared: its type is date32[day]; --numeric born compares it in seconds",
        "raw is not compared: its type is binary",
        "wide is not compared: its values are lists; --field reads the lists of a member as rows",
    )
    made, born = against_itself(path, made="number", born="number").features[4:6]
    assert (made.name, made.current_count, born.name, born.current_count) == ("made", 100, "born", 100)
    assert columns["born"][2] == 2 * 86_400
    assert columns["made"][1] - columns["made"][0] == pytest.approx(3600)
    assert (
        "raw is left out: its type is binary"
        in baseline_of(read_table(path), list(columns), {}, threshold=0.2, alpha=0.01)[1]
    )


def test_indexes_that_pandas_writes_are_no_features(tmp_path: Path) -> None:
    table = frame()
    table.to_csv(tmp_path / "t.csv")
    table[table.x > 5].to_parquet(tmp_path / "t.parquet")
    of_csv = read_table(tmp_path / "t.csv")
    assert list(of_csv.columns) == list(read_table(tmp_path / "t.parquet").columns) == ["data", "x", "c"]
    assert of_csv.notes == (f"{tmp_path / 't.csv'}: a column without a name, as pandas writes an index, is left out",)


def test_a_quoted_name_may_hold_the_other_separators(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"a,b,c";d\n1;2\n')
    assert read_table(tmp_path / "t.csv").columns == {"a,b,c": ["1"], "d": ["2"]}


def test_a_folder_is_read_whatever_the_case_of_names(tmp_path: Path) -> None:
    (tmp_path / "A.CSV").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("x\n2\n")
    assert sorted(read_table(tmp_path).columns["x"]) == ["1", "2"]


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"predictions": {"label": "x", "score": 0.5}}, [{"label": "x", "score": 0.5}]),
        ({"x.0": 99, "x": [1, 2]}, [{"x.0": 99, "x": [1, 2]}]),
    ],
)
def test_what_only_looks_like_a_table_keeps_its_values(tmp_path: Path, document: Any, rows: list[Any]) -> None:
    assert rows_of(document, is_request=False) == rows
    (tmp_path / "t.json").write_text(json.dumps(document))
    assert set(read_table(tmp_path / "t.json", part="response").columns) == set(rows[0])


def test_objects_by_name_are_no_frame(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"dev1": {"t": 1, "h": 2}, "dev2": {"t": 3, "h": 4}}))
    assert not {"t", "h"} & set(read_table(tmp_path / "t.json").columns)
