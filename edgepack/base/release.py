"""Debian releases as bases: the packages that each starts from, and those that are left out on purpose. Pure."""

from dataclasses import dataclass

from edgepack.errors import InputError


@dataclass(frozen=True, slots=True)
class Release:
    """A Debian release as a base: which packages it starts from and which it leaves out on purpose."""

    codename: str
    python: str
    seeds: tuple[str, ...]

    @property
    def name(self) -> str:
        """As in `--base`."""
        return f"debian:{self.codename}"

    @property
    def suites(self) -> tuple[tuple[str, str], ...]:
        """(archive, suite) pairs, in order of preference for equal versions."""
        return (
            self.main_suite,
            ("main", f"{self.codename}-updates"),
            ("security", f"{self.codename}-security"),
        )

    @property
    def main_suite(self) -> tuple[str, str]:
        """The release as it was at its last point release, without what came after."""
        return ("main", self.codename)


def _seeds(python: str, *more: str) -> tuple[str, ...]:
    runtime = (f"python{python}-minimal", f"libpython{python}-stdlib", "libstdc++6", "libgomp1")
    return ("base-files", "libc6", *runtime, "ca-certificates", "tzdata", "netbase", "media-types", *more)


RELEASES = {
    release.name: release
    for release in (
        Release("bookworm", "3.11", _seeds("3.11", "libcrypt1")),
        Release("trixie", "3.13", _seeds("3.13")),
    )
}
DEFAULT_BASE = "debian:bookworm"

# Needed only by install scripts; see docs/decisions/0002-debian-base.md.
FOR_INSTALLING = frozenset(
    "dpkg tar gawk mawk awk debconf debconf-2.0 openssl openssl-provider-legacy perl perl-base perl:any procps"
    " readline-common libtirpc-common usrmerge init-system-helpers usr-is-merged libc-bin base-passwd cdebconf".split()
)
# Left out of the base beside those: libraries of modules of the standard library that a module on a device does not
# use (dbm.ndbm, nis). Other packages that need one of them get it.
EXCLUDED = FOR_INSTALLING | frozenset(
    "libdb5.3 libdb5.3t64 libnsl2 libtirpc3 libtirpc3t64 libgssapi-krb5-2 libk5crypto3 libkrb5-3 libkrb5support0"
    " libkeyutils1 libcom-err2".split()
)

# What Debian's Python packages name as "Python", where the base has the parts of it that a module needs; headers.
PYTHON_ITSELF = frozenset(
    "python3 python3-minimal libpython3-stdlib python3.11 python3.13 mailcap mime-support python3-numpy-dev".split()
)


def find_release(base: str) -> Release:
    """The release that `--base` names.

    Raises:
        InputError: it is not known.
    """
    try:
        return RELEASES[base]
    except KeyError:
        raise InputError(
            f"base {base!r} is not known; known are {', '.join(RELEASES)}, and images of a registry: write the name "
            f"with its registry, such as docker.io/library/{base}"
        ) from None
