"""Locking and fetching a base from a mirror, also from one that is stale, dishonest, or being updated."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgepack.base.debian import (
    Mirror,
    fetch_base,
    find_mirror,
    lock_base,
    read_apt_sources,
    read_archive,
    verify_signature,
)
from edgepack.base.release import RELEASES, find_release
from edgepack.download import Downloader, WrongContentError
from edgepack.errors import InputError, RemoteError
from edgepack.oci.platform import AMD64, ARM64, Platform
from tests.fakes.deb import Deb
from tests.fakes.debian_archive import DebianArchive, Suite, pool_path, small_release
from tests.fakes.http_server import FileServer, Reply
from tests.fakes.signing_key import SigningKey

BOOKWORM = RELEASES["debian:bookworm"]
Locked = dict[Platform, tuple[str, ...]]


def plain(signed: bytes, name: str) -> str:
    return signed.decode()


class MirrorOfTest:
    """A server, an archive on it, and a downloader that does not wait; `pauses` says how often it would have."""

    def __init__(self, server: FileServer, cache: Path) -> None:
        self.server = server
        self.archive = DebianArchive(packages=small_release())
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        self.downloader = Downloader(cache, pause=self._pause)
        self.cache = cache

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()

    @property
    def mirror(self) -> Mirror:
        return Mirror(f"{self.server.url}/debian", f"{self.server.url}/debian-security")

    def publish(self) -> None:
        self.server.files = self.archive.files()

    def lock(self, *platforms: Platform, verify: Callable[[bytes, str], str] = plain) -> dict[Platform, dict[str, str]]:
        locked = lock_base(read_archive(BOOKWORM, platforms or (AMD64, ARM64), self.mirror, self.downloader, verify))
        return {platform: {one.name: one.version for one in packages} for platform, packages in locked.items()}

    def fetch(self, name: str) -> Path:
        locked = lock_base(read_archive(BOOKWORM, (AMD64,), self.mirror, self.downloader, plain))
        (package,) = (package for package in locked[AMD64] if package.name == name)
        return fetch_base(package, self.mirror, self.downloader)

    def break_list(self, platform: Platform = ARM64) -> str:
        """Put another content under the name of a package list; the URL's path."""
        content = next(
            body for path, body in self.server.files.items() if path.endswith(f"binary-{platform.debian}/Packages.xz")
        )
        digest = hashlib.sha256(content).hexdigest()
        path = f"/debian/dists/bookworm/main/binary-{platform.debian}/by-hash/SHA256/{digest}"
        self.server.files[path] = content[:-1] + b"?"
        return path


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[MirrorOfTest]:
    with FileServer() as server:
        found = MirrorOfTest(server, tmp_path / "cache")
        found.publish()
        with found.downloader:
            yield found


def test_both_platforms_get_the_same_versions(mirror: MirrorOfTest) -> None:
    locked = mirror.lock()
    assert locked[AMD64] == locked[ARM64]
    assert locked[AMD64]["libc6"] == "2.36-9+deb12u1"
    assert set(BOOKWORM.seeds) <= set(locked[AMD64])
    assert not {"openssl", "debconf", "libdb5.3", "mime-support"} & set(locked[AMD64])
    assert mirror.pauses == []


def test_the_package_of_each_platform_is_its_own(mirror: MirrorOfTest) -> None:
    locked = lock_base(read_archive(BOOKWORM, (AMD64, ARM64), mirror.mirror, mirror.downloader, plain))
    for platform, packages in locked.items():
        assert {package.architecture for package in packages} == {platform.debian, "all"}
        for package in packages:
            path = fetch_base(package, mirror.mirror, mirror.downloader)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256


def test_security_and_updates_win_with_a_higher_version(mirror: MirrorOfTest) -> None:
    for deb in small_release():
        if deb.name == "libc6":
            mirror.archive.security.packages.append(replace(deb, version="2.36-9+deb12u10"))
        if deb.name == "tzdata":
            mirror.archive.updates.packages.append(replace(deb, version="2026b-0"))
            mirror.archive.security.packages.append(replace(deb, version="2025a-0"))
    mirror.publish()
    locked = mirror.lock()[ARM64]
    assert (locked["libc6"], locked["tzdata"]) == ("2.36-9+deb12u10", "2026b-0")
    assert mirror.fetch("libc6").name == "libc6_2.36-9+deb12u10_amd64.deb"
    assert any(path.startswith("/debian-security/pool/") for path in mirror.server.requests)


def test_all_missing_packages_are_named(mirror: MirrorOfTest) -> None:
    mirror.archive.main.packages[:] = [
        deb for deb in mirror.archive.main.packages if deb.name not in ("tzdata", "libgomp1")
    ]
    mirror.publish()
    with pytest.raises(InputError) as caught:
        mirror.lock(AMD64)
    assert sorted(re.findall("'(.*?)'", str(caught.value))) == ["libgomp1", "tzdata"]


