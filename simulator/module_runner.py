"""Runs one built image as a process of this machine, without a hub: unpack, start, wait until it is ready, stop.

How an image becomes a process is in `edgepack.host_image`. A library that the module found on this machine is
missing in the image, and that is an error.
"""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgepack.errors import RemoteError
from edgepack.host_image import foreign_libraries, unpack_for_host

_STOP_S = 10


@dataclass(frozen=True, slots=True)
class RunningModule:
    """A module that answers: the URL of its HTTP front and the process."""

    url: str
    process: "subprocess.Popen[bytes]"


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
    image = unpack_for_host(layout, folder)
    environment = {**image.environment, "EDGEPACK_HTTP": f"127.0.0.1:{port}", **(variables or {})}
    process = subprocess.Popen(image.command, env=environment, cwd=image.working_folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, ready_s)
        foreign = foreign_libraries(process.pid, image.root, image.own)
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
