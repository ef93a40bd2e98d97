"""A built image as something that this machine can run as a process: no Docker, no root, the image's own C library.

The image of this machine's platform is unpacked and its entry point started through the image's own dynamic loader,
with the image's environment. Paths of the application are moved to where it is unpacked; everything else is what the
device will run. Limits: no isolation (network, files and users are this machine's), Linux only, images with Debian's
layout of libraries. The loader also looks in this machine's library folders; `foreign_libraries` tells what it found.
"""

import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import compress
from operator import not_
from pathlib import Path

from edgepack.base.root import APP_ROOT
from edgepack.errors import InputError
from edgepack.files import exclusive, write_file
from edgepack.oci.descriptor import digest_of, encode_document
from edgepack.oci.platform import PLATFORMS, Platform
from edgepack.oci.unpack import unpack_layers
from edgepack.oci.validate import PlatformContent, choose_platform
from edgepack.process_tree import process_tree

ELSEWHERE = "--runner docker runs it in a container"
_OF_THE_APPLICATION = ("model", "script")
_OF_THIS_MACHINE = ("PYTHONHOME", "HOME", "PATH")


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """An image on this machine: its system and its application, how to start it, its volumes, and its id."""

    root: Path
    own: Path
    command: tuple[str, ...]
    environment: dict[str, str]
    working_folder: str
    volumes: tuple[str, ...]
    image_id: str

    def with_variables(self, variables: Mapping[str, str | None]) -> dict[str, str]:
        """The environment with other variables than the image's (None: is not set), but for those of this machine."""
        own = {name: text for name, text in variables.items() if name not in _OF_THIS_MACHINE}
        kept = {name: text for name, text in self.environment.items() if name not in own}
        return kept | {name: _moved(text, self.own) for name, text in own.items() if text is not None}


def host_platform() -> Platform:
    """The platform of this machine.

    Raises:
        InputError: images are not built for it.
    """
    machine = platform.machine()
    found = [known for known in PLATFORMS.values() if known.machine == machine and sys.platform == known.os]
    if not found:
        raise InputError(f"modules run as processes on Linux on {', '.join(PLATFORMS)} only, not on {sys.platform}")
    return found[0]


def unpack_for_host(layout: Path, folder: Path) -> UnpackedImage:
    """Unpack the image for this machine below `folder`, or find it there; see `unpack_beside`.

    Raises:
        InputError: the layout has no image for this machine, or one that cannot run as a process.
        DamagedDataError: the layout is damaged.
    """
    content = choose_platform(layout, str(host_platform()))
    return unpack_beside(layout, folder, folder / content.config_digest.removeprefix("sha256:"))


def unpack_beside(layout: Path, shared: Path, own: Path) -> UnpackedImage:
    """Unpack it in two parts: models and script become the folder `own`, all else is below `shared`.

    What is below `shared` is unpacked once for all images that have the same base, packages and agent. So images that
    differ in models and script alone cost little, and the files that a script sees beside itself are its own. An image
    with layers of another builder above models or script, or with neither, is below `shared` as a whole.

    Raises:
        As `unpack_for_host`.
    """
    target, shared, own = host_platform(), shared.resolve(), own.resolve()
    content = choose_platform(layout, str(target))
    kinds = [layer["kind"] for layer in content.document()["layers"]]
    first = next((number for number, kind in enumerate(kinds) if kind in _OF_THE_APPLICATION), len(kinds))
    is_parted = first < len(kinds) and all(kinds[first:])
    is_above = [is_parted and kind in _OF_THE_APPLICATION for kind in kinds]
    below = list(compress(content.layers, map(not_, is_above)))
    above = list(compress(content.layers, is_above))
    root = shared / digest_of(encode_document({"layers": [layer.digest for layer in below]})).removeprefix("sha256:")
    for place, layers in ((root, below), (own, above)):
        # one unpacks, the others wait for it
        with exclusive(shared / f".{place.name}.lock") if place.parent == shared else nullcontext():
            if layers:
                unpack_layers(layout, layers, place)
    return _unpacked(content, target, root, own if is_parted else root, shared / f"python-{root.name[:12]}")


def _unpacked(content: PlatformContent, target: Platform, root: Path, own: Path, starter: Path) -> UnpackedImage:
    """The image whose system is in `root` and whose application is in `own`."""
    command, environment = module_command(content, root, target, starter, own)
    config = content.config["config"]
    volumes = tuple(config.get("Volumes") or {})
    working_folder = f"{own}{config.get('WorkingDir') or '/'}"
    return UnpackedImage(root, own, tuple(command), environment, working_folder, volumes, content.config_digest)


def module_command(
    content: PlatformContent, root: Path, target: Platform, starter: Path, own: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """The command and environment that run the image's entry point from `root`; writes the `starter` of its program.

    `own` is where the application is, if not in `root`.
    """
    config = content.config["config"]
    entry = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    if not entry:
        raise InputError(f"image {content.config_digest} has no entry point")
    loader = root / "usr" / "lib" / target.multiarch / target.loader
    binary = (root / entry[0].lstrip("/")).resolve()
    for path in (loader, binary):
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            missing = path.relative_to(root) if path.is_relative_to(root) else path
            raise InputError(f"image {content.config_digest} has no /{missing}, so it is no process here; {ELSEWHERE}")
    libraries = f"{root}/usr/lib/{target.multiarch}:{root}/usr/lib"
    text = f'#!/bin/sh\nexec "{loader}" --argv0 "{starter}" --library-path "{libraries}" "{binary}" "$@"\n'
    if not starter.is_file() or starter.read_text() != text:
        write_file(starter, text.encode(), mode=0o755)
    environment = dict(variable.split("=", 1) for variable in config.get("Env") or ())
    place = own or root
    moved = {name: _moved(value, place) for name, value in environment.items()}
    python_home = {"PYTHONHOME": f"{root}/usr", "HOME": os.environ.get("HOME", "/"), "PATH": os.environ.get("PATH", "")}
    return [str(starter), *entry[1:]], moved | python_home


def _moved(value: str, place: Path) -> str:
    """A variable whose paths of the application are where it is unpacked."""
    return re.sub(rf"(^|:)/{APP_ROOT}", rf"\1{place}/{APP_ROOT}", value)


def foreign_libraries(pid: int, *folders: Path) -> list[str]:
    """Names of the shared libraries outside of the folders that a process or one of its children has loaded."""
    places = tuple(f"{folder}/" for folder in folders)
    found: set[str] = set()
    for each in process_tree(pid):
        try:
            lines = Path("/proc", str(each), "maps").read_text().splitlines()
        except OSError:
            continue  # it has ended meanwhile
        paths = {line.split(maxsplit=5)[5] for line in lines if "/" in line}
        found |= {path for path in paths if re.search(r"\.so(\.\d+)*$", path) and not path.startswith(places)}
    return sorted(found)
