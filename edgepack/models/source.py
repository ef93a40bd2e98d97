"""Which files a registration takes, found under the path that the user names; nothing is copied here.

A file's stored name is relative to the PARENT of the model's path, as in Azure ML v1: `models/` keeps
`models/` as prefix, a single file is just its name; `.` stands for the folder's own name. Symbolic links that
stay inside the folder are followed and stored as what they point at; all that cannot be stored is reported
together.
"""

import os
import posixpath
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgepack.errors import InputError
from edgepack.models.naming import file_name_problem, nearest

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class FileState:
    """What shows that a file was changed: where it is stored, its size and its times."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        """The state that `status` tells."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to register: its stored name, where it is now, and its state when it was found."""

    path: str
    location: Path
    state: FileState
    executable: bool


def find_sources(
    model_path: Path, child_paths: Iterable[str], *, workspace: Path
) -> tuple[tuple[SourceFile, ...], tuple[str, ...]]:
    """Find the files of a model, sorted by stored name, and all problems (then the files are not to be used).

    `child_paths` (relative to `model_path`, files or folders) restrict what is taken. `workspace` is left out
    where it lies inside the model's folder.
    """
    try:
        root = named_location(model_path)
        status = root.stat()
    except OSError as error:
        return (), (_missing(model_path, error),)
    children = tuple(child_paths)
    if not root.name:
        return (), (f"{shown(model_path)} has no name of its own, so its files cannot be named: choose one below it",)
    real_root = Path(os.path.realpath(root))
    storage = Path(os.path.realpath(workspace / "models"))
    if real_root == storage or storage in real_root.parents:
        return (), (
            f"{shown(model_path)} is where the registry keeps its own files: register another folder, "
            "or choose another --workspace",
        )
    if problem := file_name_problem(root.name):
        return (), (f"{shown(root)}: {problem}",)
    walk = _Walk(root, real_root, frozenset({Path(os.path.realpath(workspace)), storage}))
    if not stat.S_ISDIR(status.st_mode):
        if children:
            walk.problems.append(
                f"child paths need a folder, and {shown(model_path)} is a file: leave out --child-path"
            )
        walk.take_file(root.name, root, real_root)
    elif children:
        for child in children:
            _take_child(walk, child)
    else:
        walk.take_folder(_Folder(root.name, root, (real_root,)))
    if not walk.found and not walk.problems:
        walk.problems.append(f"{shown(model_path)} holds no files: put the model's files there first")
    return tuple(walk.found[path] for path in sorted(walk.found)), tuple(walk.problems)


def find_sample(path: Path, what: str) -> tuple[SourceFile | None, tuple[str, ...]]:
    """Find one sample file (`what`: such as "sample input"); its stored name is its own name."""
    try:
        root = named_location(path)
        mode = root.stat().st_mode
    except OSError as error:
        return None, (f"{what}: {_missing(path, error)}",)
    if stat.S_ISDIR(mode):
        return None, (f"{what}: {path} is a folder: name a file",)
    if problem := file_name_problem(root.name):
        return None, (f"{what}: {shown(path)}: {problem}",)
    walk = _Walk(root, root, frozenset())
    walk.take_file(root.name, root, root)
    return walk.found.get(root.name), tuple(f"{what}: {problem}" for problem in walk.problems)


