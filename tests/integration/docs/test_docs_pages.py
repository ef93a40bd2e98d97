"""Pages whose commands need no network: routes, manifests, templates, drift, and scripts served on a desk."""

import json
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.simulation import DEFAULT_MANIFEST
from tests.fakes.page_run import BIN, PageRun, need, until, variables_of
from tests.fakes.pages import ROOT, commands_of, shown

MEAN_SCRIPT = ROOT / "examples/mosquitto/score.py"
SENSOR = "mcr.microsoft.com/azureiotedge-simulated-temperature-sensor:1.5"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A mosquitto on loopback: its port."""
    need("mosquitto", "mosquitto_sub")
    port = free_port()
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen(["mosquitto", "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens_at(port), "the broker listens")
        yield port
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens_at(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def init(folder: Path) -> Path:
    """The project that `edgepack init scorer` makes."""
    command = [str(BIN / "edgepack"), "init", "scorer"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "scorer"


def test_agent(folder: Path, request: pytest.FixtureRequest) -> None:
    with PageRun("docs/agent.md", request, init(folder), variables_of(folder), {"5001": str(free_port())}) as page:
        agent = page.start("python -m device_agent")
        agent.until_says("Ready: POST /score")
        agent.interrupt()


def test_readme_agent(folder: Path, request: pytest.FixtureRequest) -> None:
    need("curl")
    variables = variables_of(folder, EDGEPACK_HTTP="127.0.0.1:0")
    with PageRun("README.md", request, init(folder), variables, {"5001": str(free_port())}) as page:
        agent = page.start("python -m device_agent")
        agent.until_says("Ready: POST /score")
        assert '"digit": [0, 1]' in page.run("curl")
        agent.interrupt()
        model = page.start("EDGEPACK_ENTRY_MODULE")
        model.until_says("Ready: POST /score")
        model.interrupt()


def test_messages(folder: Path, broker: int, request: pytest.FixtureRequest) -> None:
    is_scored(folder, broker, PageRun("docs/messages.md", request, folder, at_broker(folder), at_port(broker)))


def test_readme_messages(folder: Path, broker: int, request: pytest.FixtureRequest) -> None:
    is_scored(folder, broker, PageRun("README.md", request, folder, at_broker(folder), at_port(broker)))


def at_broker(folder: Path) -> dict[str, str]:
    shutil.copy(MEAN_SCRIPT, folder)
    return variables_of(folder, EDGEPACK_HTTP="127.0.0.1:0")


def at_port(broker: int) -> dict[str, str]:
    return {"mqtt://localhost": f"mqtt://localhost:{broker}"}


def is_scored(folder: Path, broker: int, page_run: PageRun) -> None:
    """The agent that the page starts answers what is published."""
    with page_run as page:
        agent = page.start("EDGEPACK_TRANSPORT=mqtt")
        agent.until_says("Connected upstream")
        told = folder / "told"
        with told.open("wb") as out:
            listener = subprocess.Popen(
                ["mosquitto_sub", "-p", str(broker), "-q", "1", "-t", "scores", "-t", "ready"], stdout=out
            )
        try:
            publish = ["mosquitto_pub", "-p", str(broker), "-q", "1"]

            def listens() -> bool:
                subprocess.run([*publish, "-t", "ready", "-m", "ready"], check=True)
                return b"ready" in told.read_bytes()

            until(listens, "the listener listens")
            subprocess.run([*publish, "-t", "pumps/1/raw", "-m", '{"readings": [70, 71, 75]}'], check=True)
            agent.until(lambda: b'{"mean": 72.0, "hot": false}' in told.read_bytes(), "it is scored")
        finally:
            listener.terminate()
            listener.wait()
        agent.interrupt()


def test_routes(folder: Path, request: pytest.FixtureRequest) -> None:
    (to_cloud, to_module) = shown("docs/routes.md", "FROM /messages/modules/plc").splitlines()
    (message,) = (each.printed for each in commands_of("docs/routes.md") if each.text == "cat message.json")
    assert message is not None
    (folder / "message.json").write_text(message)
    with PageRun("docs/routes.md", request, folder, variables_of(folder)) as page:
        page.replaced = {"ROUTE...": f"'{to_cloud}' '{to_module}'"}
        assert page.run("edgepack route check ROUTE").count("right: ") == 2
        page.replaced = {"ROUTE": f"'{to_cloud}'", "FILE": "message.json"}
        assert page.run("edgepack route eval ROUTE").startswith("takes the message")
        page.run("edgepack route check", code=2)
        page.run_all()


def manifest(**of_module: object) -> str:
    """A deployment manifest with the public sensor as its module `scorer`."""
    document = json.loads(json.dumps(DEFAULT_MANIFEST))
    settings = {"image": SENSOR, "createOptions": "{}"}
    module = {"type": "docker", "status": "running", "restartPolicy": "always", "settings": settings, **of_module}
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["scorer"] = module
    return json.dumps(document, indent=2)


def test_manifest_rules(folder: Path, request: pytest.FixtureRequest) -> None:
    programs = folder / "bin"
    programs.mkdir()
    (programs / "generate").write_text("#!/bin/sh\ncat deployment.json\n")
    (programs / "generate").chmod(0o755)
    variables = variables_of(folder)
    variables["PATH"] += f":{programs}"
    (folder / "config").mkdir()
    (folder / "config/deployment.amd64.json").write_text(manifest())
    (folder / "deployment.template.json").write_text(manifest(settings={"image": "${MODULES.scorer}"}))
    wrong = manifest(restartPolicy="allways")
    line = 1 + wrong[: wrong.index('"allways"')].count("\n")
    (folder / "deployment.json").write_text("\n" * (38 - line) + wrong)
    said = shown("docs/manifest-rules.md", "deployment.json:38:30: error module-value")
    with PageRun("docs/manifest-rules.md", request, folder, variables) as page:
        page.run("edgepack manifest validate deployment.json", code=2, prints=said)
        (folder / "deployment.json").write_text(manifest())
        page.run_all()
    assert json.loads((folder / "problems.sarif").read_text())["runs"][0]["results"] == []


def solution(folder: Path) -> None:
    """A solution of the known tools as docs/templates.md shows one."""
    image = {"image": "${MODULES.filter}", "createOptions": {}}
    (folder / "deployment.template.json").write_text(
        manifest(settings=image).replace("{\n", '{\n  "$schema-template": "4.0.0",\n', 1)
    )
    (folder / ".env").write_text(shown("docs/templates.md", "CONTAINER_REGISTRY_SERVER="))
    (folder / "modules/filter").mkdir(parents=True)
    (folder / "modules/filter/module.json").write_text(shown("docs/templates.md", '{"image":'))


def test_templates(folder: Path, request: pytest.FixtureRequest) -> None:
    solution(folder)
    with PageRun("docs/templates.md", request, folder, variables_of(folder)) as page:
        page.run_all()
    assert '"localhost:5000/filter:1.2.0-arm64v8"' in (folder / "config/deployment.arm64v8.json").read_text()


def test_coming_from_iotedgedev(folder: Path, request: pytest.FixtureRequest) -> None:
    solution(folder)
    with PageRun("docs/coming-from-iotedgedev.md", request, folder, variables_of(folder)) as page:
        page.run_all()
    assert '"localhost:5000/filter:1.2.0-amd64"' in (folder / "config/deployment.amd64.json").read_text()


def rows(chance: random.Random, mean: float, missing: float) -> str:
    """A thousand rows of two sensors."""
    made = (
        f"{chance.gauss(mean, 1):.3f},{'' if chance.random() < missing else f'{chance.gauss(5, 1):.3f}'}"
        for _ in range(1000)
    )
    return "\n".join(("temp,pressure", *made, ""))


def test_monitoring(folder: Path, request: pytest.FixtureRequest) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    (folder / "training.csv").write_text(rows(chance, 20, 0.02))
    (folder / "collected").mkdir()
    (folder / "collected/2026-11-26.csv").write_text(rows(chance, 21, 0.16))
    with PageRun("docs/monitoring.md", request, folder, variables_of(folder)) as page:
        assert "does not provide the extra" not in page.run("pip install")
        page.run_all()
    assert '<i class="now" style="width:' in (folder / "drift.html").read_text()
