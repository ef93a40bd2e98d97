"""Unmodified v1 scripts collect data where the real package is missing, and never fail because of it; v2: ..._v2."""

import csv
import io
import json
import re
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.shims.azureml.ai.monitoring import Collector
from device_agent.shims.azureml.ai.monitoring.context import BasicCorrelationContext
from device_agent.shims.azureml.monitoring import ModelDataCollector
from tests.examples import examples
from tests.unit.device_agent.collecting_world import (
    CORRELATIONS,
    FRAME,
    UUID,
    csv_rows,
    paths_in,
    run_python,
)


def test_a_v1_script_collects_inputs_and_predictions(tmp_path: Path) -> None:
    code = """
        import signal
        from azureml.monitoring import ModelDataCollector
        from azureml.monitoring.modeldatacollector import ModelDataCollector as Same
        import azureml.monitoring
        assert ModelDataCollector is Same is azureml.monitoring.ModelDataCollector
        inputs_dc = ModelDataCollector("best", designation="inputs", feature_names=["f1", "f2"])
        outputs_dc = ModelDataCollector("best", designation="predictions", feature_names=["class"])
        for number in (1, 2):
            correlations = inputs_dc.collect([number, "a, b"], user_correlation_id="mine")
            outputs_dc.collect(outputs_dc.add_correlations([number * 10], correlations))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert not {"numpy", "pandas", "asyncio"} & sys.modules.keys()
        print(*correlations, sep=",")
    """
    names = run_python(code, tmp_path, AML_MODEL_DC_STORAGE_ENABLED="true", SERVICE_NAME="svc").strip().split(",")
    assert names == CORRELATIONS
    prefix = "modeldata/default/default/default/svc/best/default"
    assert paths_in(tmp_path / "data") == [
        f"{prefix}/inputs/DATE/inputs.csv",
        f"{prefix}/predictions/DATE/predictions.csv",
    ]
    inputs, predictions = csv_rows(tmp_path / "data", "inputs"), csv_rows(tmp_path / "data", "predictions")
    assert inputs[0] == ["f1", "f2", *CORRELATIONS]
    assert predictions[0] == ["class", *CORRELATIONS]
    assert [row[:2] for row in inputs[1:]] == [["1", "a, b"], ["2", "a, b"]]
    assert [row[0] for row in predictions[1:]] == ["10", "20"]
    assert [row[2:] for row in inputs[1:]] == [row[1:] for row in predictions[1:]]
    identity, moment, *rest = inputs[1][2:]
    assert re.fullmatch(f"mine-{UUID}", identity)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", moment)
    assert rest == ["1440", "default/default/default", "svc", "best", "default", "00000000-0000-0000-0000-000000000000"]


