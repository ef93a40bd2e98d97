"""Wheels by address, hashes, constraints and variables in URLs, by the real resolver and the real downloader."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack.download import Remote
from edgepack.errors import EdgepackError, InputError
from edgepack.lock_changes import asked_lines
from edgepack.oci.platform import AMD64, ARM64
from edgepack.resolve.access import open_downloader
from edgepack.resolve.index import resolve
from edgepack.resolve.lock import Target, Wheel
from edgepack.resolve.package_requests import PackageRequests
from edgepack.resolve.packages_file import parse_packages_file
from tests.fakes.http_server import FileServer
from tests.fakes.wheels import FakeWheel, for_machines, index_files

BOTH = tuple(Target(platform, "3.11", "3.11.2", 36) for platform in (AMD64, ARM64))
TOKEN = "t0p-secret-token"
WHEELS = [
    FakeWheel("plain", "1.0"),
    FakeWheel("plain", "2.0"),
    *for_machines("native", "1.0"),
    FakeWheel("azureml-core"),
]
WANTS_CLOUD = FakeWheel("wants-cloud", requires=("azureml-core", "plain"))


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    files = index_files([*WHEELS, WANTS_CLOUD])
    private = {f"/private/{path.removeprefix('/simple/files/')}?sig={TOKEN}": body for path, body in files.items()}
    with FileServer({**files, **private}) as server:
        yield server


@pytest.fixture(autouse=True)
def own_resolver(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv-cache")))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SAS", raising=False)


def asked(server: FileServer, *lines: str) -> PackageRequests:
    text = "\n".join((f"--index-url {server.url}/simple/", *lines))
    return parse_packages_file(text, "requirements.txt", str)


def wheels(requests: PackageRequests) -> list[list[Wheel]]:
    found = resolve(requests, BOTH, "requirements.txt")
    return [list(found[target]) for target in BOTH]


def names(requests: PackageRequests) -> list[list[str]]:
    return [[f"{wheel.name} {wheel.version}" for wheel in each] for each in wheels(requests)]


def private(server: FileServer, wheel: FakeWheel) -> str:
    return f"{server.url}/private/{wheel.filename}?sig=${{SAS}}"


def test_a_wheel_by_address_with_a_secret(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAS", TOKEN)
    requests = asked(server, private(server, WHEELS[0]))
    ((wheel,), (same,)) = wheels(requests)
    assert wheel == same
    assert wheel.url == private(server, WHEELS[0])
    assert TOKEN not in repr(asked_lines(requests))
    with open_downloader(tmp_path, [requests], os.environ) as downloader:
        path = downloader.fetch(Remote(wheel.url, wheel.filename, wheel.sha256))
        assert path.read_bytes() == WHEELS[0].build()
        with pytest.raises(EdgepackError) as caught:
            downloader.fetch(Remote(wheel.url.replace("plain", "gone"), "gone.whl", wheel.sha256))
    assert "${SAS}" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_variable_that_is_not_set(server: FileServer) -> None:
    with pytest.raises(InputError, match=r"requirements\.txt: environment variable SAS"):
        resolve(asked(server, private(server, WHEELS[0])), BOTH, "requirements.txt")


def test_a_resolver_that_fails_tells_no_secret(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAS", TOKEN)
    with pytest.raises(EdgepackError) as caught:
        resolve(asked(server, private(server, FakeWheel("gone"))), BOTH, "requirements.txt")
    assert "gone" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_one_wheel_by_address_for_each_machine(server: FileServer) -> None:
    lines = [f"{server.url}/simple/files/{wheel.filename}" for wheel in for_machines("native", "1.0")]
    amd64, arm64 = wheels(asked(server, *lines))
    assert "x86_64" in amd64[0].filename
    assert "aarch64" in arm64[0].filename
    with pytest.raises(InputError, match=r"native 1\.0 has no wheel for linux/arm64"):
        resolve(asked(server, next(line for line in lines if "x86_64" in line)), BOTH, "requirements.txt")


def test_constraints(server: FileServer) -> None:
    requests = parse_packages_file(
        f"--index-url {server.url}/simple/\nplain\n-c limits.txt\n", "r.txt", lambda _name: "plain<2\nnative==7\n"
    )
    assert names(requests) == [["plain 1.0"], ["plain 1.0"]]


def test_hashes(server: FileServer) -> None:
    ((wheel,), _) = wheels(asked(server, "plain==1.0"))
    good, bad = f"--hash=sha256:{wheel.sha256}", f"--hash=sha256:{'0' * 64}"
    assert names(asked(server, f"plain==1.0 {good} {bad}")) == [["plain 1.0"], ["plain 1.0"]]
    with pytest.raises(InputError, match=r"no wheel of plain 1\.0 has one of the hashes"):
        resolve(asked(server, f"plain==1.0 {bad}"), BOTH, "requirements.txt")


def test_packages_that_the_agent_stands_in_for_never_come_along(server: FileServer) -> None:
    assert names(asked(server, "wants-cloud")) == [["plain 2.0", "wants-cloud 1.0"]] * 2
