"""The workspace's cache as a whole: what is in it, when it was last used, and its pruning.

    cache/blobs, layers    finished layers, and what is known of them
    cache/downloads        packages and parts of bases, as they were fetched
    cache/roots            images unpacked to be run as processes, with their compiled modules
    cache/...              what engines, checks and registries leave; small

Everything in it can be made or fetched again. When a thing was used is the later one of its times in the file system:
builds read what they use, and an unpacked image is marked. (Linux notes a reading once a day; a file system that keeps
no time of reading, `noatime`, tells when it was made.) What a service or a process of this user runs from, or was
marked within the last minute, is never removed.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.files import exclusive, remove_tree

_ROOTS = "unpacked images"
_KINDS = {"blobs": "layers", "layers": "layers", "downloads": "downloads", "roots": _ROOTS}
_OTHER = "other"
_NEVER = ("locks",)
_DAY_S, _STARTING_S = 86_400.0, 60.0
_UNPACKED = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CachedThing:
    """Something that is kept or removed as a whole.

    `size_bytes`: what its removal frees; files that are also elsewhere, as layers are in `dist`, do not count.
    `used_s`: seconds since 1970.
    """

    path: Path
    kind: str
    size_bytes: int
    used_s: float
    is_in_use: bool = False


def read_cache(workspace: Path) -> tuple[CachedThing, ...]:
    """All that is in the cache; nothing, if there is none."""
    cache = (workspace / "cache").resolve()  # as processes name it
    running = _texts_of_running(workspace, cache / "roots")
    found = []
    for path in _things(cache):
        try:
            found.append(_read_thing(cache, path, running))
        except FileNotFoundError:
            continue  # another command was faster
    return tuple(found)


def prune_cache(
    workspace: Path, unused_for_s: float, *, is_trial: bool = False, now_s: Callable[[], float] = time.time
) -> tuple[CachedThing, ...]:
    """Remove what was not used for so long, and give what that was; with `is_trial` nothing is removed.

    Raises:
        OSError: something cannot be removed; the rest is left.
    """
    before_s = now_s() - unused_for_s
    gone = []
    for thing in read_cache(workspace):
        if thing.is_in_use or thing.used_s > before_s:
            continue
        if not is_trial:
            if _UNPACKED.fullmatch(thing.path.name) and thing.kind == _ROOTS:
                if not _remove_root(workspace, thing.path, before_s):
                    continue
            else:
                remove_tree(thing.path)
        gone.append(thing)
    return tuple(gone)


def _remove_root(workspace: Path, path: Path, before_s: float) -> bool:
    """Remove an unpacked image unless it has come into use meanwhile; by rename, so that nobody finds a part of it."""
    roots = path.parent
    going = path.with_name(f".{path.name}.gone")
    with exclusive(roots / f".{path.name}.lock"):
        try:
            thing = _read_thing(roots.parent, path, _texts_of_running(workspace, roots))
        except FileNotFoundError:
            return False
        if thing.is_in_use or thing.used_s > before_s:
            return False
        remove_tree(going)  # of a command that was killed
        path.rename(going)
        remove_tree(going)
        remove_tree(roots / f"python-{path.name[:12]}")
        remove_tree(_compiled(path))
    return True


def _compiled(root: Path) -> Path:
    """Where Python keeps the compiled modules of an unpacked image."""
    return root.parent / "compiled" / str(root).lstrip("/")


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


def _read_thing(cache: Path, path: Path, running: Sequence[str]) -> CachedThing:
    kind = _KINDS.get(path.relative_to(cache).parts[0], _OTHER)
    about = path.lstat()
    sizes, times = _sizes_and_times(path)
    if kind != _ROOTS or _is_part(path):
        return CachedThing(path, kind, sum(sizes), max(times, default=about.st_mtime))
    is_in_use = time.time() - about.st_mtime < _STARTING_S or any(str(path) in text for text in running)
    more, _ = _sizes_and_times(_compiled(path))
    return CachedThing(path, kind, sum(sizes) + sum(more), about.st_mtime, is_in_use)


def _sizes_and_times(path: Path) -> tuple[list[int], list[float]]:
    """Of all files: the bytes, and when each was last used. What is half there may be under way for a day."""
    sizes, times = [], []
    spared_s = _DAY_S if _is_part(path) else 0
    files = [str(path)] if path.is_file() else _files(path)
    for name in files:
        found = os.lstat(name)
        sizes.append(found.st_size if found.st_nlink == 1 else 0)
        is_part = os.path.basename(name).startswith(".") and name.endswith(".part")  # noqa: PTH119 - as below
        times.append(max(found.st_atime, found.st_mtime) + (_DAY_S if is_part else spared_s))
    return sizes, times


def _files(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)  # noqa: PTH118 - tens of thousands


def _texts_of_running(workspace: Path, roots: Path) -> list[str]:
    """Texts that name the unpacked images which services and processes run from."""
    texts = []
    services = (workspace / "services").glob("*/instances/*/start.json")
    processes = (path for folder in Path("/proc").glob("[0-9]*") for path in (folder / "maps", folder / "environ"))
    for path in (*services, *processes):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue  # it has ended, or is another user's
        if str(roots) in text:
            texts.append(text)
    return texts
