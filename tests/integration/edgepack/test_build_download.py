"""Downloads by hash from a server that fails in every way."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgepack.download import Downloader, NotFoundError, Remote, WrongContentError, index_credentials
from edgepack.errors import RemoteError
from tests.fakes.http_server import FileServer, Reply

CONTENT = b"content of the file " * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/files/one.whl"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({PATH: CONTENT}) as server:
        yield server


class Waits:
    """Counts pauses instead of making them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def downloader(tmp_path: Path, waits: Waits) -> Iterator[Downloader]:
    with Downloader(tmp_path / "cache", pause=waits) as downloader:
        yield downloader


def remote(server: FileServer, sha256: str = SHA256) -> Remote:
    return Remote(f"{server.url}{PATH}", "pool/one.whl", sha256, len(CONTENT))


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def test_a_file_is_fetched_once(downloader: Downloader, server: FileServer, tmp_path: Path) -> None:
    path = downloader.fetch(remote(server))
    assert path.read_bytes() == CONTENT
    assert path == downloader.path(remote(server)) == downloader.fetch(remote(server))
    assert path.name == "one.whl"
    assert server.requests == [PATH]
    assert downloader.bytes_fetched == len(CONTENT)
    assert downloader.busy_s > 0
    assert files(tmp_path) == ["one.whl"]
    with Downloader(tmp_path / "cache", offline=True) as other:
        assert other.fetch(remote(server)) == path


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT[:-1] + b"?"])
def test_a_damaged_file_in_the_cache_is_fetched_again(
    downloader: Downloader, server: FileServer, damage: bytes
) -> None:
    path = downloader.fetch(remote(server))
    path.write_bytes(damage)
    assert downloader.fetch(remote(server)).read_bytes() == CONTENT
    assert server.count(PATH) == 2


def test_another_hash(downloader: Downloader, server: FileServer, tmp_path: Path, waits: Waits) -> None:
    with pytest.raises(WrongContentError) as caught:
        downloader.fetch(remote(server, "0" * 64))
    for part in ("pool/one.whl", server.url, SHA256, "0" * 64, f"{len(CONTENT)} bytes"):
        assert part in str(caught.value)
    assert files(tmp_path) == []
    assert server.count(PATH) == 4
    assert len(waits.seconds) == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_fails_for_a_while(downloader: Downloader, server: FileServer, waits: Waits, status: int) -> None:
    server.script[PATH] = [Reply(status, b"later"), Reply(status, b"later")]
    assert downloader.fetch(remote(server)).read_bytes() == CONTENT
    assert len(waits.seconds) == 2
    assert waits.seconds[1] > waits.seconds[0] / 2


def test_a_server_that_fails_for_ever(downloader: Downloader, server: FileServer, tmp_path: Path) -> None:
    server.script[PATH] = [Reply(500)] * 10
    with pytest.raises(RemoteError, match=r"pool/one\.whl: http://.* answered 500 Internal Server Error") as caught:
        downloader.fetch(remote(server))
    assert caught.value.retryable
    assert server.count(PATH) == 4
    assert files(tmp_path) == []


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there(downloader: Downloader, server: FileServer, status: int) -> None:
    server.script[PATH] = [Reply(status)] * 10
    with pytest.raises(NotFoundError, match="is not there"):
        downloader.fetch(remote(server))
    assert server.count(PATH) == 1


@pytest.mark.parametrize("status", [401, 403, 204, 206, 304])
def test_answers_that_do_not_help(downloader: Downloader, server: FileServer, status: int) -> None:
    server.script[PATH] = [Reply(status)] * 10
    with pytest.raises(RemoteError, match=f"answered {status}") as caught:
        downloader.fetch(remote(server))
    assert not caught.value.retryable
    assert server.count(PATH) == 1


