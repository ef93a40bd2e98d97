"""A lock survives the way to its text; a damaged one is refused or is a lock of the right shape."""

import tomllib
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.pylock import Pylock

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import BaseImage, BaseLayer, SuppliedPackage
from edgepack.errors import DamagedDataError
from edgepack.resolve.lock import PlatformLock, Wheel
from edgepack.resolve.lock_file import encode_lock, parse_lock
from tests.examples import examples

HASHES = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9]|-(?=[a-z0-9])){0,10}", fullmatch=True)
VERSIONS = st.from_regex(r"(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?)){0,2}", fullmatch=True)
DEBS = st.builds(DebPackage, TEXTS, TEXTS, TEXTS, TEXTS, HASHES, st.integers(0, 2**40), TEXTS)


@st.composite
def wheels(draw: st.DrawFn) -> Wheel:
    name, version = draw(NAMES), draw(VERSIONS)
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    size = draw(st.none() | st.integers(0, 2**40))
    return Wheel(name, version, filename, f"https://example.com/{draw(NAMES)}/{filename}", draw(HASHES), size)


DIGESTS = HASHES.map("sha256:{}".format)
MEMBERS = st.dictionaries(TEXTS, TEXTS, max_size=3)
IMAGES = st.builds(
    BaseImage,
    index=DIGESTS,
    manifest=DIGESTS,
    layers=st.lists(st.builds(BaseLayer, TEXTS, DIGESTS, st.integers(0, 2**40), DIGESTS), max_size=3).map(tuple),
    interpreter=TEXTS.map("/{}".format),
    python_full=st.from_regex(r"3\.[0-9]{1,2}\.[0-9]{1,2}(rc1)?", fullmatch=True),
    glibc=st.from_regex(r"2\.[0-9]{1,2}", fullmatch=True),
    site_folder=st.from_regex(r"[a-z]{1,5}(/[a-z0-9.]{1,2}x){0,3}", fullmatch=True),
    passwd=TEXTS,
    group=TEXTS,
    environment=MEMBERS,
    labels=MEMBERS,
)
LOCKS = st.builds(
    PlatformLock,
    platform=st.sampled_from(["linux/amd64", "linux/arm64", "linux/arm/v7"]),
    inputs=HASHES,
    solution=st.text("0123456789abcdef", min_size=64, max_size=64),
    solved_for=st.lists(st.sampled_from(["linux/amd64", "linux/arm64"]), max_size=2).map(tuple),
    base=TEXTS,
    python=st.from_regex(r"3\.[0-9]{1,2}", fullmatch=True),
    debian=st.lists(DEBS, max_size=3).map(tuple),
    wheels=st.lists(wheels(), max_size=3).map(tuple),
    image=st.none() | IMAGES,
    supplied=st.lists(st.builds(SuppliedPackage, TEXTS, TEXTS, TEXTS), max_size=2).map(tuple),
    without_security=st.booleans(),
    added=st.lists(TEXTS, max_size=2).map(tuple),
    asked=st.lists(TEXTS, max_size=2).map(tuple),
)
MARKER = "sys_platform == 'linux'"


@settings(max_examples=examples(40), deadline=None)
@given(LOCKS)
def test_what_is_written_is_read_and_is_a_standard_lock(lock: PlatformLock) -> None:
    text = encode_lock(lock, MARKER)
    assert parse_lock(text, "x") == lock
    Pylock.from_dict(tomllib.loads(text))


@settings(max_examples=examples(100), deadline=None)
@given(LOCKS, st.data())
def test_a_damaged_lock(lock: PlatformLock, data: st.DataObject) -> None:
    text = encode_lock(lock, MARKER)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    put = data.draw(st.sampled_from(["", "1", "[]", '"x"', "{}", "true", "\n", "[[packages]]\n", "2020-01-01"]) | TEXTS)
    with suppress(DamagedDataError):
        found = parse_lock(text[:start] + put + text[end:], "x")
        assert isinstance(found.platform, str)
        assert isinstance(found.inputs, str)
        assert all(isinstance(name, str) for name in found.solved_for)
        assert all(len(one.sha256) == 64 and isinstance(one.size_bytes, int) for one in found.debian)
        assert all(len(one.sha256) == 64 and isinstance(one.url, str) for one in found.wheels)
        assert all(isinstance(one.debian, str) for one in found.supplied)
        assert found.image is None or found.image.interpreter.startswith("/")
