"""The built images in a real engine, native and emulated: what is scored there is what the model says itself."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import joblib
import numpy as np
import pytest
from docker.models.containers import Container
from docker.types import LogConfig

from tests.e2e.conftest import run_edgepack, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(600)]

CALL = """
import sys, urllib.request, urllib.error
request = urllib.request.Request(sys.argv[1], data=sys.argv[2].encode() if len(sys.argv) > 2 else None)
try:
    with urllib.request.urlopen(request, timeout=120) as response: print(response.status, response.read().decode())
except urllib.error.HTTPError as error: print(error.code, error.read().decode())
except OSError as error: print(0, error)
"""


@dataclass(frozen=True)
class Project:
    """A built project: its folder, what `edgepack build` said, its sample request and the answer expected."""

    folder: Path
    report: dict[str, Any]
    sample: str
    expected: Any


def direct_digits(folder: Path, sample: str) -> Any:
    """The ONNX example's model, run here without any of edgepack."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model" / "digits.onnx"), options)
    pixels = np.array(json.loads(sample)["data"], dtype=np.float32)
    digit, probability = session.run(["digit", "probability"], {"pixels": pixels})
    return {"digit": digit.tolist(), "probability": [pytest.approx(p, abs=2e-4) for p in probability.max(axis=1)]}


def direct_iris(folder: Path, sample: str) -> Any:
    """The scikit-learn example's model, run here without any of edgepack."""
    species = ("setosa", "versicolor", "virginica")
    model = joblib.load(folder / "model" / "iris.joblib")
    return [species[number] for number in model.predict(np.array(json.loads(sample)["data"]))]


