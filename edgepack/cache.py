"""The workspace's cache as a whole: what is in it, when it was last used, and its pruning.

    cache/blobs, layers    finished layers, and what is known of them
    cache/downloads        packages and parts of bases, as they were fetched
    cache/roots            images unpacked to be run as processes, with their compiled modules
    cache/...              what engines, checks and registries leave; small

Everything in it can be made or fetched again. When a thing was used is the later one of its times in the file system:
builds read what they use, and an unpacked image is marked. (Where a file system keeps no time of reading, `noatime`,
it is when it was made.) What a service or a process of this user runs from is never removed.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgepack.files import exclusive, remove_tree

_KINDS = {"blobs": "layers", "layers": "layers", "downloads": "downloads", "roots": "unpacked images"}
_OTHER = "other"
_NEVER = ("locks",)
_DAY_S = 86_400.0
_UNPACKED = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CachedThing:
    """Something that is kept or removed as a whole. Size in bytes; `used_s`: seconds since 1970."""

    path: Path
    kind: str
    size_bytes: int
    used_s: float
    is_in_use: bool = False


def read_cache(workspace: Path) -> tuple[CachedThing, ...]:
    """All that is in the cache; nothing, if there is none. Files that are just being written are left out."""
    cache = (workspace / "cache").resolve()  # as processes name it
    running = _texts_of_running(workspace, cache / "roots")
    found = []
    for path in _things(cache):
        kind = _KINDS.get(path.relative_to(cache).parts[0], _OTHER)
        try:
            size, used_s = _size_and_use(path)
        except FileNotFoundError:
            continue  # another command was faster
        is_in_use = kind == "unpacked images" and any(str(path) in text for text in running)
        found.append(CachedThing(path, kind, size, used_s, is_in_use))
    return tuple(found)


def prune_cache(
    workspace: Path, unused_for_s: float, *, is_trial: bool = False, now_s: Callable[[], float] = time.time
) -> tuple[CachedThing, ...]:
    """Remove what was not used for so long, and give what that was; with `is_trial` nothing is removed.

    Raises:
        OSError: something cannot be removed; the rest is left.
    """
    before_s = now_s() - unused_for_s
    gone = tuple(thing for thing in read_cache(workspace) if not thing.is_in_use and thing.used_s <= before_s)
    if is_trial:
        return gone
    for thing in gone:
        if thing.kind == "unpacked images" and not _is_part(thing.path):
            _remove_root(thing.path)
        else:
            remove_tree(thing.path)
    return gone


def _remove_root(path: Path) -> None:
    """An image that was unpacked: it goes by rename, so that nobody finds a part of it, with what belongs to it."""
    roots = path.parent
    with exclusive(roots / f".{path.name}.lock"):
        going = path.with_name(f".{path.name}.gone")
        path.rename(going)
        remove_tree(going)
        remove_tree(roots / f"python-{path.name[:12]}")
        remove_tree(roots / "compiled" / str(path).lstrip("/"))


def _things(cache: Path) -> Iterator[Path]:
    for folder in _children(cache):
        if folder.name in _NEVER:
            continue
        if folder.name == "downloads":
            for part in _children(folder):
                yield from _children(part)
        elif folder.name == "roots":
            yield from (path for path in sorted(folder.iterdir()) if _UNPACKED.fullmatch(path.name) or _is_part(path))
        elif folder.is_dir():
            yield from _children(folder)
        else:
            yield folder


def _is_part(path: Path) -> bool:
    """Whether it is a half of an image, which is being unpacked or removed, or was left so by the end of a command."""
    return path.name.startswith(".") and path.suffix in (".part", ".gone")


def _children(folder: Path) -> list[Path]:
    """Those that are complete: what is being written has a name with a dot."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size_and_use(path: Path) -> tuple[int, float]:
    """Bytes, and when it was last used: of an unpacked image by its folder, else by its newest file."""
    about = path.lstat()
    if not path.is_dir() or path.is_symlink():
        return about.st_size, max(about.st_atime, about.st_mtime)
    sizes, times = [], []
    for folder, _, names in os.walk(path):
        for name in names:
            found = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - tens of thousands
            sizes.append(found.st_size)
            times += [found.st_atime, found.st_mtime]
    is_root = path.parent.name == "roots" and _UNPACKED.fullmatch(path.name)
    used_s = about.st_mtime if is_root else max(times, default=about.st_mtime)
    return sum(sizes), used_s + (_DAY_S if _is_part(path) else 0)  # it may be under way for a day


def _texts_of_running(workspace: Path, roots: Path) -> list[str]:
    """Texts that name the unpacked images which services and processes run from."""
    texts = []
    services = (workspace / "services").glob("*/instances/*/start.json")
    for path in (*services, *Path("/proc").glob("[0-9]*/maps")):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue  # it has ended, or is another user's
        if str(roots) in text:
            texts.append(text)
    return texts
