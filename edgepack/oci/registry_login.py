"""Who to sign in to a registry as: what `docker login`, `podman login` and `skopeo login` have left on this machine.

Files are asked in this order, the first with an entry for the registry wins: `$REGISTRY_AUTH_FILE`,
`$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, `~/.dockercfg`, `$XDG_RUNTIME_DIR/containers/auth.json`,
`~/.config/containers/auth.json`. In a file, `credHelpers`, then `credsStore` (each a program
`docker-credential-NAME`), then `auths`.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack.errors import InputError, RemoteError
from edgepack.oci.reference import DOCKER_HUB

_HUB_URL = "https://index.docker.io/v1/"  # the key of Docker Hub in these files


@dataclass(frozen=True, slots=True)
class Login:
    """A user with a password, or an identity token of the registry's token server; `source` says where it was found."""

    source: str
    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{f'user {self.user}' if self.user else 'the identity token'} in {self.source}"


def find_login(registry: str, environment: Mapping[str, str]) -> Login | None:
    """The login for `registry` (`HOST[:PORT]`, `docker.io`), None where there is none.

    Raises:
        InputError: a file that is no such configuration.
        RemoteError: the program that keeps the credentials is missing, or fails.
    """
    for path in login_files(environment):
        if path.is_file() and (login := _login_in(path, registry, environment)) is not None:
            return login
    return None


def login_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where logins are looked for, in order; not all of these files need be there."""
    home = Path(environment.get("HOME") or Path.home())
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    folder = environment.get("DOCKER_CONFIG")
    yield Path(folder, "config.json") if folder else home / ".docker" / "config.json"
    yield home / ".dockercfg"
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers", "auth.json")
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "containers", "auth.json")


def _login_in(path: Path, registry: str, environment: Mapping[str, str]) -> Login | None:
    import docker.auth
    from docker.errors import DockerException

    configuration = _read(path)
    if not configuration:
        return None
    _check_program(configuration, registry, path)
    try:
        known = docker.auth.load_config(config_dict=configuration, credstore_env=dict(environment))
        found = docker.auth.resolve_authconfig(known, registry)
    except DockerException as error:
        raise RemoteError(
            f"the credentials for {registry} cannot be had by {path}: {error}; mend it, or log in again with "
            f"`docker login {registry}`",
            retryable=False,
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: the entry for a registry is not as `docker login` writes it ({type(error).__name__}); log in "
            "again, or mend it"
        ) from error
    match {str(key).lower(): value for key, value in (found or {}).items()}:
        case {"identitytoken": str(token)} if token:
            return Login(str(path), identity_token=token)
        case {"username": str(user), "password": str(password)} if user:
            return Login(str(path), user, password)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        if path.name == ".dockercfg":
            return None  # the form of 2014, for Docker Hub alone
        raise InputError(f"{path}: not JSON ({error}); mend it, or move it away") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: the logins of registries are there") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a JSON object; mend it, or move it away")
    return document


def _check_program(configuration: Mapping[str, Any], registry: str, path: Path) -> None:
    """Say it where the credential program is missing: docker.auth only warns of it, and asks on."""
    helpers = configuration.get("credHelpers")
    key = _HUB_URL if registry == DOCKER_HUB else registry
    name = (helpers.get(key) if isinstance(helpers, dict) else None) or configuration.get("credsStore")
    if name and shutil.which(f"docker-credential-{name}") is None:
        raise RemoteError(
            f"{path} says that docker-credential-{name} keeps the credentials for {registry}, but there is no such "
            f"program on the PATH: install it, or take `credsStore` or `credHelpers` out and run "
            f"`docker login {registry}`",
            retryable=False,
        )
