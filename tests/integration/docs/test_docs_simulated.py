"""Pages about the simulator, and about what deploys to a hub or connects to it, against the simulator on loopback."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.deployment.service_connection import parse_service_connection
from edgepack.hub_client import HubClient, trust
from simulator.simulation import DEFAULT_MANIFEST
from tests.fakes.page_run import BIN, PageRun, need, until, variables_of
from tests.fakes.pages import ROOT, shown
from tests.integration.docs.test_docs_pages import free_port
from tests.integration.simulator.sdk_world import loopback_address

pytestmark = pytest.mark.timeout(180)
SENSOR = "mcr.microsoft.com/azureiotedge-simulated-temperature-sensor:1.5"
INTO = 'INTO BrokeredEndpoint("/modules/anomaly/inputs/amlInput")'
FREE_PORT = {"edgepack simulate ": "edgepack simulate --port 0 "}


def module(image: str = SENSOR, status: str = "running", **environment: str) -> dict[str, Any]:
    """A module of a manifest."""
    env = {name: {"value": value} for name, value in environment.items()}
    settings = {"image": image, "createOptions": "{}"}
    return {"type": "docker", "status": status, "restartPolicy": "always", "settings": settings, "env": env}


def write(path: Path, **modules: dict[str, Any]) -> None:
    """A deployment of these modules."""
    document = json.loads(json.dumps(DEFAULT_MANIFEST))
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"] = modules
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))


def call(info: dict[str, Any], method: str, *path: str, **content: object) -> Any:
    """Change something at the hub, as Azure's own tools do."""
    connection = parse_service_connection(info["service"]["connection_string"], "info.json")
    with HubClient(connection, trust(Path(info["ca"]), {})) as client:
        return client.call(method, method, path, content).document


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A simulation of two edge devices with a module `anomaly` that runs elsewhere: its `info.json`, and its folder."""
    folder = tmp_path_factory.mktemp("hub")
    write(folder / "deployment.json", anomaly=module("anomaly:1", "stopped"))
    document = json.loads((folder / "deployment.json").read_text())
    document["modulesContent"]["$edgeHub"]["properties.desired"]["routes"] = {
        "in": f"FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) {INTO}",
        "up": "FROM /messages/modules/* INTO $upstream",
    }
    (folder / "deployment.json").write_text(json.dumps(document))
    command = [str(BIN / "edgepack"), "-q", "simulate", "deployment.json", "--no-ui"]
    command += ["--port", "0", "--gateways", "2", "--devices", "12", "--rate", "0.5", "--folder", str(folder / "run")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--info", "info.json"], cwd=folder, stdout=log, stderr=log)
    try:
        until((folder / "info.json").exists, "the simulation is up")
        yield {**json.loads((folder / "info.json").read_text()), "cloud": str(folder / "run/cloud.jsonl")}
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def signed_in(folder: Path, hub: dict[str, Any]) -> dict[str, str]:
    """The variables of a reader who may deploy to the hub."""
    connection = hub["service"]["connection_string"]
    return variables_of(folder, IOTHUB_CONNECTION_STRING=connection, REQUESTS_CA_BUNDLE=hub["ca"])


def test_simulator(folder: Path, request: pytest.FixtureRequest) -> None:
    write(folder / "dist/deployment.json", sensor=module())
    (folder / "sample-request.json").write_text('{"data": [[1, 2]]}')
    cloud = folder / ".edgepack/simulation/cloud.jsonl"
    with PageRun("docs/simulator.md", request, folder, variables_of(folder), FREE_PORT) as page:
        page.run("pip install")
        going = page.start("edgepack simulate dist/deployment.json")
        going.until(lambda: cloud.exists() and b"sensor-001" in cloud.read_bytes(), "messages arrive")
        assert "nothing lost" in going.interrupt()
        page.replaced = {"edgepack simulate ": "edgepack simulate --port 0 --speed 12 "}
        assert "nothing lost" in page.run("edgepack simulate dist/deployment.json --scenario tunnel")
        assert "nothing lost" in page.run("edgepack simulate dist/deployment.json --source")
    assert json.loads((folder / "report.json").read_text())["lost"] == 0


def test_deploy(folder: Path, request: pytest.FixtureRequest) -> None:
    need("jq")
    deployment, other = folder / "dist/deployment.json", folder / "other/deployment.json"
    write(deployment, sensor=module())
    write(other, sensor=module(MessageDelay="00:00:02"))
    images = [f"registry.example.com/digits@sha256:{digest}{'0' * 60}" for digest in ("1b5e", "94f0")]
    replaced = {**FREE_PORT, "gateway-1": "edge-1"}
    with PageRun("docs/deploy.md", request, folder, variables_of(folder), replaced) as page:
        page.start("edgepack simulate")
        page.run("until")
        page.run("export REQUESTS_CA_BUNDLE")
        page.run("export IOTHUB_CONNECTION_STRING")
        info = json.loads((folder / "info.json").read_text())
        call(info, "PATCH", "twins", "edge-1", tags={"site": "a"})
        write(deployment, scorer=module(images[0], LEVEL="info"), old=module("registry.example.com/old:3"))
        page.type("edgepack deploy dist/deployment.json --device edge-1")
        write(deployment, scorer=module(images[1], LEVEL="debug"))
        page.run("edgepack deploy", prints=shown("docs/deploy.md", "warning: the module old"))
        write(deployment, sensor=module(MessageDelay="00:00:01"))
        assert "applied" in page.run("edgepack deploy dist/deployment.json --device")
        assert "applied" in page.run("edgepack deploy dist/deployment.json --id")
        assert "edge-1" in page.run("edgepack deploy status")
        assert "digits-7" in page.run("edgepack deploy list")
        page.run("edgepack deploy delete")
        page.run("edgepack deploy other/deployment.json")


def test_readme_deploy(folder: Path, hub: dict[str, Any], request: pytest.FixtureRequest) -> None:
    write(folder / "dist/deployment.json", sensor=module())
    with PageRun("README.md", request, folder, signed_in(folder, hub), {"gateway-1": "edge-2"}) as page:
        assert "applied" in page.run_all()


def test_example_two_modules(folder: Path, hub: dict[str, Any], request: pytest.FixtureRequest) -> None:
    layer = {"$edgeAgent": {"properties.desired.modules.scorer": module()}}
    (folder / "dist").mkdir()
    (folder / "dist/deployment.layered.json").write_text(json.dumps({"modulesContent": layer}))
    with PageRun("examples/two-modules/README.md", request, folder, signed_in(folder, hub)) as page:
        page.run_all()
        page.type("edgepack deploy delete --id line-1")


def test_example_for_iot_edge(folder: Path, hub: dict[str, Any], request: pytest.FixtureRequest) -> None:
    for name in ("score.py", "limits.json"):
        shutil.copy(ROOT / "examples/iot-edge" / name, folder)
    shutil.copy(hub["ca"], folder / "edge-ca.pem")
    shape = "HostName=...;GatewayHostName=...;DeviceId=...;ModuleId=anomaly;SharedAccessKey=..."
    connection = hub["modules"]["edge-1/anomaly"]
    names = [[part.partition("=")[0] for part in text.split(";")] for text in (shape, connection)]
    assert sorted(names[0]) == sorted(names[1])
    variables = variables_of(folder, EDGEPACK_HTTP="127.0.0.1:0")
    with PageRun("examples/iot-edge/README.md", request, folder, variables, {shape: connection}) as page:
        page.run("export EdgeHubConnectionString")
        page.run("export EdgeModuleCACertificateFile")
        agent = page.start("EDGEPACK_TRANSPORT=edgehub")
        cloud = Path(hub["cloud"])
        agent.until(lambda: cloud.exists() and '"module": "anomaly"' in cloud.read_text(), "the hub gets its results")
        agent.interrupt()


def test_fleet(folder: Path, hub: dict[str, Any], request: pytest.FixtureRequest) -> None:
    (folder / "simulator").symlink_to(ROOT / "simulator")
    shutil.copy(hub["ca"], folder / "ca.pem")
    devices = [text for name, text in hub["devices"].items() if name.startswith("sensor-")]
    (folder / "devices.txt").write_text("".join(f"{text}\n" for text in devices))
    port = str(free_port())
    variables = variables_of(folder, **dict.fromkeys(("LOCUST_MASTER_NODE_PORT", "LOCUST_MASTER_BIND_PORT"), port))
    mine = call(hub, "PUT", "devices", "mine", deviceId="mine")["authentication"]["symmetricKey"]["primaryKey"]
    hub_port = hub["hub"].rpartition(":")[2].rstrip("/")
    replaced = {
        "10.0.0.1": "127.0.0.1",
        "--users 1000 --spawn-rate 100": "--users 10 --spawn-rate 10",
        "10m": "3s",
        "8883": hub_port,
        "hub.example.net": devices[0].partition("HostName=")[2].partition(";")[0],
        '"sensor-001", "key": "BASE64"': f'"mine", "key": "{mine}"',
        '"duration_s": 60': '"duration_s": 2',
    }
    with PageRun("docs/fleet.md", request, folder, variables, replaced) as page:
        workers = [page.start("locust", again=True), page.start("locust")]
        assert "publish" in page.run("locust")
        for worker in workers:
            worker.wait()
        report = json.loads(page.run("echo").splitlines()[-1])
    assert report["totals"]["acknowledged"] == report["totals"]["produced"] == 4


def test_example_device_clients(folder: Path, request: pytest.FixtureRequest) -> None:
    need("jq")
    example = folder / "examples/device-clients"
    shutil.copytree(ROOT / "examples/device-clients", example)
    replaced = {"edgepack simulate ": f"edgepack simulate --host {loopback_address()} "}
    with PageRun("examples/device-clients/README.md", request, example, variables_of(folder), replaced) as page:
        page.run("pip install")
        page.start("edgepack simulate").until(lambda: (example / "info.json").exists(), "the simulation is up")
        page.run("export CA_FILE")
        page.run("export CONNECTION_STRING")
        page.start("python limiter.py")
        page.run("export CA_FILE")
        page.run("export CONNECTION_STRING")
        page.start("python thermometer.py")
        cloud = example / ".edgepack/simulation/cloud.jsonl"
        until(lambda: cloud.exists() and '"limiter"' in cloud.read_text(), "what the module judges arrives")
