"""The file system that an image's layers make, read from their tar members: names and links, and a few files' content.

Nothing is unpacked. Whiteouts are respected (image specification 1.1, "Layers"), links are followed inside of the root.
A tree is as small as its names: content is kept of the files that a probe of a base asks for, and of no others.
"""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgepack.errors import DamagedDataError

MOST_KEPT_BYTES = 128 * 1024 * 1024
MOST_MEMBERS = 3_000_000
_MOST_LINKS = 40  # as in Linux
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(slots=True)
class Node:
    """A file, folder or link. A folder has `children`, a link a `target`; `content` is that of a file kept."""

    children: "dict[str, Node] | None" = None
    target: str | None = None
    content: bytes | None = None
    executable: bool = False

    @property
    def is_file(self) -> bool:
        """Neither a folder nor a link."""
        return self.children is None and self.target is None


def _folder() -> Node:
    return Node({})


@dataclass(slots=True)
class FileTree:
    """What `read_tree` found."""

    root: Node = field(default_factory=_folder)

    def real_path(self, path: str) -> str | None:
        """Where `path` (relative to the root) leads when links are followed; None if to nothing, or in circles."""
        found: list[str] = []
        waiting = _parts(path)[::-1]
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                found = found[:-1]
                continue
            node = self._at(found)
            child = (node.children or {}).get(part) if node else None
            if child is None:
                return None
            if child.target is None:
                found.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            if child.target.startswith("/"):
                found = []
            waiting += _parts(child.target)[::-1]
        return "/".join(found)

    def find(self, path: str) -> Node | None:
        """The file or folder that `path` leads to."""
        real = self.real_path(path)
        return None if real is None else self._at(_parts(real))

    def content(self, path: str) -> bytes | None:
        """The content of a file that was kept."""
        node = self.find(path)
        return node.content if node else None

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, sorted."""
        node = self.find(folder)
        return sorted(node.children) if node and node.children is not None else []

    def _at(self, parts: list[str]) -> Node | None:
        node: Node | None = self.root
        for part in parts:
            node = (node.children or {}).get(part) if node else None
        return node


def read_tree(layers: Iterable[Iterable["Member"]]) -> FileTree:
    """The file system of layers, lowest first.

    Raises:
        DamagedDataError: a name leaves the root, or there is no end of names or of content to keep.
    """
    tree = FileTree()
    count = kept = 0
    for layer in layers:
        added: list[tuple[list[str], Member]] = []
        for member in layer:
            count += 1
            kept += len(member.content or b"")
            if count > MOST_MEMBERS or kept > MOST_KEPT_BYTES:
                raise DamagedDataError(f"the image has more than {MOST_MEMBERS} entries, or very large libraries")
            parts = _parts(member.path)
            if ".." in parts:
                raise DamagedDataError(f"the image's entry {member.path!r} lies outside of its root")
            if parts and parts[-1].startswith(_WHITEOUT):
                _remove(tree, parts)
            elif parts:
                added.append((parts, member))
        for parts, member in added:  # a whiteout is of what lies below its layer, wherever in the layer it stands
            _add(tree, parts, member)
    return tree


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a layer's tar: `kind` is a `tarfile` type; `target` that of a symbolic or hard link."""

    path: str
    kind: bytes
    target: str = ""
    executable: bool = False
    content: bytes | None = None


def tar_members(archive: tarfile.TarFile, kept: re.Pattern[str]) -> Iterator[Member]:
    """The members of a layer; content is read of the files whose path (without a slash at its start) fits `kept`.

    Raises:
        DamagedDataError: such a file is larger than all that may be kept.
    """
    for member in archive:
        content = None
        name = member.name.removeprefix("./").strip("/")
        if member.isfile() and kept.fullmatch(name):
            if member.size > MOST_KEPT_BYTES:
                raise DamagedDataError(f"{name}: has {member.size} bytes, which no such file has")
            file = archive.extractfile(member)
            content = file.read() if file else None
        yield Member(name, member.type, member.linkname, bool(member.mode & 0o111), content)
        archive.members = []  # type: ignore[attr-defined]  # else it remembers all of them


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _remove(tree: FileTree, parts: list[str]) -> None:
    folder = tree._at(parts[:-1])
    if folder is None or folder.children is None:
        return
    if parts[-1] == _OPAQUE:
        folder.children.clear()
    else:
        folder.children.pop(parts[-1].removeprefix(_WHITEOUT), None)


def _add(tree: FileTree, parts: list[str], member: Member) -> None:
    folder = _children(tree.root)
    for part in parts[:-1]:
        if part not in folder or folder[part].children is None:
            folder[part] = _folder()
        folder = _children(folder[part])
    name = parts[-1]
    if member.kind == tarfile.DIRTYPE:
        if name not in folder or folder[name].children is None:
            folder[name] = _folder()
    elif member.kind == tarfile.SYMTYPE:
        folder[name] = Node(target=member.target)
    elif member.kind == tarfile.LNKTYPE:
        linked = tree._at(_parts(member.target))
        folder[name] = linked if linked and linked.is_file else Node()
    else:
        folder[name] = Node(content=member.content, executable=member.executable)


def _children(node: Node) -> dict[str, Node]:
    if node.children is None:
        raise AssertionError("not a folder")
    return node.children
