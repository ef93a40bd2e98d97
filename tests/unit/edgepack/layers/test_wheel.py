"""Wheels as entries: where each file goes, what is made beside them, and damaged ones."""

import base64
import csv
import hashlib
import io
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, ZipMember, content_token
from edgepack.layers.tarball import write_layer
from edgepack.layers.wheel import merged_entries, wheel_clashes, wheel_entries
from tests.fakes.wheels import FakeWheel, zip_archive

SITE = "usr/local/lib/python3.11/dist-packages"
WHEEL = FakeWheel(
    "sample",
    "1.0",
    "cp311-cp311-manylinux_2_17_aarch64",
    {
        "sample/__init__.py": b"",
        "sample/_core.cpython-311-aarch64-linux-gnu.so": b"code",
        "sample.libs/libx.so.5.2": b"more code",
        "sample/tool.sh": b"#!/bin/sh\n",
        "sample/__pycache__/__init__.cpython-311.pyc": b"compiled",
        "sample-1.0.data/purelib/pure.py": b"pure",
        "sample-1.0.data/platlib/plat.py": b"plat",
        "sample-1.0.data/data/share/sample/file.txt": b"shared",
        "sample-1.0.data/headers/sample.h": b"header",
        "sample-1.0.data/scripts/run-sample": b"#!python\nimport sample\n",
        "sample-1.0.data/scripts/other": b"#!/bin/sh\n",
    },
    entry_points="[console_scripts]\nsample = sample.cli:main\n[gui_scripts]\nsample-gui = sample:gui\n",
    executables=frozenset({"sample/tool.sh"}),
)


def entries(tmp_path: Path, wheel: FakeWheel, content: bytes | None = None) -> dict[str, FileEntry]:
    path = tmp_path / wheel.filename
    path.write_bytes(wheel.build() if content is None else content)
    found = {}
    for entry in wheel_entries(path, SITE, "/usr/bin/python3"):
        assert isinstance(entry, FileEntry)
        found[entry.path] = entry
    return found


def content_of(entry: FileEntry) -> bytes:
    with entry.open() as file:
        return file.read()


def test_every_kind_of_file_goes_to_its_place(tmp_path: Path) -> None:
    found = {path: entry.executable for path, entry in entries(tmp_path, WHEEL).items()}
    info = f"{SITE}/sample-1.0.dist-info"
    assert found == {
        f"{SITE}/sample/__init__.py": False,
        f"{SITE}/sample/_core.cpython-311-aarch64-linux-gnu.so": True,
        f"{SITE}/sample.libs/libx.so.5.2": True,
        f"{SITE}/sample/tool.sh": True,
        f"{SITE}/pure.py": False,
        f"{SITE}/plat.py": False,
        "usr/local/share/sample/file.txt": False,
        "usr/local/include/sample.h": False,
        "usr/local/bin/run-sample": True,
        "usr/local/bin/other": True,
        "usr/local/bin/sample": True,
        "usr/local/bin/sample-gui": True,
        f"{info}/METADATA": False,
        f"{info}/WHEEL": False,
        f"{info}/RECORD": False,
        f"{info}/INSTALLER": False,
        f"{info}/entry_points.txt": False,
    }


def test_scripts_name_the_interpreter_of_the_target(tmp_path: Path) -> None:
    found = entries(tmp_path, WHEEL)
    assert content_of(found["usr/local/bin/sample"]).startswith(b"#!/usr/bin/python3\n")
    assert b"from sample.cli import main" in content_of(found["usr/local/bin/sample"])
    assert content_of(found["usr/local/bin/run-sample"]) == b"#!/usr/bin/python3\nimport sample\n"
    assert content_of(found["usr/local/bin/other"]) == b"#!/bin/sh\n"
    assert content_of(found[f"{SITE}/sample-1.0.dist-info/INSTALLER"]) == b"edgepack\n"


def test_the_record_lists_every_file_with_its_hash(tmp_path: Path) -> None:
    found = entries(tmp_path, WHEEL)
    record = f"{SITE}/sample-1.0.dist-info/RECORD"
    rows = {path: (digest, size) for path, digest, size in csv.reader(content_of(found[record]).decode().splitlines())}
    listed = set()
    for path, (digest, size) in rows.items():
        full = str(Path(f"/{SITE}", path).resolve()).lstrip("/") if ".." in path else f"{SITE}/{path}"
        listed.add(full)
        if full != record:
            content = content_of(found[full])
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={expected}", str(len(content))), path
    assert listed == set(found)


def test_the_entries_do_not_depend_on_the_order_in_the_archive(tmp_path: Path) -> None:
    made = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        files = dict(WHEEL.files if name == "a" else reversed(list(WHEEL.files.items())))
        wheel = FakeWheel(WHEEL.name, "1.0", WHEEL.tag, files, entry_points=WHEEL.entry_points)
        made.add(write_layer(entries(folder, wheel).values(), io.BytesIO(), "layer"))
    assert len(made) == 1


