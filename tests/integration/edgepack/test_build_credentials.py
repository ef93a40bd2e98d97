"""Credentials for private indexes: out of the same URLs that the resolver gets, never into an error."""

import base64
import hashlib
from pathlib import Path

import pytest

from edgepack.download import Downloader, Remote, index_credentials
from edgepack.errors import RemoteError
from tests.fakes.http_server import FileServer


@pytest.mark.parametrize(
    ("options", "environment", "found"),
    [
        (
            ("--extra-index-url", "https://me:s%40cret@example.com:8443/simple"),
            {},
            {"example.com:8443": ("me", "s@cret")},
        ),
        ((), {"UV_INDEX": "own=https://me:x@example.com/a https://example.org/b"}, {"example.com": ("me", "x")}),
        (("--find-links", "/a@b/folder"), {"UV_DEFAULT_INDEX": "https://example.com"}, {}),
        (("--index-url", "https://token@example.com/"), {}, {"example.com": ("token", "")}),
    ],
)
def test_index_credentials(
    options: tuple[str, ...], environment: dict[str, str], found: dict[str, tuple[str, str]]
) -> None:
    assert index_credentials(options, environment) == found


def test_they_are_sent_to_their_host_only(tmp_path: Path) -> None:
    content = b"wheel"
    sha256 = hashlib.sha256(content).hexdigest()
    with FileServer({"/x.whl": content}) as server:
        host = server.url.partition("://")[2].rstrip("/")
        remote = Remote(f"{server.url}/x.whl", "x.whl", sha256)
        with Downloader(tmp_path / "a", credentials={host: ("me", "secret")}) as downloader:
            assert downloader.fetch(remote).read_bytes() == content
            expected = "Basic " + base64.b64encode(b"me:secret").decode()
            assert server.headers["/x.whl"]["Authorization"] == expected
        with Downloader(tmp_path / "b", credentials={"other.example.com": ("me", "secret")}) as downloader:
            downloader.fetch(remote)
            assert "Authorization" not in server.headers["/x.whl"]
        with Downloader(tmp_path / "c", credentials={host: ("me", "secret")}) as downloader:
            with pytest.raises(RemoteError) as caught:
                downloader.fetch(Remote(f"{server.url}/none", "none", sha256))
            assert "secret" not in str(caught.value)