@pytest.mark.parametrize("cut_at", [0, 1, len(CONTENT) // 2, len(CONTENT) - 1])
def test_an_answer_that_is_cut_short(downloader: Downloader, server: FileServer, tmp_path: Path, cut_at: int) -> None:
    cut = Reply(body=CONTENT, cut_at=cut_at)
    server.script[PATH] = [cut, cut]
    assert downloader.fetch(remote(server)).read_bytes() == CONTENT
    assert files(tmp_path) == ["one.whl"]
    server.script[PATH] = [cut] * 4
    downloader.path(remote(server)).unlink()
    with pytest.raises(RemoteError, match=r"pool/one\.whl: .* cannot be fetched"):
        downloader.fetch(remote(server))
    assert files(tmp_path) == []


def test_a_redirection_is_followed(downloader: Downloader, server: FileServer) -> None:
    server.script["/old"] = [Reply(302, headers={"Location": PATH})]
    assert downloader.fetch(Remote(f"{server.url}/old", "one.whl", SHA256)).read_bytes() == CONTENT


def test_compression_on_the_way_is_not_asked_for(downloader: Downloader, server: FileServer) -> None:
    import gzip

    packed = gzip.compress(CONTENT, mtime=0)
    server.files["/x.gz"] = packed
    found = downloader.fetch(Remote(f"{server.url}/x.gz", "x.gz", hashlib.sha256(packed).hexdigest()))
    assert found.read_bytes() == packed


def test_no_connection(downloader: Downloader, waits: Waits) -> None:
    with pytest.raises(RemoteError, match=r"one: http://127.0.0.1:1/one cannot be fetched .*check the network"):
        downloader.fetch(Remote("http://127.0.0.1:1/one", "one", SHA256))
    assert len(waits.seconds) == 3


def test_offline(tmp_path: Path, server: FileServer, waits: Waits) -> None:
    with Downloader(tmp_path, offline=True, pause=waits) as downloader:
        for call in (lambda: downloader.fetch(remote(server)), lambda: downloader.read(f"{server.url}{PATH}", "x")):
            with pytest.raises(RemoteError, match="run once without --offline") as caught:
                call()
            assert not caught.value.retryable
    assert server.requests == []
    assert waits.seconds == []


def test_a_small_file_is_never_taken_from_the_cache(downloader: Downloader, server: FileServer) -> None:
    url = f"{server.url}{PATH}"
    assert downloader.read(url, "x") == CONTENT
    server.files[PATH] = b"new"
    server.script[PATH] = [Reply(503)]
    assert downloader.read(url, "x") == b"new"
    server.script[PATH] = [Reply(body=b"new", cut_at=1)]
    assert downloader.read(url, "x") == b"new"
    server.script[PATH] = [Reply(500)] * 4
    with pytest.raises(RemoteError, match="answered 500"):
        downloader.read(url, "x")


def test_a_local_file(downloader: Downloader, tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "one+1.whl"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    found = downloader.fetch(Remote(path.as_uri(), "one.whl", SHA256))
    assert found.read_bytes() == CONTENT
    assert found != path
    path.write_bytes(b"changed")
    assert downloader.fetch(Remote(path.as_uri(), "one.whl", SHA256)).read_bytes() == CONTENT
    with pytest.raises(WrongContentError):
        downloader.fetch(Remote(path.as_uri(), "one.whl", "1" * 64))
    path.unlink()
    with pytest.raises(NotFoundError, match="is not there"):
        downloader.fetch(Remote(path.as_uri(), "one.whl", "1" * 64))


def test_threads_that_want_the_same_file(downloader: Downloader, server: FileServer, tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def fetch(_: int) -> bytes:
        barrier.wait(10)
        return downloader.fetch(remote(server)).read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(fetch, range(8))) == {CONTENT}
    assert files(tmp_path) == ["one.whl"]


def test_what_cannot_be_written_is_no_network_error(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with Downloader(tmp_path / "cache") as downloader, pytest.raises(OSError):
        downloader.fetch(remote(server))


def test_credentials_of_urls() -> None:
    texts = [
        "https://me:p%40ss@example.com:8080/simple",
        "own=http://you@127.0.0.1/x",
        "http://[oops",
        "--no-index",
        "",
    ]
    assert index_credentials(texts, {}) == {"example.com:8080": ("me", "p@ss"), "127.0.0.1": ("you", "")}
