"""`edgepack manifest render`: files in, files out."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgepack.cli.manifest_render import render_command
from edgepack.cli.session import Session
from edgepack.deployment.manifest import ModuleSpec, RegistryCredentials, deployment_manifest
from edgepack.errors import InputError

MODULE = """{"image": {"repository": "${CONTAINER_REGISTRY_SERVER}/filter", "tag": {"version": "${VERSION}",
 "platforms": {"amd64": "./Dockerfile.amd64", "arm64v8": "./Dockerfile.arm64v8"}}}}"""


@pytest.fixture
def solution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the known tools make it, beside the one that commands run in."""
    folder, here = tmp_path / "solution", tmp_path / "here"
    here.mkdir()
    (folder / "modules" / "filter").mkdir(parents=True)
    (folder / "modules" / "filter" / "module.json").write_text(MODULE)
    (folder / "modules" / "filter" / ".env").write_text("VERSION=0.0.2\n")
    (folder / ".env").write_text('CONTAINER_REGISTRY_SERVER="localhost:5000"\nVERSION=0.0.1\n')
    write(folder)
    monkeypatch.chdir(here)
    for name in ("CONTAINER_REGISTRY_SERVER", "VERSION", "DOTENV_FILE", "CONFIG_OUTPUT_DIR", "CONTAINER_TAG"):
        monkeypatch.delenv(name, raising=False)
    return folder


def write(folder: Path, **more: Any) -> None:
    manifest = deployment_manifest([ModuleSpec("filter", "x.example/x", "sha256:" + "a" * 64)], **more)
    modules = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    modules["filter"]["settings"] = {"image": "${MODULES.filter}", "createOptions": {"Labels": {"v": "$VERSION"}}}
    (folder / "deployment.template.json").write_text(json.dumps({"$schema-template": "4.0.0", **manifest}))


def render(solution: Path, *arguments: str, as_json: bool = False) -> Result:
    session = Session(solution, as_json)
    template = str(solution / "deployment.template.json")
    return CliRunner().invoke(render_command, [template, *arguments], obj=session, catch_exceptions=False)


def image(path: Path) -> str:
    content = json.loads(path.read_text())["modulesContent"]
    settings = content["$edgeAgent"]["properties.desired"]["modules"]["filter"]["settings"]
    assert settings["createOptions"] == '{"Labels":{"v":"0.0.1"}}'
    return str(settings["image"])


def test_the_file_that_the_tools_write(solution: Path) -> None:
    done = render(solution, "--platform", "linux/arm64")
    written = solution / "config" / "deployment.arm64v8.json"
    assert image(written) == "localhost:5000/filter:0.0.2-arm64v8"
    assert done.stdout == f"{written}: complete, for arm64v8\n"
    assert written.stat().st_mode & 0o777 == 0o644


def test_where_it_goes(solution: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = render(solution, "--platform", "amd64", "-o", "-")
    assert json.loads(done.stdout)["modulesContent"]["$edgeHub"]
    assert not (solution / "config").exists()
    render(solution, "--platform", "amd64", "-o", "there/x.json")
    assert image(Path("there/x.json")).endswith(":0.0.2-amd64")
    monkeypatch.setenv("CONFIG_OUTPUT_DIR", "out")
    done = render(solution, "--platform", "amd64", as_json=True)
    written = solution / "out" / "deployment.amd64.json"
    assert json.loads(done.stdout) == {"manifest": str(written), "platform": "amd64", "layered": False}
    assert written.is_file()


def test_the_environment_wins_over_the_file(solution: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_REGISTRY_SERVER", "registry.example.com")
    render(solution, "--platform", "amd64")
    assert image(solution / "config" / "deployment.amd64.json") == "registry.example.com/filter:0.0.2-amd64"


def test_a_file_of_variables_in_this_folder_or_one_that_is_named(
    solution: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (solution / ".env").rename(".env")
    render(solution, "--platform", "amd64")
    Path(".env").rename("other")
    monkeypatch.setenv("DOTENV_FILE", "other")
    render(solution, "--platform", "amd64")
    monkeypatch.setenv("DOTENV_FILE", "nowhere")
    with pytest.raises(InputError, match="nowhere, which DOTENV_FILE names, is not there"):
        render(solution, "--platform", "amd64")


def test_a_manifest_with_passwords_is_for_its_owner_only(solution: Path) -> None:
    write(solution, credentials={"mine": RegistryCredentials("localhost:5000", "me", "secret")})
    render(solution, "--platform", "amd64")
    assert (solution / "config" / "deployment.amd64.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_when_something_is_missing(solution: Path) -> None:
    (solution / ".env").unlink()
    with pytest.raises(InputError) as caught:
        render(solution, "--platform", "amd64")
    assert "$VERSION is not set (line 1)" in str(caught.value)
    assert "$CONTAINER_REGISTRY_SERVER is not set (line 1)" in str(caught.value)
    assert not (solution / "config").exists()
    with pytest.raises(InputError, match=r"none\.json: No such file or directory"):
        CliRunner().invoke(
            render_command, ["none.json", "--platform", "amd64"], obj=Session(solution), catch_exceptions=False
        )


def test_what_is_wrong_is_told_with_its_place_in_the_template(solution: Path) -> None:
    path = solution / "deployment.template.json"
    document = json.loads(path.read_text())
    path.write_text(
        json.dumps(document, indent=1).replace('"v": "$VERSION"', '"v": "$VERSION"}, "HostConfig": {"Binds": 1')
    )
    with pytest.raises(InputError) as caught:
        render(solution, "--platform", "amd64")
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "Binds" in text)
    assert str(caught.value).startswith(f"{path}:{line}:")
    assert "settings/createOptions/HostConfig/Binds: Binds must be an array" in str(caught.value)
    path.write_text("{}")
    with pytest.raises(InputError, match=r":1:1: needs 'modulesContent'"):
        render(solution, "--platform", "amd64")


def test_a_placeholder_with_a_default_is_none(solution: Path) -> None:
    path = solution / "deployment.template.json"
    path.write_text(path.read_text().replace("${MODULES.filter}", "${REG:-r.example}/x:1"))
    with pytest.raises(
        InputError, match=r"has no placeholder that can be replaced: write \${NAME} \(without a default"
    ):
        render(solution, "--platform", "amd64")


def test_standard_input_goes_to_standard_output(solution: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(solution)
    text = (solution / "deployment.template.json").read_text()
    for output in ([], ["-o", "x.json"]):
        done = CliRunner().invoke(
            render_command,
            ["-", "--platform", "amd64", *output],
            input=text,
            obj=Session(solution),
            catch_exceptions=False,
        )
        written = Path("x.json").read_text() if output else done.stdout
        assert json.loads(written)["modulesContent"]["$edgeHub"]
    assert not (solution / "config").exists()


def test_what_is_doubtful_is_said(solution: Path) -> None:
    path = solution / "deployment.template.json"
    path.write_text(path.read_text().replace("${MODULES.filter}", "registry.example.com/filter"))
    assert "means 'latest'" in render(solution, "--platform", "amd64").stderr
