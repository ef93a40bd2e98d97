"""The command lines of the SDK v1 article: a registered folder of models, its files, a service that is called.

As processes, and in a real engine (`--runner docker`).
"""

import io
import json
import os
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from edgepack.services.container_runner import LABEL
from edgepack.services.ports import port_problem
from edgepack.services.process_identity import marked
from edgepack.services.process_runner import mark_of
from tests.e2e.conftest import EDGEPACK, run_edgepack, wait_until

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SCRIPT = """\
import json
import os
import pickle


def init():
    global model
    with open(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "./models/words.pkl"), "rb") as handle:
        model = pickle.load(handle)


def run(data):
    try:
        words = json.loads(data)["text"].lower().strip("!").split()
        return {"label": "POSITIVE" if any(model.get(word, 0) > 0 for word in words) else "NEGATIVE"}
    except Exception as e:
        return str(e)
"""
CONDA = "name: inference_environment\ndependencies:\n- python=3.11\n- pip:\n  - azureml-defaults\n"
GOOD, BAD = '{"text": "Today is a great day!"}', '{"text": "Rain"}'


@dataclass(frozen=True)
class Desk:
    """A project as a user of SDK v1 has it, and the commands run in it."""

    folder: Path
    workspace: Path

    def run(self, *arguments: str) -> dict[str, Any]:
        return run_edgepack(self.folder, *arguments, workspace=self.workspace)

    def refused(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = self._call(*arguments)
        assert done.returncode, done.stdout
        return done

    def services(self) -> list[dict[str, Any]]:
        done = self._call("--json", "service", "list")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "EDGEPACK_WORKSPACE": str(self.workspace)}
        command = [str(EDGEPACK), *arguments]
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def desk(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose services are deleted while the DOCKER_HOST of a test still holds: `monkeypatch` ends after it."""
    (tmp_path / "models").mkdir()
    import pickle

    (tmp_path / "models" / "words.pkl").write_bytes(pickle.dumps({"great": 1}, protocol=4))
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "myenv.yml").write_text(CONDA)
    (tmp_path / "inferenceConfig.json").write_text(
        '{\n   "entryScript": "score.py",\n   "runtime": "python",\n   "condaFile": "myenv.yml"\n}\n'
    )
    (tmp_path / "deploymentConfig.json").write_text('{\n    "computeType": "LOCAL"\n}\n')
    made = Desk(tmp_path, workspace)
    yield made
    for found in made.services():
        made.run("service", "delete", found["name"], "--image")


def post(url: str, body: str, key: str | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def register(desk: Desk) -> str:
    made = desk.run(
        "model", "register", "-p", "./models", "-n", "sentiment", "-w", "myworkspace", "-g", "myresourcegroup"
    )
    return str(made["id"])


def test_the_articles_command_lines(desk: Desk) -> None:
    model = register(desk)
    files = ("--ic", "inferenceConfig.json", "--dc", "deploymentConfig.json")
    service = desk.run("model", "deploy", "-n", "myservice", "-m", model, *files)
    assert (service["state"], service["models"]) == ("running", [model])
    assert post(service["scoringUri"], GOOD) == (200, {"label": "POSITIVE"})
    assert desk.run("service", "run", "myservice", "-d", BAD) == {"label": "NEGATIVE"}
    assert not list(desk.folder.glob("pylock.*")), "a deployment writes nothing beside the user's files"

    (desk.folder / "score.py").write_text(SCRIPT.replace('"NEGATIVE"', '"NEUTRAL"'))
    assert desk.run("service", "reload", "myservice")["port"] == service["port"]
    assert post(service["scoringUri"], BAD) == (200, {"label": "NEUTRAL"})
    (desk.folder / "score.py").write_text("def init():\n    1 / 0\n\n\ndef run(data):\n    return data\n")
    failed = desk.refused("service", "update", "myservice", "--ic", "inferenceConfig.json")
    assert failed.returncode == 2
    assert "ZeroDivisionError: division by zero" in failed.stderr
    assert post(service["scoringUri"], BAD) == (200, {"label": "NEUTRAL"})

    place = desk.workspace / "services" / "myservice"
    assert len(list(marked(mark_of(place)))) == 3
    desk.run("service", "delete", "myservice")
    assert list(marked(mark_of(place))) == []
    assert not (desk.workspace / "services").exists()
    assert port_problem("127.0.0.1", int(service["port"])) is None


@pytest.mark.engine
def test_in_an_engine(
    desk: Desk, engine: docker.DockerClient, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    model = register(desk)
    deploy = (
        "service",
        "deploy",
        "-n",
        "boxed",
        "-m",
        model,
        "--ic",
        "inferenceConfig.json",
        "--runner",
        "docker",
        "--key",
    )
    service = desk.run(*deploy)
    keys = desk.run("service", "keys", "boxed")
    assert service["state"] == "running"
    container = engine.containers.get(service["container"])
    assert container.labels[LABEL] == "boxed"
    assert post(service["scoringUri"], GOOD)[0] == 401
    assert post(service["scoringUri"], GOOD, keys["secondaryKey"]) == (200, {"label": "POSITIVE"})

    container.kill()
    wait_until(lambda: desk.services()[0]["state"] == "failed", "the end of the container is seen")
    assert "exit code 137" in desk.services()[0]["reason"]
    (desk.folder / "score.py").write_text(SCRIPT.replace('"NEGATIVE"', '"NEUTRAL"'))
    again = desk.run("service", "reload", "boxed")
    assert (again["state"], again["image"], again["port"]) == ("running", service["image"], service["port"])
    assert post(again["scoringUri"], BAD, keys["primaryKey"]) == (200, {"label": "NEUTRAL"})

    desk.run("service", "regen-key", "boxed", "--key", "Primary")
    new = desk.run("service", "keys", "boxed")
    wait_until(lambda: post(again["scoringUri"], GOOD, new["primaryKey"])[0] == 200, "the new key is read")
    assert post(again["scoringUri"], GOOD, keys["primaryKey"])[0] == 401

    (desk.folder / "score.py").write_text("def init():\n    1 / 0\n\n\ndef run(data):\n    return data\n")
    failed = desk.refused(*deploy, "--overwrite")
    assert "ZeroDivisionError" in failed.stderr
    assert post(again["scoringUri"], GOOD, new["primaryKey"])[0] == 200, "the old one goes on"
    assert len(engine.containers.list(all=True, filters={"label": LABEL})) == 1

    desk.run("service", "delete", "boxed", "--image")
    assert engine.containers.list(all=True, filters={"label": LABEL}) == []
    assert [volume.name for volume in engine.volumes.list() if "boxed" in volume.name] == []
    assert [tag for image in engine.images.list() for tag in image.tags if "boxed" in tag] == []
    assert not (desk.workspace / "services").exists()


FOLDER_SCRIPT = """\
import os
import sys

sys.dont_write_bytecode = True
FOLDER = os.path.dirname(os.path.abspath(__file__))


def init():
    pass


def run(data):
    found = (os.path.relpath(os.path.join(at, name), FOLDER) for at, _, names in os.walk(FOLDER) for name in names)
    try:
        import words
    except ModuleNotFoundError:
        return sorted(found), None
    return sorted(found), words.WORDS
"""


@pytest.mark.engine
def test_a_reload_in_an_engine_has_the_folder_as_it_is_now(
    desk: Desk, engine: docker.DockerClient, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    volumes = {volume.name for volume in engine.volumes.list()}
    source = desk.folder / "src"
    (source / "parts").mkdir(parents=True)
    (source / "score.py").write_text(FOLDER_SCRIPT)
    (source / "words.py").write_text("WORDS = 1\n")
    (source / "parts" / "old.txt").write_text("old")
    (desk.folder / "ic.json").write_text('{"entryScript": "score.py", "sourceDirectory": "src"}')
    service = desk.run("service", "deploy", "-n", "boxed", "--ic", "ic.json", "--runner", "docker")
    assert post(service["scoringUri"], "{}") == (200, [["parts/old.txt", "score.py", "words.py"], 1])

    (source / "words.py").unlink()
    shutil.rmtree(source / "parts")
    (source / "more" / "deep").mkdir(parents=True)
    (source / "more" / "deep" / "new.txt").write_text("new")
    for _ in range(2):
        desk.run("service", "reload", "boxed")
        assert post(service["scoringUri"], "{}") == (200, [["more/deep/new.txt", "score.py"], None])

    source.rename(desk.folder / "moved")
    locked = desk.run("service", "update", "boxed", "--key")
    key = desk.run("service", "keys", "boxed")["primaryKey"]
    assert post(locked["scoringUri"], "{}")[0] == 401
    assert post(locked["scoringUri"], "{}", key) == (200, [["more/deep/new.txt", "score.py"], None]), (
        "it keeps its script"
    )
    desk.run("service", "delete", "boxed", "--image")
    assert {volume.name for volume in engine.volumes.list()} == volumes


VARIABLES_SCRIPT = """
import os


def init():
    pass


def run(data):
    return [os.environ.get(name) for name in ("LEVEL", "FIRST", "LATER")]
"""


@pytest.mark.engine
def test_a_reload_in_an_engine_has_the_variables_as_they_are_now(
    desk: Desk, engine: docker.DockerClient, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)

    def configure(**variables: str) -> None:
        config = {"entryScript": "score.py", "environment": {"environmentVariables": variables}}
        (desk.folder / "ic.json").write_text(json.dumps(config))

    (desk.folder / "score.py").write_text(VARIABLES_SCRIPT)
    configure(LEVEL="one", FIRST="x")
    service = desk.run("service", "deploy", "-n", "boxed", "--ic", "ic.json", "--runner", "docker")
    assert post(service["scoringUri"], "{}") == (200, ["one", "x", None])
    configure(LEVEL="two", LATER="y")
    desk.run("service", "reload", "boxed")
    assert post(service["scoringUri"], "{}") == (200, ["two", None, "y"])
    (desk.folder / "ic.json").unlink()
    locked = desk.run("service", "update", "boxed", "--key")
    key = desk.run("service", "keys", "boxed")["primaryKey"]
    assert post(locked["scoringUri"], "{}", key) == (200, ["two", None, "y"])
    desk.run("service", "delete", "boxed", "--image")


@pytest.mark.engine
def test_what_a_container_collects_outlives_a_reload(
    desk: Desk, engine: docker.DockerClient, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    collection = {"collections": {"request": {"enabled": True}}}
    (desk.folder / "dc.json").write_text(json.dumps({"computeType": "local", "data_collector": collection}))
    files = ("--ic", "inferenceConfig.json", "--dc", "dc.json")
    service = desk.run("service", "deploy", "-n", "boxed", "-m", register(desk), *files, "--runner", "docker")

    def kept(container: str) -> list[Any]:
        pieces, _ = engine.containers.get(container).get_archive("/var/lib/edgepack")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            names = sorted(name for name in archive.getnames() if name.endswith(".jsonl"))
            texts = [found.read() for name in names if (found := archive.extractfile(name))]
        return sorted(json.loads(line)["request"]["text"] for text in texts for line in text.splitlines())

    assert post(service["scoringUri"], GOOD)[0] == 200
    wait_until(lambda: kept(service["container"]) == [json.loads(GOOD)["text"]], "the first request is kept")
    again = desk.run("service", "reload", "boxed")
    assert post(again["scoringUri"], BAD)[0] == 200
    both = sorted(json.loads(text)["text"] for text in (GOOD, BAD))
    wait_until(lambda: kept(again["container"]) == both, "both are there")
    desk.run("service", "delete", "boxed", "--image")


@pytest.mark.engine
def test_nothing_stays_in_the_engine_when_a_service_leaves_it(
    desk: Desk, engine: docker.DockerClient, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    deploy = ("service", "deploy", "-n", "moving", "--ic", "inferenceConfig.json", "-m", register(desk))
    desk.run(*deploy, "--runner", "docker")
    service = desk.run(*deploy, "--runner", "process", "--overwrite")
    assert post(service["scoringUri"], GOOD) == (200, {"label": "POSITIVE"})
    assert engine.containers.list(all=True, filters={"label": LABEL}) == []
    assert [volume.name for volume in engine.volumes.list() if "moving" in volume.name] == []
    assert [tag for image in engine.images.list() for tag in image.tags if "moving" in tag] == []


@pytest.mark.engine
def test_what_is_left_in_an_engine_is_found(
    desk: Desk, engine: docker.DockerClient, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    (desk.folder / "score.py").write_text("def init():\n    1 / 0\n\n\ndef run(data):\n    return data\n")
    deploy = ("service", "deploy", "-n", "boxed", "--ic", "inferenceConfig.json", "--runner", "docker")
    assert "ZeroDivisionError" in desk.refused(*deploy).stderr
    assert desk.services()[0]["state"] == "failed"
    assert "User's init function failed" in desk.run("service", "logs", "boxed")["log"]
    record = desk.workspace / "services" / "boxed" / "service.json"
    record.write_text("{}")
    desk.run("service", "delete", "boxed", "--image")
    assert engine.containers.list(all=True, filters={"label": LABEL}) == []


def test_without_an_engine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{desk.folder}/no.sock")
    deploy = ("service", "deploy", "-n", "boxed", "--ic", "inferenceConfig.json", "--runner", "docker")
    failed = desk.refused(*deploy)
    assert failed.returncode == 3
    assert "the Docker engine does not run services" in failed.stderr
    assert desk.services() == []
