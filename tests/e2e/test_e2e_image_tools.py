"""An image for three platforms in the hands of others' tools: skopeo, umoci, podman, Docker. Each platform runs."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import LogConfig

from tests.e2e.conftest import BINFMT, run_edgepack

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.timeout(600)]

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64", "linux/arm/v7": "armv7l"}
ASK = (
    "import platform, ssl, sqlite3, werkzeug, device_agent; "
    "print(platform.machine(), open('/var/azureml-app/score.py').read())"
)
SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@dataclass(frozen=True)
class Built:
    """Where an image is, and what `edgepack build` said of it."""

    layout: Path
    report: dict[str, Any]


@pytest.fixture(scope="module")
def project(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    (folder / "score.py").write_text(SCRIPT)
    (folder / "conda.yml").write_text("name: x\ndependencies:\n- python=3.11\n")
    (folder / "ic.json").write_text('{"entryScript": "score.py", "condaFile": "conda.yml"}')
    return folder


def build(project: Path, workspace: Path, output: str, *options: str) -> Built:
    """Without security updates: those of armhf lag behind now and then."""
    command = ["build", "--ic", "ic.json", "--without-security", "--platform", ",".join(MACHINES), "-o", output]
    report = run_edgepack(project, *command, *options, workspace=workspace)
    return Built(project / output / "image", report)


@pytest.fixture(scope="module")
def built(project: Path, workspace: Path) -> Built:
    return build(project, workspace, "dist")


@pytest.fixture(scope="module")
def packed(project: Path, built: Built, workspace: Path) -> Built:
    """The same with zstd."""
    return build(project, workspace, "packed", "--compression", "zstd")


@pytest.fixture(scope="module")
def both_emulators(emulation: None) -> None:
    """The kernel runs programs for arm/v7 as well."""
    if shutil.which("qemu-arm-static") is None:
        pytest.skip("not installed: qemu-arm-static")
    if not (BINFMT / "qemu-arm").exists():
        (BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-arm.conf").read_bytes().strip())


def run(*command: str | Path) -> str:
    """Run a tool and give what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"not installed: {program}")


def choice(platform: str) -> list[str]:
    """How skopeo and podman are told which one."""
    _, architecture, *variant = platform.split("/")
    more = ["--override-variant", variant[0]] if variant else []
    return ["--override-os", "linux", "--override-arch", architecture, *more]


@pytest.mark.parametrize("platform", MACHINES)
def test_skopeo_and_umoci(built: Built, platform: str, tmp_path: Path) -> None:
    need("skopeo")
    need("umoci")
    seen = json.loads(run("skopeo", *choice(platform), "inspect", f"oci:{built.layout}"))
    image = built.report["platforms"][platform]
    assert seen["Architecture"] == platform.split("/")[1]
    assert seen["Layers"] == [layer["digest"] for layer in image["layers"]]
    raw = run("skopeo", "inspect", "--raw", f"oci:{built.layout}")
    assert len(json.loads(raw)["manifests"]) == len(MACHINES)
    one = tmp_path / "one"  # umoci takes indexes of one platform
    run("skopeo", *choice(platform), "copy", f"oci:{built.layout}", f"oci:{one}:x")
    run("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{one}:x", tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    assert (root / "var/azureml-app/score.py").read_text() == SCRIPT
    assert (root / "usr/bin/python3").is_symlink()


@dataclass(frozen=True)
class Podman:
    """podman with a storage of its own."""

    options: tuple[str, ...]

    def machine(self, layout: Path, platform: str) -> str:
        """Pull one platform and ask it."""
        _, architecture, *variant = platform.split("/")
        more = ["--variant", variant[0]] if variant else []
        source = f"oci:{layout}"
        image = run("podman", *self.options, "pull", "-q", "--arch", architecture, *more, source).strip()
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        entry = ["--entrypoint", json.dumps(["/usr/bin/python3", "-c", ASK])]
        return run("podman", *self.options, "run", "--rm", "--network", "none", *limits, *entry, image)


@pytest.fixture
def podman() -> Iterator[Podman]:
    need("podman")
    need("runc")
    if os.geteuid() != 0:
        pytest.skip("podman as a user needs more than is here")
    with tempfile.TemporaryDirectory(prefix="p-", ignore_cleanup_errors=True) as folder:  # it wants a short path
        options = ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay"]
        yield Podman((*options, "--cgroup-manager", "cgroupfs", "--runtime", "runc"))


@pytest.mark.parametrize("platform", MACHINES)
def test_podman_runs_each(built: Built, podman: Podman, both_emulators: None, platform: str) -> None:
    assert podman.machine(built.layout, platform) == f"{MACHINES[platform]} {SCRIPT}\n"


def test_podman_runs_zstd(packed: Built, podman: Podman) -> None:
    assert podman.machine(packed.layout, "linux/amd64") == f"x86_64 {SCRIPT}\n"


@pytest.mark.parametrize("platform", MACHINES)
def test_docker_runs_each(
    built: Built,
    packed: Built,
    engine: docker.DockerClient,
    engine_url: str,
    both_emulators: None,
    platform: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what was compressed with zstd is the same image in the engine, which reads it as it is given."""
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    loaded = [
        run_edgepack(one.layout.parent, "load", ".", "--platform", platform, "-t", f"tools:{number}")
        for number, one in enumerate((built, packed))
    ]
    assert loaded[0]["id"] == loaded[1]["id"]
    said = engine.containers.run(
        "tools:1",
        ["-c", ASK],
        entrypoint="/usr/bin/python3",
        network_mode="none",
        init=True,
        remove=True,
        log_config=LogConfig(type="json-file"),
    )
    assert said.decode() == f"{MACHINES[platform]} {SCRIPT}\n"
