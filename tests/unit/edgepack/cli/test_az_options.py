"""What the commands of `az ml` took and all of them still take; names that commands and options had there."""

import json
from pathlib import Path

import click
import pytest

from edgepack.cli.main import cli
from edgepack.services.record import AccessKeys, ServiceRequest
from edgepack.services.store import ServiceStore
from edgepack.services.stored import DEPLOYED, Instance, StoredService
from tests.fakes.command_line import Run, command_line

GROUPS = ("model", "service", "environment")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    (tmp_path / "w.bin").write_bytes(b"weights")
    (tmp_path / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (tmp_path / "ic.json").write_text('{"entryScript": "score.py"}')
    return command_line(capsys)


def commands() -> list[tuple[str, ...]]:
    context = click.Context(cli)
    groups = {name: cli.get_command(context, name) for name in GROUPS}
    return [
        (name, each)
        for name, group in groups.items()
        if isinstance(group, click.Group)
        for each in group.list_commands(context)
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_takes_what_all_of_az_took(run: Run, command: tuple[str, ...]) -> None:
    """A wrong format is refused after all other options were read: none of them is unknown."""
    common = ("-w", "ws", "-g", "group", "--subscription-id", "id", "--debug", "--verbose", "--only-show-errors")
    outcome = run(*command, *common, "--query", "x")
    assert (outcome.code, outcome.out) == (2, "")
    assert "No such option" not in outcome.err
    page = run(*command, "--help").out
    assert not [name for name in ("--workspace-name", "--subscription-id", "--query", "--debug") if name in page]


def test_each_is_told_once(run: Run) -> None:
    outcome = run("service", "list", "-w", "ws", "--resource-group", "group", "--path", ".")
    assert outcome.err.splitlines() == [
        f"note: --{name} is ignored: all is kept on this machine"
        for name in ("workspace-name", "resource-group", "path")
    ]
    assert run("-q", "service", "list", "-w", "ws").err == ""


def test_the_format_of_az(run: Run) -> None:
    assert run("model", "list", "-o", "JSON").document == []
    assert run("model", "list", "--output", "table").out == run("model", "list").out
    outcome = run("model", "list", "-o", "tsv")
    assert outcome.code == 2
    assert "-o tsv: there are table, which is the usual text, and json, which is --json" in outcome.err
    assert "known are json, table" in run("model", "list", "-o", "xml").err
    assert "jq -r .KEY" in run("model", "list", "--query", "[0].name").err


def test_the_format_is_no_folder_of_model_deploy(run: Run) -> None:
    command = ("model", "deploy", "-n", "scorer", "-m", "none", "--ic", "ic.json")
    for output in ("json", "table"):
        assert "Model with name none not found" in run(*command, "-o", output).err
    assert "-o yaml: there are table" in run(*command, "-o", "yaml").err
    assert "are for deployments of computeType iot" in run(*command, "-o", "folder").err


def test_errors_are_told_with_their_place(run: Run) -> None:
    for command in (("model", "show", "none", "-v"), ("service", "show", "none", "--verbose")):
        assert "Traceback (most recent call last)" in run(*command).err
    assert "Traceback" not in run("environment", "show", "-n", "none", "-v", "1").err


@pytest.mark.parametrize("named", [("iris",), ("iris:1",), ("-i", "iris:1"), ("--model-id", "iris:1"), ("-n", "iris")])
def test_a_model_is_named_either_way(run: Run, named: tuple[str, ...]) -> None:
    assert run("model", "register", "-n", "iris", "-p", "w.bin").code == 0
    assert run("--json", "model", "show", *named).document["id"] == "iris:1"
    assert run("model", "download", *named, "-t", "copy").out == "copy/w.bin\n"
    assert "a=b" in run("model", "update", *named, "--add-tag", "a=b").out
    assert run("model", "delete", *named, "-y").out == "deleted iris:1\n"


def test_which_model(run: Run) -> None:
    assert "Which model? Give its name, or -i NAME." in run("model", "show").err
    assert "Which model? iris and rose are named." in run("model", "show", "iris", "-i", "rose").err


def test_what_a_model_needs_is_changed_one_by_one(run: Run) -> None:
    run("model", "register", "-n", "iris", "-p", "w.bin", "--cc", "1", "--gb", "2")
    document = run("--json", "model", "update", "-i", "iris:1", "--gb", "0.5", "--gc", "1").document
    assert (document["cpu"], document["memoryInGB"], document["gpu"]) == (1, 0.5, 1)
    outcome = run("model", "update", "iris", "--cc", "-1")
    assert outcome.code == 2
    assert "cpu cores (--cc)" in outcome.err


def test_lists_of_models(run: Run) -> None:
    for name in ("iris", "rose"):
        run("model", "register", "-n", name, "-p", "w.bin")
    assert [each["id"] for each in run("--json", "model", "list", "--model-id", "rose:1").document] == ["rose:1"]
    outcome = run("--json", "model", "list", "--run-id", "5")
    assert len(outcome.document) == 2
    assert "--run-id is ignored: there are no runs" in outcome.err


@pytest.mark.parametrize("name", ["--dc", "--deploy-config-file", "--deploy-config", "--deployment-config"])
@pytest.mark.parametrize("command", [("service", "deploy"), ("model", "deploy"), ("service", "update")])
def test_shorter_names(run: Run, command: tuple[str, str], name: str) -> None:
    Path("dc.json").write_text('{"computeType": "aks", "ComputeTarget": "mine", "sslEnabled": true}')
    outcome = run(*command, "-n", "scorer", "--inference-config", "ic.json", name, "dc.json")
    assert outcome.code == 2
    assert "dc.json: computeType aks (Azure Kubernetes Service)" in outcome.err


def test_what_of_a_deployment_configuration_has_no_effect_is_told(run: Run) -> None:
    Path("dc.json").write_text('{"computeType": "local", "containerResourceRequirements": {"cpu": 1}}')
    outcome = run("model", "deploy", "-n", "scorer", "-m", "none", "--dc", "dc.json")
    assert "note: dc.json: `containerResourceRequirements` has no effect with computeType local" in outcome.err


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (("workspace", "create"), "No such command 'workspace': nothing to make or attach"),
        (("folder", "attach"), "--workspace DIR or EDGEPACK_WORKSPACE"),
        (("computetarget", "list"), "is Azure's: there is none here"),
        (("model", "package", "-m", "x"), "`edgepack build -m MODEL --ic FILE`"),
        (("model", "profile"), "/metrics beside its scoring URI"),
        (("service", "get-access-token"), "`edgepack service keys SERVICE`"),
        (("service", "shw"), "Did you mean 'show'?"),
        (("bild",), "No such command 'bild'. Did you mean 'build'?"),
        (("service", "-x"), "No such option '-x'"),
    ],
)
def test_what_to_do_instead(run: Run, command: tuple[str, ...], part: str) -> None:
    outcome = run(*command)
    assert outcome.code == 2
    assert part in outcome.err


