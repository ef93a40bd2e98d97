"""Locks as texts, targets, and which wheel a target takes."""

import tomllib
from typing import Any

import pytest
from packaging.pylock import Pylock
from packaging.tags import Tag, parse_tag

from edgepack.base.apt import DebPackage
from edgepack.errors import DamagedDataError
from edgepack.oci.platform import AMD64, ARM64, Platform
from edgepack.resolve.lock import (
    NoWheel,
    PlatformLock,
    Target,
    Wheel,
    select_wheels,
    target_of,
)
from edgepack.resolve.lock_file import encode_lock, parse_lock

HASH = "0123456789abcdef" * 4
LIBC = DebPackage("libc6", "2.36-9+deb12u10", "arm64", "pool/libc6.deb", HASH, 100)
PYTHON = DebPackage("python3.11-minimal", "3.11.2-6+deb12u5", "arm64", "pool/python.deb", HASH, 200, "security")
LOCK = PlatformLock(
    "linux/arm64",
    HASH,
    ("linux/amd64", "linux/arm64"),
    HASH,
    "debian:bookworm",
    "3.11",
    (LIBC, PYTHON),
    (
        Wheel("one", "1.0", "one-1.0-py3-none-any.whl", "https://example.com/one-1.0-py3-none-any.whl", HASH, 10),
        Wheel("two", "2.0+local", "two-2.0+local-py3-none-any.whl", "https://example.com/two%2Blocal.whl", HASH),
    ),
)
TARGETS = {platform: Target(platform, "3.11", "3.11.2", 36) for platform in (AMD64, ARM64)}


def test_what_is_written_is_read() -> None:
    text = encode_lock(LOCK, TARGETS[ARM64].marker)
    assert parse_lock(text, "x") == LOCK
    assert encode_lock(LOCK, TARGETS[ARM64].marker) == text


def test_other_tools_accept_a_lock() -> None:
    document = tomllib.loads(encode_lock(LOCK, TARGETS[ARM64].marker))
    lock = Pylock.from_dict(document)
    assert [str(package.name) for package in lock.packages] == ["one", "two"]
    chosen = lock.select(environment=TARGETS[ARM64].environment(), tags=TARGETS[ARM64].tags())  # type: ignore[arg-type]
    assert len(list(chosen)) == 2


GOOD = encode_lock(LOCK, TARGETS[ARM64].marker)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{}", id="no TOML"),
        pytest.param(GOOD.replace("[tool.edgepack]", "[tool.other]"), id="another tool's"),
        pytest.param(GOOD.replace('"==3.11.*"', '">=3.11"'), id="another Python"),
        pytest.param(GOOD.replace('"==3.11.*"', "3.11"), id="Python is no text"),
        pytest.param(GOOD.replace(f'inputs = "{HASH}"', "inputs = 1"), id="inputs are no text"),
        pytest.param(GOOD.replace('base = "debian:bookworm"', "base = []"), id="base is no text"),
        pytest.param(GOOD.replace(f'sha256 = "{HASH}"', 'sha256 = "../../../etc"'), id="hash that is a path"),
        pytest.param(GOOD.replace(f'sha256 = "{HASH}"', f'sha256 = "{HASH.upper()}"'), id="hash in capitals"),
        pytest.param(GOOD.replace("size_bytes = 100", 'size_bytes = "100"'), id="size is no number"),
        pytest.param(GOOD.replace("size_bytes = 100", "size = 100"), id="another key"),
        pytest.param(GOOD.replace('url = "https', 'path = "https'), id="no URL"),
        pytest.param(GOOD.replace("size = 10", "size = true"), id="size is a boolean"),
        pytest.param(GOOD.replace("[[packages]]", "[[package]]"), id="no packages"),
        pytest.param(GOOD.replace('name = "one"', "name = 1"), id="name is no text"),
    ],
)
def test_damaged_locks(text: str) -> None:
    with pytest.raises(DamagedDataError, match=r"^here: not a lock file of edgepack .*--lock"):
        parse_lock(text, "here")


@pytest.mark.parametrize(
    ("python", "libc", "full", "minor"),
    [
        ("3.11.2-6+deb12u5", "2.36-9+deb12u10", "3.11.2", 36),
        ("3.13.5-2", "2.41-12", "3.13.5", 41),
        ("1:3.11.2~rc1-1", "2.36", "3.11.2", 36),
        ("3.11.2+dfsg-1", "3:2.40~pre-1", "3.11.2", 40),
    ],
)
def test_the_target_of_a_base(python: str, libc: str, full: str, minor: int) -> None:
    name = "3.13" if "3.13" in python else "3.11"
    packages = [
        DebPackage("libc6", libc, "amd64", "", HASH, 1),
        DebPackage(f"python{name}-minimal", python, "amd64", "", HASH, 1),
    ]
    assert target_of(AMD64, name, packages) == Target(AMD64, name, full, minor)


def tag(text: str) -> Tag:
    (found,) = parse_tag(text)
    return found


