"""Files from the network, by hash, kept in the cache: the one door through which bytes come in.

A file that is in the cache is not fetched again. What arrives is hashed while it is written and appears in the cache
only if its hash is the one asked for. Failures that may pass (connection lost, 429, 5xx) are retried with back-off.
A `file:` URL, as of a wheel in a local folder, is copied in the same way.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from edgepack.errors import RemoteError
from edgepack.files import CHUNK_BYTES, hash_file, new_file

if TYPE_CHECKING:
    import ssl

    import httpx

ATTEMPTS = 4
_FIRST_WAIT_S = 0.5
_TIMEOUT_S = 30.0
_RETRYABLE = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to have: where it is, what it is called in messages, and the SHA-256 (64 hex digits) it must have."""

    url: str
    name: str
    sha256: str
    size_bytes: int | None = None


def trusted_roots() -> "ssl.SSLContext | None":
    """The certificate roots that this machine trusts (also a company's own), or None if it has no such store."""
    import ssl

    paths = ssl.get_default_verify_paths()
    return ssl.create_default_context() if paths.cafile or paths.capath else None


def index_credentials(options: Iterable[str], environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """(user, password) by host (with its port) out of index URLs: the conda file's options and uv's own variables."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    texts = [*options, *(text for name in names for text in environment.get(name, "").split())]
    found = {}
    for text in texts:
        try:
            parts = urlsplit(text[max(text.find("http"), 0) :])  # uv also takes NAME=URL
        except ValueError:
            continue  # no URL: whoever fetches from it says so
        if parts.username and parts.scheme in ("http", "https"):
            host = parts.netloc.rpartition("@")[2]
            found[host] = (unquote(parts.username), unquote(parts.password or ""))
    return found


class WrongContentError(RemoteError):
    """The other side gave bytes with another hash or size than its own index says."""


class NotFoundError(RemoteError):
    """The other side answers, but has no such file."""


class Downloader:
    """Fetches files into a cache folder. Threads may share one; close it when done.

    `bytes_fetched` and `busy_s` tell what came over the network and how long at least one transfer was under way.

    `credentials` are (user, password) by host; hosts without are looked up in ~/.netrc. `expand` gives the URL to ask
    for in place of the one that messages tell.
    """

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool = False,
        say: Callable[[str], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
        credentials: Mapping[str, tuple[str, str]] | None = None,
        expand: Callable[[str], str] = str,
    ) -> None:
        self.cache = cache
        self._folder = cache / "downloads"
        self.offline = offline
        self._credentials = credentials or {}
        self._expand = expand
        self.pause = pause  # between attempts, in seconds
        self._say = say or (lambda _text: None)
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._under_way = 0
        self._busy_since = 0.0
        self.bytes_fetched = 0
        self.busy_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    def blob_path(self, digest: str) -> Path:
        """Where a layer of an image, `sha256:HEX`, is kept."""
        return self.cache / "blobs" / digest.removeprefix("sha256:")

    def path(self, remote: Remote) -> Path:
        """Where `remote` is kept once it has been fetched."""
        return self._folder / remote.sha256[:2] / remote.sha256 / remote.name.rpartition("/")[2]

    def fetch(self, remote: Remote) -> Path:
        """The file on this machine, from the cache or the network; its hash has been checked.

        Raises:
            WrongContentError: what arrives has another hash, after all attempts.
            RemoteError: it cannot be had (offline, not found, no connection), after all attempts.
        """
        path = self.path(remote)
        if path.is_file() and hash_file(path) == remote.sha256:
            return path
        for attempt in range(ATTEMPTS):
            try:
                self._stream(remote.url, remote.name, path, remote)
            except RemoteError as error:
                if not error.retryable or attempt + 1 == ATTEMPTS:
                    raise
                self._wait(attempt, error)
            else:
                return path
        raise AssertionError("unreachable")

    def read(self, url: str, name: str) -> bytes:
        """A small file without a known hash, e.g. a signed index; never from the cache.

        Raises:
            RemoteError: it cannot be had.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._response(url, name) as response:
                    return response.read()
            except RemoteError as error:
                if not error.retryable or attempt + 1 == ATTEMPTS:
                    raise
                self._wait(attempt, error)
        raise AssertionError("unreachable")

    def _wait(self, attempt: int, error: RemoteError) -> None:
        self._say(f"{error}; trying again")
        self.pause(random.uniform(0.5, 1) * _FIRST_WAIT_S * 2**attempt)  # noqa: S311 - jitter

    def _stream(self, url: str, name: str, path: Path, remote: Remote) -> None:
        digest, size = hashlib.sha256(), 0
        with new_file(path) as file, self._chunks(url, name) as chunks:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            if digest.hexdigest() != remote.sha256:
                raise WrongContentError(
                    f"{name} from {url}: got {size} bytes with SHA-256 {digest.hexdigest()}, "
                    f"but its index says {remote.sha256}"
                    + (f" ({remote.size_bytes} bytes)" if remote.size_bytes is not None else ""),
                    retryable=not url.startswith("file:"),
                )

    @contextmanager
    def _chunks(self, url: str, name: str) -> Iterator[Iterator[bytes]]:
        if not url.startswith("file:"):
            with self._response(url, name) as response:
                yield response.iter_raw(CHUNK_BYTES)
            return
        from urllib.request import url2pathname  # loads an HTTP client, which most builds do not need

        path = Path(url2pathname(urlsplit(url).path))
        if not path.is_file():
            raise NotFoundError(f"{name}: {path} is not there", retryable=False)
        with path.open("rb") as file:
            yield iter(lambda: file.read(CHUNK_BYTES), b"")

    @contextmanager
    def _response(self, url: str, name: str) -> Iterator["httpx.Response"]:
        import httpx

        if self.offline:
            raise RemoteError(
                f"{name}: not in the cache, and the network may not be used (--offline); run once without --offline",
                retryable=False,
            )
        self._note_transfer(1)
        try:
            asked = self._expand(url)
            with self._connection().stream("GET", asked, **self._log_in(asked)) as response:
                if response.status_code in (404, 410):
                    raise NotFoundError(f"{name}: {url} is not there ({response.status_code})", retryable=False)
                if response.status_code != 200:
                    raise RemoteError(
                        f"{name}: {url} answered {response.status_code} {response.reason_phrase}",
                        retryable=response.status_code in _RETRYABLE,
                    )
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(
                f"{name}: {url} cannot be fetched ({type(error).__name__}: {str(error).replace(asked, url)}); "
                "check the network and proxy settings"
            ) from error
        finally:
            self._note_transfer(-1)

    def _log_in(self, url: str) -> dict[str, Any]:
        host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        found = self._credentials.get(host)
        return {"auth": found} if found else {}

    def _note_transfer(self, change: int) -> None:
        with self._lock:
            now = time.monotonic()
            if self._under_way:
                self.busy_s += now - self._busy_since
            self._busy_since = now
            self._under_way += change

    def _connection(self) -> "httpx.Client":
        import httpx

        def count(response: "httpx.Response") -> None:
            with self._lock:
                self.bytes_fetched += int(response.headers.get("content-length", 0))

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    verify=trusted_roots() or True,
                    timeout=_TIMEOUT_S,
                    follow_redirects=True,
                    event_hooks={"response": [count]},
                    headers={"Accept-Encoding": "identity"},
                )
            return self._client
