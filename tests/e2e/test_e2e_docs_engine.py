"""Pages whose commands need a Docker engine, typed as they stand."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port, run_edgepack
from tests.e2e.test_e2e_docs import FREE_PORT, variables
from tests.fakes.page_run import BIN, PageRun
from tests.fakes.pages import shown

pytestmark = [pytest.mark.network, pytest.mark.engine, pytest.mark.timeout(600)]


def test_engine(workspace: Path, engine_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run_edgepack(tmp_path, "init", "scorer", workspace=workspace)
    folder = tmp_path / "scorer"
    (folder / "Dockerfile").write_text(shown("docs/engine.md", "FROM @{base}"))
    project, both = folder / "edgepack.yaml", (folder / "edgepack.yaml").read_text()
    project.write_text(both.replace("- linux/arm64\n", ""))  # foreign platforms take a minute more
    with PageRun("docs/engine.md", request, folder, variables(workspace, DOCKER_HOST=engine_url)) as page:
        page.run("edgepack build --builder docker")
        page.run("edgepack build --builder docker --dockerfile")
        project.write_text(both)
        page.run("edgepack build --load")
        page.run("edgepack load")
        project.write_text(both.replace("- linux/arm64\n", ""))
        page.run_all()


def test_readme(scorer: Path, engine_url: str, workspace: Path, request: pytest.FixtureRequest) -> None:
    published = "-p 127.0.0.1:5001:5001"  # the engine of these tests has no network of its own
    replaced = {published: f"--network host -e EDGEPACK_HTTP=127.0.0.1:{free_port()}"}
    environment = variables(workspace, DOCKER_HOST=engine_url)
    with PageRun("README.md", request, scorer, environment, replaced) as page:
        page.run("edgepack load")
        container = page.start("docker run")
        container.until_says("Ready: POST /score")
        container.interrupt()


def test_coming_from_iotedgedev(
    scorer: Path, engine_url: str, workspace: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = variables(workspace, DOCKER_HOST=engine_url)
    manifest = json.loads((scorer / "dist/deployment.json").read_text())
    modules = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    modules["scorer"]["settings"]["image"] = "scorer:rendered"
    (tmp_path / "config").mkdir()
    (tmp_path / "config/deployment.amd64.json").write_text(json.dumps(manifest))
    subprocess.run([BIN / "edgepack", "load", "dist", "-t", "scorer:rendered"], cwd=scorer, env=environment, check=True)
    with PageRun("docs/coming-from-iotedgedev.md", request, tmp_path, environment, FREE_PORT) as page:
        going = page.start("edgepack simulate")
        cloud = workspace / "simulation/cloud.jsonl"
        going.until(lambda: cloud.exists() and b'"module": "scorer"' in cloud.read_bytes(), "the container answers")
        assert "nothing lost" in going.interrupt()
