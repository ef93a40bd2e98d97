"""What an image offers as a base: its Python, its C library, and where packages go. Pure.

Versions are read from the bytes of the files that run, not from labels or variables, which only claim them: Python's
from the interpreter or its library, the C library's from its own banner, the processor from the interpreter's ELF
header. Which folder a Python reads packages from is decided by its own `site.py`: Debian's is another than Python's.
"""

import re
import struct
from dataclasses import dataclass

from edgepack.base.base_image import OLDEST_PYTHON
from edgepack.base.file_tree import FileTree
from edgepack.base.root import HOME, USER, USER_ID
from edgepack.errors import InputError
from edgepack.oci.platform import Platform

KEPT = re.compile(
    r"(.*/)?bin/python3(\.\d+)?|.*/libpython3\.\d+\.so[.\d]*|.*/lib(64)?/python3\.\d+/site\.py|.*/include/python3\.\d+/patchlevel\.h"
    r"|.*/libc(\.so\.6|-2\.\d+\.so)|etc/(passwd|group)|usr/lib/(passwd|group)"
)
_FOLDERS = ("usr/local/bin", "usr/bin")
_LIBC = re.compile(rb"GNU C Library[^\n]{0,200}? (?:stable|development) release version (2\.\d+)")
_MACHINES = {"x86_64": 62, "aarch64": 183, "armv7l": 40}  # e_machine


@dataclass(frozen=True, slots=True)
class Found:
    """A base that can be built upon; see `BaseImage` for the fields."""

    interpreter: str
    python_full: str
    glibc: str
    site_folder: str
    passwd: str
    group: str


@dataclass(frozen=True, slots=True)
class _Python:
    path: str  # as it is on PATH
    real: str
    minor: int
    full: str

    def __str__(self) -> str:
        return f"Python {self.full} in /{self.path}"


def probe(tree: FileTree, platform: Platform, where: str) -> Found:
    """Look into a base for `platform`.

    Raises:
        InputError: it has no Python that will do, or not the C library of the wheels; names `where` and what is there.
    """
    pythons = [python for folder in _FOLDERS for python in _pythons_in(tree, folder)]
    if not pythons:
        there = ", ".join(f"/{folder}/{name}" for folder in _FOLDERS for name in tree.names(folder) if "python" in name)
        raise InputError(
            f"{where}: has no Python in /usr/local/bin or /usr/bin{f' but {there}' if there else ''}; choose an image "
            "that has Python 3.11 or newer there, such as python:3.12-slim, or a Debian base"
        )
    fitting = [python for python in pythons if (3, python.minor) >= OLDEST_PYTHON]
    if not fitting:
        raise InputError(
            f"{where}: has {' and '.join(map(str, pythons))}, but the device agent needs Python "
            f"{'.'.join(map(str, OLDEST_PYTHON))} or newer; choose an image that has it"
        )
    python = fitting[0]
    _check_binary(tree, python, platform, where)
    return Found(
        f"/{python.path}",
        python.full,
        _glibc(tree, platform, where),
        _site_folder(tree, python, where),
        *_users(tree),
    )


def _pythons_in(tree: FileTree, folder: str) -> list[_Python]:
    """The Pythons of a folder: first the one that `python3` means, then the others from the newest."""
    found: dict[str, _Python] = {}
    names = [name for name in tree.names(folder) if re.fullmatch(r"python3\.\d+", name)]
    names.sort(key=lambda name: -int(name.rpartition(".")[2]))
    for name in ["python3", *names]:
        real = tree.real_path(f"{folder}/{name}")
        node = tree.find(real) if real else None
        if real is None or node is None or not node.is_file or node.content is None or real in found:
            continue
        minor = re.search(r"python3\.(\d+)$", real)
        full = _full_version(tree, real, node.content, int(minor[1]) if minor else None)
        if full is not None:
            number = int(full.split(".")[1])
            path = f"{folder}/{name}" if name != "python3" else _numbered(tree, folder, real, number)
            found[real] = _Python(path, real, number, full)
    return list(found.values())


def _numbered(tree: FileTree, folder: str, real: str, minor: int) -> str:
    numbered = f"{folder}/python3.{minor}"
    return numbered if tree.real_path(numbered) == real else f"{folder}/python3"