@pytest.mark.parametrize("variable", ["AML_MODEL_DC_STORAGE_ENABLED", "AML_MDC_STORAGE_ENABLED"])
def test_either_variable_turns_v1_on(data: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv("AML_MODEL_DC_STORAGE_ENABLED")
    monkeypatch.setenv(variable, "True")
    assert ModelDataCollector("m").collect([1]) is None
    assert csv_rows(data, "general") == [["1"]]


def test_v1_off_collects_nothing_and_leaves_the_data_alone(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AML_MODEL_DC_STORAGE_ENABLED")
    collector = ModelDataCollector("m", designation="inputs")
    correlations = collector.collect([1, 2])
    assert correlations is None
    assert collector.add_correlations([1, 2], correlations) == [1, 2]
    assert not data.exists()


def test_an_unknown_designation_turns_the_object_off(data: Path) -> None:
    assert ModelDataCollector("m", designation="outputs").collect([1]) is None
    assert not data.exists()


def test_debug_prints_the_csv_instead(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delenv("AML_MODEL_DC_STORAGE_ENABLED")
    monkeypatch.setenv("AML_MODEL_DC_DEBUG", "true")
    correlations = ModelDataCollector("m", "inputs", feature_names=["a"]).collect([7])
    assert correlations is not None
    header, row = list(csv.reader(io.StringIO(capsys.readouterr().out.strip())))
    assert header == ["a", *CORRELATIONS]
    assert row == ["7", *map(str, correlations.values())]
    assert not data.exists()


@pytest.mark.parametrize(
    ("designation", "name"),
    [("default", "general/DATE/mine"), ("signals", "signals/DATE/mine"), ("labels", "labels/DATE/labels")],
)
def test_only_signals_and_general_have_the_name_of_the_collection(data: Path, designation: str, name: str) -> None:
    ModelDataCollector("m", designation, None, "Sub/Group/Space", "svc", "3", "mine").collect([1])
    assert paths_in(data) == [f"modeldata/sub/group/space/svc/m/3/{name}.csv"]


def test_an_hourly_boundary_is_a_folder_and_a_column(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AML_MODEL_DC_BOUNDARY", "hour")
    correlations = ModelDataCollector("m", "inputs").collect([1])
    assert correlations is not None
    assert correlations["$aml_dc_boundary"] == 60
    (path,) = paths_in(data)
    assert re.search(r"/DATE/\d\d/inputs\.csv$", path)


def test_the_config_map_gives_workspace_and_version(data: Path) -> None:
    config = {
        "accountContext": {"subscriptionId": "SUB", "resourceGroupName": "Group", "accountName": "Space"},
        "modelsInfo": {"m": {"9": {}, "10": {}, "2": {}}},
    }
    (data.parent / "model_config_map.json").write_text(json.dumps(config))
    ModelDataCollector("m").collect([1])
    ModelDataCollector("m", workspace="a/b/c", model_version="1").collect([1])
    ModelDataCollector("other").collect([1])
    assert paths_in(data) == [
        "modeldata/a/b/c/default/m/1/general/DATE/default.csv",
        "modeldata/sub/group/space/default/m/10/general/DATE/default.csv",
        "modeldata/sub/group/space/default/other/default/general/DATE/default.csv",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"modelsInfo": 1}', '{"modelsInfo": {"m": 3}}', "null"])
def test_a_damaged_config_map_is_left_out(data: Path, text: str) -> None:
    (data.parent / "model_config_map.json").write_text(text)
    ModelDataCollector("m").collect([1])
    assert paths_in(data) == ["modeldata/default/default/default/default/m/default/general/DATE/default.csv"]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ([1, 2.5, "a", None, True], [["1", "2.5", "a", "", "True"]]),
        ([[1, 2], [3, 4]], [["1", "2"], ["3", "4"]]),
        ([numpy.float64(1.5), numpy.float32(0.1), numpy.int64(3)], [["1.5", "0.1", "3"]]),
        (["a\nb", 'say "x"', "c\rd", "e,f"], [["a\nb", 'say "x"', "c\rd", "e,f"]]),
        (numpy.array(5), [["5"]]),
        (numpy.array([1.5, numpy.nan]), [["1.5", ""]]),
        (numpy.array([[1, 2], [3, 4]]), [["1", "2"], ["3", "4"]]),
        (numpy.arange(8).reshape(2, 2, 2), [["0", "1", "2", "3"], ["4", "5", "6", "7"]]),
        (numpy.array(["2024-06-01T12:00:00"], "datetime64[ns]"), [["2024-06-01T12:00:00.000000000"]]),
        (FRAME, [["n", "text", "x"], ["1", "a", "0.5"], ["2", "", ""]]),
        (FRAME[["n"]].set_axis([7], axis=1), [["7"], ["1"], ["2"]]),
    ],
)
def test_lists_arrays_and_frames_become_rows(data: Path, value: Any, rows: list[list[str]]) -> None:
    ModelDataCollector("m").collect(value)
    assert csv_rows(data, "general") == rows


@pytest.mark.parametrize(
    "value", [[], numpy.array([]), numpy.empty((0, 3)), pandas.DataFrame(), None, 3, "text", {"a": 1}, (1, 2), b"x"]
)
def test_what_has_no_rows_is_not_collected(data: Path, value: Any) -> None:
    collector = ModelDataCollector("m")
    assert collector.collect(value) is None
    assert not list(data.rglob("*.csv"))


@pytest.mark.parametrize(
    ("value", "columns"), [(numpy.ones((2, 2)), []), ([[1, 1], [1, 1]], []), (FRAME[["n"]], [["n", *CORRELATIONS]])]
)
def test_every_row_of_the_inputs_has_the_correlations(data: Path, value: Any, columns: list[list[str]]) -> None:
    correlations = ModelDataCollector("m", "inputs").collect(value)
    assert correlations is not None
    rows = csv_rows(data, "inputs")
    assert rows[: len(columns)] == columns
    assert [row[-8:] for row in rows[len(columns) :]] == [list(map(str, correlations.values()))] * 2


def test_correlations_are_added_to_a_copy_of_the_same_kind() -> None:
    collector = ModelDataCollector("m")
    correlations = dict(zip(reversed(CORRELATIONS), "hgfedcba", strict=True))
    added = list("abcdefgh")
    assert collector.add_correlations([1], correlations) == [1, *added]
    assert collector.add_correlations([[1], [2]], correlations) == [[1, *added], [2, *added]]
    for array in (numpy.array([1.5, 2]), numpy.ones((3, 2)), numpy.ones((2, 3, 4)), numpy.ones((0, 2)), numpy.array(1)):
        result = collector.add_correlations(array, correlations)
        assert isinstance(result, numpy.ndarray)
        assert result.ndim == 2
        assert all(list(row[-8:]) == added for row in result)
    frame = collector.add_correlations(FRAME, correlations)
    assert list(frame.columns) == ["n", "text", "x", *CORRELATIONS]
    assert frame.iloc[1, 3:].tolist() == added
    assert list(collector.add_correlations(frame, correlations).columns) == list(frame.columns)
    assert list(FRAME.columns) == ["n", "text", "x"]
    assert collector.add_correlations([1], {}) == [1, *[""] * 8]
    wrong: Any = 5
    assert collector.add_correlations([1], wrong) == [1]
    assert collector.add_correlations("text", correlations) == "text"


def test_the_header_fits_the_rows(data: Path) -> None:
    collector = ModelDataCollector("m", "predictions", feature_names=["p"])
    correlations = dict.fromkeys(CORRELATIONS, "c")
    collector.collect([1])
    collector.collect(collector.add_correlations([2], correlations))
    collector.collect([3])
    texts = sorted(path.read_text() for path in data.rglob("*.csv"))
    assert texts[1].split() == [",".join(["p", *CORRELATIONS]), "2" + ",c" * 8]
    assert texts[0].split() == ["p", "1", "3"]


def test_too_much_at_once_is_not_collected(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPACK_DATA_MAX_BYTES", "100000")
    for designation in ("inputs", "general"):
        collector = ModelDataCollector("m", designation)
        for value in (numpy.zeros(10**7, "int8"), ["x" * 10**6], [0] * 10**6, [["x" * 100]] * 2000):
            assert (collector.collect(value) is None) == (designation == "general")
    Collector(name="c").collect(pandas.DataFrame({"a": range(10**6)}))
    Collector(name="c").collect(pandas.DataFrame({"a": ["x" * 10**6]}))
    assert paths_in(data) == []


def test_threads_lose_no_row(data: Path) -> None:
    collector = ModelDataCollector("m", feature_names=["thread", "number"])

    def run(thread: int) -> None:
        for number in range(100):
            collector.collect([thread, number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = csv_rows(data, "general")
    assert sorted(rows[1:]) == sorted([str(thread), str(number)] for thread in range(4) for number in range(100))


# v1 and v2


@pytest.mark.parametrize("name", ["../../../../outside", "/etc/x", "a\0b", "x" * 10_000, "", "..", None, 7, b"\xff"])
def test_no_argument_leads_out_of_the_folder(data: Path, name: Any) -> None:
    ModelDataCollector(name, "general", None, name, name, name, name).collect([1])
    Collector(name=name).collect(FRAME)
    assert [path.name for path in data.parent.iterdir()] == ["data"]
    assert csv_rows(data, "general") == [["1"]]


class _Broken:
    """Raises whatever is asked of it."""

    def _raise(self, *arguments: object) -> Any:
        raise RuntimeError("broken")

    __str__ = __len__ = __iter__ = __eq__ = __bool__ = __format__ = _raise
    __hash__ = object.__hash__


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(_Broken)
    | st.builds(lambda: 10**5000)  # more digits than Python writes
    | st.sampled_from([object(), int, numpy.array([[None]]), numpy.zeros((0, 0, 2)), FRAME, FRAME["n"]])
    | st.sampled_from([numpy.array([(1, "a")], "i4,U1"), numpy.ma.array([[1, 2]], mask=True), "\ud800", len]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=8,
)


@settings(max_examples=examples(150), deadline=None)
@given(
    designation=st.one_of(st.sampled_from(["inputs", "general", "predictions"]), ANYTHING), values=st.lists(ANYTHING)
)
def test_misuse_never_raises(designation: Any, values: list[Any]) -> None:
    padded: list[Any] = [*values, None, None, None]
    one, two, three = padded[:3]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_DATA_PATH", folder)
        patch.setenv("AML_MODEL_DC_STORAGE_ENABLED", "true")
        patch.setenv("AZUREML_MDC_ENABLED", "true")
        for collector in (ModelDataCollector(one, designation, two), ModelDataCollector("m", "inputs", three)):
            collector.collect(one, two)
            correlations = collector.collect([1])
            collector.add_correlations(two, correlations)
            collector.add_correlations(one, three)
            collector.collect(collector.add_correlations(three, correlations))
        Collector(name=one, on_error=two).collect(three)
        context = Collector(name="c").collect(one, two)
        assert context is two or isinstance(context, BasicCorrelationContext)
        Collector(name="c").collect(FRAME, three)


def test_nothing_raises_when_the_folder_cannot_be_written(data: Path) -> None:
    data.write_text("a file in its place")
    assert ModelDataCollector("m", "inputs").collect([1]) is not None
    context = BasicCorrelationContext()
    assert Collector(name="c").collect(FRAME, context) is context


@pytest.mark.parametrize("name", ["azureml.monitoring", "azureml.ai.monitoring", "azureml.ai.monitoring.context"])
def test_what_is_installed_wins(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name.replace('.', '/')}.py"
    file.parent.mkdir(parents=True)
    file.write_text("ORIGIN = 'installed'\n")
    assert run_python(f"import {name}; print({name}.ORIGIN)", tmp_path) == "installed\n"


def test_scripts_that_do_not_collect_load_nothing_of_it(tmp_path: Path) -> None:
    code = "import device_agent.child; print('device_agent.collected_data' in sys.modules, 'csv' in sys.modules)"
    assert run_python(code, tmp_path) == "False False\n"
    loaded = "'pandas' in sys.modules, 'numpy' in sys.modules, 'hashlib' in sys.modules, 'random' in sys.modules"
    code = f"import azureml.monitoring, azureml.ai.monitoring; print({loaded})"
    assert run_python(code, tmp_path) == "False False False False\n"


@pytest.mark.parametrize("collect", [lambda: ModelDataCollector("m").collect([1]), lambda: Collector(name="c")])
def test_no_python_warning_reaches_the_script(data: Path, collect: Callable[[], Any]) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        collect()
    assert not heard
