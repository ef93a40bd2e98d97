"""The base `debian:CODENAME`: from a mirror to a list of packages whose hashes a Debian signature vouches for.

Chain: signature on InRelease (gpgv, Debian's keyring) -> SHA-256 of Packages.xz -> SHA-256 of each .deb. A mirror in
the middle of an update serves a package list that its release file does not know; then the release file is read
again, and at last the error names the file. Nothing is ever taken unchecked.

Which mirror: `$EDGEPACK_DEBIAN_MIRROR`, else the one in this machine's apt sources. It never enters an image.
"""

import lzma
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from edgepack.base.apt import DebPackage, PackageLists, ReleaseFile, close_dependencies, parse_release
from edgepack.base.release import EXCLUDED, FOR_INSTALLING, PYTHON_ITSELF, Release
from edgepack.download import Downloader, NotFoundError, Remote, WrongContentError
from edgepack.errors import InputError, RemoteError
from edgepack.oci.platform import Platform

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
ROUNDS = 3
_CONNECTIONS = 6
_LATER = (
    "try again later, set EDGEPACK_DEBIAN_MIRROR to another mirror, or build from the release alone, as it was at its "
    "last point release and without later security updates, with --without-security"
)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where an archive is: the URLs of the main and the security archive, without a slash at the end."""

    main: str
    security: str

    def url(self, archive: str) -> str:
        """The root of one of them."""
        return self.security if archive == "security" else self.main


def find_mirror(environment: Mapping[str, str], sources: Callable[[], list[str]]) -> Mirror:
    """The mirror to use. `sources` gives the texts of this machine's apt sources, `.list` or deb822 format.

    Raises:
        InputError: none is set and this machine's apt sources name none.
    """
    main = environment.get("EDGEPACK_DEBIAN_MIRROR", "").rstrip("/")
    if not main:
        urls = [url for text in sources() for url in re.findall(r"https?://[^\s\]]+", _without_comments(text))]
        plain = [url.rstrip("/") for url in urls if re.search(r"/debian/?$", url)]
        if not plain:
            raise InputError(
                "no Debian mirror is known: this machine's apt sources name none; set EDGEPACK_DEBIAN_MIRROR to the "
                "URL of one, such as http://MIRROR/debian (Debian's web site lists the mirrors near you)"
            )
        main = plain[0]
    security = environment.get("EDGEPACK_DEBIAN_SECURITY_MIRROR", "").rstrip("/")
    return Mirror(main, security or re.sub(r"/debian$", "/debian-security", main))


def read_apt_sources(folder: Path = Path("/etc/apt")) -> list[str]:
    """The texts of all apt sources of this machine, in apt's order."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [path.read_text(errors="replace") for path in lists if path.is_file()]


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


@dataclass(frozen=True, slots=True)
class Archive:
    """What a mirror has of a release now, for some platforms; `with_security` is False for the release alone."""

    release: Release
    mirror: Mirror
    lists: Mapping[Platform, PackageLists]
    with_security: bool = True


def read_archive(
    release: Release,
    platforms: Iterable[Platform],
    mirror: Mirror,
    downloader: Downloader,
    verify: Callable[[bytes, str], str],
    *,
    with_security: bool = True,
) -> Archive:
    """Read the package lists. `verify` takes a signed file and its name and gives the text that the signature covers.

    Without security, only the release's own list is read: what it was at its last point release.

    Raises:
        RemoteError: the mirror cannot be reached, or lags behind itself.
    """
    suites = release.suites if with_security else (release.main_suite,)
    pairs = [(platform, archive, suite) for platform in platforms for archive, suite in suites]
    with ThreadPoolExecutor(max_workers=_CONNECTIONS) as pool:
        texts = list(pool.map(lambda pair: _package_list(pair[0], pair[1], pair[2], mirror, downloader, verify), pairs))
    found: dict[Platform, list[tuple[str, str]]] = {}
    for (platform, archive, _), text in zip(pairs, texts, strict=True):
        found.setdefault(platform, []).append((text, archive))
    lists = {platform: PackageLists(each, platform.debian) for platform, each in found.items()}
    return Archive(release, mirror, lists, with_security)


def lock_base(
    archive: Archive,
    system: Sequence[str] = (),
    supplied: Mapping[Platform, Sequence[str]] = MappingProxyType({}),
) -> dict[Platform, tuple[DebPackage, ...]]:
    """The packages of the base for each platform, as the archive has them now.

    `system` names more Debian packages to start from (of `a|b` the first that is there), `supplied` those for one
    platform alone.

    Raises:
        InputError: one of them is not in the archive.
        RemoteError: the archive has different versions for the platforms.
    """
    locked = {}
    for platform, lists in archive.lists.items():
        chosen = (_first_there(name.split("|"), lists) for name in system)
        asked = (*chosen, *supplied.get(platform, ()))
        locked[platform] = _close(archive.release, lists, asked)
    versions: dict[str, dict[str, str]] = {}
    for platform, packages in locked.items():
        for package in packages:
            plain = re.sub(r"\+b\d+$", "", package.version)
            versions.setdefault(package.name, {})[str(platform)] = plain
    mixed = [
        f"{name} ({', '.join(f'{version} for {platform}' for platform, version in found.items())})"
        for name, found in versions.items()
        if len(set(found.values())) > 1
    ]
    if mixed:
        raise RemoteError(
            f"the mirror {archive.mirror.main} has different versions for the platforms, so it is being updated: "
            f"{'; '.join(mixed)}; {_LATER}"
        )
    return locked