def _full_version(tree: FileTree, real: str, content: bytes, minor: int | None) -> str | None:
    """The version that the interpreter, the library it is linked to, or its headers say of themselves.

    A linker may put the text at the end of a longer one, such as a path; a text of its own is looked for first.
    """
    prefix = real.rpartition("/bin/")[0]
    contents = [content]
    for folder in (
        f"{prefix}/lib",
        f"{prefix}/lib64",
        *(f"{prefix}/lib/{name}" for name in tree.names(f"{prefix}/lib")),
    ):
        for name in tree.names(folder):
            if re.fullmatch(rf"libpython3\.{minor if minor is not None else '[0-9]+'}\.so[.\d]*", name):
                contents.append(tree.content(f"{folder}/{name}") or b"")
    number = rb"(3\." + (rb"\d+" if minor is None else str(minor).encode()) + rb"\.\d+(?:(?:a|b|rc)\d+)?)\+?"
    header = tree.content(f"{prefix}/include/python3.{minor}/patchlevel.h") or b""
    for pattern, places in (
        (rb"\0" + number + rb"\0", contents),
        (rb'#define\s+PY_VERSION\s+"' + number + rb'"', [header]),
        (rb"(?<![\d.])" + number + rb"\0", contents),
    ):
        for each in places:
            found = re.search(pattern, each)
            if found:
                return found[1].decode()
    return None


def _check_binary(tree: FileTree, python: _Python, platform: Platform, where: str) -> None:
    """Is it for the platform, and linked against glibc?"""
    content = tree.content(python.real) or b""
    if content[:4] != b"\x7fELF" or len(content) < 64:
        raise InputError(f"{where}: /{python.path} is no program but a script; choose an image with a plain Python")
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine != _MACHINES[platform.machine]:
        raise InputError(
            f"{where}: /{python.path} is not for {platform.machine} (its ELF machine is {machine}), so the image is "
            f"not what it says, {platform}; choose another image"
        )
    loader = re.search(rb"/ld-[a-zA-Z0-9_.\-]+\.so\.\d", content[: 64 * 1024])
    if loader and b"musl" in loader[0]:
        raise InputError(
            f"{where}: its C library is musl, for which there are few wheels; choose an image with glibc, such as the "
            "`slim` variant of the same image instead of `alpine`"
        )


def _glibc(tree: FileTree, platform: Platform, where: str) -> str:
    folders = (f"usr/lib/{platform.multiarch}", f"lib/{platform.multiarch}", "usr/lib64", "lib64", "usr/lib", "lib")
    for folder in folders:
        banner = _LIBC.search(tree.content(f"{folder}/libc.so.6") or b"")
        if banner:
            return banner[1].decode()
    musl = [name for name in tree.names("lib") if name.startswith("ld-musl")]
    there = "musl" if musl else f"none in {', '.join(f'/{folder}' for folder in folders)}"
    raise InputError(
        f"{where}: wheels need the C library glibc, but the image has {there}; choose an image with glibc, such as a "
        "`slim` variant instead of `alpine`"
    )


def _site_folder(tree: FileTree, python: _Python, where: str) -> str:
    prefix = python.real.rpartition("/bin/")[0]
    folders = [f"{prefix}/{name}/python3.{python.minor}" for name in ("lib", "lib64")]
    library = next((folder for folder in folders if tree.content(f"{folder}/site.py") is not None), None)
    if library is None:
        raise InputError(
            f"{where}: the standard library of /{python.path} is not in /{folders[0]}; choose an image with a plain "
            "Python"
        )
    if b"dist-packages" in (tree.content(f"{library}/site.py") or b""):
        return f"usr/local/lib/python3.{python.minor}/dist-packages"
    return tree.real_path(f"{folders[0]}/site-packages") or f"{folders[0]}/site-packages"


def _users(tree: FileTree) -> tuple[str, str]:
    """The texts of /etc/passwd and /etc/group with the module's user, "" where they have it."""
    passwd, group = ((tree.content(f"etc/{name}") or b"").decode(errors="replace") for name in ("passwd", "group"))
    users = [line.split(":") for line in passwd.splitlines()]
    if any(len(user) > 2 and user[2] == str(USER_ID) for user in users):
        return "", ""
    name = f"{USER}-{USER_ID}" if any(user[0] == USER for user in users) else USER
    groups = [line.split(":") for line in group.splitlines()]
    has_group = any(len(each) > 2 and each[2] == str(USER_ID) for each in groups)
    root = "" if users else "root:x:0:0::/root:/usr/sbin/nologin\n"
    added = f"{name}:x:{USER_ID}:{USER_ID}::/{HOME}:/usr/sbin/nologin\n"
    new_group = "" if has_group else _joined("" if groups else "root:x:0:\n", group, f"{name}:x:{USER_ID}:\n")
    return _joined(root, passwd, added), new_group


def _joined(*texts: str) -> str:
    return "".join(text if text.endswith("\n") or not text else f"{text}\n" for text in texts)
