"""Unmodified v1 and v2 scripts collect data where the real packages are missing, and never fail because of it."""

import csv
import io
import json
import logging
import re
import subprocess
import sys
import tempfile
import textwrap
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

from device_agent.collected_data import COUNT_FILE
from device_agent.shims.azureml.ai.monitoring import Collector
from device_agent.shims.azureml.ai.monitoring.context import BasicCorrelationContext, WrapperContext
from device_agent.shims.azureml.monitoring import ModelDataCollector

ROOT = Path(__file__).parents[3]
CORRELATIONS = [
    "$aml_dc_correlation_id",
    "$aml_dc_scoring_timestamp",
    "$aml_dc_boundary",
    "$aml_workspace",
    "$aml_service_name",
    "$aml_model_name",
    "$aml_model_version",
    "$aml_request_id",
]
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, with collection turned on for v1 and v2."""
    for name in ("AML_MODEL_DC_DEBUG", "AML_MODEL_DC_BOUNDARY", "AZUREML_MDC_CONFIG_PATH", "SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    monkeypatch.setenv("EDGEPACK_DATA_PATH", str(folder))
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    monkeypatch.setenv("AML_MODEL_DC_STORAGE_ENABLED", "true")
    monkeypatch.setenv("AZUREML_MDC_ENABLED", "true")
    return folder


def _python(code: str, folder: Path, **environment: str) -> str:
    """Standard output of `code` in a fresh interpreter with the shims installed."""
    start = "from device_agent.shims import install_shims; install_shims()\n"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r})\n{start}{textwrap.dedent(code)}"],
        cwd=folder,
        env={"PYTHONDONTWRITEBYTECODE": "1", "EDGEPACK_DATA_PATH": "data", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _paths(folder: Path) -> list[str]:
    """The files below `folder`, without the count; the date as DATE."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != COUNT_FILE]
    return sorted(re.sub(r"/\d{4}(/\d\d){2}/", "/DATE/", name) for name in names)


def _rows(folder: Path, designation: str) -> list[list[str]]:
    """The rows of the one file of `designation`."""
    (path,) = folder.glob(f"modeldata/*/*/*/*/*/*/{designation}/*/*/*/*.csv")
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()]


# v1


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
    names = _python(code, tmp_path, AML_MODEL_DC_STORAGE_ENABLED="true", SERVICE_NAME="svc").strip().split(",")
    assert names == CORRELATIONS
    prefix = "modeldata/default/default/default/svc/best/default"
    assert _paths(tmp_path / "data") == [
        f"{prefix}/inputs/DATE/inputs.csv",
        f"{prefix}/predictions/DATE/predictions.csv",
    ]
    inputs, predictions = _rows(tmp_path / "data", "inputs"), _rows(tmp_path / "data", "predictions")
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
    assert _rows(data, "general") == [["1"]]


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
    assert _paths(data) == [f"modeldata/sub/group/space/svc/m/3/{name}.csv"]


