"""Data collection of local services, as real processes: what the deployment asks to keep is there after requests."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.azureml.core import Workspace
from edgepack.azureml.core.environment import Environment
from edgepack.azureml.core.model import InferenceConfig, Model
from edgepack.azureml.core.webservice import LocalWebservice
from edgepack.services import workshop
from tests.fakes.command_line import Run, command_line
from tests.fakes.service_desk import Desk, until
from tests.fakes.service_images import make_fake_image

SCRIPT = """\
import json

import pandas
from azureml.ai.monitoring import Collector
from azureml.monitoring import ModelDataCollector


def init():
    global inputs, predictions, rows
    inputs = ModelDataCollector("tiny", designation="inputs", feature_names=["x", "y"])
    predictions = ModelDataCollector("tiny", designation="predictions", feature_names=["sum"])
    rows = Collector(name="model_inputs", on_error=lambda error: None)


def run(data):
    x, y = json.loads(data)["data"]
    correlations = inputs.collect([x, y])
    predictions.collect(predictions.add_correlations([x + y], correlations))
    rows.collect(pandas.DataFrame([[x, y]], columns=["x", "y"]))
    return [x + y]
"""
SENT = [(number, 10 * number) for number in range(1, 6)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path)
    made.write(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(made.workspace))
    monkeypatch.setattr(workshop, "_make_image", make_fake_image)
    yield made
    made.delete_all()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return command_line(capsys)


def collected(desk: Desk, pattern: str) -> list[Path]:
    """The files of a kind that the service has kept."""
    return sorted((desk.shop.store.place("service") / "data" / "data").glob(pattern))


def table(desk: Desk, designation: str) -> list[dict[str, str]]:
    """The rows that the script's ModelDataCollector has kept."""
    rows: list[dict[str, str]] = []
    for path in collected(desk, f"modeldata/*/*/*/service/tiny/*/{designation}/*/*/*/{designation}*.csv"):
        rows += csv.DictReader(path.read_text().splitlines())
    return rows


def lines(desk: Desk, collection: str) -> list[dict[str, Any]]:
    """The records of a collection: of the agent's (`requests`), or of the script's Collector."""
    found = collected(desk, f"modelDataCollector/*/service/{collection}/*/*/*/*/*.jsonl")
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def ask(run: Run) -> None:
    for x, y in SENT:
        assert run("--json", "service", "run", "service", "-d", json.dumps({"data": [x, y]})).document == [x + y]


def deploy(run: Run, desk: Desk, **collection: Any) -> None:
    (desk.folder / "dc.yml").write_text(json.dumps({"computeType": "local", **collection}))
    outcome = run("model", "deploy", "-n", "service", "-m", "tiny", "--ic", "ic.json", "--dc", "dc.yml")
    assert outcome.code == 0, outcome.err


def test_what_the_script_collects_is_kept(desk: Desk, run: Run) -> None:
    deploy(run, desk, dataCollection={"storageEnabled": True})
    ask(run)
    inputs, predictions = table(desk, "inputs"), table(desk, "predictions")
    assert [(float(row["x"]), float(row["y"])) for row in inputs] == SENT
    assert [float(row["sum"]) for row in predictions] == [x + y for x, y in SENT]
    ids = [row["$aml_dc_correlation_id"] for row in inputs]
    assert ids == [row["$aml_dc_correlation_id"] for row in predictions]
    assert len(set(ids)) == len(SENT)
    assert {row["$aml_service_name"] for row in inputs} == {"service"}
    assert collected(desk, "modelDataCollector/**/*.jsonl") == [], "nobody has asked for these"


@pytest.mark.parametrize("key", ["data_collector", "modelDataCollection"])
def test_what_the_agent_captures_is_kept(desk: Desk, run: Run, key: str) -> None:
    deploy(run, desk, **{key: {"collections": {"request": {"enabled": True}, "model_inputs": {"enabled": True}}}})
    ask(run)
    until(lambda: len(lines(desk, "requests")) >= len(SENT), "the agent writes what it has captured")
    kept = [(record["request"]["data"], record["response"], record["status"]) for record in lines(desk, "requests")]
    assert kept == [([x, y], [x + y], 200) for x, y in SENT]
    assert [record["data"] for record in lines(desk, "model_inputs")] == [[{"x": x, "y": y}] for x, y in SENT]
    assert collected(desk, "modeldata/**/*.csv") == [], "nobody has asked for these"


def test_the_command_line_wins(desk: Desk, run: Run) -> None:
    (desk.folder / "dc.yml").write_text('{"computeType": "local", "dataCollection": {"storageEnabled": true}}')
    command = ("model", "deploy", "-n", "service", "-m", "tiny", "--ic", "ic.json", "--overwrite")
    assert run(*command, "--collect-model-data", "true").code == 0
    ask(run)
    assert len(table(desk, "inputs")) == len(SENT)
    assert run(*command, "--dc", "dc.yml", "--md", "false").code == 0
    ask(run)
    assert len(table(desk, "inputs")) == len(SENT)


def test_an_update_takes_what_the_deployment_configuration_says(desk: Desk, run: Run) -> None:
    deploy(run, desk)
    port, life = desk.find().port, desk.pids()
    (desk.folder / "dc.json").write_text(
        json.dumps({"computeType": "local", "port": port, "dataCollection": {"storageEnabled": True}})
    )
    assert run("service", "update", "service", "--dc", "dc.json", "--add-tag", "a=b").code == 0
    assert (desk.find().port, desk.find().tags) == (port, {"a": "b"})
    assert desk.pids() != life
    ask(run)
    assert len(table(desk, "inputs")) == len(SENT)
    life = desk.pids()
    assert run("service", "update", "service", "--dc", "dc.json").code == 0
    assert desk.pids() == life, "nothing is another than before"
    assert run("service", "update", "service", "--md", "false").code == 0
    ask(run)
    assert len(table(desk, "inputs")) == len(SENT)


def test_nothing_is_kept_unless_asked(desk: Desk, run: Run) -> None:
    deploy(run, desk, dataCollection={"storageEnabled": False})
    ask(run)
    assert collected(desk, "**/*.csv") + collected(desk, "**/*.jsonl") == []


def test_what_is_kept_outlives_a_reload_and_goes_on(desk: Desk, run: Run) -> None:
    deploy(run, desk, dataCollection={"storageEnabled": True})
    ask(run)
    desk.write(SCRIPT.replace("[x + y]", "[y + x]"))
    assert run("service", "reload", "service").code == 0
    ask(run)
    assert len(table(desk, "inputs")) == 2 * len(SENT)


def test_by_the_python_interface(desk: Desk) -> None:
    """v1's LocalWebservice had no switch for it: the environment of the inference configuration says so."""
    environment = Environment("collecting")
    environment.environment_variables = {"AML_MODEL_DC_STORAGE_ENABLED": "true", "EDGEPACK_CAPTURE_PERCENT": "100"}
    environment.python.conda_dependencies = None
    workspace = Workspace()
    config = InferenceConfig(entry_script="score.py", environment=environment)
    found = Model.deploy(
        workspace, "service", [Model(workspace, "tiny")], config, LocalWebservice.deploy_configuration()
    )
    found.wait_for_deployment()
    for x, y in SENT:
        assert found.run(json.dumps({"data": [x, y]})) == [x + y]
    assert [(float(row["x"]), float(row["y"])) for row in table(desk, "inputs")] == SENT
    until(lambda: len(lines(desk, "requests")) >= len(SENT), "the agent writes what it has captured")
    assert [record["response"] for record in lines(desk, "requests")] == [[x + y] for x, y in SENT]
