"""`edgepack doctor`: what works on this machine, and what to do about the rest.

Every probe runs in a thread of its own with a short time limit, and none changes anything. What a build needs is
`needed`; all else (an engine, emulation, ports, logins) is for some commands only, and says for which.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edgepack.base.debian import KEYRINGS, find_mirror
from edgepack.errors import InputError, RemoteError
from edgepack.oci.platform import PLATFORMS
from edgepack.oci.registry_login import login_files

PROBE_S = 10.0
DEFAULT_INDEX = "https://pypi.org/simple/"
PORTS = {5001: "scoring on this machine", 8883: "the simulator's MQTT"}
NEEDED_BYTES, COMFORTABLE_BYTES = 1 << 30, 5 << 30
_QEMU = {"linux/amd64": "qemu-x86_64", "linux/arm64": "qemu-aarch64", "linux/arm/v7": "qemu-arm"}


class State(StrEnum):
    """What came of a probe."""

    WORKS = "works"
    MISSING = "missing"
    UNKNOWN = "unknown"  # the probe took too long


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing on this machine: what was found, and what to do if it is missing."""

    name: str
    state: State
    text: str
    advice: str = ""
    needed: bool = False

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "state": str(self.state),
            "needed_to_build": self.needed,
            "text": self.text,
            **({"advice": self.advice} if self.advice else {}),
        }


@dataclass(frozen=True, slots=True)
class Machine:
    """What the probes ask of a machine; each function may take its time, and raises OSError where it must."""

    environment: Mapping[str, str]
    workspace: Path
    platform: str
    find_program: Callable[[str], str | None]
    find_uv: Callable[[], str]  # version; FileNotFoundError where there is none
    answers: Callable[[str], int]  # status of a URL
    apt_sources: Callable[[], list[str]]
    engine: Callable[[], tuple[str, str]]  # version and platform; RemoteError where there is none
    namespaces: Callable[[], str | None]  # why there are none, None: there are
    port_is_free: Callable[[int], bool]
    free_bytes: Callable[[Path], int]
    binfmt: Path = Path("/proc/sys/fs/binfmt_misc")
    keyrings: tuple[Path, ...] = KEYRINGS


Probe = Callable[[], Finding]


