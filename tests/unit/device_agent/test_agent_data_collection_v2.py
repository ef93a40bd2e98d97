"""Unmodified v2 scripts collect data where the real package is missing; misuse of it: test_agent_data_collection."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pandas
import pytest

from device_agent.shims.azureml.ai.monitoring import Collector
from device_agent.shims.azureml.ai.monitoring.context import BasicCorrelationContext, WrapperContext
from tests.unit.device_agent.collecting_world import FRAME, UUID, events_in, paths_in, run_python


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
    identity = run_python(code, tmp_path, **environment).strip()
    assert re.fullmatch(UUID, identity)
    paths = paths_in(tmp_path / "data")
    layout = r"modelDataCollector/gateway/scorer/model_{}/DATE/\d\d/[0-9a-f]{{32}}\.jsonl"
    assert all(re.fullmatch(layout.format(what), path) for what, path in zip(("inputs", "outputs"), paths, strict=True))
    inputs, outputs = events_in(tmp_path / "data")
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
    assert run_python(code, tmp_path, AZUREML_MDC_ENABLED="true") == "TypeError BasicCorrelationContext False\n"


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
    assert len(events_in(data)) == written


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
    assert len(events_in(data)) in possible


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
    (event,) = events_in(data)
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
