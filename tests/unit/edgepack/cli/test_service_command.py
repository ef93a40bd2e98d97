"""`edgepack service` and `edgepack model deploy`: arguments, files, refusals; without starting anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.cli.service_output import deployed_text, service_text, services_table
from edgepack.deployment.validate import errors, problems
from edgepack.deployment_config import parse_deployment_config
from edgepack.deployment_targets import IotDeployment
from edgepack.edge_assembly import edge_assembly
from edgepack.module import deployment_document
from edgepack.project import BuildOptions
from edgepack.services.health import Health
from edgepack.services.observe import describe
from edgepack.services.record import AccessKeys, ServiceRequest
from edgepack.services.runner import Sight
from edgepack.services.store import ServiceStore
from edgepack.services.stored import DEPLOYED, Instance, StoredService
from tests.fakes.command_line import Run, command_line

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "ic.json").write_text('{"entryScript": "score.py"}')
    return command_line(capsys)


def kept_service(tmp_path: Path, name: str = "scorer") -> StoredService:
    """A service that is recorded, and that does not run."""
    stored = StoredService(ServiceRequest(name), "then", "now", DEPLOYED, Instance("life"), 6789, True)
    ServiceStore(tmp_path / "workspace").write(stored)
    return stored


def test_no_services(run: Run) -> None:
    assert "no services in" in run("service", "list").out
    assert run("--json", "service", "list").document == []
    outcome = run("service", "show", "scorer")
    assert outcome.code == 2
    assert "service scorer is not in" in outcome.err


def test_the_nearest_name_is_told(run: Run, tmp_path: Path) -> None:
    kept_service(tmp_path)
    outcome = run("service", "logs", "-n", "scorr")
    assert outcome.code == 2
    assert "did you mean scorer?" in outcome.err


@pytest.mark.parametrize("command", [("show", "scorer"), ("show", "-n", "scorer"), ("show", "--name", "scorer")])
def test_a_service_is_named_either_way(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    kept_service(tmp_path)
    document = run("--json", "service", *command).document
    assert document["name"] == "scorer"
    assert document["state"] == "failed"
    assert "never started, or was removed" in document["reason"]


def test_which_service(run: Run) -> None:
    outcome = run("service", "show")
    assert outcome.code == 2
    assert "Which service?" in outcome.err


def test_what_does_not_run_is_not_called(run: Run, tmp_path: Path) -> None:
    kept_service(tmp_path)
    outcome = run("service", "run", "scorer", "-d", "{}")
    assert outcome.code == 3
    assert "service scorer is failed: it was never started" in outcome.err
    assert run("service", "run", "scorer", "-d", "@none").code == 2
    outcome = run("service", "keys", "scorer")
    assert outcome.code == 2
    assert "has no keys" in outcome.err


def test_delete_of_what_is_left(run: Run, tmp_path: Path) -> None:
    kept_service(tmp_path)
    assert run("service", "delete", "scorer").out == "deleted scorer\n"
    assert not (tmp_path / "workspace" / "services").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["-m", "tiny"], ["the service has no name"]),
        (["-n", "scorer", "-m", "tiny:x", "--tag", "x"], ["'x' in 'tiny:x'", "--tag 'x' has no '='"]),
        (["-n", "Scorer", "-m", "none"], ["service name 'Scorer'", "Model with name none not found"]),
        (["-n", "scorer", "--host", "0.0.0.0", "--ic", "ic.json"], ["add --key, or stay on 127.0.0.1"]),
        (["-n", "scorer", "--ic", "none.json"], ["none.json"]),
        (["-n", "scorer", "--dc", "none.json"], ["none.json: No such file"]),
        (["-n", "scorer", "--key-file", "ic.json"], ["ic.json, key 1: a key is at least 8"]),
    ],
)
@pytest.mark.parametrize("command", [("service", "deploy"), ("model", "deploy")])
def test_refusals(run: Run, tmp_path: Path, command: tuple[str, str], arguments: list[str], parts: list[str]) -> None:
    outcome = run(*command, *arguments)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.err
    assert not (tmp_path / "workspace" / "services").exists()


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"computeType": "ACI"}, "computeType aci (Azure Container Instances)"),
        ({"computeType": "aks"}, "computeType aks (Azure Kubernetes Service)"),
        ({"computeType": "AKSENDPOINT"}, "computeType aksendpoint (Azure Kubernetes Service)"),
    ],
)
@pytest.mark.parametrize("command", [("service", "deploy"), ("model", "deploy")])
def test_what_azure_ran_names_the_nearest_thing(
    run: Run, tmp_path: Path, document: dict[str, str], part: str, command: tuple[str, str]
) -> None:
    (tmp_path / "dc.json").write_text(json.dumps(document))
    outcome = run(*command, "-n", "scorer", "--ic", "ic.json", "--dc", "dc.json")
    assert outcome.code == 2
    for each in (part, "Nearest: computeType local", "`edgepack build --push`"):
        assert each in outcome.err


def test_iot_is_no_service(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dc.json").write_text(json.dumps(IOT))
    outcome = run("service", "deploy", "-n", "scorer", "--ic", "ic.json", "--dc", "dc.json")
    assert outcome.code == 2
    assert "`edgepack model deploy` builds the edge deployment" in outcome.err


def test_flags_of_the_cloud_are_named_as_ignored(run: Run) -> None:
    ignored = ["-w", "ws", "-g", "group", "--subscription-id", "x", "--ct", "target", "--rt", "python", "--cc", "1"]
    outcome = run("model", "deploy", "-n", "scorer", "-m", "none", *ignored)
    assert outcome.code == 2
    for name in ("workspace-name", "resource-group", "subscription-id", "compute-target", "cpu-cores"):
        assert f"note: --{name} is ignored" in outcome.err


def test_flags_of_services_do_nothing_for_iot_and_say_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dc.json").write_text(json.dumps(IOT))
    command = ("model", "deploy", "-n", "scorer", "-m", "none", "--ic", "ic.json", "--dc", "dc.json")
    outcome = run(*command, "--key", "--port", "80", "--tag", "a=b")
    assert outcome.code == 2
    for flag in ("--key", "--port", "--tag"):
        assert f"warning: {flag} is ignored" in outcome.err
    assert "is ignored" not in run(*command).err


def test_a_metadata_file_names_a_model(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"modelId": "none:4"}')
    outcome = run("model", "deploy", "-n", "scorer", "-f", "model.json")
    assert "Model with name none not found" in outcome.err
    (tmp_path / "model.json").write_text("{}")
    assert "has no `id` of a model" in run("model", "deploy", "-n", "scorer", "-f", "model.json").err


IOT: dict[str, Any] = {
    "computeType": "IOT",
    "iotDeviceId": "gateway",
    "amlModule": {
        "moduleName": "scorer",
        "createOptions": {"HostConfig": {"Memory": 1000}},
        "environmentVariables": {"EDGEPACK_INPUT": "pictures"},
        "propertiesDesired": {"threshold": 3},
    },
    "externalModules": [{"moduleName": "camera", "imageLocation": "me.azurecr.io/camera:1"}],
    "routes": {
        "in": 'FROM /messages/modules/camera/* INTO BrokeredEndpoint("/modules/scorer/inputs/pictures")',
        "out": "FROM /messages/modules/scorer/outputs/amlOutput INTO $upstream",
    },
    "acrCredentials": [
        {"location": "me.azurecr.io", "user": "me", "password": "very-secret"},
        {"location": "you.azurecr.io", "user": "${YOUR_NAME}", "password": "$YOUR_PASSWORD"},
    ],
}


def test_an_edge_deployment_without_its_secrets(run: Run, tmp_path: Path) -> None:
    deployment = parse_deployment_config(json.dumps(IOT), "dc.json")
    assert isinstance(deployment, IotDeployment)
    options = BuildOptions(inference_config=tmp_path / "ic.json", image="me.azurecr.io/scorer:1", workspace=tmp_path)
    made = edge_assembly(deployment, options, None, tmp_path)
    manifest = deployment_document(made.assembly, {"scorer": f"sha256:{'0' * 64}"})
    assert list(errors(problems(manifest))) == []
    assert "very-secret" not in json.dumps(manifest)
    content = manifest["modulesContent"]
    agent = content["$edgeAgent"]["properties.desired"]
    assert agent["runtime"]["settings"]["registryCredentials"] == {
        "me": {
            "address": "me.azurecr.io",
            "username": "${CONTAINER_REGISTRY_USERNAME_me}",
            "password": "${CONTAINER_REGISTRY_PASSWORD_me}",
        },
        "you": {"address": "you.azurecr.io", "username": "${YOUR_NAME}", "password": "$YOUR_PASSWORD"},
    }
    assert made.variables == (
        "CONTAINER_REGISTRY_USERNAME_me",
        "CONTAINER_REGISTRY_PASSWORD_me",
        "YOUR_NAME",
        "YOUR_PASSWORD",
    )
    assert set(agent["modules"]) == {"scorer", "camera"}
    assert agent["modules"]["scorer"]["env"]["EDGEPACK_INPUT"] == {"value": "pictures"}
    assert content["scorer"]["properties.desired"] == {"threshold": 3}
    assert set(content["$edgeHub"]["properties.desired"]["routes"]) == {"in", "out"}


def test_how_services_look() -> None:
    stored = StoredService(
        ServiceRequest("scorer", needs_key=True, tags={"a": "1"}), "then", "now", DEPLOYED, Instance("life"), 6789, True
    )
    failed = describe(stored, Sight(False), Health("failed", "first line\nsecond line"))
    running = describe(stored, Sight(True, 6789, 42), Health("running"))
    table = services_table([running, failed]).splitlines()
    assert table[0].split() == ["NAME", "STATE", "RUNNER", "MODELS", "SCORING", "URI", "REASON"]
    assert table[1].split() == ["scorer", "running", "process", "-", "http://localhost:6789/score"]
    assert table[2].endswith("first line")
    assert "second line" in service_text(failed)
    assert "process      42" in service_text(running)
    assert deployed_text(running).splitlines() == [
        "state        running",
        "scoring URI  http://localhost:6789/score",
        "keys         edgepack service keys scorer",
    ]


def test_the_keys_of_a_file_are_the_keys(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ServiceRequest] = []

    def deploy(_workspace: Path, request: ServiceRequest, **_more: Any) -> Any:
        asked.append(request)
        return describe(kept_service(tmp_path), Sight(False), Health("running"))

    monkeypatch.setattr("edgepack.service.deploy", deploy)
    (tmp_path / "keys").write_text("first-key\nsecond-key\n")
    command = ("model", "deploy", "-n", "scorer", "--ic", "ic.json")
    assert run(*command, "--auth-enabled", "true", "--key-file", "keys").code == 0
    assert asked[-1].keys == AccessKeys("first-key", "second-key")
    assert run(*command, "--auth-enabled", "true").code == 0
    last = asked.pop()
    assert last.needs_key
    assert last.keys is None  # those that the service has stay
    assert run(*command, "--primary-key", "third-key", "--key-file", "keys").code == 2
    assert len(asked) == 1
