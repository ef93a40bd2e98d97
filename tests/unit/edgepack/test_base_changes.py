"""What is said of a base that is another than it was."""

from dataclasses import replace

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import BaseImage, BaseLayer
from edgepack.base_changes import base_changes
from edgepack.oci.platform import AMD64, ARM64
from edgepack.resolve.lock import PlatformLock


def digest(digit: str) -> str:
    return f"sha256:{digit * 64}"


def lock(**versions: str) -> PlatformLock:
    packages = tuple(DebPackage(name, version, "all", "", "0" * 64, 1) for name, version in versions.items())
    return PlatformLock("linux/amd64", "", (), "", "debian:bookworm", "3.11", packages, ())


def test_nothing() -> None:
    assert base_changes({AMD64: lock(a="1")}, {AMD64: lock(a="1")}) == ["The base has not changed"]


def test_debian_packages() -> None:
    old, new = lock(a="1", b="1", c="1"), lock(a="1", b="2", d="1")
    assert base_changes({AMD64: old, ARM64: old}, {AMD64: new, ARM64: replace(new, debian=old.debian)}) == [
        "b: 1 -> 2 (linux/amd64)",
        "c: 1 is no longer in it (linux/amd64)",
        "d: 1 is new in it (linux/amd64)",
    ]


def test_a_change_is_told_once_for_all_platforms() -> None:
    changes = base_changes(dict.fromkeys((AMD64, ARM64), lock(a="1")), dict.fromkeys((AMD64, ARM64), lock(a="2")))
    assert changes == ["a: 1 -> 2 (linux/amd64, linux/arm64)"]


def test_a_platform_that_is_new_has_no_changes() -> None:
    assert base_changes({}, {AMD64: lock(a="1")}) == ["The base has not changed"]


def test_images() -> None:
    layers = tuple(BaseLayer("", digest(digit), 1, digest(digit)) for digit in "123")
    old = BaseImage(digest("a"), digest("b"), layers, "/usr/bin/python3.12", "3.12.7", "2.36", "x")
    new = replace(old, index=digest("c"), manifest=digest("d"), python_full="3.12.8", glibc="2.41")
    new = replace(new, layers=(layers[0], BaseLayer("", digest("4"), 1, digest("4"))))
    before, after = replace(lock(), image=old), replace(lock(), image=new)
    assert base_changes({AMD64: before}, {AMD64: after}) == [
        "image: sha256:aaaaaaaaaaaa -> sha256:cccccccccccc (linux/amd64)",
        "image of the platform: sha256:bbbbbbbbbbbb -> sha256:dddddddddddd, 1 of 2 layers are new (linux/amd64)",
        "Python: 3.12.7 -> 3.12.8 (linux/amd64)",
        "glibc: 2.36 -> 2.41 (linux/amd64)",
    ]


def test_another_base() -> None:
    other = replace(lock(a="1"), base="debian:trixie")
    assert base_changes({AMD64: lock(a="1")}, {AMD64: other}) == [
        "base: debian:bookworm -> debian:trixie (linux/amd64)"
    ]
