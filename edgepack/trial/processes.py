"""Tries an image as a process of this machine, without an engine: unpacked, in namespaces of its own (`sandbox`)."""

import base64
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import edgepack
from edgepack.oci.platform import PLATFORMS
from edgepack.oci.unpack import unpack_image
from edgepack.oci.validate import PlatformContent
from edgepack.trial.trial import Answer, NotRunnable, Started, Trial, hides_processors, last_lines, started

_GRACE_S = 60  # for unpacked files to be read, and for the end
HOW = "as a process"


def own_platform() -> str:
    """The platform of this machine, as `linux/amd64`."""
    machine = platform.machine()
    found = [str(known) for known in PLATFORMS.values() if known.machine == machine]
    return found[0] if found else f"linux/{machine}"


def try_as_process(
    layout: Path, content: PlatformContent, requests: Sequence[bytes], limit_s: float, folder: Path
) -> Trial | NotRunnable:
    """Unpack the image below `folder` for the time being, run it, and send it `requests`. `limit_s` is for its run.

    Raises:
        DamagedDataError: a layer cannot be unpacked.
    """
    if sys.platform != "linux":
        return NotRunnable("images run as processes on Linux only")
    run = started(content)
    if not run.command:
        return NotRunnable("the image has no entry point")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".part") as temporary:
        root = unpack_image(layout, content, Path(temporary))
        root.chmod(0o755)
        log = Path(temporary, "log")
        log.touch()
        order = {
            "root": str(root),
            "command": run.command,
            "environment": {"HOME": _home(root, run), **run.environment},
            "working_folder": run.working_folder,
            "user": run.user,
            "volumes": run.volumes,
            "shows_sys": not hides_processors(content.name, own_platform()),
            "port": run.port,
            "bodies": [base64.b64encode(body).decode() for body in requests],
            "limit_s": limit_s,
            "log": str(log),
        }
        package = str(Path(edgepack.__file__).parent.parent)
        paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "edgepack.trial.sandbox"],
                input=json.dumps(order),
                env={**os.environ, "PYTHONPATH": paths},
                capture_output=True,
                text=True,
                check=False,
                timeout=limit_s + _GRACE_S,
            )
        except subprocess.TimeoutExpired:
            return Trial((), f"the module does not answer within {limit_s:g} s", _read(log), HOW)
        if done.returncode != 0:
            return NotRunnable(f"its sandbox failed: {last_lines(done.stderr)}")
        result = json.loads(done.stdout)
        if "not_here" in result:
            return NotRunnable(str(result["not_here"]))
        answers = tuple(Answer(each["status"], base64.b64decode(each["body"])) for each in result["answers"])
        problem = result["problem"]
        if problem and result.get("exit_code") is not None:
            problem = f"{problem} (exit code {result['exit_code']})"
        return Trial(answers, problem, _read(log), HOW)


def _read(log: Path) -> str:
    return last_lines(log.read_text(encoding="utf-8", errors="replace"))


def _home(root: Path, run: Started) -> str:
    """The home of the image's user, as an engine finds it."""
    try:
        lines = (root / "etc" / "passwd").read_text(errors="replace").splitlines()
    except OSError:
        return "/"
    users = {fields[2]: fields[5] for fields in (line.split(":") for line in lines) if len(fields) > 5}
    return users.get(str(run.user), "/")
