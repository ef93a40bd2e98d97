"""The root file system made of Debian packages: what is left out, and what their install scripts would have made.

Pure. No script of a package is run; the few things that those scripts do and that a module needs are made here.
What each does and why it is or is not needed: docs/decisions/0002-debian-base.md.
"""

import re
from collections.abc import Iterable

from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry
from edgepack.oci.platform import AMD64, Platform

USER_ID = 1000
USER = "edgepack"
HOME = "var/lib/edgepack"
APP_ROOT = "var/azureml-app"

_LEFT_OUT = re.compile(
    r"usr/share/(man|locale|info|lintian|gdb|gcc|bug|pixmaps)(/|$)"
    r"|usr/share/doc/[^/]+/(?!copyright$)"
    r"|usr/lib/[^/]+/gconv(/|$)"
    r"|usr/lib/python3[^/]*/(lib2to3|idlelib|test|ensurepip|tkinter|turtledemo|pydoc_data)(/|$)"
    r"|usr/share/binfmts(/|$)|usr/share/applications(/|$)"
)
_ALTERNATIVES = tuple(  # (folder, library): of several, the first that is there
    (folder, library)
    for library, folders in {
        "libblas.so.3": ("openblas-pthread", "openblas-openmp", "openblas-serial", "atlas", "blas"),
        "liblapack.so.3": ("openblas-pthread", "openblas-openmp", "openblas-serial", "atlas", "lapack"),
    }.items()
    for folder in folders
)
# Python's `ctypes.util.find_library` asks this program where libraries are; Debian's own reads a cache that only its
# install scripts make.
_LIST_LIBRARIES = b"""#!/usr/bin/python3
\"\"\"`ldconfig -p`: the libraries in the folders that the loader looks into.\"\"\"

import os
import sys

if sys.argv[1:] == ["-p"]:
    machine = os.uname().machine
    kind = {"x86_64": "libc6,x86-64", "aarch64": "libc6,AArch64"}.get(machine, "libc6")
    folders = ["/usr/local/lib", *sorted(f"/usr/lib/{each}" for each in os.listdir("/usr/lib") if "-linux-" in each)]
    for folder in [*folders, "/usr/lib"]:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name.startswith("lib") and ".so" in name:
                print(f"\\t{name} ({kind}) => {folder}/{name}")
"""
_TLS_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_MOZILLA = re.compile(r"usr/share/ca-certificates/mozilla/[^/]+\.crt")


def is_left_out(path: str) -> bool:
    """Is `path` documentation or a part of Python that a module does not use?"""
    return bool(_LEFT_OUT.match(path))


def root_entries(packages: Iterable[tuple[str, list[Entry], str]], python: str, platform: Platform) -> list[Entry]:
    """The whole base layer from (package name, entries, control text), for Python `3.N`.

    A folder that several packages have is taken once, with the mode of the first.
    """
    found: dict[str, Entry] = {}
    roots: list[tuple[str, bytes]] = []
    for name, entries, control in packages:
        for entry in entries:
            if is_left_out(entry.path) or (isinstance(entry, FolderEntry) and entry.path in found):
                continue
            found[entry.path] = entry
            if isinstance(entry, FileEntry) and isinstance(entry.content, bytes) and _MOZILLA.fullmatch(entry.path):
                roots.append((entry.path, entry.content))
        status = f"var/lib/dpkg/status.d/{name}"
        found[status] = FileEntry(status, control.encode())
    bundle = b"".join(content if content.endswith(b"\n") else content + b"\n" for _, content in sorted(roots))
    for entry in (*_made_by_scripts(python, platform), FileEntry(_TLS_BUNDLE, bundle)):
        found[entry.path] = entry
    return list(found.values())


def extra_entries(packages: Iterable[tuple[str, list[Entry], str]], platform: Platform) -> list[Entry]:
    """A layer of more packages on such a base, with the links that Debian's alternatives would have made."""
    found: dict[str, Entry] = {}
    for name, entries, control in packages:
        for entry in entries:
            if not is_left_out(entry.path) and not (isinstance(entry, FolderEntry) and entry.path in found):
                found[entry.path] = entry
        status = f"var/lib/dpkg/status.d/{name}"
        found[status] = FileEntry(status, control.encode())
    for folder, library in _ALTERNATIVES:
        link, place = f"usr/lib/{platform.multiarch}/{library}", f"{folder}/{library}"
        if f"usr/lib/{platform.multiarch}/{place}" in found:
            found.setdefault(link, LinkEntry(link, place))
    found.setdefault("usr/sbin/ldconfig", FileEntry("usr/sbin/ldconfig", _LIST_LIBRARIES, executable=True))
    return list(found.values())


def user_entries(passwd: str, group: str) -> list[Entry]:
    """What the module's user needs on an image that is no base of ours; "": the image has that file as it should be."""
    files = {"etc/passwd": passwd, "etc/group": group}
    return [
        FolderEntry(APP_ROOT),
        FolderEntry(HOME, 0o755, USER_ID),
        *(FileEntry(path, text.encode()) for path, text in files.items() if text),
    ]


def _made_by_scripts(python: str, platform: Platform) -> Iterable[Entry]:
    for folder in ("bin", "sbin", "lib", *(["lib64"] if platform == AMD64 else [])):
        yield LinkEntry(folder, f"usr/{folder}")
        yield FolderEntry(f"usr/{folder}")
    yield LinkEntry("usr/bin/python3", f"python{python}")
    yield FolderEntry(f"usr/local/lib/python{python}/dist-packages")
    for folder in ("bin", "include", "share"):
        yield FolderEntry(f"usr/local/{folder}")
    yield LinkEntry("usr/lib/ssl/cert.pem", f"/{_TLS_BUNDLE}")
    yield LinkEntry("usr/lib/ssl/certs", "/etc/ssl/certs")
    yield LinkEntry("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    yield FileEntry("etc/timezone", b"Etc/UTC\n")
    for folder in ("tmp", "var/tmp", "run/lock"):
        yield FolderEntry(folder, 0o1777)
    for folder in ("mnt", "srv", "opt", "media", "proc", "sys", "dev", "run", APP_ROOT):
        yield FolderEntry(folder)
    yield FolderEntry("root", 0o700)
    yield LinkEntry("var/run", "/run")
    yield LinkEntry("var/lock", "/run/lock")
    yield FolderEntry(HOME, 0o755, USER_ID)
    users = (("root", 0, "root"), (USER, USER_ID, HOME), ("nobody", 65534, "nonexistent"))
    passwd = "".join(f"{name}:x:{id_}:{id_}::/{home}:/usr/sbin/nologin\n" for name, id_, home in users)
    yield FileEntry("etc/passwd", passwd.encode())
    yield FileEntry("etc/group", "".join(f"{name}:x:{id_}:\n" for name, id_, _ in users).encode())