def test_large_files_stay_in_the_archive_until_they_are_needed(tmp_path: Path) -> None:
    large = bytes(2 * 1024 * 1024)
    found = entries(tmp_path, FakeWheel("large", files={"large/weights": large, "large/__init__.py": b""}))
    entry = found[f"{SITE}/large/weights"]
    assert isinstance(entry.content, ZipMember)
    assert entry.size_bytes == len(large)
    assert content_of(entry) == large


def test_a_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large-1.0-py3-none-any.whl"
    path.write_bytes(FakeWheel("large", files={"large/weights": bytes(64 << 20)}).build())
    tracemalloc.start()
    try:
        (weights,) = (entry for entry in wheel_entries(path, SITE, "python3") if entry.path.endswith("weights"))
        with (tmp_path / "layer").open("wb") as file:
            write_layer([weights], file, "layer")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


GOOD = WHEEL.build()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no zip", id="no archive"),
        pytest.param(GOOD[:-30], id="cut"),
        pytest.param(zip_archive({"sample/__init__.py": b""}), id="no dist-info"),
        pytest.param(zip_archive({"sample-1.0.dist-info/METADATA": b""}), id="no WHEEL"),
        pytest.param(
            zip_archive({"sample-1.0.dist-info/WHEEL": b"Wheel-Version: 9.0\n", "sample-1.0.dist-info/RECORD": b""}),
            id="a version of the format that does not exist",
        ),
        pytest.param(
            zip_archive({"sample-1.0.dist-info/WHEEL": b"Wheel-Version: x\n", "sample-1.0.dist-info/RECORD": b""}),
            id="no version of the format",
        ),
    ],
)
def test_damaged_wheels(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedDataError, match=r"^sample-1\.0-cp311-.*: this wheel cannot"):
        entries(tmp_path, WHEEL, content)


@pytest.mark.parametrize(
    "path", ["../../../../../etc/passwd", "sample-1.0.data/data/../../etc/passwd", "/etc/passwd", "a/../../b"]
)
def test_a_wheel_whose_files_leave_their_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(DamagedDataError, match="this wheel cannot be unpacked"):
        entries(tmp_path, FakeWheel("sample", files={"sample/__init__.py": b"", path: b"evil"}))


def test_entry_points_that_are_none(tmp_path: Path) -> None:
    for text in (
        "[console_scripts]\nnothing\n",
        "[console_scripts]\na = \n",
        "no section\n",
        "[console_scripts]\n../x = a:b\n",
    ):
        with pytest.raises(DamagedDataError, match="this wheel cannot be unpacked"):
            entries(tmp_path, FakeWheel("sample", entry_points=text))


def clashes(wheels: Sequence[tuple[str, Sequence[Entry]]]) -> list[str]:
    return wheel_clashes(
        (name, {entry.path: content_token(entry) for entry in entries if not isinstance(entry, FolderEntry)})
        for name, entries in wheels
    )


def test_two_wheels_with_different_files_of_one_name(tmp_path: Path) -> None:
    wheels: list[tuple[str, list[Entry]]] = []
    for name in ("one", "two"):
        files = {f"{name}/__init__.py": b"", "shared/__init__.py": b"", "shared/x.py": name.encode()}
        wheels.append((name, list(entries(tmp_path, FakeWheel(name, files=files)).values())))
    found = merged_entries(one for _, one in wheels)
    assert clashes(wheels) == [f"one and two both bring {SITE}/shared/x.py; that of two is used"]
    paths = [entry.path for entry in found]
    assert len(paths) == len(set(paths))
    (shared,) = (entry for entry in found if entry.path == f"{SITE}/shared/x.py")
    assert isinstance(shared, FileEntry)
    assert content_of(shared) == b"two"
    write_layer(found, io.BytesIO(), "layer")
    with pytest.raises(InputError) as caught:
        write_layer([entry for _, one in wheels for entry in one], io.BytesIO(), "layer packages")
    assert caught.value.problems == (f"layer packages: two different files are both called '{SITE}/shared/x.py'",)


def test_of_files_that_two_wheels_bring_the_last_is_used_and_both_are_named() -> None:
    one: list[Entry] = [FileEntry("site/tests/__init__.py", b"one"), FileEntry("site/one.py", b"1")]
    two: list[Entry] = [FileEntry("site/tests/__init__.py", b"two"), FileEntry("site/two.py", b"2")]
    together = merged_entries([one, two])
    assert {entry.path: entry.content for entry in together if isinstance(entry, FileEntry)} == {
        "site/tests/__init__.py": b"two",
        "site/one.py": b"1",
        "site/two.py": b"2",
    }
    assert clashes([("one", one), ("two", two)]) == [
        "one and two both bring site/tests/__init__.py; that of two is used"
    ]
    assert clashes([("one", one), ("same", one)]) == []
    executable = [FileEntry("site/one.py", b"1", executable=True)]
    assert clashes([("one", one), ("other", executable)]) == [
        "one and other both bring site/one.py; that of other is used"
    ]