@pytest.fixture(scope="session", params=["onnx", "sklearn"])
def project(
    request: pytest.FixtureRequest, registry: str, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """An example project, made and built for both platforms by the real commands."""
    example = request.param
    folder = tmp_path_factory.mktemp("projects") / example
    run_edgepack(folder.parent, "init", str(folder), "--example", example, workspace=workspace)
    report = run_edgepack(folder, "build", "-t", f"{registry}/test/{example}:1", workspace=workspace)
    sample = (folder / "sample-request.json").read_text()
    expected = {"onnx": direct_digits, "sklearn": direct_iris}[example](folder, sample)
    return Project(folder, report, sample, expected)


def start(engine: docker.DockerClient, image: str, **options: Any) -> Container:
    """Run an image as a device would: its own user and entry point, read-only root, no network."""
    return engine.containers.run(
        image, detach=True, init=True, read_only=True, network_mode="none", tmpfs=options.pop("tmpfs", {}), **options
    )


def execute(container: Container, *command: str) -> tuple[int, str]:
    """Run a command in a container: exit code and output."""
    code, output = container.exec_run(list(command))
    assert code is not None
    assert isinstance(output, bytes)
    return code, output.decode()


def call(container: Container, path: str, body: str | None = None) -> tuple[int, str]:
    """An HTTP request from inside the container, by the container's own Python."""
    command = ["python3", "-c", CALL, f"http://127.0.0.1:5001{path}", *([body] if body is not None else [])]
    code, output = execute(container, *command)
    assert code == 0, output
    status, _, text = output.strip().partition(" ")
    return int(status), text


def wait_ready(container: Container, seconds: float) -> None:
    """Wait until the module says that it is ready; show its log if it ends instead."""

    def ready() -> bool:
        container.reload()
        if container.status == "exited":
            pytest.fail(f"the module ended:\n{container.logs().decode()}")
        return call(container, "/readyz")[0] == 200

    wait_until(ready, "module ready", seconds)


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
@pytest.mark.usefixtures("emulation")
def test_image_scores_like_the_model_itself(
    project: Project, engine: docker.DockerClient, engine_url: str, platform: str
) -> None:
    name = f"test/{project.folder.name}-{platform.replace('/', '-')}:loaded"
    loaded = load(engine_url, project.folder / "dist", platform, name)
    assert loaded["id"] == engine.images.get(name).id
    # Emulated, onnxruntime crashes on the host's description of its processors; an empty one does no harm.
    tmpfs = {"/sys/devices/system/cpu": ""} if platform == "linux/arm64" else {}
    container = start(engine, name, tmpfs=tmpfs)
    try:
        wait_ready(container, 300)
        status, text = call(container, "/score", project.sample)
        assert (status, json.loads(text)) == (200, project.expected)
        assert call(container, "/") == (200, "Healthy")
        _, who = execute(container, "python3", "-c", "import os, platform; print(os.getuid(), platform.machine())")
        assert who.split() == ["1000", {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[platform]]
        container.stop(timeout=30)
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True)


def load(engine_url: str, folder: Path, platform: str, name: str) -> dict[str, Any]:
    """`edgepack load` into the test's engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine_url)
        return run_edgepack(folder, "load", ".", "--platform", platform, "-t", name)


def test_deployment_runs_from_a_registry_by_digest(project: Project, engine: docker.DockerClient) -> None:
    """What IoT Edge does: pull the image that deployment.json names, create it with its createOptions."""
    dist = project.folder / "dist"
    copied = subprocess.run(
        [
            *("skopeo", "copy", "-q", "--all", "--dest-tls-verify=false"),
            *(f"oci:{dist}/image:1", f"docker://{project.report['image']}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert copied.returncode == 0, copied.stderr
    manifest = json.loads((dist / "deployment.json").read_text())
    module = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"][project.folder.name]
    settings = module["settings"]
    image = settings["image"]
    assert image == f"{project.report['image'].rpartition(':')[0]}@{project.report['digest']}"
    pulled = engine.images.pull(image)
    text = "".join(settings[key] for key in sorted(settings) if key.startswith("createOptions"))
    options = json.loads(text)["HostConfig"]
    container = engine.containers.create(
        pulled,
        init=True,
        network_mode="none",
        read_only=options["ReadonlyRootfs"],
        volumes=options["Binds"],
        tmpfs=options["Tmpfs"],
        log_config=LogConfig(type=options["LogConfig"]["Type"], config=options["LogConfig"]["Config"]),
    )
    try:
        container.start()
        wait_ready(container, 60)
        assert json.loads(call(container, "/score", project.sample)[1]) == project.expected
        code, output = execute(container, "python3", "-c", "open('/var/lib/edgepack/written', 'w').write('x')")
        assert code == 0, output
        code, _ = execute(container, "python3", "-c", "open('/var/azureml-app/written', 'w')")
        assert code != 0
        container.stop(timeout=30)
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True, v=True)


def test_skopeo_and_umoci_accept_the_layout(project: Project, tmp_path: Path) -> None:
    layout = project.folder / "dist" / "image"
    platforms: dict[str, Any] = project.report["platforms"]
    for platform, image in platforms.items():
        architecture = platform.removeprefix("linux/")
        inspected = subprocess.run(
            ["skopeo", f"--override-arch={architecture}", "inspect", f"oci:{layout}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(inspected.stdout)["Layers"] == [layer["digest"] for layer in image["layers"]]
        # umoci does not choose among platforms, so it gets a layout of one
        single = tmp_path / architecture
        subprocess.run(
            ["skopeo", f"--override-arch={architecture}", "copy", "-q", f"oci:{layout}", f"oci:{single}:1"], check=True
        )
        bundle = tmp_path / f"bundle-{architecture}"
        subprocess.run(["umoci", "unpack", "--image", f"{single}:1", str(bundle)], check=True, capture_output=True)
        config = json.loads((bundle / "config.json").read_text())
        assert config["process"]["args"] == ["/usr/bin/python3", "-m", "device_agent"]
        assert config["process"]["user"]["uid"] == 1000
        assert (bundle / "rootfs" / "var" / "lib" / "edgepack").stat().st_uid == 1000
