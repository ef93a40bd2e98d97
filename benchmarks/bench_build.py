"""`scripts/bench build`: the ONNX example built by edgepack and by a Docker engine, interleaved, medians.

Both make the same module for linux/amd64 and linux/arm64: Python, the same packages, model and script. The peer is
`docker build` of a Dockerfile on a Debian image with pip that is there already (made by debootstrap before the clock
starts), the foreign platform emulated. Cold: empty caches, downloads included; edgepack's own base is part of its time.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "bench"
EDGEPACK = Path(sys.executable).with_name("edgepack")
ARCHITECTURES = ("amd64", "arm64")


@dataclass
class Figures:
    """Seconds of one case, for edgepack and for the peer; sizes in bytes by platform."""

    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)


def run(command: list[str | Path], **options: object) -> str:
    """Run a command and return its output; show it if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return str(result.stdout)


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


class Ours:
    """edgepack on a project folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ours"
        run([EDGEPACK, "init", self.folder])
        self.report: dict[str, object] = {}

    def cold(self) -> None:
        """Nothing in any cache, no locks."""
        shutil.rmtree(self.folder / ".edgepack" / "cache", ignore_errors=True)
        shutil.rmtree(self.folder / "dist", ignore_errors=True)
        for lock in self.folder.glob("pylock.*"):
            lock.unlink()
        with tempfile.TemporaryDirectory() as cache:
            self._build({"UV_CACHE_DIR": cache})

    def warm(self) -> None:
        """Nothing has changed."""
        self._build({})

    def edit(self) -> None:
        """The script has changed."""
        edit(self.folder / "score.py")
        self._build({})

    def _build(self, environment: dict[str, str]) -> None:
        output = run([EDGEPACK, "--json", "-q", "build"], cwd=self.folder, env=os.environ | environment)
        self.report = json.loads(output)


class Peer:
    """A Docker engine on a Dockerfile."""

    def __init__(self, folder: Path, url: str, project: Path) -> None:
        self.folder = folder / "peer"
        shutil.copytree(project, self.folder, ignore=shutil.ignore_patterns(".edgepack", "dist", "pylock*"))
        self._environment = os.environ | {"DOCKER_HOST": url, "DOCKER_BUILDKIT": "0"}
        wanted = (ROOT / "device_agent" / "requirements.txt").read_text() + "onnxruntime\nnumpy\n"
        (self.folder / "requirements.txt").write_text(wanted)
        for architecture in ARCHITECTURES:
            (self.folder / f"Dockerfile.{architecture}").write_text(
                f"FROM peer-base:{architecture}\nCOPY requirements.txt .\n"
                "RUN pip install -q --no-cache-dir --break-system-packages -r requirements.txt\n"
                "COPY model /var/azureml-app/azureml-models/digits/1/model\nCOPY score.py /var/azureml-app/\n"
                'USER 1000\nENTRYPOINT ["python3", "/var/azureml-app/score.py"]\n'
            )
            archive = base_archive(architecture)
            self._docker("import", "--platform", f"linux/{architecture}", str(archive), f"peer-base:{architecture}")

    def cold(self) -> None:
        """No layer cache; the base image is there."""
        self._build("--no-cache")

    def warm(self) -> None:
        """Nothing has changed."""
        self._build()

    def edit(self) -> None:
        """The script has changed."""
        edit(self.folder / "score.py")
        self._build()

    def size_bytes(self, architecture: str) -> int:
        """The image compressed as a registry would hold it (gzip, level 6)."""
        counted = 0
        with subprocess.Popen(
            ["docker", "save", f"peer:{architecture}"], env=self._environment, stdout=subprocess.PIPE
        ) as save:
            assert save.stdout is not None  # noqa: S101 - it is a pipe
            packing = zlib.compressobj(6)
            while piece := save.stdout.read(1 << 20):
                counted += len(packing.compress(piece))
            counted += len(packing.flush())
        return counted

    def _build(self, *options: str) -> None:
        for architecture in ARCHITECTURES:
            self._docker(
                # no --platform: the base says it, and engine 20.10 fails on its own intermediate images otherwise
                *("build", "-q", "--network", "host", *options),
                *("-f", f"Dockerfile.{architecture}", "-t", f"peer:{architecture}", "."),
            )

    def _docker(self, *arguments: str) -> None:
        run(["docker", *arguments], cwd=self.folder, env=self._environment)


def edit(path: Path) -> None:
    """Change a file's content."""
    path.write_text(path.read_text() + f"# {time.time_ns()}\n")


