"""`edgepack doctor`."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import click

from edgepack.cli.session import Session, pass_session

_CALL_S = 8


@click.command("doctor")
@pass_session
def doctor_command(session: Session) -> None:
    """Look at what works on this machine, and say what to do about the rest. Exit code 3: no build can be made."""
    from edgepack.base.debian import read_apt_sources
    from edgepack.doctor import Machine, State, can_build, examine
    from edgepack.errors import RemoteError
    from edgepack.trial.processes import own_platform

    machine = Machine(
        os.environ,
        session.workspace,
        own_platform(),
        shutil.which,
        _uv_version,
        _status,
        read_apt_sources,
        _engine,
        _namespaces,
        _port_is_free,
        _free_bytes,
    )
    findings = examine(machine)
    marks = {State.WORKS: click.style("ok", fg="green"), State.MISSING: click.style("--", fg="yellow")}
    lines = []
    for finding in findings:
        mark = marks.get(finding.state, "??")
        if finding.needed and finding.state != State.WORKS:
            mark = click.style("NO", fg="red")
        lines.append(f"{mark}  {finding.name:<26} {finding.text}")
        lines += [f"      {finding.advice}"] if finding.advice else []
    able = can_build(findings)
    lines += ["", "A build can be made." if able else "No build can be made until what says NO is mended."]
    document = {"can_build": able, "findings": [finding.document() for finding in findings]}
    session.result(document, "\n".join(lines))
    if not able:
        sys.exit(RemoteError.exit_code)


def _uv_version() -> str:
    from uv import find_uv_bin

    try:
        done = subprocess.run([find_uv_bin(), "--version"], capture_output=True, text=True, check=True, timeout=_CALL_S)
    except subprocess.SubprocessError as error:
        raise OSError(str(error)) from error
    return done.stdout.strip()


def _status(url: str) -> int:
    """The status of a URL; only its head is read."""
    import httpx

    try:
        with (
            httpx.Client(timeout=_CALL_S, follow_redirects=True) as client,
            client.stream("GET", url) as response,
        ):
            return response.status_code
    except httpx.InvalidURL as error:
        raise OSError("it is no URL") from error  # the reason quotes parts of it, such as a password
    except httpx.HTTPError as error:
        raise OSError(str(error) or type(error).__name__) from error


def _engine() -> tuple[str, str]:
    from edgepack.engine_connection import engine

    with engine("answer", timeout_s=_CALL_S) as found:
        return found.version, found.platform


def _namespaces() -> str | None:
    import json

    import edgepack

    if sys.platform != "linux":
        return "namespaces exist on Linux only"
    environment = {**os.environ, "PYTHONPATH": str(Path(edgepack.__file__).parent.parent)}
    command = [sys.executable, "-m", "edgepack.trial.sandbox", "--probe"]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=_CALL_S,
            stdin=subprocess.DEVNULL,
        )
        reason = json.loads(done.stdout).get("not_here")
    except (subprocess.SubprocessError, ValueError) as error:
        return f"they cannot be tried ({error})"
    return None if reason is None else str(reason)


def _port_is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_bytes(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free
