"""The two builders side by side, checks of images, and what they say when something is wrong, in a real engine."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import numpy as np
import onnxruntime
import pytest
import yaml

from edgepack.oci.layout import blob_path
from edgepack.oci.validate import PlatformContent, choose_platform
from tests.e2e.conftest import EDGEPACK, run_edgepack

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(900)]

HOSTILE = {"LINES": "one\ntwo", "DOLLAR": "$PATH ${HOME} \\$x", "QUOTES": "\"'`", "SLASH": "C:\\x\\", "a b": " # "}
PLATFORMS = ("linux/amd64", "linux/arm64")

# What an image from an engine has otherwise, with the reason. Nothing else may differ: also the order of variables
# (engines put PATH first), the times of files, and the history.
SETTINGS_OF_ENGINES_ONLY = {
    *("Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"),
    *("Cmd", "Image", "OnBuild", "ArgsEscaped", "Shell", "Healthcheck"),  # how engines write that there is none
}


@dataclass(frozen=True)
class Project:
    """The ONNX example with hostile variables and an expected answer; built by both builders."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command in the project; its exit code must be `code`."""
        done = subprocess.run(
            [EDGEPACK, "--json", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def copy(self, folder: Path) -> "Project":
        """The same project elsewhere, for changes."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("dist*"))
        return Project(folder, self.environment)

    def without_engine(self) -> "Project":
        """The same, where no engine answers."""
        return Project(self.folder, {**self.environment, "DOCKER_HOST": "unix:///nowhere/docker.sock"})


@pytest.fixture(scope="module")
def project(workspace: Path, engine_url: str, emulation: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, built by edgepack into `dist` and by the engine into `dist-docker`, which checks it."""
    folder = tmp_path_factory.mktemp("builders") / "digits"
    run_edgepack(folder.parent, "init", str(folder), "--example", "onnx", workspace=workspace)
    document = yaml.safe_load((folder / "edgepack.yaml").read_text())
    document["image"] = "test/builders:1"
    document["inference_config"] = {
        "entryScript": "score.py",
        "environment": {
            "python": {"condaDependenciesFile": "conda.yml"},
            "environmentVariables": HOSTILE,
        },
    }
    (folder / "edgepack.yaml").write_text(yaml.safe_dump(document))
    session = onnxruntime.InferenceSession(str(folder / "model" / "digits.onnx"))
    pixels = np.array(json.loads((folder / "sample-request.json").read_text())["data"], dtype=np.float32)
    digit, probability = session.run(["digit", "probability"], {"pixels": pixels})
    expected = {"digit": digit.tolist(), "probability": probability.max(axis=1).tolist()}
    (folder / "sample-response.json").write_text(json.dumps(expected))
    kept = {name: value for name, value in os.environ.items() if name != "EDGEPACK_WORKSPACE"}
    project = Project(folder, {**kept, "EDGEPACK_WORKSPACE": str(workspace), "DOCKER_HOST": engine_url})
    project.run("build")
    project.run("build", "--builder", "docker", "-o", "dist-docker", "--check", "--load")
    return project


def tree_of(layout: Path, content: PlatformContent) -> dict[str, tuple[Any, ...]]:
    """All paths of an image: type, mode, owner, content or target."""
    found: dict[str, tuple[Any, ...]] = {}
    for layer in content.layers:
        with tarfile.open(blob_path(layout, layer.digest)) as archive:
            for member in archive:
                what: Any = member.linkname
                if member.isfile():
                    file = archive.extractfile(member)
                    assert file is not None
                    what = hashlib.sha256(file.read()).hexdigest()
                found[member.name.strip("/")] = (member.type, member.mode & 0o7777, member.uid, member.gid, what)
    return found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_both_builders_make_the_same_image(project: Project, platform: str) -> None:
    own, engines = project.folder / "dist" / "image", project.folder / "dist-docker" / "image"
    one, other = choose_platform(own, platform), choose_platform(engines, platform)
    assert tree_of(engines, other) == tree_of(own, one)
    settings, found = (each.config["config"] | {"Env": sorted(each.config["config"]["Env"])} for each in (one, other))
    assert {key: found[key] for key in settings} == settings
    assert set(found) - set(settings) <= SETTINGS_OF_ENGINES_ONLY
    assert not any(found[key] for key in set(found) - set(settings) - {"Image"})
    assert set(HOSTILE.items()) <= {tuple(text.split("=", 1)) for text in found["Env"]}
    assert (other.name, other.layers[0].digest) == (one.name, one.layers[0].digest)


def test_an_engines_image_has_the_same_documents(project: Project) -> None:
    own, engines = project.folder / "dist", project.folder / "dist-docker"
    names = sorted(path.relative_to(own).as_posix() for path in own.rglob("*") if "blobs" not in path.parts)
    assert names == sorted(
        path.relative_to(engines).as_posix() for path in engines.rglob("*") if "blobs" not in path.parts
    )
    project.run("verify", "dist-docker")
    report = json.loads((engines / "build.json").read_text())
    assert report["digest"] in (engines / "deployment.json").read_text()
    kinds = [layer["kind"] for layer in report["platforms"]["linux/arm64"]["layers"]]
    assert sorted(kinds) == sorted(
        layer["kind"] for layer in json.loads((own / "build.json").read_text())["platforms"]["linux/arm64"]["layers"]
    )


def test_the_engines_image_answers_as_the_model_does(project: Project) -> None:
    """It was checked against the model's own numbers, native and emulated, in the engine."""
    checks = json.loads((project.folder / "dist-docker" / "build.json").read_text())["check"]["test/builders:1"]
    assert {platform: check["result"] for platform, check in checks.items()} == dict.fromkeys(PLATFORMS, "passed")
    assert all(check["how"].startswith("in Docker engine") for check in checks.values())


def test_a_loaded_image_has_the_id_that_was_built(project: Project, engine: docker.DockerClient) -> None:
    built = choose_platform(project.folder / "dist-docker" / "image", "linux/amd64")
    assert engine.images.get("test/builders:1").id == built.config_digest
    assert engine.images.get("test/builders:1-amd64").id == built.config_digest


def test_nothing_changed_gives_the_same_digest(project: Project) -> None:
    before = json.loads((project.folder / "dist-docker" / "build.json").read_text())
    again = json.loads(project.run("build", "--builder", "docker", "-o", "dist-docker").stdout)
    assert again["digest"] == before["digest"]
    assert all(layer["cached"] for image in again["platforms"].values() for layer in image["layers"])


@pytest.fixture
def changed(project: Project, tmp_path: Path) -> Project:
    """A copy to change, without an engine: its images are checked as processes."""
    return project.copy(tmp_path / "digits").without_engine()


ONLY = ("build", "--platform", "linux/amd64", "--check")


def test_a_check_without_an_engine(changed: Project) -> None:
    report = json.loads(changed.run(*ONLY).stdout)
    check = report["check"]["test/builders:1"]["linux/amd64"]
    assert (check["result"], check["how"]) == ("passed", "as a process")


def test_a_wrong_number(changed: Project) -> None:
    response = changed.folder / "sample-response.json"
    expected = json.loads(response.read_text())
    expected["probability"][1] -= 0.1
    response.write_text(json.dumps(expected))
    done = changed.run(*ONLY, code=2)
    assert "the answer differs at /probability/1: expected 0.8" in done.stderr
    report = json.loads((changed.folder / "dist" / "build.json").read_text())
    assert report["check"]["test/builders:1"]["linux/amd64"]["result"] == "failed"
    changed.run("verify", "dist")


@pytest.mark.parametrize(
    ("script", "more", "expected"),
    [
        (
            "def init():\n    raise LookupError('no weights here')\n\n\ndef run(data):\n    return data\n",
            (),
            ["the module ended before it was ready (exit code 3)", "LookupError: no weights here", "in init"],
        ),
        (
            "import time\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    time.sleep(1000)\n",
            ("--check-timeout", "8"),
            ["the module has not answered within 8 s"],
        ),
        (
            "import os\n\n\ndef init():\n    open(os.environ['AZUREML_MODEL_DIR'] + '/missing.onnx')\n\n\n"
            "def run(data):\n    return data\n",
            (),
            ["FileNotFoundError", "missing.onnx"],
        ),
    ],
    ids=["init raises", "run hangs", "model missing"],
)
def test_scripts_that_fail(script: str, more: tuple[str, ...], expected: list[str], changed: Project) -> None:
    (changed.folder / "score.py").write_text(script)
    done = changed.run(*ONLY, *more, code=2)
    for text in expected:
        assert text in done.stderr


def test_a_dockerfile_of_ones_own(project: Project, tmp_path: Path) -> None:
    own = project.copy(tmp_path / "digits")
    (own.folder / "extra.txt").write_text("copied")
    text = (
        "FROM @{base}\nCOPY extra.txt /opt/extra.txt\n"
        'RUN ["/usr/bin/python3", "-c", "import platform; open(\'/opt/made\', \'w\').write(platform.machine())"]\n'
        "@{packages}\n@{agent}\n@{models}\n@{script}\n@{settings}\n"
    )
    (own.folder / "Dockerfile").write_text(text)
    build = ("build", "--builder", "docker", "--dockerfile", "Dockerfile", "--build-network", "none")
    report = json.loads(own.run(*build, "--platform", "linux/arm64").stdout)
    layout = own.folder / "dist" / "image"
    tree = tree_of(layout, choose_platform(layout, "linux/arm64"))
    assert tree["opt/made"][-1] == hashlib.sha256(b"aarch64").hexdigest()
    assert tree["opt/extra.txt"][-1] == hashlib.sha256(b"copied").hexdigest()
    kinds = [layer["kind"] for layer in report["platforms"]["linux/arm64"]["layers"]]
    assert kinds[:3] == ["base", "step", "step"]
    assert kinds[-1] == "script"


def test_a_step_that_fails_is_named(project: Project, tmp_path: Path) -> None:
    own = project.copy(tmp_path / "digits")
    failing = 'RUN ["/usr/bin/python3", "-c", "print(\'on the way\'); raise SystemExit(3)"]'
    text = f"FROM @{{base}}\n{failing}\n@{{packages}}\n@{{agent}}\n@{{models}}\n@{{script}}\n@{{settings}}\n"
    (own.folder / "Dockerfile").write_text(text)
    with (own.folder / "edgepack.yaml").open("a") as file:
        file.write("\ndockerfile: Dockerfile\n")
    done = own.run("build", "--builder", "docker", "--build-network", "none", code=3)
    assert "linux/amd64  on the way" in done.stderr
    assert "Dockerfile: step 2/" in done.stderr
    assert "failed for linux/amd64: The command" in done.stderr
    assert "a Dockerfile is for an engine; add --builder docker" in own.run("build", code=2).stderr


def test_no_engine_at_all(changed: Project) -> None:
    done = changed.run("build", "--builder", "docker", code=3)
    assert "the Docker engine does not build the image" in done.stderr
    assert "DOCKER_HOST names another one" in done.stderr
