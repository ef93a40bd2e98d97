"""What is told of two locks, and of a lock that no longer answers."""

from dataclasses import replace

import pytest

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import SuppliedPackage
from edgepack.lock_changes import asked_lines, change_lines, lock_changes, stale_reasons
from edgepack.oci.platform import AMD64, ARM64
from edgepack.resolve.lock import PlatformLock, Wheel
from edgepack.resolve.package_requests import PackageRequests

BOTH = ("linux/amd64", "linux/arm64")


def wheel(name: str, version: str) -> Wheel:
    return Wheel(name, version, f"{name}-{version}-py3-none-any.whl", f"https://example.com/{name}", "0" * 64)


def deb(name: str, version: str) -> DebPackage:
    return DebPackage(name, version, "amd64", f"pool/{name}.deb", "0" * 64, 1)


ASKED = ("numpy<2", "six", "Debian: git", "constraint: x<2")
FORMER = PlatformLock(
    BOTH[0],
    "i",
    BOTH,
    "s",
    "debian:bookworm",
    "3.11",
    (deb("libc6", "2.36"), deb("git", "1:2")),
    (wheel("numpy", "1.26"), wheel("six", "1.16")),
    asked=ASKED,
)


def test_changes_by_platform_and_as_lines() -> None:
    now = replace(
        FORMER,
        wheels=(wheel("numpy", "2.0"), wheel("pandas", "2.2")),
        debian=(deb("libc6", "2.37"), deb("git", "1:2")),
        supplied=(SuppliedPackage("scipy", "1.10", "python3-scipy"),),
    )
    other = replace(now, platform=BOTH[1])
    changes = lock_changes({AMD64: FORMER, ARM64: replace(FORMER, platform=BOTH[1])}, {AMD64: now, ARM64: other})
    assert changes[BOTH[0]] == changes[BOTH[1]]
    assert changes[BOTH[0]] == {
        "added": {"pandas": "2.2", "scipy": "1.10 (Debian)"},
        "removed": {"six": "1.16"},
        "changed": {"numpy": ["1.26", "2.0"]},
        "base": ["libc6: 2.36 -> 2.37"],
    }
    where = "(linux/amd64, linux/arm64)"
    assert change_lines(changes) == [
        f"numpy: 1.26 -> 2.0 {where}",
        f"pandas: 2.2 is new {where}",
        f"scipy: 1.10 (Debian) is new {where}",
        f"six: 1.16 is no longer in it {where}",
        f"libc6: 2.36 -> 2.37 {where}",
    ]


def test_no_change_and_a_new_platform() -> None:
    assert lock_changes({AMD64: FORMER}, {AMD64: FORMER}) == {}
    new = lock_changes({AMD64: FORMER}, {AMD64: FORMER, ARM64: FORMER})
    assert new == {BOTH[1]: {"added": {"numpy": "1.26", "six": "1.16"}}}


def test_why_a_lock_does_not_answer() -> None:
    locks = {AMD64: FORMER, ARM64: replace(FORMER, platform=BOTH[1])}
    now = ("numpy>=2", "pandas", "Debian: git", "constraint: x<3")
    assert stale_reasons(locks, (AMD64, ARM64), "debian:bookworm", ASKED) == []
    assert stale_reasons(locks, (AMD64, ARM64), "debian:trixie", now) == [
        "base: debian:bookworm in the lock, debian:trixie asked for",
        "numpy<2 in the lock, numpy>=2 asked for",
        "six: in the lock, no longer asked for",
        "constraint: x<2 in the lock, constraint: x<3 asked for",
        "pandas: asked for, not in the lock",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "there is no lock for linux/arm64"),
        ({ARM64: FORMER}, "the lock of linux/arm64 says it is for linux/amd64"),
        (
            {ARM64: replace(FORMER, platform=BOTH[1], solution="t")},
            "the locks of the platforms were not made together",
        ),
        (
            {ARM64: replace(FORMER, platform=BOTH[1], solved_for=("linux/arm64",))},
            "platforms: linux/arm64 in the lock, linux/amd64, linux/arm64 asked for",
        ),
    ],
)
def test_locks_that_do_not_go_together(change: dict, reason: str) -> None:  # type: ignore[type-arg]
    assert stale_reasons({AMD64: FORMER, **change}, (AMD64, ARM64), "debian:bookworm", ASKED) == [reason]


def test_what_was_asked_for_has_no_secrets() -> None:
    requests = PackageRequests(
        ("numpy<2", "x @ https://me:secret@example.com/x-1-py3-none-any.whl?secret"),
        options=("--no-index", "--extra-index-url", "https://secret@example.com/", "--prerelease", "allow"),
        system=("git",),
        constraints=("six<2",),
        hashes=(("numpy", ("0" * 64,)),),
    )
    assert asked_lines(requests) == (
        "numpy<2",
        "x @ https://***@example.com/x-1-py3-none-any.whl?***",
        "constraint: six<2",
        "hashes: numpy",
        "Debian: git",
        "option: --no-index",
        "option: --extra-index-url https://***@example.com/",
        "option: --prerelease allow",
    )