def named_location(path: Path) -> Path:
    """`path` as absolute path whose last part is its own name: `.`, `..` and links before the last part
    resolved.
    """
    if path.name in ("", ".."):
        return path.resolve(strict=True)
    return Path(os.path.realpath(path.parent)) / path.name


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to read: its stored name, where it was named, and the real folders on the way down, itself
    last.
    """

    path: str
    location: Path
    way: tuple[Path, ...]


@dataclass(slots=True)
class _Walk:
    """One walk: `found` by stored name. `left_out` are real folders that no model contains."""

    root: Path
    real_root: Path
    left_out: frozenset[Path]
    found: dict[str, SourceFile] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take_folder(self, folder: _Folder) -> None:
        """Take all that lies below `folder`."""
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            try:
                names = sorted(entry.name for entry in current.location.iterdir())
            except OSError as error:
                self.problems.append(f"{shown(current.location)}: {error.strerror}: change its permissions")
                continue
            for name in names:
                location = current.location / name
                if problem := file_name_problem(name):
                    self.problems.append(f"{shown(location)}: {problem}")
                elif below := self.take(f"{current.path}/{name}", location, current.way[-1] / name, current.way):
                    waiting.append(below)

    def take(self, path: str, location: Path, place: Path, way: tuple[Path, ...]) -> _Folder | None:
        """Take a file, or return the folder that `location` is; links are followed.

        `place` is `location` with the links before its last part resolved, known to lie inside the model's folder.
        """
        is_link = os.path.islink(place)  # noqa: PTH114 - False, not an error, where it cannot be told
        real = self.resolved(location) if is_link else place
        if real is None or real in self.left_out:
            return None
        if not os.path.isdir(real):  # noqa: PTH112 - the same
            self.take_file(path, location, real)
            return None
        if is_link and real in way:
            self.problems.append(f"{shown(location)}: is a link to a folder that contains it: remove the link")
            return None
        return _Folder(path, location, (*way, real))

    def take_file(self, path: str, location: Path, real: Path) -> None:
        """Take one file, or say why it cannot be stored."""
        try:
            status = real.stat()
        except OSError as error:
            self.problems.append(f"{shown(location)}: cannot be read ({error.strerror}): repair or remove it")
            return
        if not stat.S_ISREG(status.st_mode):
            kind = next((name for test, name in _KINDS if test(status.st_mode)), "no regular file")
            self.problems.append(f"{shown(location)}: is {kind}, and only files can be stored: remove it")
        elif not os.access(real, os.R_OK, effective_ids=True):
            self.problems.append(f"{shown(location)}: cannot be read: change its permissions")
        else:
            executable = bool(status.st_mode & stat.S_IXUSR)
            self.found[path] = SourceFile(path, location, FileState.of(status), executable)

    def resolved(self, location: Path) -> Path | None:
        """Where `location` really is; None, with a problem, when that is nowhere or outside the model's folder."""
        try:
            real = Path(os.path.realpath(location, strict=True))
        except OSError as error:
            reason = "is a link that leads nowhere" if os.path.islink(location) else "cannot be read"  # noqa: PTH114
            self.problems.append(f"{shown(location)}: {reason} ({error.strerror}): repair or remove it")
            return None
        if real != self.real_root and self.real_root not in real.parents:
            self.problems.append(
                f"{shown(location)}: is a link that leaves the model's folder (to {shown(real)}): "
                "copy the file into the folder"
            )
            return None
        return real


def _take_child(walk: _Walk, child: str) -> None:
    clean = posixpath.normpath(child) if child else ".."
    if clean.startswith("/") or clean.split("/")[0] == "..":
        walk.problems.append(f"child path {child!r} leaves the model's folder: write it relative to {walk.root}")
        return
    path, location = posixpath.normpath(f"{walk.root.name}/{clean}"), walk.root / clean
    if not os.path.lexists(location):
        walk.problems.append(f'provided child path "{child}" cannot be found in {shown(walk.root)}')
        return
    if problem := file_name_problem(clean):
        walk.problems.append(f"{shown(location)}: {problem}")
        return
    before = len(walk.problems)
    if location == walk.root:
        walk.take_folder(_Folder(path, location, (walk.real_root,)))
    else:
        inside = [folder for folder in location.parents if folder == walk.root or walk.root in folder.parents]
        way = tuple(Path(os.path.realpath(folder)) for folder in reversed(inside))
        real = walk.resolved(location)
        if real and (folder := walk.take(path, location, way[-1] / location.name, way)):
            walk.take_folder(folder)
    taken = path in walk.found or any(name.startswith(f"{path}/") for name in walk.found)
    if not taken and len(walk.problems) == before:
        walk.problems.append(f'provided child path "{child}" holds no files')


def _missing(path: Path, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return f"{shown(path)}: cannot be read: {error.strerror}"
    try:
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        near = None
    hint = f"did you mean {path.parent / near}?" if near else "check the path"
    return f"{shown(path)}: path does not exist: {hint}"


def shown(path: Path) -> str:
    """`path` for a message: one line, undecodable bytes and control characters escaped."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def raise_if_changed(found: Iterable[SourceFile], again: Iterable[SourceFile]) -> None:
    """Compare two findings of the same files, before and after they were copied.

    Raises:
        InputError: files that were changed, replaced, removed or added meanwhile, all of them.
    """
    different = set(found) ^ set(again)
    by_location = {source.location: source for source in different}
    InputError.raise_if_any(changed_problem(by_location[location]) for location in sorted(by_location))


def changed_problem(source: SourceFile) -> str:
    """The sentence about a file that did not hold still."""
    return (
        f"{shown(source.location)}: changed while it was being registered: wait until nothing writes to it, "
        "then register again"
    )
