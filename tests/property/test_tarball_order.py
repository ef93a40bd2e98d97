"""A layer holds exactly its entries, whatever their order, and other entries give another layer."""

import io
import tarfile
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry
from edgepack.layers.tarball import TarDigests, write_layer

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES | st.sampled_from(["a", "b"]), min_size=1, max_size=3).map("/".join)


def entry(path: str, draw: st.DrawFn) -> Entry:
    match draw(st.integers(0, 2)):
        case 0:
            return FolderEntry(path, draw(st.sampled_from([0o755, 0o700, 0o1777])), draw(st.sampled_from([0, 1000])))
        case 1:
            return LinkEntry(path, draw(PATHS))
    return FileEntry(path, draw(st.binary(max_size=20)), draw(st.booleans()))


@st.composite
def layers(draw: st.DrawFn) -> list[Entry]:
    """Entries none of which lies below a file or link."""
    found: dict[str, Entry] = {}
    for path in draw(st.lists(PATHS, unique=True, max_size=6)):
        if not any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in found):
            found[path] = entry(path, draw)
    return list(found.values())


def pack(entries: list[Entry]) -> tuple[TarDigests, bytes]:
    buffer = io.BytesIO()
    return write_layer(entries, buffer, "layer"), buffer.getvalue()


@settings(deadline=None)
@given(layers(), st.randoms(use_true_random=False))
def test_order_does_not_matter(entries: list[Entry], chance: Random) -> None:
    mixed = list(entries)
    chance.shuffle(mixed)
    assert pack(mixed) == pack(entries)


@settings(deadline=None)
@given(layers())
def test_what_was_put_in_comes_out(entries: list[Entry]) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(entries)[1])) as archive:
        found = {member.name: member for member in archive}
        for one in entries:
            member = found[one.path]
            match one:
                case FileEntry(_, content, executable):
                    file = archive.extractfile(member)
                    assert file is not None
                    assert file.read() == content
                    assert member.mode == (0o755 if executable else 0o644)
                case FolderEntry(_, mode, owner):
                    assert (member.isdir(), member.mode, member.uid) == (True, mode, owner)
                case LinkEntry(_, target):
                    assert (member.issym(), member.linkname) == (True, target)


@settings(deadline=None)
@given(layers(), layers())
def test_other_entries_are_another_layer(one: list[Entry], other: list[Entry]) -> None:
    same = set(one) | parents(one) == set(other) | parents(other)
    assert (pack(one)[0].diff_id == pack(other)[0].diff_id) is same


def parents(entries: list[Entry]) -> set[Entry]:
    found: set[Entry] = set()
    for one in entries:
        parts = one.path.split("/")
        found |= {FolderEntry("/".join(parts[:number])) for number in range(1, len(parts))}
    return {folder for folder in found if folder.path not in {one.path for one in entries}}
