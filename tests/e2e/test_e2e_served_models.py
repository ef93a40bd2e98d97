"""Models without a script, of the real libraries: the same answers as MLflow's own server, and real images of them."""

import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.served_model import serving_of
from tests.e2e.conftest import run_edgepack

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = Path(__file__).parent / "scripts"
BOTH = "linux/amd64,linux/arm64"


@dataclass(frozen=True)
class Peer:
    """MLflow in an environment of its own: its Python, the folders it wrote, and what it answers to requests."""

    python: str
    folder: Path
    answers: list[tuple[str, Any, int, Any]]

    def answer(self, name: str) -> tuple[Any, Any]:
        """A request to one of the models, and what MLflow answers."""
        return next(
            (request, answer) for model, request, status, answer in self.answers if (model, status) == (name, 200)
        )


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    made = subprocess.run([ROOT / "scripts/peer", "mlflow"], capture_output=True, text=True, check=True)
    folder = tmp_path_factory.mktemp("mlflow")
    python = made.stdout.strip()
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([python, SCRIPTS / "mlflow_models.py", folder], env=environment, capture_output=True, check=True)
    return Peer(python, folder, json.loads((folder / "answers.json").read_text()))


def test_requests_are_answered_as_by_mlflows_own_server(peer: Peer, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "workspace")
    told = {}
    for name in dict.fromkeys(name for name, *_ in peer.answers):
        serving = serving_of(registry.register(RegisterRequest(name, peer.folder / name)), registry)
        assert serving is not None
        told[name] = serving.told
    asked = json.dumps([[told[name], request] for name, request, *_ in peer.answers])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [peer.python, str(SCRIPTS / "model_answers.py")]
    done = subprocess.run(
        command, input=asked, cwd=peer.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    replies = json.loads(done.stdout)
    assert len(replies) == len(peer.answers) > 40
    assert {status for status, _ in replies} == {200, 400}
    for (name, request, status, expected), (own_status, own) in zip(peer.answers, replies, strict=True):
        where = f"{name} {json.dumps(request)}"
        assert own_status == status, f"{where}: {own}"
        if status == 200:
            assert _rounded(own) == _rounded(expected), where


def _rounded(value: Any) -> Any:
    """Numbers without their last digit, which depends on how arrays lie in memory."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return {key: _rounded(each) for key, each in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class Registered:
    """A model in the workspace with a request and what the library itself answers to it."""

    options: list[str]
    request: Any
    answer: Any


def models_of(peer: Peer, folder: Path) -> dict[str, Registered]:
    """One of each kind."""
    x, y = load_iris(return_X_y=True)
    iris = LogisticRegression(max_iter=500).fit(x, y)
    joblib.dump(iris, folder / "iris.joblib")
    run_edgepack(folder, "init", "example")
    digits, pixels = folder / "example/model/digits.onnx", np.arange(64, dtype=np.float32).reshape(1, 64) % 17
    session = onnxruntime.InferenceSession(str(digits), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    scored = dict(zip(names, (each.tolist() for each in session.run(names, {"pixels": pixels})), strict=True))
    return {
        "iris": Registered(
            ["-p", "iris.joblib", "--model-framework", "ScikitLearn"],
            {"data": x[::25].tolist(), "method": "predict_proba"},
            iris.predict_proba(x[::25]).tolist(),
        ),
        "digits": Registered(["-p", str(digits), "--model-framework", "Onnx"], {"pixels": pixels.tolist()}, scored),
        "columns": Registered(["--from-mlflow", str(peer.folder / "columns")], *peer.answer("columns")),
        "trees": Registered(["--from-mlflow", str(peer.folder / "trees")], *peer.answer("trees")),
        "old": Registered(["--from-mlflow", str(peer.folder / "old_trees")], *peer.answer("old_trees")),
    }


def test_images_answer_as_the_libraries_do(peer: Peer, workspace: Path, tmp_path: Path) -> None:
    models = models_of(peer, tmp_path)
    for name, model in models.items():
        (tmp_path / "request.json").write_text(json.dumps(model.request))
        (tmp_path / "answer.json").write_text(json.dumps(model.answer))
        samples = ["--sample-input", "request.json", "--sample-output", "answer.json"]
        run_edgepack(tmp_path, "model", "register", "-n", name, *model.options, *samples, workspace=workspace)
    project = {"name": "served", "modules": {name: {"models": [name]} for name in models}}
    (tmp_path / "edgepack.yaml").write_text(json.dumps(project))
    built = run_edgepack(tmp_path, "build", "--platform", BOTH, workspace=workspace)
    check = ["build", "--locked", "--platform", "linux/amd64", "-o", "checked", "--check"]
    checked = run_edgepack(tmp_path, *check, workspace=workspace)
    results = {name: check["linux/amd64"]["result"] for name, check in checked["check"].items()}  # type: ignore[attr-defined]
    assert results == {f"served/{name}:latest": "passed" for name in models}
    for name in ("iris", "columns", "trees"):
        layers = built["modules"][name]["platforms"]["linux/arm64"]["layers"]  # type: ignore[index]
        (layer,) = [layer for layer in layers if layer["title"].startswith("scikit-learn")]
        blob = tmp_path / "dist" / name / "image" / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
        with tarfile.open(blob) as files:
            names = [member.name for member in files if "/sklearn/" in member.name and member.name.endswith(".so")]
        assert names
        assert all("aarch64-linux-gnu" in file for file in names if "cpython" in file)
