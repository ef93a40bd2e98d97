"""A small image that really runs: this machine's shell and `sleep`, their C library, and a script to start with."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.host_image import host_platform
from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry
from edgepack.oci.image import Layer, RunConfig, assemble_image
from edgepack.oci.platform import Platform
from tests.fakes.images import ImageMaker

REPOSITORY = "registry.example.com/team/scorer"


@dataclass(frozen=True)
class ShellImage:
    """A layout with one image, and how a deployment names it."""

    layout: Path
    digest: str

    @property
    def name(self) -> str:
        """Repository and digest."""
        return f"{REPOSITORY}@{self.digest}"


def shell_image(folder: Path, script: str, *, with_libraries: bool = True, above: Sequence[Entry] = ()) -> ShellImage:
    """Write a layout below `folder` whose image runs `script`; without libraries it cannot run as a process.

    `above` is what another builder has put on top.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = host_platform()
    system = [FolderEntry("var/lib/edgepack", owner=1000), *shell_entries(target, with_libraries=with_libraries)]
    cache = LayerCache(folder / "layers")
    layers = [
        _layer(cache, "base", "shell", system),
        _layer(cache, "script", "run.sh", [FileEntry("app/run.sh", script.encode())]),
    ]
    if above:
        layers.append(_layer(cache, "", "COPY", list(above)))
    variables = {"PATH": "/usr/bin", "FROM_IMAGE": "yes", "OVERRIDDEN": "image", "EDGEPACK_HTTP": "0.0.0.0:5001"}
    entry_point = ("/usr/bin/sh", "run.sh")
    run = RunConfig("1000", "/app", entry_point, variables, ("5001/tcp",), ("/var/lib/edgepack",))
    layout = folder / "image"
    index = ImageMaker(folder / "layers").write(layout, (assemble_image(target, tuple(layers), run),))
    return ShellImage(layout, index.digest)


def _layer(cache: LayerCache, kind: str, title: str, entries: list[Entry]) -> Layer:
    made = cache.make(f"{kind} {len(entries)}", lambda: sorted(entries, key=lambda entry: entry.path), title)
    return Layer(kind, title, made.digest, made.size_bytes, made.diff_id)


def shell_entries(target: Platform, *, with_libraries: bool = True) -> list[Entry]:
    """This machine's shell and `sleep`, and what they need."""
    libraries = f"usr/lib/{target.multiarch}"
    programs = [Path(found) for name in ("sh", "sleep") if (found := shutil.which(name)) is not None]
    entries: list[Entry] = [FileEntry(f"usr/bin/{path.name}", path.read_bytes(), executable=True) for path in programs]
    if with_libraries:
        listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=True).stdout
        paths = {Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}
        named = {path.name: path for path in paths}.values()
        entries += [FileEntry(f"{libraries}/{path.name}", path.read_bytes(), executable=True) for path in named]
        loaders = [path for path in named if path.name == target.loader]
        entries += [LinkEntry(str(path).lstrip("/"), f"/{libraries}/{path.name}") for path in loaders]
    return entries