def test_an_hourly_boundary_is_a_folder_and_a_column(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AML_MODEL_DC_BOUNDARY", "hour")
    correlations = ModelDataCollector("m", "inputs").collect([1])
    assert correlations is not None
    assert correlations["$aml_dc_boundary"] == 60
    (path,) = _paths(data)
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
    assert _paths(data) == [
        "modeldata/a/b/c/default/m/1/general/DATE/default.csv",
        "modeldata/sub/group/space/default/m/10/general/DATE/default.csv",
        "modeldata/sub/group/space/default/other/default/general/DATE/default.csv",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"modelsInfo": 1}', '{"modelsInfo": {"m": 3}}', "null"])
def test_a_damaged_config_map_is_left_out(data: Path, text: str) -> None:
    (data.parent / "model_config_map.json").write_text(text)
    ModelDataCollector("m").collect([1])
    assert _paths(data) == ["modeldata/default/default/default/default/m/default/general/DATE/default.csv"]


FRAME = pandas.DataFrame({"n": [1, 2], "text": ["a", None], "x": [0.5, float("nan")]})


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
    assert _rows(data, "general") == rows


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
    rows = _rows(data, "inputs")
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
    assert _paths(data) == []


@pytest.mark.parametrize("name", ["../../../../outside", "/etc/x", "a\0b", "x" * 10_000, "", "..", None, 7, b"\xff"])
def test_no_argument_leads_out_of_the_folder(data: Path, name: Any) -> None:
    ModelDataCollector(name, "general", None, name, name, name, name).collect([1])
    Collector(name=name).collect(FRAME)
    assert [path.name for path in data.parent.iterdir()] == ["data"]
    assert _rows(data, "general") == [["1"]]


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


@settings(max_examples=150, deadline=None)
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
    rows = _rows(data, "general")
    assert sorted(rows[1:]) == sorted([str(thread), str(number)] for thread in range(4) for number in range(100))


# v2


def test_a_v2_script_collects_frames(tmp_path: Path) -> None:
    code = """
        import pandas as pd
        from azureml.ai.monitoring import Collector
        from azureml.ai.monitoring.collector import Collector as Same
        from azureml.ai.monitoring.context import BasicCorrelationContext, CorrelationContext
        import azureml.ai.monitoring
        assert Collector is Same is azureml.ai.monitoring.Collector
        context = Collector(name="model_inputs").collect(pd.DataFrame({"a": [1, 2], "t": ["x\\n", "\\u00e9"]}))
        assert isinstance(context, CorrelationContext)
        own = BasicCorrelationContext(id="mine", timestamp=1717243200, headers={"Trace": 7, "id": "not this"})
        assert Collector(name="model_outputs").collect(pd.DataFrame({"p": [0.5]}), own) is own
        print(context)
    """
    environment = {"IOTEDGE_DEVICEID": "gateway", "IOTEDGE_MODULEID": "scorer", "AZUREML_MDC_ENABLED": "true"}
    identity = _python(code, tmp_path, **environment).strip()
    assert re.fullmatch(UUID, identity)
    paths = _paths(tmp_path / "data")
    layout = r"modelDataCollector/gateway/scorer/model_{}/DATE/\d\d/[0-9a-f]{{32}}\.jsonl"
    assert all(re.fullmatch(layout.format(what), path) for what, path in zip(("inputs", "outputs"), paths, strict=True))
    inputs, outputs = _events(tmp_path / "data")
    assert inputs["data"] == [{"a": 1, "t": "x\n"}, {"a": 2, "t": "é"}]
    assert (inputs["correlationid"], inputs["xrequestid"]) == (identity, identity)
    assert inputs["type"] == "azureml.inference.model_inputs"
    assert re.fullmatch(UUID, outputs.pop("id"))
    assert outputs.pop("agent").startswith("edgepack/")
    assert outputs.pop("collectdatatype").startswith("pandas.")
    assert outputs == {
        "specversion": "1.0",
        "source": "/devices/gateway/modules/scorer",
        "type": "azureml.inference.model_outputs",
        "datacontenttype": "application/json",
        "time": "2024-06-01T12:00:00Z",
        "data": [{"p": 0.5}],
        "correlationid": "mine",
        "xrequestid": "mine",
        "modelversion": "default",
        "contentrange": "bytes 0-10/11",
        "Trace": "7",
    }


def test_without_pandas_v2_still_imports(tmp_path: Path) -> None:
    code = """
        from azureml.ai.monitoring import Collector
        heard = []
        context = Collector(name="c", on_error=heard.append).collect([1])
        print(type(heard[0]).__name__, type(context).__name__, "pandas" in sys.modules)
    """
    assert _python(code, tmp_path, AZUREML_MDC_ENABLED="true") == "TypeError BasicCorrelationContext False\n"


def test_v2_off_returns_the_context(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZUREML_MDC_ENABLED")
    heard: list[Exception] = []
    context = BasicCorrelationContext()
    assert Collector(name="c").collect(FRAME, context) is context
    assert Collector(name="c", on_error=heard.append).collect(FRAME, context) is context
    assert [str(error) for error in heard] == ["custom logging is not enabled, drop the data"] * 2
    assert not data.exists()


def test_on_error_hears_of_wrong_use_and_cannot_stop_the_script(data: Path) -> None:
    heard: list[Exception] = []
    for value in ([1], None, FRAME["n"], pandas.DataFrame([[1, 2]], columns=["a", "a"])):
        Collector(name="c", on_error=heard.append).collect(value)
    assert [type(error) for error in heard] == [TypeError] * 3 + [ValueError]
    Collector(name="", on_error=heard.append)
    assert str(heard[-1]) == "collection name is not provided"

    def fail(error: Exception) -> None:
        raise error

    Collector(name="c", on_error=fail).collect([1])
    assert not data.exists()


CONFIG = {"model_inputs": {"enabled": True}, "Off": {"enabled": False}, "never": {"enabled": "True"}}


@pytest.mark.parametrize(
    ("name", "config", "written"),
    [
        ("model_inputs", {"runMode": "cloud", "collections": CONFIG}, 5),
        ("Model_Inputs", {"collections": CONFIG}, 5),
        ("off", {"collections": CONFIG}, 0),
        ("unknown", {"collections": CONFIG}, 0),
        ("model_inputs", {"runMode": "local", "collections": CONFIG}, 0),
        ("c", {"collections": {"C": {"enabled": True, "sampleRatePercentage": 0}}}, 0),
        ("c", {"collections": {"C": {"enabled": True, "sampleRatePercentage": 100}}}, 5),
        ("c", {}, 0),
        ("c", [], 0),
        ("c", {"collections": {"c": 5}}, 0),
    ],
)
def test_a_configuration_file_decides(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, config: Any, written: int
) -> None:
    path = data.parent / "mdc.json"
    path.write_text(json.dumps(config))
    monkeypatch.setenv("AZUREML_MDC_CONFIG_PATH", str(path))
    monkeypatch.setenv("AZUREML_MDC_SAMPLE_RATE", "0")
    collector = Collector(name=name)
    for _ in range(5):
        collector.collect(FRAME)
    assert len(_events(data)) == written


def test_a_configuration_file_that_is_missing_turns_v2_off(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MDC_CONFIG_PATH", str(data / "missing.json"))
    Collector(name="c").collect(FRAME)
    assert not data.exists()


@pytest.mark.parametrize(("rate", "possible"), [("0", {0}), ("100", {200}), ("50", range(50, 151)), ("x", {0})])
def test_a_rate_keeps_a_part(data: Path, monkeypatch: pytest.MonkeyPatch, rate: str, possible: Any) -> None:
    monkeypatch.setenv("AZUREML_MDC_SAMPLE_RATE", rate)
    collector = Collector(name="c")
    for _ in range(200):
        collector.collect(FRAME)
    assert len(_events(data)) in possible


def test_local_capture_logs_instead(
    data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AZUREML_MDC_LOCAL_CAPTURE", "true")
    Collector(name="c").collect(FRAME[["n"]], BasicCorrelationContext("mine"))
    assert caplog.messages == ['c | mine | [{"n":1},{"n":2}]']
    assert not data.exists()


def test_the_compact_format_is_text(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MDC_FORMAT_COMPACT", "true")
    Collector(name="c").collect(FRAME[["n"]])
    (event,) = _events(data)
    assert event["datacontenttype"] == "application/octet-stream"
    assert event["data"].split() == ["n", "0", "1", "1", "2"]


def test_debug_tells_what_became_of_the_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MDC_DEBUG", "true")
    kept = Collector(name="c").collect(FRAME, BasicCorrelationContext("mine", 5, {"a": "b"}))
    assert isinstance(kept, WrapperContext)
    assert (kept.is_success(), kept.get_message()) == (True, "accepted")
    assert (str(kept), kept.get_timestamp(), kept.get_headers()) == ("mine", 5, {"a": "b"})
    assert Collector(name="d").collect(FRAME, kept).get_id() == "mine"
    assert not Collector(name="c").collect([1]).is_success()
    monkeypatch.setenv("AZUREML_MDC_SAMPLE_RATE", "0")
    assert Collector(name="c").collect(FRAME).get_message() == "dropped_sampling"
    data.rename(data.with_name("elsewhere"))
    data.write_text("a file in its place")
    monkeypatch.setenv("AZUREML_MDC_SAMPLE_RATE", "100")
    assert not Collector(name="c").collect(FRAME).is_success()


# both


@pytest.mark.parametrize("name", ["azureml.monitoring", "azureml.ai.monitoring", "azureml.ai.monitoring.context"])
def test_what_is_installed_wins(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name.replace('.', '/')}.py"
    file.parent.mkdir(parents=True)
    file.write_text("ORIGIN = 'installed'\n")
    assert _python(f"import {name}; print({name}.ORIGIN)", tmp_path) == "installed\n"


def test_scripts_that_do_not_collect_load_nothing_of_it(tmp_path: Path) -> None:
    code = "import device_agent.child; print('device_agent.collected_data' in sys.modules, 'csv' in sys.modules)"
    assert _python(code, tmp_path) == "False False\n"
    loaded = "'pandas' in sys.modules, 'numpy' in sys.modules, 'hashlib' in sys.modules, 'random' in sys.modules"
    code = f"import azureml.monitoring, azureml.ai.monitoring; print({loaded})"
    assert _python(code, tmp_path) == "False False False False\n"


@pytest.mark.parametrize("collect", [lambda: ModelDataCollector("m").collect([1]), lambda: Collector(name="c")])
def test_no_python_warning_reaches_the_script(data: Path, collect: Callable[[], Any]) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        collect()
    assert not heard
