"""Who builds the same module for linux/amd64 and linux/arm64: edgepack, a Docker engine, buildah; and a registry.

Each subject has a folder of its own with the same model, script and packages, builds both platforms, and pushes. The
peers start from a Debian root file system with pip, made by debootstrap before the clock runs. The foreign platform is
emulated for them.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "bench"
INSTALLED = WORK / "installed"
EDGEPACK = INSTALLED / "bin" / "edgepack"
ARCHITECTURES = ("amd64", "arm64")
LARGE_BYTES = 100_000_000
IMAGE_FOLDER = "/var/azureml-app/azureml-models/digits/1"


def run(command: list[str | Path], **options: object) -> str:
    """Run a command and return its output; show it if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return str(result.stdout)


def install() -> None:
    """Install this version as users do, in an environment of its own: the developers' holds more than that."""
    if not INSTALLED.is_dir():
        run([sys.executable, "-m", "venv", INSTALLED])
    with tempfile.TemporaryDirectory() as folder:
        pip: list[str | Path] = [INSTALLED / "bin" / "pip", "install", "-q"]
        run([*pip, ROOT])
        run([*pip, "--no-deps", "--force-reinstall", ROOT], cwd=folder)


class Ours:
    """edgepack on a project folder."""

    name = "edgepack"

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder = folder / "ours"
        run([EDGEPACK, "init", self.folder])
        self._image = f"{registry}/ours:1"
        self.report: dict[str, object] = {}

    def empty(self) -> None:
        """Nothing in any cache, no locks."""
        shutil.rmtree(self.folder / ".edgepack" / "cache", ignore_errors=True)
        shutil.rmtree(self.folder / "dist", ignore_errors=True)
        for lock in self.folder.glob("pylock.*"):
            lock.unlink()

    def cold(self) -> None:
        """Build, downloads included."""
        with tempfile.TemporaryDirectory() as cache:
            self._build({"UV_CACHE_DIR": cache})

    def warm(self) -> None:
        """Build with what is there."""
        self._build({})

    def push(self) -> None:
        """Build and push."""
        self._build({}, "--push")

    def set_large_model(self, content: bytes) -> None:
        """Register another version of the large model, and use it from now on."""
        (self.folder / "large.bin").write_bytes(content)
        run([EDGEPACK, "model", "register", "-n", "large", "-p", "large.bin"], cwd=self.folder)
        project = self.folder / "edgepack.yaml"
        text = project.read_text()
        if "- large" not in text:
            project.write_text(text.replace("- digits\n", "- digits\n- large\n"))

    def size_bytes(self, architecture: str) -> int:
        """The image's layers, compressed."""
        return int(self.report["platforms"][f"linux/{architecture}"]["size_bytes"])  # type: ignore[index]

    def _build(self, environment: dict[str, str], *options: str) -> None:
        command = [EDGEPACK, "--json", "-q", "build", "-t", self._image, *options]
        self.report = json.loads(run(command, cwd=self.folder, env=os.environ | environment))


class _Peer:
    """A Dockerfile that installs the same packages and copies the same files."""

    name = ""

    def __init__(self, folder: Path, registry: str, project: Path) -> None:
        self.folder = folder / self.name.split()[0]
        self.registry = registry
        shutil.copytree(project, self.folder, ignore=shutil.ignore_patterns(".edgepack", "dist", "pylock*"))
        wanted = (ROOT / "device_agent" / "requirements.txt").read_text() + "onnxruntime\nnumpy\n"
        (self.folder / "requirements.txt").write_text(wanted)
        (self.folder / "large").mkdir()
        for architecture in ARCHITECTURES:
            (self.folder / f"Dockerfile.{architecture}").write_text(
                f"FROM {self.base(architecture)}\nCOPY requirements.txt .\n"
                "RUN pip install -q --no-cache-dir --break-system-packages -r requirements.txt\n"
                f"COPY model {IMAGE_FOLDER}/model\nCOPY large /var/azureml-app/azureml-models/large/1\n"
                "COPY score.py /var/azureml-app/\n"
                'USER 1000\nENTRYPOINT ["python3", "/var/azureml-app/score.py"]\n'
            )

    def base(self, architecture: str) -> str:
        """The image to start from."""
        return f"localhost/peer-base:{architecture}"

    def empty(self) -> None:
        """No layer cache; the base image stays."""

    def cold(self) -> None:
        """Build both platforms."""
        self.build("--no-cache")

    def warm(self) -> None:
        """Build with what is cached."""
        self.build()

    def push(self) -> None:
        """Build, and push each platform."""
        self.build()
        for architecture in ARCHITECTURES:
            self.push_one(architecture)

    def set_large_model(self, content: bytes) -> None:
        """Another content of the large model."""
        (self.folder / "large" / "large.bin").write_bytes(content)

    def build(self, *options: str) -> None:
        """Build both platforms."""
        raise NotImplementedError

    def push_one(self, architecture: str) -> None:
        """Push one platform."""
        raise NotImplementedError