def test_a_list_that_its_release_does_not_know_is_read_again_then_an_error(mirror: MirrorOfTest) -> None:
    path = mirror.break_list()
    with pytest.raises(RemoteError, match=r"main/binary-arm64/Packages\.xz is not what its signed release") as caught:
        mirror.lock()
    assert caught.value.retryable
    assert "EDGEPACK_DEBIAN_MIRROR" in str(caught.value)
    assert mirror.server.count("/debian/dists/bookworm/InRelease") >= 3 + 1
    assert mirror.server.count(path) >= 3
    assert [file for file in mirror.cache.rglob("*") if file.is_file() and "arm64" in str(file)] == []


def test_a_list_that_is_gone_is_an_error_too(mirror: MirrorOfTest) -> None:
    del mirror.server.files[mirror.break_list()]
    with pytest.raises(RemoteError, match=r"binary-arm64/Packages\.xz is not what"):
        mirror.lock()


def test_a_mirror_that_becomes_consistent_is_used(mirror: MirrorOfTest) -> None:
    mirror.break_list()
    for number, deb in enumerate(mirror.archive.main.packages):
        if deb.name == "tzdata":
            mirror.archive.main.packages[number] = replace(deb, version="2026c-0")

    def become_consistent() -> None:
        if len(mirror.pauses) == 4:
            mirror.publish()

    mirror.on_pause = become_consistent
    assert mirror.lock(ARM64)[ARM64]["tzdata"] == "2026c-0"


def test_a_list_with_another_hash_is_never_used_though_a_later_attempt_would_fit(mirror: MirrorOfTest) -> None:
    path = mirror.break_list()
    good = DebianArchive(packages=small_release()).files()[path]
    mirror.server.script[path] = [Reply(body=b"wrong"), Reply(body=good)]
    assert "libc6" in mirror.lock(ARM64)[ARM64]
    assert mirror.server.count(path) == 2


def test_different_versions_for_the_platforms(mirror: MirrorOfTest) -> None:
    for number, deb in enumerate(mirror.archive.main.packages):
        if deb.name in ("libgomp1", "libstdc++6") and deb.architecture == "arm64":
            mirror.archive.main.packages[number] = replace(deb, version="12.1.0-1")
    mirror.publish()
    with pytest.raises(RemoteError) as caught:
        mirror.lock()
    text = str(caught.value)
    assert "libgomp1 (12.2.0-14 for linux/amd64, 12.1.0-1 for linux/arm64)" in text
    assert "libstdc++6 (" in text
    assert "being updated" in text
    assert mirror.lock(ARM64)[ARM64]["libgomp1"] == "12.1.0-1"


def test_a_rebuild_for_one_architecture_is_the_same_version(mirror: MirrorOfTest) -> None:
    for number, deb in enumerate(mirror.archive.main.packages):
        if deb.name == "libgomp1" and deb.architecture == "arm64":
            mirror.archive.main.packages[number] = replace(deb, version="12.2.0-14+b2")
    mirror.publish()
    assert mirror.lock()[ARM64]["libgomp1"] == "12.2.0-14+b2"


def test_a_package_with_another_hash(mirror: MirrorOfTest) -> None:
    deb = next(deb for deb in small_release() if deb.name == "tzdata")
    mirror.server.files[f"/debian/{pool_path(deb)}"] = Deb("tzdata", files={"./evil": "evil"}).build()
    with pytest.raises(WrongContentError, match=r"tzdata_2026a-0_all.deb") as caught:
        mirror.fetch("tzdata")
    assert "its index says" in str(caught.value)
    assert [file.name for file in mirror.cache.rglob("*.deb")] == []
    assert list(mirror.cache.rglob(".*.part")) == []


def test_a_package_that_is_gone(mirror: MirrorOfTest) -> None:
    deb = next(deb for deb in small_release() if deb.name == "tzdata")
    del mirror.server.files[f"/debian/{pool_path(deb)}"]
    with pytest.raises(RemoteError, match=r"tzdata 2026a-0 is locked, but .* is gone") as caught:
        mirror.fetch("tzdata")
    assert "--lock" in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("suite", ["bookworm", "bookworm-updates", "bookworm-security"])
def test_a_stale_mirror(mirror: MirrorOfTest, suite: str) -> None:
    for one in (mirror.archive.main, mirror.archive.updates, mirror.archive.security):
        if one.name == suite:
            one.valid_until = datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    mirror.publish()
    with pytest.raises(RemoteError, match=f"{suite}/InRelease was valid until 2020-01-02 03:04 UTC"):
        mirror.lock()
    for one in (mirror.archive.main, mirror.archive.updates, mirror.archive.security):
        one.valid_until = datetime(9000, 1, 1, tzinfo=UTC)
    mirror.publish()
    mirror.lock()


@pytest.mark.parametrize(
    ("suite", "codename"),
    [("bookworm", "trixie"), ("bookworm-updates", "bookworm"), ("bookworm-security", "bookworm")],
)
def test_a_release_file_of_another_suite(mirror: MirrorOfTest, suite: str, codename: str) -> None:
    for one in (mirror.archive.main, mirror.archive.updates, mirror.archive.security):
        if one.name == suite:
            one.codename = codename
    mirror.publish()
    with pytest.raises(RemoteError, match=f"{suite}/InRelease is for '{codename}', not for '{suite}'"):
        mirror.lock()


