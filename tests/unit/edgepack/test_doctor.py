"""What doctor says about machines that are made up."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgepack.cli.doctor import _status
from edgepack.doctor import NEEDED_BYTES, Finding, Machine, State, can_build, examine
from edgepack.errors import RemoteError


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which everything works."""
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    binfmt = tmp_path / "binfmt"
    binfmt.mkdir()
    for name in ("qemu-aarch64", "qemu-arm"):
        (binfmt / name).write_text("enabled\ninterpreter /usr/bin/x\nflags: OCF\noffset 0\n")
    return Machine(
        {"HOME": str(tmp_path)},
        tmp_path,
        "linux/amd64",
        lambda name: f"/usr/bin/{name}",
        lambda: "uv 1.0",
        lambda _url: 200,
        lambda: ["deb http://mirror.example/debian bookworm main"],
        lambda: ("20.10", "linux/amd64"),
        lambda: None,
        lambda _port: True,
        lambda _folder: 10 * NEEDED_BYTES,
        binfmt,
        (keyring,),
    )


def findings(machine: Machine) -> dict[str, Finding]:
    """The findings by name."""
    return {finding.name: finding for finding in examine(machine)}


def fails(error: Exception) -> Callable[..., Any]:
    """A function that raises."""

    def fail(*_arguments: Any) -> Any:
        raise error

    return fail


def test_all_works(machine: Machine) -> None:
    found = findings(machine)
    assert {finding.state for finding in found.values()} == {State.WORKS}
    assert not any(finding.advice for finding in found.values())
    assert can_build([*found.values()])
    assert [*found][:5] == ["uv", "gpgv", "Python index", "Debian mirror", "disk"]
    assert found["Debian mirror"].text == "http://mirror.example/debian/dists/bookworm/InRelease"


@pytest.mark.parametrize(
    ("change", "name", "text", "advice"),
    [
        ({"find_uv": fails(FileNotFoundError("no uv"))}, "uv", "no uv", "install"),
        ({"find_program": lambda _name: None}, "gpgv", "gpgv missing", "install the package gpgv"),
        ({"keyrings": ()}, "gpgv", "the keyring /usr/share", "debian-archive-keyring"),
        ({"environment": {"EDGEPACK_DEBIAN_KEYRING": "/none"}}, "gpgv", "the keyring /none", "EDGEPACK_DEBIAN_KEYRING"),
        ({"answers": fails(ConnectionError("refused"))}, "Python index", "refused", "UV_DEFAULT_INDEX"),
        ({"answers": lambda _url: 503}, "Debian mirror", "status 503", "EDGEPACK_DEBIAN_MIRROR"),
        ({"apt_sources": list}, "Debian mirror", "none is known", "set EDGEPACK_DEBIAN_MIRROR"),
        ({"free_bytes": lambda _folder: NEEDED_BYTES - 1}, "disk", "1.1 GB free", "--workspace"),
    ],
)
def test_what_a_build_needs(change: dict[str, Any], name: str, text: str, advice: str, machine: Machine) -> None:
    found = findings(replace(machine, **change))
    assert found[name].state == State.MISSING
    assert text in found[name].text
    assert advice in found[name].advice
    assert not can_build([*found.values()])


@pytest.mark.parametrize(
    ("change", "name", "text", "advice"),
    [
        ({"engine": fails(RemoteError("none"))}, "Docker engine", "none answers", "DOCKER_HOST"),
        ({"namespaces": lambda: "not allowed"}, "namespaces", "not allowed", "user namespaces"),
        ({"binfmt": Path("/nowhere")}, "emulation of linux/arm64", "no qemu-aarch64", "qemu-user-static"),
        ({"port_is_free": lambda port: port != 8883}, "port 8883", "in use", "simulator"),
    ],
)
def test_what_a_build_does_not_need(
    change: dict[str, Any], name: str, text: str, advice: str, machine: Machine
) -> None:
    found = findings(replace(machine, **change))
    assert [finding.name for finding in found.values() if finding.state == State.MISSING][:1] == [name]
    assert text in found[name].text
    assert advice in found[name].advice
    assert can_build([*found.values()])


def test_emulation_that_does_not_reach_into_containers(machine: Machine) -> None:
    (machine.binfmt / "qemu-arm").write_text("enabled\nflags: OC\n")
    found = findings(machine)
    assert found["emulation of linux/arm/v7"].state == State.MISSING
    assert found["emulation of linux/arm64"].state == State.WORKS


def test_an_arm_machine_asks_for_emulation_of_the_others(machine: Machine) -> None:
    assert "emulation of linux/amd64" in findings(replace(machine, platform="linux/arm64"))


def test_a_probe_that_does_not_come_back(machine: Machine) -> None:
    release = threading.Event()

    def hangs(url: str) -> int:
        release.wait()
        return 200

    found = {finding.name: finding for finding in examine(replace(machine, answers=hangs), limit_s=0.05)}
    release.set()
    assert found["Python index"] == Finding("Python index", State.UNKNOWN, "no answer within 0.05 s", needed=True)
    assert found["disk"].state == State.WORKS
    assert not can_build([*found.values()])


def test_logins_without_secrets(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    folder.mkdir()
    document = {"auths": {"registry.example": {"auth": "c2VjcmV0"}}, "credHelpers": {"other.example": "gone"}}
    (folder / "config.json").write_text(json.dumps(document))
    found = findings(machine)["registry logins"]
    assert found.text == "for other.example, registry.example"
    missing = findings(replace(machine, find_program=lambda _name: None if "gone" in _name else _name))[
        "registry logins"
    ]
    assert (missing.state, "docker-credential-gone" in missing.text) == (State.MISSING, True)
    (folder / "config.json").write_text("no json")
    assert "cannot be read" in findings(machine)["registry logins"].text


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@index.example/simple/",
        "https://me:se/cr:et@index.example/simple/",
        "https://index.example/simple/?token=secret",
    ],
)
def test_passwords_of_an_index_are_not_shown(machine: Machine, url: str) -> None:
    environment = {**machine.environment, "UV_DEFAULT_INDEX": url}
    assert findings(replace(machine, environment=environment))["Python index"].text == "https://index.example/simple/"


def test_the_reason_why_something_is_no_url_does_not_quote_it() -> None:
    with pytest.raises(OSError, match="it is no URL") as caught:
        _status("https://me:se/cr:et@index.example/")
    assert "se" not in str(caught.value)
