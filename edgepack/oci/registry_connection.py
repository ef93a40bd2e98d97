"""HTTP to one registry: signed in, encrypted, tried again where that may help.

- HTTPS. Plain HTTP only to a registry on this machine that speaks no TLS, or where `insecure` allows it; `insecure`
  also takes any certificate.
- What may pass (a connection that fails or ends, 408, 429, 5xx) is tried again after waits that double and vary, and
  are at least what `Retry-After` asks for.
- Credentials go to the registry and to the token server that it names, nowhere else: requests to other hosts, to
  which a registry may send a client, carry none.

Threads may share a connection. Stopping it ends what all of them wait for.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgepack import __version__
from edgepack.errors import RemoteError
from edgepack.oci.open_sockets import OpenSockets
from edgepack.oci.reference import ImageReference, host_of, is_loopback
from edgepack.oci.registry_access import Access, Scopes
from edgepack.oci.registry_backoff import Backoff, Clock
from edgepack.oci.registry_fault import network_fault, refusal
from edgepack.oci.registry_headers import origin_of, parse_challenges, resolve_location
from edgepack.oci.registry_login import find_login
from edgepack.oci.registry_trust import registry_trust

if TYPE_CHECKING:
    import httpx

_REDIRECTIONS = 5
_MOST_BYTES = 8 * 1024 * 1024
_MOST_ERROR_BYTES = 64 * 1024


def _start_of(response: "httpx.Response") -> bytes:
    """The beginning of an error's body."""
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > _MOST_ERROR_BYTES:
            break
    return bytes(body)


