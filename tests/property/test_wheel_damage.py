"""However a wheel is damaged, it is refused or read: nothing else is raised."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.errors import DamagedDataError
from edgepack.layers.entry import is_plain_path
from edgepack.layers.wheel import wheel_entries
from tests.examples import examples
from tests.fakes.wheels import FakeWheel, zip_archive

WHEEL = FakeWheel(
    "sample",
    files={"sample/__init__.py": b"x = 1\n" * 30, "sample-1.0.data/scripts/run": b"#!python\n", "sample/a.so": b"code"},
    entry_points="[console_scripts]\nsample = sample:main\n",
)
GOOD = WHEEL.build()
INFO = "sample-1.0.dist-info"


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, WHEEL.filename)


def read(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with suppress(DamagedDataError):
        for entry in wheel_entries(file, "site", "/usr/bin/python3"):
            assert is_plain_path(entry.path)


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_changed_bytes(file: Path, data: st.DataObject) -> None:
    changed = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    read(file, bytes(changed))


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(0, len(GOOD) - 1))
def test_a_wheel_that_ends_too_early(file: Path, size: int) -> None:
    file.write_bytes(GOOD[:size])
    with pytest.raises(DamagedDataError):
        wheel_entries(file, "site", "/usr/bin/python3")


@settings(max_examples=examples(150), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"{INFO}/{name}" for name in ("WHEEL", "RECORD", "METADATA", "entry_points.txt", "x/")])
        | st.text("a./\\-", min_size=1, max_size=8),
        st.binary(max_size=40)
        | st.sampled_from(
            [b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n", b"Wheel-Version: 1.0\n", b"a,b,c\n", b"a,,\n"]
        )
        | st.text("[]console_scripts\n=:a.%(){}", max_size=40).map(str.encode),
        max_size=5,
    )
)
def test_archives_with_other_contents(file: Path, files: dict[str, bytes]) -> None:
    read(file, zip_archive(files))
