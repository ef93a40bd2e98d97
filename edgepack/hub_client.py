"""Calls to IoT Hub's REST interface: signed, encrypted, tried again where that may help.

All calls that are made here may be repeated: a second one asks for the same state. So what may pass (no connection, a
connection that ends, 408, 429, 5xx) is tried again, after waits that double, vary, and are at least what Retry-After
asks for, until `timeout_s` are over. An answer that was lost may have been carried out: `Answer.is_unsure` and
`HubRefusal.is_unsure` say so, for callers to whom "there is one already" then means success.

The key leaves this process in no form but signatures. Redirections are not followed. Not safe for several threads.
"""

import json
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

from edgepack.deployment.hub_refusal import HubRefusal, refusal, retry_after_s
from edgepack.deployment.service_connection import (
    RENEWED_BEFORE_S,
    TOKEN_LIFE_S,
    ServiceConnection,
    service_token,
    without_secrets,
)
from edgepack.download import trusted_roots
from edgepack.errors import InputError, RemoteError

if TYPE_CHECKING:
    import ssl

    import httpx

API_VERSION = "2021-04-12"
TIMEOUT_S = 60.0
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_CALL_S = 30.0
_BODY = {"Content-Type": "application/json; charset=utf-8"}
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests have their own. `wall_s` is in seconds since 1970."""

    wall_s: Callable[[], float] = time.time
    steady_s: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


class Answer(NamedTuple):
    """A call that was carried out. `document` is the JSON of the body, None without one."""

    document: Any
    headers: Mapping[str, str]
    is_unsure: bool = False


def trust(ca_file: Path | None, environment: Mapping[str, str]) -> "ssl.SSLContext":
    """What servers' certificates are checked against: this machine's authorities, and those in the given files.

    Raises:
        InputError: a file that cannot be read, or holds no certificate.
    """
    import ssl

    import httpx

    context = trusted_roots() or httpx.create_ssl_context()
    named = [(name, Path(environment[name])) for name in _CERTIFICATE_VARIABLES if environment.get(name)]
    for name, path in [*named, *([("--ca-file", ca_file)] if ca_file else [])]:
        try:
            context.load_verify_locations(**{"capath" if path.is_dir() else "cafile": str(path)})
        except OSError as error:  # ssl.SSLError is one
            reason = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise InputError(f"{name}: {path}: {reason}") from error
    return context


class HubClient:
    """A connection to a hub. A context manager.

    `verify` is what `trust` returns. `say` is told of every repetition. `transport` stands in for the network.
    """

    def __init__(
        self,
        connection: ServiceConnection,
        verify: "ssl.SSLContext | None" = None,
        *,
        timeout_s: float = TIMEOUT_S,
        say: Callable[[str], None] = lambda _text: None,
        clock: Clock | None = None,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        import httpx

        self.clock = clock or Clock()
        self._connection = connection
        self._timeout_s = timeout_s
        self._say = say
        self._token = ""
        self._expiry_s = 0
        self._client = httpx.Client(base_url=connection.url, verify=verify or True, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(
        self,
        what: str,
        method: str,
        path: Sequence[str],
        body: Any = None,
        *,
        etag: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call until it succeeds. `path` holds the parts of the path; `etag` is sent as If-Match.

        Raises:
            HubRefusal: the hub does not do it.
            RemoteError: it cannot be reached, within the time there is.
        """
        until_s = self.clock.steady_s() + self._timeout_s
        sent = {**(headers or {}), **({"If-Match": f'"{etag}"'} if etag else {})}
        attempts, is_unsure = 0, False
        while True:
            attempts += 1
            error, least_s = self._attempt(what, method, path, body, sent, until_s)
            if isinstance(error, Answer):
                return error._replace(is_unsure=is_unsure)
            if isinstance(error, HubRefusal):
                error.is_unsure = is_unsure
                is_unsure = is_unsure or error.status >= 500
            else:
                is_unsure = True
            if not error.retryable:
                raise error
            doubled_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempts - 1, 10))
            wait_s = max(least_s, doubled_s * (0.5 + 0.5 * self.clock.chance()))
            if self.clock.steady_s() + wait_s > until_s:
                raise self._given_up(error, attempts, least_s) from error
            self._say(f"{error}; trying again in {wait_s:.1f} s")
            self.clock.pause(wait_s)

    def _attempt(
        self, what: str, method: str, path: Sequence[str], body: Any, headers: Mapping[str, str], until_s: float
    ) -> tuple[Answer | RemoteError, float]:
        """One attempt: the answer or what went wrong, and after how many seconds the hub wants to be asked again."""
        import httpx

        left_s = max(1.0, min(_CALL_S, until_s - self.clock.steady_s()))
        try:
            response = self._client.request(
                method,
                "/".join(("", *(quote(part, safe="") for part in path))),
                params={"api-version": API_VERSION},
                content=None if body is None else json.dumps(body, allow_nan=False).encode(),
                headers={**_BODY, **headers, "Authorization": self._authorization()},
                timeout=left_s,
            )
        except httpx.HTTPError as error:
            return self._unreachable(what, error), 0.0
        lower = {name.lower(): value for name, value in response.headers.items()}
        if response.is_success:
            return self._answer(what, response, lower), 0.0
        host, policy, now_s = self._connection.host, self._connection.policy, self.clock.wall_s()
        found = refusal(what, host, policy, response.status_code, response.content, lower, now_s)
        clean = HubRefusal(self._clean(str(found)), found.status, found.code, retryable=found.retryable)
        return clean, retry_after_s(lower, now_s)

    def _answer(self, what: str, response: "httpx.Response", headers: Mapping[str, str]) -> Answer | RemoteError:
        try:
            return Answer(response.json() if response.content else None, headers)
        except (ValueError, RecursionError):
            host = self._connection.host
            return RemoteError(
                f"{what}: {host} answered something that is no JSON: is HostName that of an IoT Hub?", retryable=False
            )

    def _authorization(self) -> str:
        now_s = self.clock.wall_s()
        if now_s > self._expiry_s - RENEWED_BEFORE_S or now_s < self._expiry_s - 2 * TOKEN_LIFE_S:
            self._expiry_s = int(now_s) + TOKEN_LIFE_S
            self._token = service_token(self._connection, self._expiry_s)
        return self._token

    def _unreachable(self, what: str, error: "httpx.HTTPError") -> RemoteError:
        host = self._connection.host
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)
        text = self._clean(f"{type(error).__name__}: {error}")
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return RemoteError(
                f"{what}: the certificate of {host} is not trusted ({text}): is HostName right? "
                "--ca-file names an authority of one's own",
                retryable=False,
            )
        unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        if any(isinstance(cause, socket.gaierror) and cause.errno in unknown for cause in causes):
            return RemoteError(f"{what}: there is no host {host}: check HostName, and the network", retryable=False)
        return RemoteError(f"{what}: {host} cannot be reached ({text}): check the network and proxy settings")

    def _given_up(self, error: RemoteError, attempts: int, least_s: float) -> RemoteError:
        times = "once" if attempts == 1 else f"{attempts} times"
        asked = f", which asks for a wait of {least_s:.0f} s" if least_s else ""
        text = f"{error}; tried {times} in the {self._timeout_s:g} s of --timeout{asked}"
        if isinstance(error, HubRefusal):
            return HubRefusal(text, error.status, error.code, retryable=True)
        return RemoteError(text)

    def _clean(self, text: str) -> str:
        return without_secrets(self._connection, text)
