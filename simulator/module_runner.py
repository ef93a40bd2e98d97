"""Runs a built image as a process of this machine: no Docker, no root, the image's own Python and C library.

The image of this machine's platform is unpacked and its entry point started through the image's own dynamic loader,
with the image's environment. Paths of the application are moved below the unpacked root; everything else is what the
device will run. Limits: no isolation (network, files and users are this machine's), Linux only. The loader also looks
in this machine's library folders; a library that came from there is missing in the image, and that is an error.
"""

import os
import platform
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgepack.base.root import APP_ROOT
from edgepack.errors import InputError, RemoteError
from edgepack.oci.platform import PLATFORMS, Platform
from edgepack.oci.unpack import unpack_image
from edgepack.oci.validate import PlatformContent, choose_platform

_STOP_S = 10


@dataclass(frozen=True, slots=True)
class RunningModule:
    """A module that answers: the URL of its HTTP front and the process."""

    url: str
    process: "subprocess.Popen[bytes]"


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


@contextmanager
def run_module(
    layout: Path, folder: Path, port: int, *, log: IO[bytes], variables: Mapping[str, str] | None = None, ready_s: float
) -> Iterator[RunningModule]:
    """Unpack the image below `folder`, start it on 127.0.0.1:`port` and yield it when it is ready; stop it at the end.

    Its output goes to `log`; `variables` are added to the image's environment.

    Raises:
        RemoteError: the module ends, is not ready within `ready_s` seconds, or uses libraries that the image lacks.
        InputError: the layout has no image for this machine.
    """
    target, folder = host_platform(), folder.resolve()
    content = choose_platform(layout, str(target))
    root = unpack_image(layout, content, folder)
    command, environment = module_command(content, root, target, folder / f"python-{root.name[:12]}")
    environment |= {"EDGEPACK_HTTP": f"127.0.0.1:{port}", **(variables or {})}
    working_folder = f"{root}{content.config['config']['WorkingDir']}"
    process = subprocess.Popen(command, env=environment, cwd=working_folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, ready_s)
        foreign = _foreign_libraries(process.pid, root)
        if foreign:
            raise RemoteError(
                f"the image lacks {', '.join(foreign)}: the module found them on this machine, and would not find "
                "them on a device; use packages that bring what they need",
                retryable=False,
            )
        yield RunningModule(url, process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def module_command(
    content: PlatformContent, root: Path, target: Platform, python: Path
) -> tuple[list[str], dict[str, str]]:
    """The command and environment that run the image's entry point from `root`; writes the starter `python`."""
    config = content.config["config"]
    entry = config["Entrypoint"]
    binary = root / (root / entry[0].lstrip("/")).resolve().relative_to(root.resolve())
    loader = f"{root}/usr/lib/{target.multiarch}/{target.loader}"
    libraries = f"{root}/usr/lib/{target.multiarch}:{root}/usr/lib"
    python.write_text(f'#!/bin/sh\nexec "{loader}" --argv0 "{python}" --library-path "{libraries}" "{binary}" "$@"\n')
    python.chmod(0o755)
    environment = dict(variable.split("=", 1) for variable in config["Env"])
    moved = {name: re.sub(rf"(^|:)/{APP_ROOT}", rf"\1{root}/{APP_ROOT}", value) for name, value in environment.items()}
    own = {"PYTHONHOME": f"{root}/usr", "HOME": os.environ.get("HOME", "/"), "PATH": os.environ.get("PATH", "")}
    return [str(python), *entry[1:]], moved | own


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", ready_s: float) -> None:
    deadline = time.monotonic() + ready_s
    reason = "no answer"
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            raise RemoteError(f"the module ended with exit code {code}; its log says why", retryable=False)
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 - http on loopback
                return
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")
        except OSError as error:
            reason = str(error)
        time.sleep(0.05)
    raise RemoteError(f"the module is not ready after {ready_s:.0f} s ({reason})", retryable=False)


def _foreign_libraries(pid: int, root: Path) -> list[str]:
    """Names of the shared libraries outside of `root` that a process or one of its children has loaded."""
    found: set[str] = set()
    waiting = [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            paths = {line.split(maxsplit=5)[5] for line in (folder / "maps").read_text().splitlines() if "/" in line}
            children = [path.read_text().split() for path in (folder / "task").glob("*/children")]
        except OSError:
            continue  # it has ended meanwhile
        found |= {path for path in paths if re.search(r"\.so(\.\d+)*$", path) and not path.startswith(f"{root}/")}
        waiting += [int(child) for pids in children for child in pids]
    return sorted(found)
