"""The Python of SDK v1 with images as they are really built: a service with packages, and a package to save or pull."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack import CondaDependencies, Environment, InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from edgepack.azureml.exceptions import WebserviceException
from edgepack.oci.validate import verify_layout

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SCRIPT = """\
import json
import os

import joblib


def init():
    global model
    model = joblib.load(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "models", "flags.joblib"))


def run(data):
    return {"label": model[json.loads(data)["text"]], "joblib": joblib.__version__}
"""


@pytest.fixture
def ws(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    import joblib

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(workspace))
    (tmp_path / "models").mkdir()
    joblib.dump({"great": "POSITIVE"}, tmp_path / "models" / "flags.joblib")
    (tmp_path / "score.py").write_text(SCRIPT)
    made = Workspace.from_config()
    yield made
    for service in Webservice.list(made):
        service.delete()


def config() -> InferenceConfig:
    myenv = Environment(name="myenv")
    packages = CondaDependencies()  # asks for Python 3.8, as v1's did
    packages.add_conda_package("joblib")
    myenv.python.conda_dependencies = packages
    return InferenceConfig(entry_script="score.py", environment=myenv)


def test_a_service_with_packages(ws: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Model.register(ws, "./models", "flags")
    made = config()
    assert made.environment is not None
    made.environment.docker.base_image, made.environment.docker.base_dockerfile = None, "FROM ubuntu:22.04\n"
    service = Model.deploy(ws, "flags", [model], made, LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    assert sum("docker.baseDockerfile is not used" in text for text in caplog.messages) == 1
    assert service.run(json.dumps({"text": "great"}))["label"] == "POSITIVE"
    assert not list(tmp_path.glob("pylock.*")), "nothing is written beside the user's files"
    service.delete()


def test_a_package_for_all_platforms(ws: Workspace, tmp_path: Path) -> None:
    model = Model.register(ws, "./models", "flags")
    package = Model.package(ws, [model], config(), image_name="team/flags", image_label="1")
    package.wait_for_creation(show_output=True)
    assert (package.state, package.location) == ("Succeeded", "team/flags:1")
    assert [each.name for each in verify_layout(package.folder / "image").platforms] == ["linux/amd64", "linux/arm64"]
    log = str(package.get_logs())
    assert "the inference configuration asks for Python 3.8.13; debian:bookworm has Python 3.11" in log
    assert package.get_logs(decode=False, offset=5) == log.encode()[5:]
    with pytest.raises(WebserviceException, match="this package is an image"):
        package.save(str(tmp_path / "saved"))
    assert not list(tmp_path.glob("pylock.*"))
    (tmp_path / "score.py").write_text("def init():\n    pass\n")
    with pytest.raises(WebserviceException, match=r"score\.py"):
        Model.package(ws, [model], config())


@pytest.mark.engine
def test_a_dockerfile_builds_what_serves(
    ws: Workspace, tmp_path: Path, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.register(ws, "./models", "flags")
    package = Model.package(ws, [model], config(), generate_dockerfile=True, image_name="flags")
    package.wait_for_creation()
    with pytest.raises(WebserviceException, match="this package is a Dockerfile"):
        package.pull()
    package.save(str(tmp_path / "saved"))
    docker = ["docker", "-H", engine_url]
    built = subprocess.run(
        [*docker, "build", "-t", "flags", str(tmp_path / "saved")], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    code = "import json, score; score.init(); print(json.dumps(score.run(json.dumps({'text': 'great'}))))"
    run = [*docker, "run", "--rm", "--network=none", "--entrypoint", "python3", "flags", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["label"] == "POSITIVE"
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    image = Model.package(ws, [model], config(), image_name="flags")
    image.wait_for_creation()
    assert image.pull() == "flags:latest"
