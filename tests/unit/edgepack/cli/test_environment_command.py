"""`edgepack environment`, and `-e` of deployments as far as nothing is started: folders, versions, refusals."""

import json
from pathlib import Path

import pytest

from edgepack.azureml.core import Workspace
from edgepack.azureml.core.environment import Environment
from tests.fakes.command_line import Run, command_line

CONDA = "dependencies:\n- python=3.11\n- pip:\n  - azureml-defaults\n  - {package}\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    (tmp_path / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (tmp_path / "ic.json").write_text('{"entryScript": "score.py", "runtime": "python", "condaFile": "own.yml"}')
    return command_line(capsys)


@pytest.fixture
def two_versions(run: Run, tmp_path: Path) -> None:
    run("environment", "scaffold", "-n", "myenv", "-d", "env")
    for version, package in enumerate(("six==1.16.0", "six==1.17.0"), 1):
        (tmp_path / "env" / "conda_dependencies.yml").write_text(CONDA.format(package=package))
        for _ in range(2):
            assert run("environment", "register", "-d", "env").out == f"myenv:{version}\n"


@pytest.mark.usefixtures("two_versions")
def test_what_is_edited_in_a_folder_is_registered(run: Run, tmp_path: Path) -> None:
    assert run("environment", "list").out == "myenv:2\n"
    [listed] = run("--json", "environment", "list").document
    assert (listed["name"], listed["version"]) == ("myenv", "2")
    for version, package in (((), "six==1.17.0"), (("-v", "1"), "six==1.16.0")):
        shown = run("--json", "environment", "show", "-n", "myenv", *version).document
        assert shown["python"]["condaDependencies"]["dependencies"][1] == {"pip": ["azureml-defaults", package]}
    assert run("environment", "download", "-n", "myenv", "-v", "1", "-d", "copy").code == 0
    assert "six==1.16.0" in (tmp_path / "copy" / "conda_dependencies.yml").read_text()
    assert run("environment", "download", "-n", "myenv", "-d", "copy").code == 2
    assert run("environment", "download", "-n", "myenv", "-d", "copy", "--overwrite").code == 0
    assert "six==1.17.0" in (tmp_path / "copy" / "conda_dependencies.yml").read_text()
    assert run("environment", "register", "-d", "copy").out == "myenv:2\n"
    assert Environment.get(Workspace(), "myenv").version == "2"


def test_flags_of_azure_are_named_as_ignored(run: Run) -> None:
    outcome = run("environment", "list", "-w", "ws", "--resource-group", "group")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "note: --workspace-name is ignored: all is kept on this machine",
        "note: --resource-group is ignored: all is kept on this machine",
    ]


def test_a_password_is_not_shown(run: Run) -> None:
    made = Environment("guarded")
    made.docker.base_image_registry.password = "very-secret"
    made.register(Workspace())
    for command in (("list",), ("show", "-n", "guarded")):
        assert "very-secret" not in run("--json", "environment", *command).out


def test_what_is_not_there(run: Run, tmp_path: Path) -> None:
    assert "register one with" in run("environment", "list").out
    assert "azureml_environment.json" in run("environment", "register", "-d", "nowhere").err
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "azureml_environment.json").write_text('{"name": "AzureML-mine"}')
    assert "are reserved" in run("environment", "register", "-d", "env").err


@pytest.mark.usefixtures("two_versions")
def test_what_is_no_folder_of_an_environment(run: Run, tmp_path: Path) -> None:
    (tmp_path / "env" / "BaseDockerfile").write_bytes(b"FROM \xe4")
    deploy = ("service", "deploy", "-n", "scorer", "--ic", "ic.json", "--ed")
    for arguments, part in (
        (("environment", "register", "-d", "ic.json"), "Directory 'ic.json' is a file"),
        (("environment", "scaffold", "-n", "x", "-d", "ic.json"), "Directory 'ic.json' is a file"),
        (
            ("environment", "scaffold", "-n", "x", "-d", "ic.json/env"),
            "ic.json/env/azureml_environment.json: Not a directory",
        ),
        (
            ("environment", "download", "-n", "myenv", "-d", "ic.json/env"),
            "ic.json/env/azureml_environment.json: Not a directory",
        ),
        (("environment", "register", "-d", "env"), "env/BaseDockerfile: not text in UTF-8"),
        ((*deploy, "ic.json"), "Directory 'ic.json' is a file"),
        ((*deploy, "ic.json/env"), "ic.json/env/azureml_environment.json: Not a directory"),
        ((*deploy, "env"), "env/BaseDockerfile: not text in UTF-8"),
    ):
        outcome = run(*arguments)
        assert outcome.code == 2, outcome.err
        assert part in outcome.err


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize("command", [("service", "deploy", "-n"), ("model", "deploy", "-n"), ("service", "update")])
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--ic", "ic.json", "--ev", "1"], ["name it with -e NAME"]),
        (["--ic", "ic.json", "-e", "myenv", "--ed", "env"], ["excludes --environment-name"]),
        (["-e", "myenv"], ["name it with --ic FILE"]),
        (["--ic", "ic.json", "-e", "myenv", "--ev", "3"], ["environment myenv version 3", "it has 1, 2"]),
        (["--ic", "ic.json", "-e", "myemv"], ["environment myemv is not in", "did you mean myenv?"]),
        (["--ic", "ic.json", "--ed", "nowhere"], ["nowhere/azureml_environment.json"]),
        (["--ic", "none.json", "-e", "other"], ["environment other is not in", "there are myenv", "none.json"]),
    ],
)
def test_refusals(run: Run, tmp_path: Path, command: tuple[str, ...], arguments: list[str], parts: list[str]) -> None:
    outcome = run(*command, "scorer", *arguments)
    assert outcome.code == 2
    assert [part for part in parts if part not in outcome.err] == []
    assert not (tmp_path / "workspace" / "services").exists()


@pytest.mark.usefixtures("two_versions")
def test_both_packages_are_too_many(run: Run) -> None:
    outcome = run("model", "deploy", "-n", "scorer", "--es", "score.py", "--cf", "own.yml", "-e", "myenv")
    assert outcome.code == 2
    assert "--conda-file excludes an environment" in outcome.err


@pytest.mark.usefixtures("two_versions")
def test_a_problem_of_the_environment_is_not_that_of_a_project(run: Run, tmp_path: Path) -> None:
    environment = json.loads((tmp_path / "env" / "azureml_environment.json").read_text())
    (tmp_path / "env" / "azureml_environment.json").write_text(
        json.dumps({**environment, "environmentVariables": {"A=B": "1"}})
    )
    outcome = run("service", "deploy", "-n", "scorer", "--ic", "ic.json", "--ed", "env")
    assert outcome.code == 2
    assert "'A=B' cannot be the name of an environment variable" in outcome.err
    assert "edgepack.yaml" not in outcome.err