def test_a_mirror_without_the_platform(mirror: MirrorOfTest) -> None:
    mirror.archive.main = Suite("bookworm", small_release(), architectures=("amd64",))
    mirror.publish()
    with pytest.raises(RemoteError, match="bookworm/InRelease has no packages for arm64"):
        mirror.lock()


def test_a_mirror_without_the_suite(mirror: MirrorOfTest) -> None:
    del mirror.server.files["/debian-security/dists/bookworm-security/InRelease"]
    with pytest.raises(RemoteError, match="bookworm-security/InRelease"):
        mirror.lock()


def test_a_url_that_is_none(mirror: MirrorOfTest) -> None:
    for url in (
        "http://[oops/debian",
        "debian",
        "http://exa mple/debian",
        "ftp://example.com/debian",
        "http://a\x01b/debian",
    ):
        with pytest.raises((RemoteError, InputError)) as caught:
            lock_base(read_archive(BOOKWORM, (AMD64,), Mirror(url, url), mirror.downloader, plain))
        assert url.split("/")[0] in str(caught.value)


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    if shutil.which("gpg") is None or shutil.which("gpgv") is None:
        pytest.skip("gpg is not installed")
    with SigningKey() as key:
        yield key


def test_a_good_signature(mirror: MirrorOfTest, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPACK_DEBIAN_KEYRING", str(key.keyring))
    mirror.archive.sign = key.sign
    mirror.publish()
    assert "libc6" in mirror.lock(verify=verify_signature)[AMD64]


def test_no_signature(mirror: MirrorOfTest, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPACK_DEBIAN_KEYRING", str(key.keyring))
    with pytest.raises(RemoteError, match="InRelease: its signature does not verify"):
        mirror.lock(verify=verify_signature)


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: signed.replace(b"Codename: bookworm", b"Codename: Bookworm"),
        lambda signed: signed[: signed.index(b"-----BEGIN PGP SIGNATURE")],
        lambda signed: signed[:200],
        lambda _: b"",
        lambda _: b"\x00" * 500,
    ],
)
def test_a_bad_signature(key: SigningKey, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    monkeypatch.setenv("EDGEPACK_DEBIAN_KEYRING", str(key.keyring))
    signed = key.sign("Codename: bookworm\n")
    assert verify_signature(signed, "x") == "Codename: bookworm\n"
    with pytest.raises(RemoteError, match=r"^x: its signature does not verify"):
        verify_signature(change(signed), "x")


def test_what_stands_outside_of_the_signature_is_not_read(key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPACK_DEBIAN_KEYRING", str(key.keyring))
    signed = b"Codename: evil\n\n" + key.sign("Codename: bookworm\n") + b"\nCodename: evil\n"
    try:
        assert verify_signature(signed, "x") == "Codename: bookworm\n"
    except RemoteError as error:
        assert str(error).startswith("x: its signature does not verify")  # noqa: PT017 - both answers are safe


def test_a_signature_by_an_unknown_key(key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    with SigningKey() as other:
        monkeypatch.setenv("EDGEPACK_DEBIAN_KEYRING", str(other.keyring))
        with pytest.raises(RemoteError, match="its signature does not verify"):
            verify_signature(key.sign("text"), "x")


def test_a_keyring_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPACK_DEBIAN_KEYRING", "/nowhere/keys.gpg")
    with pytest.raises(InputError, match=r"EDGEPACK_DEBIAN_KEYRING: there is no file /nowhere/keys.gpg"):
        verify_signature(b"", "x")


def test_which_mirror(tmp_path: Path) -> None:
    assert find_mirror({"EDGEPACK_DEBIAN_MIRROR": "http://example.com/debian/"}, list) == Mirror(
        "http://example.com/debian", "http://example.com/debian-security"
    )
    both = {
        "EDGEPACK_DEBIAN_MIRROR": "http://a.example.com/d",
        "EDGEPACK_DEBIAN_SECURITY_MIRROR": "http://b.example.com/s",
    }
    assert find_mirror(both, list) == Mirror("http://a.example.com/d", "http://b.example.com/s")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://no.example.com/debian bookworm main\n"
        "deb [signed-by=/x] http://security.example.com/debian-security bookworm-security main\n"
    )
    (tmp_path / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://yes.example.com/debian/\nSuites: bookworm\n"
    )
    assert find_mirror({}, lambda: read_apt_sources(tmp_path)).main == "http://yes.example.com/debian"
    with pytest.raises(InputError, match="set EDGEPACK_DEBIAN_MIRROR"):
        find_mirror({}, lambda: ["deb http://example.com/ubuntu noble main"])


def test_which_releases() -> None:
    assert find_release("debian:trixie").python == "3.13"
    with pytest.raises(InputError, match="base 'debian:buster' is not known; known are debian:bookworm, debian:trixie"):
        find_release("debian:buster")