Body = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `what` is how messages name it; `body` gives the same bytes each time it is called."""

    what: str
    method: str
    url: str
    scopes: Scopes
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read whole. Names of headers are in lower case; `url` is what was asked in the end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Connection:
    """See the module. `say` is told of every repetition; `transport` stands in for the network."""

    def __init__(
        self,
        reference: ImageReference,
        environment: Mapping[str, str],
        *,
        insecure: bool = False,
        say: Callable[[str], None] = lambda _text: None,
        clock: Clock | None = None,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        import httpx

        self.host = reference.registry or ""
        self._server = reference.server
        self._insecure = insecure
        self._say = say
        self.clock = clock or Clock()
        self._is_closed = threading.Event()
        self._lock = threading.Lock()
        self._root = ""
        self._sockets = OpenSockets()
        self._traced = {"trace": self._sockets.trace}
        self._client = httpx.Client(
            verify=registry_trust(self._server, insecure=insecure) if transport is None else True,
            timeout=httpx.Timeout(120.0, connect=20.0, write=60.0, pool=None),
            headers={"Accept-Encoding": "identity", "User-Agent": f"edgepack/{__version__}"},
            transport=transport,
            mounts={f"all://{host_of(self._server)}": None}
            if is_loopback(self._server)
            else None,  # no proxy can reach this machine
        )
        self._access = Access(
            self.host, lambda: find_login(self.host, environment), self._ask_token_server, self.clock.steady_s
        )

    def stop(self) -> None:
        """Make all calls fail, also those that other threads are waiting for."""
        self._is_closed.set()
        self._sockets.shut_down()

    def close(self) -> None:
        """End it, when no other thread uses it any more."""
        self._is_closed.set()
        self._client.close()

    def url(self, path: str) -> str:
        """The URL of a path below the registry's root (`/v2/...`).

        Raises:
            RemoteError: the registry cannot be reached.
        """
        with self._lock:
            if not self._root:
                self._root = self._find_root()
            return f"{self._root}{path}"

    def backoff(self) -> "Backoff":
        """The patience for one thing that is to be done."""
        return Backoff(self.clock, self._say, self._is_closed)

    def call(self, call: Call, *, most_bytes: int = _MOST_BYTES) -> Reply:
        """Carry out a request that may be repeated, and read the answer.

        Raises:
            RegistryRefusal: any status but 2xx, where trying again did not help.
            RemoteError: the registry cannot be reached, or the answer is longer than `most_bytes`.
        """
        backoff = self.backoff()
        while True:
            try:
                return self.attempt(call, most_bytes=most_bytes)
            except RemoteError as error:
                backoff.wait(error)

    def attempt(self, call: Call, *, most_bytes: int = _MOST_BYTES) -> Reply:
        """The same, once."""
        with self.stream(call) as response:
            body = bytearray()
            for piece in response.iter_raw():
                body += piece
                if len(body) > most_bytes:
                    raise RemoteError(
                        f"{call.what}: {self.host} answered more than {most_bytes} bytes", retryable=False
                    )
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, headers, bytes(body), str(response.url))

    @contextmanager
    def stream(self, call: Call) -> Iterator["httpx.Response"]:
        """One attempt: yields an answer of status 2xx, its body unread.

        Raises:
            RegistryRefusal: another status.
            RemoteError: no connection, or it ended before the answer did.
        """
        import httpx

        try:
            response = self._send(call)
            try:
                if not response.is_success:
                    said = _start_of(response)
                    raise refusal(
                        call.what, self.host, response.status_code, response.headers, said, self.clock.wall_s(),
                        self._access.login() if response.status_code in (401, 403) else None,
                    )  # fmt: skip
                yield response
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            if self._is_closed.is_set():
                raise RemoteError(f"{call.what}: stopped", retryable=False) from error
            if isinstance(error, RuntimeError) and not isinstance(error, httpx.StreamError):
                raise
            raise network_fault(call.what, self.host, error) from error

    def _send(self, call: Call) -> "httpx.Response":
        """The answer, after signing in and following redirections as far as need be."""
        url, method, body = call.url, call.method, call.body
        own = origin_of(self.url("/"))
        signed_in = 0
        redirections = 0
        while True:
            if self._is_closed.is_set():
                raise RemoteError(f"{call.what}: stopped", retryable=False)
            self._refuse_plain(call.what, url)
            authorization = self._access.header(call.scopes) if origin_of(url) == own else None
            headers = {**call.headers, **({"Authorization": authorization} if authorization else {})}
            request = self._client.build_request(
                method, url, headers=headers, content=None if body is None else body(), extensions=self._traced
            )
            response = self._client.send(request, stream=True, auth=None)
            if response.status_code == 401 and origin_of(url) == own and signed_in < 2:
                signed_in += 1
                challenges = parse_challenges(response.headers.get_list("www-authenticate"))
                if self._access.learn(challenges, authorization):
                    response.close()
                    continue
            location = response.headers.get("location")
            if response.status_code not in (301, 302, 303, 307, 308) or not location or redirections >= _REDIRECTIONS:
                return response
            if response.status_code < 307 and method not in ("GET", "HEAD"):
                return response
            response.close()
            redirections += 1
            url = self.follow(call.what, url, location)

    def follow(self, what: str, asked: str, location: str) -> str:
        """The URL of a `Location` header.

        Raises:
            RemoteError: it is none.
        """
        try:
            url = resolve_location(asked, location)
            origin_of(url)
        except ValueError as error:
            raise RemoteError(f"{what}: {self.host} sends on to {error}", retryable=False) from error
        return url

    def _refuse_plain(self, what: str, url: str) -> None:
        """Refuse plain HTTP to where the registry sends a client, by the same rule as to the registry itself."""
        scheme, host, _ = origin_of(url)
        if scheme != "https" and not self._insecure and not is_loopback(host):
            raise RemoteError(
                f"{what}: {self.host} sends on to {scheme}://{host}, which is not encrypted; --insecure allows it",
                retryable=False,
            )

    def _find_root(self) -> str:
        """`https://HOST`, or `http://HOST` where that may be and there is no TLS."""
        secure = f"https://{self._server}"
        if not (self._insecure or is_loopback(self._server)):
            return secure
        backoff = self.backoff()
        while True:
            error: RemoteError | None = None
            for root in (secure, f"http://{self._server}"):
                error = self._probe(root)
                if error is None:
                    return root
                if not error.retryable:
                    break  # e.g. its certificate is not trusted: then it does speak TLS
            assert error is not None  # noqa: S101 - the loop has run
            backoff.wait(error)

    def _probe(self, root: str) -> RemoteError | None:
        import httpx

        if self._is_closed.is_set():
            raise RemoteError(f"{self.host}: stopped", retryable=False)
        try:
            response = self._client.get(f"{root}/v2/", follow_redirects=False, extensions=self._traced)
        except httpx.HTTPError as error:
            return network_fault("connecting", self.host, error)
        if response.status_code == 400 and root.startswith("http:"):  # what servers of TLS answer to plain HTTP
            return RemoteError(f"connecting: {self.host} speaks neither TLS nor plain HTTP as a registry does")
        return None

    def _ask_token_server(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        import httpx

        what = "signing in"
        self._refuse_plain(what, url)
        backoff = self.backoff()
        while True:
            try:
                response = self._client.request(
                    method, url, headers=dict(headers), data=form, auth=None, extensions=self._traced
                )
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                backoff.wait(network_fault(what, self.host, error))
                continue
            if response.status_code in (408, 425, 429) or response.status_code >= 500:
                backoff.wait(
                    refusal(what, self.host, response.status_code, response.headers, b"", self.clock.wall_s(), None)
                )
                continue
            return response.status_code, response.content
