"""`scripts/bench build`: the ONNX example built by edgepack, by a Docker engine and by buildah, interleaved, medians.

All make the same module for linux/amd64 and linux/arm64: Python, the same packages, model and script. The peers' base,
a Debian root file system with pip, is there before the clock starts; edgepack's own base is part of its time.

cold: empty caches, downloads included. warm: nothing has changed. edit: the script has changed, and the image is pushed
to a registry on loopback. model: one byte of a model of 100 MB has changed, pushed as well. Bytes moved are what the
registry holds more afterwards.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build_subjects import (
    ARCHITECTURES,
    LARGE_BYTES,
    ROOT,
    BuildahPeer,
    DockerPeer,
    Ours,
    Registry,
    edit,
    emulate,
    engine,
    install,
    need,
    registry,
)

TITLES = {
    "cold": "cold, both platforms",
    "warm": "nothing changed",
    "edit": "script edited, and pushed",
    "model": "a byte of a 100 MB model, and pushed",
}


@dataclass
class Figures:
    """Seconds of each round of one case, and bytes moved, of one subject."""

    seconds: list[float] = field(default_factory=list)
    moved_bytes: list[int] = field(default_factory=list)


class Rounds:
    """Runs the cases, subject by subject in turn."""

    def __init__(self, subjects: list[Any], held: Registry) -> None:
        self.subjects = subjects
        self._registry = held
        self.figures = {case: {subject.name: Figures() for subject in subjects} for case in TITLES}
        self.downloads: list[object] = []
        self._large = bytearray(random.Random(1).randbytes(LARGE_BYTES))  # noqa: S311 - no secret

    def cold(self, number: int) -> None:
        """The peers' once: it takes minutes."""
        for subject in self.subjects:
            if subject.name == Ours.name or number == 0:
                subject.empty()
                self._timed("cold", subject, subject.cold)
        self.downloads.append(self.subjects[0].report["downloads"])

    def warm(self, _number: int) -> None:
        """Nothing has changed."""
        for subject in self.subjects:
            self._timed("warm", subject, subject.warm)

    def edit(self, number: int) -> None:
        """The first round only fills the registry."""
        for subject in self.subjects:
            if number == 0:
                subject.push()
            edit(subject.folder / "score.py")
            self._timed("edit", subject, subject.push)

    def model(self, number: int) -> None:
        """The first round only fills the registry."""
        for subject in self.subjects:
            if number == 0:
                subject.set_large_model(bytes(self._large))
                subject.push()
        self._large[LARGE_BYTES // 2] = (self._large[LARGE_BYTES // 2] + 1) % 256
        for subject in self.subjects:
            subject.set_large_model(bytes(self._large))
            self._timed("model", subject, subject.push)

    def _timed(self, case: str, subject: Any, action: Callable[[], object]) -> None:
        before = self._registry.held_bytes()
        started = time.perf_counter()
        action()
        found = self.figures[case][subject.name]
        found.seconds.append(time.perf_counter() - started)
        found.moved_bytes.append(self._registry.held_bytes() - before)
        print(f"{case}: {subject.name} {found.seconds[-1]:.1f} s", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of each, without the peers")
    parser.add_argument("--without-buildah", action="store_true", help="the Docker engine alone as a peer")
    options = parser.parse_args()
    counts = {"cold": 3, "warm": 5, "edit": 5, "model": 3}
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(prefix="edgepack-bench-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(place))
        need("docker-registry")
        install()
        held = stack.enter_context(registry(folder))
        ours = Ours(folder, held.name)
        subjects: list[Any] = [ours]
        if options.quick:
            print("peers: left out (--quick)")
        elif os.geteuid() != 0:
            print("peers: left out, they need root")
        else:
            need("dockerd", "debootstrap", "qemu-aarch64-static", *([] if options.without_buildah else ["buildah"]))
            emulate()
            subjects.append(DockerPeer(folder, held.name, ours.folder, stack.enter_context(engine(folder))))
            subjects += [] if options.without_buildah else [BuildahPeer(folder, held.name, ours.folder)]
        rounds = Rounds(subjects, held)
        sizes: dict[str, dict[str, int]] = {}
        for case, count in counts.items():
            for number in range(1 if options.quick else count):
                getattr(rounds, case)(number)
            if case == "warm":
                measured = [subject for subject in subjects if hasattr(subject, "size_bytes")]
                sizes = {one.name: {name: one.size_bytes(name) for name in ARCHITECTURES} for one in measured}
    print_table(rounds, sizes)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}",
        "python": platform.python_version(),
        "cases": {
            case: {name: {"seconds": one.seconds, "moved_bytes": one.moved_bytes} for name, one in found.items()}
            for case, found in rounds.figures.items()
        },
        "size_bytes": sizes,
        "downloads": rounds.downloads,
    }
    (results / f"build-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))


def print_table(rounds: Rounds, sizes: dict[str, dict[str, int]]) -> None:
    """One table: medians with minimum and maximum, each peer's as a multiple of ours."""
    names = [subject.name for subject in rounds.subjects]
    print(f"{'seconds':<38}" + "".join(f"{name:<30}" for name in names) + "ratios")
    for case, found in rounds.figures.items():
        ours = statistics.median(found[names[0]].seconds)
        ratios = [f"{statistics.median(found[name].seconds) / ours:.1f}x" for name in names[1:]]
        print(
            f"{TITLES[case]:<38}" + "".join(f"{_shown(found[name].seconds):<30}" for name in names) + " ".join(ratios)
        )
    for case in ("edit", "model"):
        moved = [statistics.median(rounds.figures[case][name].moved_bytes) for name in names]
        print(f"{'  bytes moved: ' + case:<38}" + "".join(f"{f'{one / 1e3:.1f} kB':<30}" for one in moved))
    for architecture in ARCHITECTURES:
        known = {name: sizes[name][architecture] for name in names if name in sizes}
        shares = [f"{known[names[0]] / size:.0%}" for name, size in known.items() if name != names[0]]
        title = f"linux/{architecture}, MB compressed"
        row = "".join(f"{f'{known[name] / 1e6:.1f}' if name in known else '-':<30}" for name in names)
        print(f"{title:<38}{row}{' '.join(shares)}")
    print(f"downloads of the cold builds: {json.dumps(rounds.downloads)}")


def _shown(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}..{max(seconds):.2f}, n={len(seconds)})"


if __name__ == "__main__":
    main()