def examine(machine: Machine, limit_s: float = PROBE_S) -> list[Finding]:
    """Run all probes side by side; what has not answered after `limit_s` is `UNKNOWN`."""
    probes = _probes(machine)
    found: dict[str, Finding] = {}

    def run(name: str, probe: Probe) -> None:
        found[name] = probe()

    # threads that do not hold up the end of the program: the look-up of a name cannot be interrupted
    threads = [threading.Thread(target=run, args=(name, probe), daemon=True) for name, (_, probe) in probes.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [
        found.get(name) or Finding(name, State.UNKNOWN, f"no answer within {limit_s:g} s", needed=needed)
        for name, (needed, _) in probes.items()
    ]


def can_build(findings: Sequence[Finding]) -> bool:
    """Whether all is there that a build needs."""
    return all(finding.state == State.WORKS for finding in findings if finding.needed)


def _probes(machine: Machine) -> dict[str, tuple[bool, Probe]]:
    """By name: whether a build needs it, and the probe."""
    return {
        "uv": (True, lambda: _uv(machine)),
        "gpgv": (True, lambda: _gpgv(machine)),
        "Python index": (True, lambda: _index(machine)),
        "Debian mirror": (True, lambda: _mirror(machine)),
        "disk": (True, lambda: _disk(machine)),
        "Docker engine": (False, lambda: _engine(machine)),
        "namespaces": (False, lambda: _namespaces(machine)),
        **{
            f"emulation of {platform}": (False, lambda platform=platform: _emulation(machine, platform))  # type: ignore[misc]
            for platform in PLATFORMS
            if platform != machine.platform
        },
        **{f"port {port}": (False, lambda port=port: _port(machine, port)) for port in PORTS},  # type: ignore[misc]
        "registry logins": (False, lambda: _logins(machine)),
    }


def _uv(machine: Machine) -> Finding:
    try:
        return Finding("uv", State.WORKS, machine.find_uv(), needed=True)
    except OSError as error:
        return Finding("uv", State.MISSING, f"cannot be run ({error})", "install edgepack again, or uv", needed=True)


def _gpgv(machine: Machine) -> Finding:
    own = machine.environment.get("EDGEPACK_DEBIAN_KEYRING")
    keyring = next((path for path in ([Path(own)] if own else machine.keyrings) if path.is_file()), None)
    problems = {
        "gpgv": "install the package gpgv" if machine.find_program("gpgv") is None else "",
        f"the keyring {own or KEYRINGS[0]}": ""
        if keyring
        else "name another with EDGEPACK_DEBIAN_KEYRING"
        if own
        else "install the package debian-archive-keyring",
    }
    missing = [name for name, advice in problems.items() if advice]
    if missing:
        advice = "; ".join(filter(None, problems.values()))
        return Finding("gpgv", State.MISSING, f"{' and '.join(missing)} missing", advice, needed=True)
    return Finding("gpgv", State.WORKS, f"checks Debian's signatures against {keyring}", needed=True)


def _index(machine: Machine) -> Finding:
    named = machine.environment.get("UV_DEFAULT_INDEX") or machine.environment.get("UV_INDEX_URL")
    url = named or DEFAULT_INDEX
    advice = "name a Python index that can be reached with UV_DEFAULT_INDEX, or a proxy with HTTPS_PROXY"
    return _reached("Python index", url, advice, machine)


def _mirror(machine: Machine) -> Finding:
    try:
        mirror = find_mirror(machine.environment, machine.apt_sources)
    except InputError as error:
        return Finding("Debian mirror", State.MISSING, "none is known", str(error), needed=True)
    advice = "set EDGEPACK_DEBIAN_MIRROR to a mirror that can be reached"
    return _reached("Debian mirror", f"{mirror.main}/dists/bookworm/InRelease", advice, machine)


def _reached(name: str, url: str, advice: str, machine: Machine) -> Finding:
    shown = _without_password(url)
    try:
        status = machine.answers(url)
    except OSError as error:
        return Finding(name, State.MISSING, f"{shown} cannot be reached ({error})", advice, needed=True)
    if status >= 400:
        return Finding(name, State.MISSING, f"{shown} answers with status {status}", advice, needed=True)
    return Finding(name, State.WORKS, shown, needed=True)


def _without_password(url: str) -> str:
    """A URL without user, password (whatever is in it) and query, which may hold a token."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.partition('?')[0].rpartition('@')[2]}"


def _disk(machine: Machine) -> Finding:
    free = machine.free_bytes(machine.workspace)
    text = f"{free / 1e9:.1f} GB free for {machine.workspace}"
    advice = "" if free >= COMFORTABLE_BYTES else "free some space, or choose another disk with --workspace"
    return Finding("disk", State.WORKS if free >= NEEDED_BYTES else State.MISSING, text, advice, needed=True)


def _engine(machine: Machine) -> Finding:
    try:
        version, platform = machine.engine()
    except RemoteError:
        return Finding(
            "Docker engine",
            State.MISSING,
            "none answers",
            "for `--builder docker` and `--load`: start one, or name it with DOCKER_HOST",
        )
    return Finding("Docker engine", State.WORKS, f"{version}, {platform}")


def _namespaces(machine: Machine) -> Finding:
    reason = machine.namespaces()
    if reason is None:
        return Finding("namespaces", State.WORKS, "`build --check` needs no engine")
    return Finding("namespaces", State.MISSING, reason, "for `build --check` without an engine: allow user namespaces")


def _emulation(machine: Machine, platform: str) -> Finding:
    name = f"emulation of {platform}"
    advice = f"for `build --check` of {platform}: install qemu-user-static"
    try:
        text = (machine.binfmt / _QEMU[platform]).read_text()
    except OSError:
        return Finding(name, State.MISSING, f"the kernel has no {_QEMU[platform]}", advice)
    flags = next((line.partition(":")[2] for line in text.splitlines() if line.startswith("flags:")), "")
    if not text.startswith("enabled") or "F" not in flags:
        return Finding(name, State.MISSING, f"{_QEMU[platform]} is off, or does not work in containers", advice)
    return Finding(name, State.WORKS, _QEMU[platform])


def _port(machine: Machine, port: int) -> Finding:
    if machine.port_is_free(port):
        return Finding(f"port {port}", State.WORKS, f"free, for {PORTS[port]}")
    return Finding(
        f"port {port}", State.MISSING, "in use", f"for {PORTS[port]}: end what listens there, or use another"
    )


def _logins(machine: Machine) -> Finding:
    import json

    name, problems, registries = "registry logins", [], set[str]()
    for path in login_files(machine.environment):
        if not path.is_file():
            continue
        try:
            document = json.loads(path.read_bytes())
            programs = {document.get("credsStore"), *(document.get("credHelpers") or {}).values()} - {None, ""}
            registries |= {*(document.get("auths") or {}), *(document.get("credHelpers") or {})}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            problems.append(f"{path} cannot be read ({error})")
            continue
        missing = [f"docker-credential-{each}" for each in sorted(map(str, programs))]
        problems += [f"{path} names {each}, which is missing" for each in missing if machine.find_program(each) is None]
    if problems:
        return Finding(name, State.MISSING, "; ".join(problems), "mend the file, or log in again")
    text = f"for {', '.join(sorted(registries))}" if registries else "none; public images need none"
    return Finding(name, State.WORKS, text)
