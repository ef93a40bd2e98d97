"""Any changed, cut or missing file of a layout is found."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.validate import verify_layout
from tests.examples import examples
from tests.fakes.images import ImageMaker


@pytest.fixture(scope="module")
def layout() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        maker = ImageMaker(Path(folder, "cache"))
        maker.write(Path(folder, "layout"), maker.images(b"one", b"two" * 100))
        yield Path(folder, "layout")


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_damage_is_found(layout: Path, data: st.DataObject) -> None:
    files = sorted(path for path in layout.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    good = path.read_bytes()
    start = data.draw(st.integers(0, len(good) - 1))
    end = data.draw(st.integers(start, min(len(good), start + 4)))
    bad = good[:start] + data.draw(st.binary(max_size=4)) + good[end:]
    assume(bad != good)
    path.unlink()
    path.write_bytes(bad)
    try:
        if path.parent == layout:  # only what points at a blob can be proved; the rest must not crash
            with suppress(DamagedDataError, InputError):
                verify_layout(layout)
        else:
            with pytest.raises(DamagedDataError):
                verify_layout(layout)
    finally:
        path.write_bytes(good)
    verify_layout(layout)