class DockerPeer(_Peer):
    """A Docker engine's `docker build` (its own builder; bookworm has no BuildKit)."""

    name = "docker build"

    def __init__(self, folder: Path, registry: str, project: Path, url: str) -> None:
        super().__init__(folder, registry, project)
        self._environment = os.environ | {"DOCKER_HOST": url, "DOCKER_BUILDKIT": "0"}
        for architecture in ARCHITECTURES:
            archive = base_archive(architecture)
            self._docker("import", "--platform", f"linux/{architecture}", str(archive), self.base(architecture))

    def build(self, *options: str) -> None:
        """Without --platform: the base says it, and engine 20.10 fails on its own intermediate images otherwise."""
        for architecture in ARCHITECTURES:
            tag = f"{self.registry}/docker:{architecture}"
            more = ["-f", f"Dockerfile.{architecture}", "-t", tag, "."]
            self._docker("build", "-q", "--network", "host", *options, *more)

    def push_one(self, architecture: str) -> None:
        """With the engine's own client."""
        self._docker("push", "-q", f"{self.registry}/docker:{architecture}")

    def size_bytes(self, architecture: str) -> int:
        """The image compressed as a registry would hold it (gzip, level 6)."""
        command = ["docker", "save", f"{self.registry}/docker:{architecture}"]
        counted = 0
        with subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE) as save:
            assert save.stdout is not None  # noqa: S101 - it is a pipe
            packing = zlib.compressobj(6)
            while piece := save.stdout.read(1 << 20):
                counted += len(packing.compress(piece))
            counted += len(packing.flush())
        return counted

    def _docker(self, *arguments: str) -> None:
        run(["docker", *arguments], cwd=self.folder, env=self._environment)


class BuildahPeer(_Peer):
    """`buildah bud` with chroot isolation."""

    name = "buildah bud"

    def __init__(self, folder: Path, registry: str, project: Path) -> None:
        super().__init__(folder, registry, project)
        storage = folder / "containers"
        self._command = ["buildah", "--root", str(storage / "root"), "--runroot", str(storage / "run")]
        self._command += ["--storage-driver", "overlay"]
        self._policy = folder / "policy.json"
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        for architecture in ARCHITECTURES:
            archive = base_archive(architecture)
            container = self._buildah("from", "--arch", architecture, "scratch").strip()
            self._buildah("add", container, str(archive), "/")
            self._buildah("commit", "--signature-policy", str(self._policy), "--rm", container, self.base(architecture))

    def build(self, *options: str) -> None:
        """Layers are cached only if it is asked to."""
        for architecture in ARCHITECTURES:
            tag = f"{self.registry}/buildah:{architecture}"
            more = ["-f", f"Dockerfile.{architecture}", "-t", tag, "--signature-policy", str(self._policy), "."]
            self._buildah("bud", "-q", "--layers", "--isolation", "chroot", "--arch", architecture, *options, *more)

    def push_one(self, architecture: str) -> None:
        """Plain HTTP, as the registry is on loopback."""
        tag = f"{self.registry}/buildah:{architecture}"
        self._buildah("push", "-q", "--tls-verify=false", "--signature-policy", str(self._policy), tag)

    def _buildah(self, *arguments: str) -> str:
        return run([*self._command, *arguments], cwd=self.folder)


def edit(path: Path) -> None:
    """Change a file's content."""
    path.write_text(path.read_text() + f"# {time.time_ns()}\n")


def need(*programs: str) -> None:
    """Install what is missing of Debian's packages."""
    packages = {"dockerd": "docker.io", "qemu-aarch64-static": "qemu-user-static"}
    missing = [packages.get(program, program) for program in programs if shutil.which(program) is None]
    if missing:
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])


def base_archive(architecture: str) -> Path:
    """A Debian root file system with Python and pip as a tar, made once and kept."""
    archive = WORK / f"peer-base-{architecture}.tar"
    if archive.is_file():
        return archive
    print(f"making the peers' base for {architecture} (once) ...", file=sys.stderr)
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        sys.path.insert(0, str(ROOT))
        from edgepack.base.debian import find_mirror, read_apt_sources

        mirror = find_mirror(os.environ, read_apt_sources).main
        include = "--include=python3,python3-pip,ca-certificates"
        run(["debootstrap", "--variant=minbase", f"--arch={architecture}", include, "bookworm", folder, mirror])
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")  # so that what this machine trusts is trusted there too
        shutil.copyfile(bundle, Path(folder, "etc/ssl/certs/ca-certificates.crt"))
        run(["tar", "-C", folder, "--exclude=./proc/*", "--exclude=./sys/*", "-cf", archive, "."])
    return archive


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """A Docker engine of this run's own; yields its address."""
    url = f"unix://{folder}/docker.sock"
    (folder / "daemon.json").write_text("{}")
    command = ["dockerd", "--config-file", str(folder / "daemon.json"), "--data-root", str(folder / "data")]
    command += ["--exec-root", str(folder / "exec"), "-p", str(folder / "pid"), "-H", url]
    command += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]

    def answers() -> bool:
        return subprocess.run(["docker", "-H", url, "info"], capture_output=True, check=False).returncode == 0

    with _server(command, answers, "the Docker engine"):
        yield url


def emulate() -> None:
    """Let the kernel run arm64 programs through qemu, in chroots and containers too."""
    binfmt = Path("/proc/sys/fs/binfmt_misc")
    if not (binfmt / "register").exists():
        run(["mount", "-t", "binfmt_misc", "none", binfmt])
    if not (binfmt / "qemu-aarch64").exists():
        (binfmt / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes().strip())


class Registry:
    """A registry of this run's own, on loopback."""

    def __init__(self, folder: Path, port: int) -> None:
        self.name = f"localhost:{port}"
        self._data = folder / "registry"

    def held_bytes(self) -> int:
        """Bytes of all blobs it holds: what is pushed and was there already adds nothing."""
        return sum(path.stat().st_size for path in self._data.rglob("data") if "blobs" in path.parts)


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Start the registry of Debian; yields what is needed of it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    (folder / "registry.yml").write_text(
        f"version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    )

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    with _server(["docker-registry", "serve", str(folder / "registry.yml")], answers, "the registry"):
        yield Registry(folder, port)


@contextmanager
def _server(command: list[str], answers: Callable[[], bool], what: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"{what} does not start on this machine")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)
