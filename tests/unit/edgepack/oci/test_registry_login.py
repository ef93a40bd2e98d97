"""Logins as docker, podman and skopeo leave them."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import InputError, RemoteError
from edgepack.oci.registry_login import Login, find_login

HOST = "registry.example.com:5000"
HUB = "https://index.docker.io/v1/"


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of credential programs; the one called `good` knows some registries."""
    folder = tmp_path / "bin"
    folder.mkdir()
    known = {
        HOST: {"Username": "me", "Secret": "from program"},
        "token.example.com": {"Username": "<token>", "Secret": "identity"},
        HUB: {"Username": "hub", "Secret": "hub secret"},
    }
    cases = "".join(f"{key}) echo '{json.dumps(value)}' ;;\n" for key, value in known.items())
    (folder / "docker-credential-good").write_text(
        f'#!/bin/sh\ncase "$(cat)" in\n{cases}*) echo credentials not found in native keychain; exit 1 ;;\nesac\n'
    )
    (folder / "docker-credential-locked").write_text("#!/bin/sh\necho the vault is locked\nexit 1\n")
    for program in folder.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        (HOST, HOST),
        (f"https://{HOST}", HOST),
        (f"https://{HOST}/v2/", HOST),
        (HUB, "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_a_password_under_any_form_of_the_name(tmp_path: Path, key: str, registry: str) -> None:
    path = write(tmp_path / ".docker/config.json", {"auths": {key: auth("me", "a:b"), "x.example.com": {}}})
    assert find_login(registry, {"HOME": str(tmp_path)}) == Login(str(path), "me", "a:b")
    assert find_login("other.example.com", {"HOME": str(tmp_path)}) is None


def test_an_identity_token_in_the_file(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"auths": {HOST: {**auth("<token>", ""), "identitytoken": "abc"}}})
    found = find_login(HOST, {"HOME": "/nonexistent", "DOCKER_CONFIG": str(tmp_path)})
    assert found is not None
    assert (found.identity_token, found.user) == ("abc", "")
    assert "abc" not in repr(found) + str(found)


@pytest.mark.parametrize(
    ("configuration", "registry", "expected"),
    [
        ({"credsStore": "good"}, HOST, ("me", "from program", "")),
        ({"credsStore": "missing", "credHelpers": {HOST: "good"}}, HOST, ("me", "from program", "")),
        ({"credsStore": "good"}, "token.example.com", ("", "", "identity")),
        ({"credsStore": "good"}, "docker.io", ("hub", "hub secret", "")),
        ({"credsStore": "good", "auths": {"plain.example": auth("you", "p")}}, "plain.example", ("you", "p", "")),
    ],
)  # fmt: skip
def test_credential_programs(
    tmp_path: Path, programs: Path, configuration: dict[str, Any], registry: str, expected: tuple[str, str, str]
) -> None:
    write(tmp_path / ".docker/config.json", configuration)
    found = find_login(registry, {"HOME": str(tmp_path)})
    assert found is not None
    assert (found.user, found.password, found.identity_token) == expected


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"credsStore": "nowhere-to-be-found"})
    with pytest.raises(RemoteError, match=r"no such program .*install it") as caught:
        find_login(HOST, {"HOME": str(tmp_path)})
    assert "docker-credential-nowhere-to-be-found" in str(caught.value)
    assert not caught.value.retryable


def test_what_a_program_says_is_told(tmp_path: Path, programs: Path) -> None:
    write(tmp_path / ".docker/config.json", {"credsStore": "locked"})
    with pytest.raises(RemoteError, match="the vault is locked"):
        find_login(HOST, {"HOME": str(tmp_path)})


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": {"x": 3}}', '{"auths": {"x": {"auth": "not base64!"}}}'])
def test_a_file_that_is_no_such_configuration_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises((InputError, RemoteError), match=r"config\.json"):
        find_login(HOST, {"HOME": "/nonexistent", "DOCKER_CONFIG": str(tmp_path)})


def test_the_files_are_asked_in_turn(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert find_login(HOST, environment) is None
    places = [tmp_path / "run/containers/auth.json", tmp_path / ".docker/config.json", tmp_path / "named.json"]
    for number, path in enumerate(places):
        write(path, {"auths": {HOST: auth(str(number), "p")}})
        named = {"REGISTRY_AUTH_FILE": str(path)} if path.name == "named.json" else {}
        found = find_login(HOST, {**environment, **named})
        assert found is not None
        assert found.user == str(number)


def test_empty_files_say_nothing(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {})
    (tmp_path / ".dockercfg").write_text("old form\n")
    assert find_login(HOST, {"HOME": str(tmp_path)}) is None
