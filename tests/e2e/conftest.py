"""A Docker engine, a registry and emulation of this run's own: started here, ended by their process ids."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

EDGEPACK = Path(sys.executable).with_name("edgepack")
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def run_edgepack(folder: Path, *arguments: str, workspace: Path | None = None) -> dict[str, object]:
    """Run the real command in `folder`; returns its JSON result."""
    environment = {name: value for name, value in os.environ.items() if name != "EDGEPACK_WORKSPACE"}
    if workspace is not None:
        environment["EDGEPACK_WORKSPACE"] = str(workspace)
    result = subprocess.run(
        [EDGEPACK, "--json", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def engine(engine_url: str) -> Iterator[docker.DockerClient]:
    """A client of the engine."""
    client = docker.DockerClient(base_url=engine_url, timeout=300)
    yield client
    client.close()


@pytest.fixture(scope="session")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Docker engine that nothing else uses, without any network of its own."""
    _need("dockerd", "docker")
    if os.geteuid() != 0:
        pytest.skip("starting a Docker engine needs root")
    folder = tmp_path_factory.mktemp("engine")
    (folder / "daemon.json").write_text("{}")
    url = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--config-file", str(folder / "daemon.json"), "--data-root", str(folder / "data")]
    command += ["--exec-root", str(folder / "exec"), "-p", str(folder / "pid"), "-H", url]
    command += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def listens() -> bool:
            if process.poll() is not None:
                lines = (folder / "log").read_text(errors="replace").splitlines()[-3:]
                pytest.skip(f"no Docker engine can run on this machine: {lines}")
            with socket.socket(socket.AF_UNIX) as client:
                return client.connect_ex(str(folder / "docker.sock")) == 0

        wait_until(listens, "Docker engine")
        yield url
    finally:
        process.terminate()
        process.wait(60)
        for mounted in (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()):
            if mounted.startswith(f"{folder}/"):  # such as the network namespace that the engine leaves
                subprocess.run(["umount", mounted], check=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback, as `localhost:PORT`."""
    _need("docker-registry", "skopeo")
    folder = tmp_path_factory.mktemp("registry")
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:

        def listens() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, "registry")
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def emulation() -> None:
    """The kernel runs programs for arm64 and arm/v7 through qemu, in containers too."""
    foreign = [machine for machine in ("aarch64", "arm") if machine != os.uname().machine]
    _need(*(f"qemu-{machine}-static" for machine in foreign))
    if os.geteuid() != 0:
        pytest.skip("registering an emulator needs root")
    if not (BINFMT / "register").exists():
        mounted = subprocess.run(
            ["mount", "-t", "binfmt_misc", "none", str(BINFMT)], capture_output=True, text=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip(f"binfmt_misc cannot be mounted: {mounted.stderr.strip()}")
    for machine in foreign:
        if not (BINFMT / f"qemu-{machine}").exists():
            (BINFMT / "register").write_bytes(Path(f"/usr/lib/binfmt.d/qemu-{machine}.conf").read_bytes().strip())


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One workspace for all builds of the run, so that each package is fetched once."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory, workspace: Path) -> Path:
    """The example project, built. Not to be changed."""
    folder = tmp_path_factory.mktemp("example")
    run_edgepack(folder, "init", "scorer", workspace=workspace)
    run_edgepack(folder / "scorer", "build", workspace=workspace)
    return folder / "scorer"
