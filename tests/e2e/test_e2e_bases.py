"""Other bases in a real engine: 32-bit ARM with Debian's Python packages, and images that others made."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.conftest import run_edgepack
from tests.e2e.test_e2e_engine import call, direct_digits, load, start, wait_ready

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(900)]

ALL = "linux/amd64,linux/arm64,linux/arm/v7"
SCIKIT_LEARN = "1.2.1"  # what Debian bookworm has
SCRIPT = """\
import json, os
import joblib
import numpy as np

def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "iris.joblib"))

def run(data):
    return model.predict_proba(np.array(json.loads(data)["data"], dtype=float)).tolist()
"""
TRAIN = """\
import json, sys
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

x, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(x, y)
joblib.dump(model, sys.argv[1])
print(json.dumps(model.predict_proba(x[[0, 60, 120]]).tolist()))
"""
SAMPLE = json.dumps({"data": [[5.1, 3.5, 1.4, 0.2], [5.0, 2.0, 3.5, 1.0], [6.9, 3.2, 5.7, 2.3]]})


@dataclass(frozen=True)
class Engine:
    """An engine and its address."""

    client: docker.DockerClient
    url: str

    def answer(self, folder: Path, platform: str, name: str, sample: str) -> Any:
        """What the image built in a project answers to a sample, over HTTP inside of its container."""
        load(self.url, folder / "dist", platform, name)
        container = start(self.client, name, environment={"SCORING_TIMEOUT_MS": "600000"})
        try:
            wait_ready(container, 400)
            status, body = call(container, "/score", sample)
            assert status == 200, body
            return json.loads(body)
        finally:
            container.remove(force=True)


@pytest.fixture
def runner(engine: docker.DockerClient, engine_url: str) -> Engine:
    return Engine(engine, engine_url)


@pytest.mark.usefixtures("emulation")
def test_scikit_learn_on_arm_v7(runner: Engine, workspace: Path, tmp_path: Path) -> None:
    """What Debian's scikit-learn says in the image is what the index's says here of the same pickle."""
    from uv import find_uv_bin

    folder = tmp_path / "scorer"
    run_edgepack(tmp_path, "init", str(folder), "--example", "sklearn", workspace=workspace)
    model = folder / "model" / "iris.joblib"
    packages = ["--with", f"scikit-learn=={SCIKIT_LEARN}", "--with", "numpy<2", "--with", "scipy<1.12"]
    command = [find_uv_bin(), "run", "-q", "--no-project", "--python", "3.11", *packages, "-", str(model)]
    trained = subprocess.run(command, input=TRAIN, capture_output=True, text=True, check=True, cwd=tmp_path)
    (folder / "score.py").write_text(SCRIPT)
    conda = (folder / "conda.yml").read_text()
    (folder / "conda.yml").write_text(re.sub("scikit-learn=.*", f"scikit-learn={SCIKIT_LEARN}", conda))
    more = ("--model-framework", "ScikitLearn", "--model-framework-version", SCIKIT_LEARN)
    run_edgepack(folder, "model", "register", "-n", "iris", "-p", "model", *more, workspace=workspace)
    report = run_edgepack(folder, "build", "--platform", ALL, "--without-security", workspace=workspace)
    assert list(report["platforms"]) == ["linux/amd64", "linux/arm/v7", "linux/arm64"]  # type: ignore[call-overload]
    raw = subprocess.run(["skopeo", "inspect", "--raw", "oci:dist/image"], cwd=folder, capture_output=True, check=True)
    platforms = [each["platform"] for each in json.loads(raw.stdout)["manifests"]]
    assert {"architecture": "arm", "os": "linux", "variant": "v7"} in platforms
    found = runner.answer(folder, "linux/arm/v7", "test/iris-arm:1", SAMPLE)
    assert found == [pytest.approx(row, abs=1e-9) for row in json.loads(trained.stdout)]


@pytest.mark.usefixtures("emulation")
def test_onnx_on_arm_v7(runner: Engine, workspace: Path, tmp_path: Path) -> None:
    """Debian trixie's ONNX Runtime answers what the index's does here."""
    folder = tmp_path / "scorer"
    run_edgepack(tmp_path, "init", str(folder), "--example", "onnx", workspace=workspace)
    arguments = ("--base", "debian:trixie", "--platform", "linux/arm/v7", "--without-security")
    run_edgepack(folder, "build", *arguments, workspace=workspace)
    sample = (folder / "sample-request.json").read_text()
    found = runner.answer(folder, "linux/arm/v7", "test/digits-arm:1", sample)
    assert found == direct_digits(folder, sample)


def slim_image(folder: Path, base: Path) -> None:
    """An image like `python:3.N-slim`: below, what Debian has; above, a Python of its own in /usr/local."""
    image, bundle = f"{folder}/image:latest", folder / "bundle"
    folder.mkdir()
    subprocess.run(["skopeo", "copy", "-q", f"oci:{base}:latest", f"oci:{image}"], check=True)
    subprocess.run(["umoci", "unpack", "--image", image, str(bundle)], check=True, capture_output=True)
    root = bundle / "rootfs"
    for name in root.glob("usr/bin/python3*"):
        name.unlink()
    shutil.rmtree(root / "var/azureml-app")
    library = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(sys.base_prefix, "bin", library).resolve(), root / "usr/local/bin" / library)
    (root / "usr/local/bin/python3").symlink_to(library)
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "ensurepip", "config-*", "idlelib")
    shutil.copytree(
        Path(sys.base_prefix, "lib", library),
        root / "usr/local/lib" / library,
        ignore=left_out,
        symlinks=True,
        dirs_exist_ok=True,
    )
    (root / "usr/local/lib" / library / "site-packages").mkdir()
    for shared in Path(sys.base_prefix, "lib").glob(f"lib{library}.so*"):
        shutil.copy(shared, root / "usr/local/lib", follow_symlinks=False)
    subprocess.run(["umoci", "repack", "--image", image, str(bundle)], check=True, capture_output=True)
    environment = ["--config.env", "LD_LIBRARY_PATH=/usr/local/lib"]  # in place of what ldconfig would have done
    subprocess.run(["umoci", "config", "--image", image, *environment], check=True, capture_output=True)


@pytest.mark.skipif(sys.base_prefix == "/usr", reason="this Python is Debian's: it cannot be moved to /usr/local")
def test_an_image_of_a_registry_as_a_base(runner: Engine, registry: str, workspace: Path, tmp_path: Path) -> None:
    """A base of a registry with a Python of its own: its layers are ours, byte for byte, and it runs."""
    folder = tmp_path / "scorer"
    run_edgepack(tmp_path, "init", str(folder), "--example", "onnx", workspace=workspace)
    run_edgepack(folder, "build", "--platform", "linux/amd64", "-o", "plain", workspace=workspace)
    slim_image(tmp_path / "slim", folder / "plain" / "image")
    name = f"{registry}/test/python:slim"
    push = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{tmp_path}/slim/image:latest", f"docker://{name}"]
    subprocess.run(push, check=True)
    run_edgepack(folder, "build", "--base", name, "--platform", "linux/amd64", workspace=workspace)
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"], capture_output=True, check=True
    )
    wanted = [layer["digest"] for layer in json.loads(raw.stdout)["layers"]]
    report = json.loads((folder / "dist/build.json").read_text())
    layers = report["platforms"]["linux/amd64"]["layers"]
    assert [layer["digest"] for layer in layers][: len(wanted)] == wanted
    sample = (folder / "sample-request.json").read_text()
    assert runner.answer(folder, "linux/amd64", "test/slim:1", sample) == direct_digits(folder, sample)
    run_edgepack(folder, "verify", "dist")
