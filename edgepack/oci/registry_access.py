"""Permission to use a registry: the `Authorization` header for what is to be done, by the registry's own challenge.

Basic authentication, or a token of the registry's token server for certain scopes, asked for with the login of this
machine (an identity token by POST, a password by GET, nothing for public images). Tokens are kept until shortly before
they expire; the connection drops one that is refused earlier. Threads may share an object.
"""

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from edgepack.errors import RemoteError
from edgepack.oci.registry_headers import Challenge
from edgepack.oci.registry_login import Login

CLIENT_ID = "edgepack"
_LIFE_S = 60.0  # of a token whose server does not say
_RENEWED_BEFORE_S = 10.0

Scopes = frozenset[str]


def repository_scope(repository: str, *, push: bool) -> str:
    """The scope for reading, or for reading and writing, a repository."""
    return f"repository:{repository}:{'pull,push' if push else 'pull'}"


class AskTokenServer(Protocol):
    """Calls a token server: method, URL, headers and form -> status and body; tried again where that may help."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes]: ...


@dataclass(slots=True)
class _Token:
    header: str = field(repr=False)
    scopes: Scopes
    until_s: float


class Access:
    """Headers for one registry. `find_login` is called at most once, when the registry asks for a login."""

    def __init__(
        self,
        registry: str,
        find_login: Callable[[], Login | None],
        ask: AskTokenServer,
        steady_s: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._find_login = find_login
        self._ask = ask
        self._steady_s = steady_s
        self._lock = threading.RLock()
        self._challenge: Challenge | None = None
        self._login: Login | None = None
        self._has_looked = False
        self._tokens: list[_Token] = []

    def header(self, scopes: Scopes) -> str | None:
        """The `Authorization` for `scopes`; None where the registry has asked for none yet, or there is no login.

        Raises:
            RemoteError: the token server refuses, or cannot be reached.
            InputError: the login of this machine cannot be read.
        """
        with self._lock:
            challenge = self._challenge
            if challenge is None:
                return None
            if challenge.scheme == "basic":
                login = self.login()
                return _basic(login) if login and login.user else None
            now_s = self._steady_s()
            self._tokens = [token for token in self._tokens if token.until_s > now_s]
            for token in self._tokens:
                if token.scopes >= scopes:
                    return token.header
            made = self._fetch(challenge, scopes, now_s)
            self._tokens.append(made)
            return made.header

    def login(self) -> Login | None:
        """The login of this machine for the registry, looked up once."""
        with self._lock:
            if not self._has_looked:
                self._login, self._has_looked = self._find_login(), True
            return self._login

    def learn(self, challenges: tuple[Challenge, ...], refused: str | None) -> bool:
        """Take note of a 401 to a request with the header `refused`; says whether trying again makes sense.

        It does unless the login itself was refused, or there is none to offer.
        """
        with self._lock:
            usable = {each.scheme: each for each in reversed(challenges)}
            bearer = usable.get("bearer")
            chosen = bearer if bearer and bearer.parameters.get("realm") else usable.get("basic")
            if chosen is None:
                return False
            self._challenge = chosen
            self._tokens = [token for token in self._tokens if token.header != refused]
            if chosen.scheme == "basic":
                login = self.login()
                return login is not None and bool(login.user) and refused != _basic(login)
            return True

    def _fetch(self, challenge: Challenge, scopes: Scopes, now_s: float) -> _Token:
        realm, service = challenge.parameters["realm"], challenge.parameters.get("service", "")
        login = self.login()
        status, body = 404, b""
        if login and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": CLIENT_ID,
                "scope": " ".join(sorted(scopes)),
                "refresh_token": login.identity_token,
            }
            status, body = self._ask("POST", realm, {}, form)
        if status in (404, 405) and (login is None or login.user or not login.identity_token):
            query = [("service", service)] if service else []
            query += [("scope", scope) for scope in sorted(scopes)]
            query += [("account", login.user)] if login else []
            headers = {"Authorization": _basic(login)} if login else {}
            address = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
            status, body = self._ask("GET", address, headers, None)
        if status != 200:
            raise self._refusal(realm, status, login)
        document = _json_object(body)
        text = document.get("token") or document.get("access_token")
        if not isinstance(text, str) or not text or not text.isprintable():
            raise RemoteError(f"{self._registry}: its token server {realm} answered without a token", retryable=False)
        life = document.get("expires_in")
        life_s = float(life) if isinstance(life, int | float) and life > 0 else _LIFE_S
        return _Token(f"Bearer {text}", scopes, now_s + max(life_s / 2, life_s - _RENEWED_BEFORE_S))

    def _refusal(self, realm: str, status: int, login: Login | None) -> RemoteError:
        if status in (401, 403) and login is not None:
            return RemoteError(
                f"{self._registry} does not take {login} (its token server answered {status}); log in again with "
                f"`docker login {self._registry}`",
                retryable=False,
            )
        if status in (401, 403):
            return RemoteError(
                f"{self._registry} wants a login (its token server answered {status}); run "
                f"`docker login {self._registry}`",
                retryable=False,
            )
        return RemoteError(f"{self._registry}: its token server {realm} answered {status}", retryable=False)


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
