"""Names and versions of Debian's Python packages as the Python index has them."""

import pytest

from edgepack.base.apt import PackageLists
from edgepack.base.base_image import SuppliedPackage
from edgepack.base.python_packages import debian_name, find_supplied, index_version


@pytest.mark.parametrize(
    ("debian", "version"),
    [
        ("1.2.1+dfsg-1", "1.2.1"),
        ("1:1.24.2-1+deb12u1", "1.24.2"),
        ("1:2.2.4+ds-1", "2.2.4"),
        ("0.17.0+ds1-2+b2", "0.17.0"),
        ("6.0-3+b2", "6.0"),
        ("2.0~rc1+ds-1", "2.0rc1"),
        ("3.0~b2-1", "3.0b2"),
        ("3.20+really3.12.4-3", "3.12.4"),
        ("2.1.2-1+b1", "2.1.2"),
        ("20230311", "20230311"),
        ("1.0~git20200423.6acde9c-1", "1.0"),
        ("9.4.0-1.1+deb12u1", "9.4.0"),
        ("r12-1", None),
    ],
)
def test_versions(debian: str, version: str | None) -> None:
    assert index_version(debian) == version


@pytest.mark.parametrize(
    ("name", "debian"),
    [
        ("numpy", "python3-numpy"),
        ("scikit-learn", "python3-sklearn"),
        ("Scikit_Learn", "python3-sklearn"),
        ("PyYAML", "python3-yaml"),
        ("Pillow", "python3-pil"),
        ("opencv-python-headless", "python3-opencv"),
        ("typing_extensions", "python3-typing-extensions"),
    ],
)
def test_names(name: str, debian: str) -> None:
    assert debian_name(name) == debian


def stanza(name: str, version: str, more: str = "") -> str:
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: armhf\nFilename: p\nSize: 1\nSHA256: {'0' * 64}\n{more}\n"
    )


def test_what_a_release_has() -> None:
    text = "\n".join(
        [
            stanza("python3-sklearn", "1.2.1+dfsg-1"),
            stanza("python3-odd", "x-1"),
            stanza("python3-pil", "9.4.0-1", "Provides: python3-virtual\n"),
        ]
    )
    lists = PackageLists([(text, "main")], "armhf")
    assert find_supplied("scikit_learn", lists) == SuppliedPackage("scikit-learn", "1.2.1", "python3-sklearn")
    assert find_supplied("odd", lists) is None
    assert find_supplied("virtual", lists) is None
    assert find_supplied("tensorflow", lists) is None