@pytest.mark.parametrize("name", "run experiment pipeline dataset datastore endpoint ml".split())
def test_what_is_azures(run: Run, name: str) -> None:
    assert f"No such command {name!r}: " in run(name, "list").err


def test_every_hint_names_commands_that_there_are() -> None:
    from edgepack.cli.az_commands import _INSTEAD

    context = click.Context(cli)
    for text in _INSTEAD.values():
        for words in (part.split() for part in text.split("`")[1::2] if part.startswith("edgepack ")):
            command = cli.get_command(context, words[1])
            assert command is not None, words
            if isinstance(command, click.Group) and len(words) > 2:
                assert command.get_command(context, words[2]), words


def kept(tmp_path: Path, name: str, models: str, **tags: str) -> None:
    from edgepack.cli.service_options import parse_models

    request = ServiceRequest(name, parse_models((models,)), needs_key=True, tags=tags, properties={"p": "q"})
    ServiceStore(tmp_path / "workspace").write(StoredService(request, "then", "now", DEPLOYED, Instance("life"), 6789))


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ((), ["one", "two"]),
        (("--model-name", "iris"), ["one", "two"]),
        (("-i", "iris:2"), ["two"]),
        (("--tag", "a"), ["one", "two"]),
        (("--tag", "a=1"), ["one"]),
        (("--tag", "b"), []),
        (("--property", "p=q", "--image-name", "two"), ["two"]),
        (("--compute-type", "LOCAL", "--property", "p"), ["one", "two"]),
        (("--compute-type", "aci"), []),
    ],
)
def test_lists_of_services(run: Run, tmp_path: Path, filters: tuple[str, ...], names: list[str]) -> None:
    kept(tmp_path, "one", "iris:1", a="1")
    kept(tmp_path, "two", "iris:2", a="2")
    assert [each["name"] for each in run("--json", "service", "list", *filters).document] == names
    assert ("no service matches" in run("service", "list", *filters).out) == (names == [])


def test_a_key_of_ones_own(run: Run, tmp_path: Path) -> None:
    kept(tmp_path, "scorer", "iris:1")
    store = ServiceStore(tmp_path / "workspace")
    store.write_keys("scorer", AccessKeys("first-key", "second-key"))
    assert run("service", "regen-key", "-n", "scorer", "-k", "Secondary", "--set-key", "my-own-key").code == 0
    assert store.read_keys("scorer") == AccessKeys("first-key", "my-own-key")
    outcome = run("service", "regen-key", "-n", "scorer", "-k", "primary", "-s", "short")
    assert outcome.code == 2
    assert "the primary key: a key is at least 8" in outcome.err
    assert store.read_keys("scorer") == AccessKeys("first-key", "my-own-key")


def test_updates_with_the_flags_of_az(run: Run, tmp_path: Path) -> None:
    kept(tmp_path, "scorer", "iris:1")
    Path("dc.json").write_text('{"computeType": "local", "port": 80}')
    outcome = run("service", "update", "-n", "scorer", "--dc", "dc.json", "--cc", "1", "--gb", "0.5")
    assert outcome.code == 2
    assert "port 80: a service keeps its port (6789)" in outcome.err
    assert "note: --cpu-cores is ignored" in outcome.err
    Path("model.json").write_text(json.dumps({"modelId": "rose:4"}))
    assert "Model with name rose not found" in run("service", "update", "-n", "scorer", "-f", "model.json").err
    contradiction = run("service", "update", "-n", "scorer", "--ae", "true", "--no-key").err
    assert "--auth-enabled says another than --key or --no-key" in contradiction
    assert "nothing to change: give -m, -f, --ic, --dc" in run("service", "update", "-n", "scorer").err