def _close(release: Release, lists: PackageLists, asked: Sequence[str]) -> tuple[DebPackage, ...]:
    """The base's packages, and those `asked` for with all that they need beside the base."""
    base = close_dependencies(release.seeds, lists, (EXCLUDED | PYTHON_ITSELF) - set(asked))
    candidates = [lists.find(package.name) for package in base]
    there = {name for each in candidates if each for name in (each.package.name, *each.provides)}
    more = close_dependencies(asked, lists, (FOR_INSTALLING | PYTHON_ITSELF | there) - set(asked))
    return tuple(sorted({package.name: package for package in (*base, *more)}.values(), key=lambda each: each.name))


def _first_there(names: Sequence[str], lists: PackageLists) -> str:
    return next((name for name in names if lists.find(name)), names[0])


def fetch_base(package: DebPackage, mirror: Mirror, downloader: Downloader) -> Path:
    """The `.deb` file of a locked package, from the cache or the mirror; its hash has been checked.

    Raises:
        RemoteError: it cannot be had, or the mirror has dropped this version.
    """
    url = f"{mirror.url(package.archive)}/{package.filename}"
    try:
        return downloader.fetch(Remote(url, package.filename, package.sha256, package.size_bytes))
    except NotFoundError as error:
        raise RemoteError(
            f"{package.name} {package.version} is locked, but {url} is gone: mirrors keep only the newest version. "
            "Take the newest with --lock, or set EDGEPACK_DEBIAN_MIRROR to a snapshot archive of the lock's day",
            retryable=False,
        ) from error


def _package_list(
    platform: Platform,
    archive: str,
    suite: str,
    mirror: Mirror,
    downloader: Downloader,
    verify: Callable[[bytes, str], str],
) -> str:
    root = f"{mirror.url(archive)}/dists/{suite}"
    name = f"main/binary-{platform.debian}/Packages.xz"
    for round_ in range(ROUNDS):
        signed = downloader.read(f"{root}/InRelease", f"{suite}/InRelease")
        index = parse_release(verify(signed, f"{root}/InRelease"), f"{root}/InRelease")
        _check_release(index, suite, platform, root)
        if name not in index.files:
            raise RemoteError(f"{root}/InRelease names no {name}", retryable=False)
        sha256, size_bytes = index.files[name]
        folder = f"{root}/main/binary-{platform.debian}"
        remote = Remote(f"{folder}/by-hash/SHA256/{sha256}", f"{suite}/{name}", sha256, size_bytes)
        try:
            return lzma.decompress(downloader.fetch(remote).read_bytes()).decode()
        except (WrongContentError, NotFoundError) as error:
            if round_ + 1 == ROUNDS:
                raise RemoteError(
                    f"{root}/{name} is not what its signed release file says, {ROUNDS} times in a row ({error}); "
                    f"the mirror is being updated: {_LATER}"
                ) from error
            downloader.pause(2**round_)
    raise AssertionError("unreachable")


def _check_release(index: ReleaseFile, suite: str, platform: Platform, root: str) -> None:
    if index.codename != suite:
        raise RemoteError(f"{root}/InRelease is for {index.codename!r}, not for {suite!r}", retryable=False)
    if platform.debian not in index.architectures:
        raise RemoteError(f"{root}/InRelease has no packages for {platform.debian}", retryable=False)
    if index.valid_until is not None and datetime.now(UTC) > index.valid_until:
        raise RemoteError(
            f"{root}/InRelease was valid until {index.valid_until:%Y-%m-%d %H:%M} UTC: the mirror is stale (or this "
            "machine's clock is wrong); set EDGEPACK_DEBIAN_MIRROR to another mirror"
        )


def verify_signature(signed: bytes, name: str) -> str:
    """The text that a Debian archive key signed, checked by gpgv against Debian's keyring.

    `$EDGEPACK_DEBIAN_KEYRING` names another keyring, for mirrors that sign with a key of their own.

    Raises:
        InputError: gpgv or the keyring is not installed.
        RemoteError: the signature does not verify.
    """
    own = os.environ.get("EDGEPACK_DEBIAN_KEYRING")
    keyring = next((path for path in ([Path(own)] if own else KEYRINGS) if path.is_file()), None)
    if keyring is None:
        raise InputError(
            f"EDGEPACK_DEBIAN_KEYRING: there is no file {own}"
            if own
            else f"{KEYRINGS[0]} is missing; install the package debian-archive-keyring"
        )
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        source, target = Path(folder, "InRelease"), Path(folder, "text")
        source.write_bytes(signed)
        try:
            result = subprocess.run(
                ["gpgv", "--keyring", str(keyring.absolute()), "--output", str(target), str(source)],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise InputError("gpgv is missing; install the package gpgv") from error
        if result.returncode != 0 or not target.is_file():
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise RemoteError(f"{name}: its signature does not verify ({last})", retryable=False)
        return target.read_text(encoding="utf-8", errors="replace")
