"""Pages whose commands need the package index or an engine, typed as they stand."""

import json
import os
import pickle
import shutil
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack import Webservice, Workspace
from tests.e2e.conftest import free_port, run_edgepack
from tests.e2e.test_e2e_services import CONDA, SCRIPT
from tests.fakes.page_run import BIN, PageRun, need
from tests.fakes.pages import ROOT, blocks_of
from tests.fakes.tutorial import run_blocks

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
FREE_PORT = {"edgepack simulate ": "edgepack simulate --port 0 "}
FAST = {"edgepack simulate ": "edgepack simulate --port 0 --speed 6 "}


def variables(workspace: Path | None = None, **more: str) -> dict[str, str]:
    """The variables of this process, edgepack on the path, and a workspace that builds share."""
    kept = {name: value for name, value in os.environ.items() if name != "EDGEPACK_WORKSPACE"}
    shared = {"EDGEPACK_WORKSPACE": str(workspace)} if workspace else {}
    return {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1", **shared, **more}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with the same environment."""
    folder = tmp_path_factory.mktemp("source") / "edgepack"
    ignored = shutil.ignore_patterns("__pycache__", "dist", "build", ".edgepack", "training")
    for name in ("edgepack", "device_agent", "simulator", "templates", "scripts", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a fresh virtual environment."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True, symlinks=True)
    return variables(VIRTUAL_ENV=str(folder), PATH=f"{folder}/bin:{os.environ['PATH']}")


def test_readme_by_hand(
    checkout: Path, installed: dict[str, str], workspace: Path, request: pytest.FixtureRequest
) -> None:
    environment = {**installed, "EDGEPACK_WORKSPACE": str(workspace)}
    with PageRun("README.md", request, checkout, environment, FREE_PORT) as page:
        page.run("pip install")
        page.run("edgepack init")
        page.run("cd scorer")
        page.run("edgepack build")
        going = page.start("edgepack simulate dist/deployment.json --source")
        cloud = workspace / "simulation/cloud.jsonl"
        going.until(lambda: cloud.exists() and b'"digit"' in cloud.read_bytes(), "the digits of the request arrive")
        assert "nothing lost" in going.interrupt()
        page.replaced = FAST
        report = page.run("edgepack simulate dist/deployment.json --scenario tunnel")
    assert "nothing lost" in report
    assert "amlError" not in report


def test_readme_demo(checkout: Path, workspace: Path, scorer: Path, request: pytest.FixtureRequest) -> None:
    kept = checkout / "build/demo/onnx/.edgepack/cache"  # packages of an earlier run
    kept.parent.mkdir(parents=True)
    shutil.copytree(workspace / "cache", kept, ignore=shutil.ignore_patterns("roots"))  # links there lead out of it
    with PageRun("README.md", request, checkout, variables()) as page:
        assert "lost: 0 of " in page.run_all()


def test_contributing(checkout: Path, request: pytest.FixtureRequest) -> None:
    with PageRun("CONTRIBUTING.md", request, checkout, variables()) as page:
        page.run_all()
    assert (checkout / "build/site/index.html").exists()


def test_updates(scorer: Path, workspace: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shutil.copytree(scorer / "dist", tmp_path / "OLD")
    project = tmp_path / "scorer"
    shutil.copytree(scorer, project)
    (project / "score.py").write_text((project / "score.py").read_text() + "\n# edited\n")
    run_edgepack(project, "build", workspace=workspace)
    shutil.copytree(project / "dist", tmp_path / "NEW")
    with PageRun("docs/updates.md", request, tmp_path, variables(workspace)) as page:
        page.figures_differ = True
        page.run_all()


@pytest.fixture
def desk(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as a user of SDK v1 has it, which is the current one."""
    folder = tmp_path / "desk"
    (folder / "models").mkdir(parents=True)
    (folder / "models/words.pkl").write_bytes(pickle.dumps({"great": 1}, protocol=4))
    (folder / "score.py").write_text(SCRIPT)
    (folder / "myenv.yml").write_text(CONDA)
    config = {"entryScript": "score.py", "runtime": "python", "condaFile": "myenv.yml"}
    (folder / "inferenceConfig.json").write_text(json.dumps(config))
    (folder / "deploymentConfig.json").write_text('{"computeType": "LOCAL"}')
    monkeypatch.chdir(folder)
    shared = folder / ".edgepack"
    shared.mkdir()
    (workspace / "cache").mkdir(exist_ok=True)
    (shared / "cache").symlink_to(workspace / "cache")  # versions of models begin with 1
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(shared))
    yield folder
    for service in Webservice.list(Workspace.from_config()):
        service.delete()


def test_services(desk: Path, request: pytest.FixtureRequest) -> None:
    need("curl")
    with PageRun("docs/services.md", request, desk, variables(desk / ".edgepack")) as page:
        page.run("edgepack model register")
        (uri,) = (line for line in page.run("edgepack model deploy").splitlines() if "http://localhost:" in line)
        page.replaced = {"PORT": uri.partition("localhost:")[2].partition("/")[0]}
        assert page.run("curl").endswith('{"label": "POSITIVE"}')
        page.run("edgepack service deploy")
        listed = [line.split()[0] for line in page.run("edgepack service list").splitlines()]
        assert {"myservice", "other"} <= set(listed)
        page.run("edgepack service show")
        assert page.run("edgepack service run") == '{"label": "NEGATIVE"}\n'
        page.run_all()


def test_coming_from_sdk_v1(desk: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks(blocks_of("docs/coming-from-sdk-v1.md"), desk, {})
    assert Webservice.list(Workspace.from_config()) == []


def test_example_two_modules(tmp_path: Path, request: pytest.FixtureRequest, workspace: Path) -> None:
    shutil.copytree(ROOT / "examples/two-modules", tmp_path / "examples/two-modules")
    replaced = {**FREE_PORT, "--duration 30": "--duration 5"}
    with PageRun("examples/two-modules/README.md", request, tmp_path, variables(workspace), replaced) as page:
        page.run("cd")
        page.run("edgepack model register")
        page.run("edgepack build")
        assert "nothing lost" in page.run("edgepack simulate")
        page.run_all()


def test_example_mosquitto(checkout: Path, installed: dict[str, str], request: pytest.FixtureRequest) -> None:
    need("mosquitto", "mosquitto_sub")
    environment = {**installed, "PORT": str(free_port())}
    with PageRun("examples/mosquitto/README.md", request, checkout, environment) as page:
        page.run("pip install")
        assert '"mean": 72.0' in page.run("examples/mosquitto/run")