def test_tags_of_both_machines() -> None:
    tags = {platform: TARGETS[platform].tags() for platform in (AMD64, ARM64)}
    for platform, machine in ((AMD64, "x86_64"), (ARM64, "aarch64")):
        found = tags[platform]
        assert found[0] == tag(f"cp311-cp311-manylinux_2_36_{machine}")
        for text in (
            f"cp311-cp311-manylinux2014_{machine}",
            f"cp311-abi3-manylinux_2_17_{machine}",
            f"cp38-abi3-manylinux_2_28_{machine}",
            f"py3-none-manylinux_2_17_{machine}",
            f"cp311-cp311-linux_{machine}",
            "py3-none-any",
            "py2.py3-none-any".replace("py2.py3", "py3"),
        ):
            assert tag(text) in found, text
        for text in (
            f"cp311-cp311-manylinux_2_37_{machine}",
            f"cp312-cp312-manylinux_2_17_{machine}",
            f"cp312-abi3-manylinux_2_17_{machine}",
            f"cp311-cp311-musllinux_1_1_{machine}",
            "cp311-cp311-win_amd64",
            "cp311-cp311-macosx_11_0_arm64",
            "py2-none-any",
        ):
            assert tag(text) not in found, text
    assert tag("cp311-cp311-manylinux1_x86_64") in tags[AMD64]
    assert tag("cp311-cp311-manylinux2010_x86_64") in tags[AMD64]
    assert tag("cp311-cp311-manylinux_2_5_aarch64") not in tags[ARM64]
    assert not set(tags[AMD64]) & {one for one in tags[ARM64] if "aarch64" in one.platform}


def document(*wheels: str, source: bool = False, marker: str | None = None) -> dict[str, Any]:
    package: dict[str, Any] = {
        "name": "one",
        "version": "1.0",
        "wheels": [{"name": name, "url": f"https://example.com/{name}", "hashes": {"sha256": HASH}} for name in wheels],
    }
    if not wheels:
        del package["wheels"]
    if source:
        package["sdist"] = {"url": "https://example.com/one-1.0.tar.gz", "hashes": {"sha256": HASH}}
    if marker:
        package["marker"] = marker
    return {"lock-version": "1.0", "created-by": "test", "packages": [package]}


@pytest.mark.parametrize(
    ("platform", "wheels", "chosen"),
    [
        (AMD64, ["one-1.0-py3-none-any.whl", "one-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"], 1),
        (ARM64, ["one-1.0-py3-none-any.whl", "one-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"], 0),
        (AMD64, ["one-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "one-1.0-cp311-cp311-manylinux_2_34_x86_64.whl"], 1),
        (ARM64, ["one-1.0-cp311-abi3-manylinux2014_aarch64.whl", "one-1.0-cp311-cp311-musllinux_1_1_aarch64.whl"], 0),
        (
            ARM64,
            ["one-1.0-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", "one-1.0-py2.py3-none-any.whl"],
            0,
        ),
    ],
)
def test_the_best_wheel_is_chosen(platform: Platform, wheels: list[str], chosen: int) -> None:
    (found,), missing = select_wheels(document(*wheels), TARGETS[platform])
    assert missing == ()
    assert found == Wheel("one", "1.0", wheels[chosen], f"https://example.com/{wheels[chosen]}", HASH)


@pytest.mark.parametrize("source", [True, False])
def test_a_package_without_a_wheel_for_the_target(source: bool) -> None:
    wheels = [] if source else ["one-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"]
    found, missing = select_wheels(document(*wheels, source=source), TARGETS[ARM64])
    assert found == ()
    assert missing == (NoWheel("one", "1.0", TARGETS[ARM64], source),)


def test_a_package_for_another_machine_is_not_taken() -> None:
    lock = document("one-1.0-py3-none-any.whl", marker="platform_machine == 'x86_64'")
    assert len(select_wheels(lock, TARGETS[AMD64])[0]) == 1
    assert select_wheels(lock, TARGETS[ARM64]) == ((), ())
    lock = document("one-1.0-py3-none-any.whl", marker="sys_platform == 'win32' or python_full_version < '3.11.2'")
    assert select_wheels(lock, TARGETS[AMD64]) == ((), ())


def test_a_resolver_that_writes_nonsense() -> None:
    lock = document("one-1.0-py3-none-any.whl")
    lock["packages"][0]["wheels"] = "none"
    with pytest.raises(DamagedDataError, match="the resolver's lock cannot be read"):
        select_wheels(lock, TARGETS[AMD64])


def test_wheels_that_are_no_list_of_tables() -> None:
    head, tail = GOOD[: GOOD.index("[[packages]]")], GOOD[GOOD.index("[tool.edgepack]") :]
    text = f'{head}[[packages]]\nname = "a"\nversion = "1"\nwheels = ["x"]\n\n{tail}'
    with pytest.raises(DamagedDataError, match="not a lock file of edgepack"):
        parse_lock(text, "x")