def base_archive(architecture: str) -> Path:
    """A Debian root file system with Python and pip as a tar, made once and kept."""
    archive = WORK / f"peer-base-{architecture}.tar"
    if archive.is_file():
        return archive
    print(f"making the peer's base for {architecture} (once) ...", file=sys.stderr)
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
    programs = ["dockerd", "debootstrap", "qemu-aarch64-static"]
    if any(shutil.which(program) is None for program in programs):
        packages = ["docker.io", "debootstrap", "qemu-user-static"]
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages])
    binfmt = Path("/proc/sys/fs/binfmt_misc")
    if not (binfmt / "register").exists():
        run(["mount", "-t", "binfmt_misc", "none", binfmt])
    if not (binfmt / "qemu-aarch64").exists():
        (binfmt / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes().strip())
    url = f"unix://{folder}/docker.sock"
    (folder / "daemon.json").write_text("{}")
    command = ["dockerd", "--config-file", str(folder / "daemon.json"), "--data-root", str(folder / "data")]
    command += ["--exec-root", str(folder / "exec"), "-p", str(folder / "pid"), "-H", url]
    command += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "-H", url, "info"], capture_output=True, check=False).returncode != 0:
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("the Docker engine does not start on this machine")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of each, without the peer")
    quick = parser.parse_args().quick
    rounds = {"cold": 1 if quick else 3, "warm": 1 if quick else 5, "edit": 1 if quick else 5}
    figures = {case: Figures() for case in rounds}
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="edgepack-bench-", ignore_cleanup_errors=True))
        )
        ours = Ours(folder)
        peer = None
        if quick:
            print("peer: left out (--quick)")
        elif os.geteuid() != 0:
            print("peer: left out, a Docker engine of our own needs root")
        else:
            peer = Peer(folder, stack.enter_context(engine(folder)), ours.folder)
        downloads = []
        for case, count in rounds.items():
            for _ in range(count):
                figures[case].ours.append(timed(getattr(ours, case)))
                if case == "cold":
                    downloads.append(ours.report["downloads"])
                if peer is not None and not (case == "cold" and figures[case].peer):
                    figures[case].peer.append(
                        timed(getattr(peer, case))
                    )  # the peer's cold build once: it takes minutes
        platforms = ours.report["platforms"]
        sizes = {name: image["size_bytes"] for name, image in platforms.items()}  # type: ignore[attr-defined]
        peer_sizes = {f"linux/{name}": peer.size_bytes(name) for name in ARCHITECTURES} if peer else {}
    print_table(figures, sizes, peer_sizes, downloads)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}",
        "python": platform.python_version(),
        "seconds": {case: {"ours": found.ours, "peer": found.peer} for case, found in figures.items()},
        "size_bytes": {"ours": sizes, "peer": peer_sizes},
        "downloads": downloads,
    }
    (results / f"build-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))


def print_table(
    figures: dict[str, Figures], sizes: dict[str, int], peer_sizes: dict[str, int], downloads: list[object]
) -> None:
    """One table: medians with minimum and maximum."""

    def shown(seconds: list[float]) -> str:
        if not seconds:
            return "-"
        return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}..{max(seconds):.2f}, n={len(seconds)})"

    print(f"{'both platforms, seconds':<28}{'edgepack':<30}{'docker build':<30}ratio")
    for case, found in figures.items():
        ratio = f"{statistics.median(found.peer) / statistics.median(found.ours):.1f}x" if found.peer else "-"
        print(f"{case:<28}{shown(found.ours):<30}{shown(found.peer):<30}{ratio}")
    for name, size in sizes.items():
        other = peer_sizes.get(name)
        ratio = f"{size / other:.0%}" if other else "-"
        print(f"{f'{name}, MB compressed':<28}{size / 1e6:<30.1f}{f'{other / 1e6:.1f}' if other else '-':<30}{ratio}")
    print(f"downloads of the cold builds: {json.dumps(downloads)}")


if __name__ == "__main__":
    main()
