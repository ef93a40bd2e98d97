"""`-e` and `--ev` of deployments, by the command line: the registered environment is what the service runs with."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edgepack.azureml.core import Workspace
from edgepack.azureml.core.conda_dependencies import CondaDependencies
from edgepack.azureml.core.environment import Environment
from edgepack.cli.environment_choice import EnvironmentChoice, with_environment
from edgepack.cli.session import Session
from edgepack.deployment_config import read_deployment_config
from edgepack.deployment_targets import IotDeployment
from edgepack.edge_assembly import edge_assembly
from edgepack.project import BuildOptions
from edgepack.services import workshop
from edgepack.services.service_image import read_recipe
from tests.fakes.command_line import Run, command_line
from tests.fakes.service_desk import Desk
from tests.fakes.service_images import make_fake_image

SCRIPT = "import os\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return os.environ.get('GREETING')\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk with two versions of an environment, and a configuration that says another in a folder of its own."""
    made = Desk(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(made.workspace))
    monkeypatch.setattr(workshop, "_make_image", make_fake_image)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "score.py").write_text(SCRIPT)
    own = {"environmentVariables": {"GREETING": "own"}, "python": {"condaDependenciesFile": "none.yml"}}
    config = {"entryScript": "score.py", "sourceDirectory": "src", "environment": own}
    (tmp_path / "ic.json").write_text(json.dumps(config))
    for greeting, package in (("one", "six==1.16.0"), ("two", "six==1.17.0")):
        environment = Environment("myenv")
        environment.environment_variables = {"GREETING": greeting}
        environment.python.conda_dependencies = CondaDependencies.create(pip_packages=[package])
        environment.register(Workspace())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    yield made
    made.delete_all()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return command_line(capsys)


def packages(desk: Desk) -> list[str]:
    """What the recorded service asks for."""
    return list(read_recipe(desk.workspace, desk.shop.store.read("service").request).requests.requirements)


def test_a_service_with_a_registered_environment(desk: Desk, run: Run) -> None:
    deploy = ("model", "deploy", "-n", "service", "-m", "tiny", "--ic", "../ic.json")
    outcome = run(*deploy, "-e", "myenv", "--ev", "1")
    assert outcome.code == 0, outcome.err
    assert "environment myenv:1 in place of environment of ../ic.json" in outcome.err
    assert run("--json", "service", "run", "service", "-d", "{}").document == "one"
    assert packages(desk) == ["six==1.16.0"]

    assert run("service", "update", "service", "--ic", "../ic.json", "-e", "myenv").code == 0
    assert run("--json", "service", "run", "service", "-d", "{}").document == "two"
    assert packages(desk) == ["six==1.17.0"]

    again = Environment("myenv")
    again.environment_variables = {"GREETING": "three"}
    again.register(Workspace())
    (desk.folder / "src" / "score.py").write_text(
        SCRIPT.replace("'GREETING'", "'GREETING', ''").replace(")\n", ") * 2\n")
    )
    assert run("service", "reload", "service").code == 0
    assert run("--json", "service", "run", "service", "-d", "{}").document == "twotwo", "it stays with its version"


def test_the_script_of_the_command_line(desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    flags = ("--environment-name", "myenv", "--environment-version", "1", "--es", "score.py", "--sd", "src")
    assert run("model", "deploy", "-n", "service", *flags).code == 0
    assert run("--json", "service", "run", "service", "-d", "{}").document == "one"


def test_a_folder_that_is_not_registered(desk: Desk, run: Run) -> None:
    Environment.get(Workspace(), "myenv", "1").save_to_directory("env")
    assert run("service", "deploy", "-n", "service", "--ic", "../ic.json", "--ed", "env").code == 0
    assert run("--json", "service", "run", "service", "-d", "{}").document == "one"


def test_a_conda_file_that_the_document_of_a_folder_names(desk: Desk, run: Run) -> None:
    """It lies in the folder of the environment, not in that of the script."""
    Environment.get(Workspace(), "myenv", "1").save_to_directory("env")
    Path("env/conda_dependencies.yml").rename("env/own.yml")
    document = json.loads(Path("env/azureml_environment.json").read_text())
    document["python"]["condaDependenciesFile"] = "own.yml"
    Path("env/azureml_environment.json").write_text(json.dumps(document))
    assert run("service", "deploy", "-n", "service", "--ic", "../ic.json", "--ed", "env").code == 0
    assert packages(desk) == ["six==1.16.0"]


def test_an_edge_deployment(desk: Desk) -> None:
    placed = with_environment(Session(desk.workspace), EnvironmentChoice("myenv"), Path("../ic.json"))
    iot = {"computeType": "iot", "amlModule": {"moduleName": "m"}, "routes": {}, "iotDeviceId": "d"}
    deployment = read_deployment_config(iot, "dc.json")
    assert isinstance(deployment, IotDeployment)
    assert isinstance(placed.config, Mapping)
    made = edge_assembly(deployment, BuildOptions(workspace=desk.workspace), placed.config, placed.folder)
    recipe = made.assembly.recipes[""]
    assert list(recipe.requests.requirements) == ["six==1.17.0"]
    assert recipe.variables["GREETING"] == "two"
