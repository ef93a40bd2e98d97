"""A Debian archive as files to serve: release file, package lists with their by-hash names, packages."""

import hashlib
import lzma
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from tests.fakes.deb import Content, Deb, Program, Symlink

ARCHITECTURES = ("amd64", "arm64", "armhf")
MACHINES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf"}


@dataclass
class Suite:
    """One `dists/NAME` of an archive: its packages for each architecture and what its release file says."""

    name: str
    packages: list[Deb] = field(default_factory=list)
    codename: str | None = None
    valid_until: datetime | None = None
    architectures: tuple[str, ...] = ARCHITECTURES

    def package_list(self, architecture: str) -> bytes:
        """The text of `Packages`."""
        stanzas = []
        for deb in self.packages:
            if deb.architecture in (architecture, "all"):
                content = deb.build()
                stanzas.append(
                    f"{deb.control}Filename: {pool_path(deb)}\nSize: {len(content)}\n"
                    f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
                )
        return "\n".join(stanzas).encode()

    def release(self, files: Mapping[str, bytes], date: datetime) -> str:
        """The text of the release file, not yet signed."""
        fields = {
            "Origin": "Debian",
            "Label": "Debian",
            "Suite": f"oldstable-{self.name}",
            "Codename": self.codename or self.name,
            "Date": format_datetime(date, usegmt=True).replace("GMT", "UTC"),
            **(
                {"Valid-Until": format_datetime(self.valid_until, usegmt=True).replace("GMT", "UTC")}
                if self.valid_until
                else {}
            ),
            "Acquire-By-Hash": "yes",
            "Architectures": " ".join(self.architectures),
            "Components": "main",
        }
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        listing = "".join(
            f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}\n" for path, content in files.items()
        )
        return f"{text}SHA256:\n{listing}"

    def files(self, sign: Callable[[str], bytes], date: datetime) -> dict[str, bytes]:
        """All files of the suite and its packages, by their path below the archive's root."""
        lists = {
            f"main/binary-{architecture}/Packages.xz": lzma.compress(self.package_list(architecture))
            for architecture in self.architectures
        }
        root = f"dists/{self.name}"
        found = {f"{root}/InRelease": sign(self.release(lists, date))}
        for path, content in lists.items():
            folder = path.rpartition("/")[0]
            found[f"{root}/{path}"] = content
            found[f"{root}/{folder}/by-hash/SHA256/{hashlib.sha256(content).hexdigest()}"] = content
        found.update({pool_path(deb): deb.build() for deb in self.packages})
        return found


@dataclass
class DebianArchive:
    """The archives `debian` and `debian-security` of one release, as a mirror holds them."""

    codename: str = "bookworm"
    packages: list[Deb] = field(default_factory=list)
    sign: Callable[[str], bytes] = str.encode
    date: datetime = datetime(2026, 11, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.main = Suite(self.codename, self.packages)
        self.updates = Suite(f"{self.codename}-updates")
        self.security = Suite(f"{self.codename}-security")

    def files(self) -> dict[str, bytes]:
        """What a server has to serve, by path from its root."""
        found: dict[str, bytes] = {}
        for suite, archive in ((self.main, "debian"), (self.updates, "debian"), (self.security, "debian-security")):
            files = suite.files(self.sign, self.date)
            found.update({f"/{archive}/{path}": content for path, content in files.items()})
        return found


def pool_path(deb: Deb) -> str:
    """Where a package is in an archive."""
    version = deb.version.replace(":", "%3a")
    return f"pool/main/{deb.name[0]}/{deb.name}/{deb.name}_{version}_{deb.architecture}.deb"


def for_all(name: str, version: str = "1.0-1", *, depends: str = "", **files: Content) -> list[Deb]:
    """The same package for each architecture; `files` have `__` for `/` in their names."""
    fields = {"Depends": depends} if depends else {}
    paths = {f"./{path.replace('__', '/')}": content for path, content in files.items()}
    return [Deb(name, version, architecture, paths, fields) for architecture in ARCHITECTURES]


def small_release(python: str = "3.11") -> list[Deb]:
    """Packages for all seeds of `debian:bookworm`, each with a file or two, without a working program."""
    found: list[Deb] = []
    for architecture in ARCHITECTURES:
        found += _of_architecture(python, architecture)
    found += [
        Deb(
            "base-files", "12.4", "all", {"./etc/debian_version": "12.4\n", "./usr/share/doc/base-files/copyright": "c"}
        ),
        Deb(
            "ca-certificates",
            "20230311",
            "all",
            {"./usr/share/ca-certificates/mozilla/One.crt": "one\n", "./usr/share/man/man8/update.8": "manual"},
            {"Depends": "openssl, debconf (>= 0.5) | debconf-2.0"},
        ),
        Deb("tzdata", "2026a-0", "all", {"./usr/share/zoneinfo/Etc/UTC": "TZif"}),
        Deb("netbase", "6.4", "all", {"./etc/services": "http 80/tcp\n"}),
        Deb("media-types", "10.0", "all", {"./etc/mime.types": "text/plain txt\n"}),
    ]
    return found


def _of_architecture(python: str, architecture: str) -> Iterable[Deb]:
    library = f"./usr/lib/{MACHINES[architecture]}"
    machine = MACHINES[architecture].encode()
    needs = {"Depends": "libc6 (>= 2.36)"}
    return (
        Deb(
            "libc6",
            "2.36-9+deb12u1",
            architecture,
            {f"./lib/{MACHINES[architecture]}/libc.so.6": Program(b"libc for " + machine)},
            {"Depends": "libgcc-s1, libcrypt1"},
        ),
        Deb("libgcc-s1", "12.2.0-14", architecture, {f"{library}/libgcc_s.so.1": machine}, needs),
        Deb("libcrypt1", "1:4.4.33-2", architecture, {f"{library}/libcrypt.so.1": machine}, needs),
        Deb("libstdc++6", "12.2.0-14", architecture, {f"{library}/libstdc++.so.6": machine}, needs),
        Deb("libgomp1", "12.2.0-14", architecture, {f"{library}/libgomp.so.1": machine}, needs),
        Deb(
            f"python{python}-minimal",
            f"{python}.2-6+deb12u4",
            architecture,
            {f"./usr/bin/python{python}": Program(b"python for " + machine)},
            {"Pre-Depends": "libc6 (>= 2.36)", "Depends": f"libpython{python}-minimal (= {python}.2-6+deb12u4)"},
        ),
        Deb(
            f"libpython{python}-minimal",
            f"{python}.2-6+deb12u4",
            architecture,
            {f"./usr/lib/python{python}/os.py": "import sys\n"},
            needs,
        ),
        Deb(
            f"libpython{python}-stdlib",
            f"{python}.2-6+deb12u4",
            architecture,
            {
                f"./usr/lib/python{python}/json.py": "loads = eval\n",
                f"./usr/lib/python{python}/json3.py": Symlink("json.py"),
            },
            {"Depends": f"libpython{python}-minimal (= {python}.2-6+deb12u4), media-types | mime-support, libdb5.3"},
        ),
    )
