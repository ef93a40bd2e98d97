"""A lock as a `pylock.PLATFORM.toml` file. Pure.

The format is PEP 751, so other tools can install from it; what is edgepack's own stands in `[tool.edgepack]`: the
digest of the inputs that the lock was made from, and the base: each Debian package with its hash, or each layer of an
image with its digest.
"""

import re
import tomllib
from dataclasses import asdict
from typing import Any

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import BaseImage, BaseLayer, SuppliedPackage
from edgepack.errors import DamagedDataError
from edgepack.layers.entry import is_plain_path
from edgepack.resolve.lock import PlatformLock, Wheel

_TOOL = "edgepack"


def encode_lock(lock: PlatformLock, marker: str) -> str:
    """The text of the lock file."""
    import tomli_w

    document = {
        "lock-version": "1.0",
        "environments": [marker],
        "requires-python": f"=={lock.python}.*",
        "created-by": _TOOL,
        "packages": [
            {
                "name": wheel.name,
                "version": wheel.version,
                "wheels": [
                    {"name": wheel.filename, "url": wheel.url}
                    | ({"size": wheel.size_bytes} if wheel.size_bytes is not None else {})
                    | {"hashes": {"sha256": wheel.sha256}}
                ],
            }
            for wheel in lock.wheels
        ],
        "tool": {
            _TOOL: {
                "platform": lock.platform,
                "inputs": lock.inputs,
                "solved-for": list(lock.solved_for),
                "solution": lock.solution,
                "base": lock.base,
                "debian": [asdict(package) for package in lock.debian],
                **({"image": asdict(lock.image)} if lock.image else {}),
                **({"supplied": [asdict(package) for package in lock.supplied]} if lock.supplied else {}),
                **({"without-security": True} if lock.without_security else {}),
                **({"added": list(lock.added)} if lock.added else {}),
                **({"asked": list(lock.asked)} if lock.asked else {}),
            }
        },
    }
    return tomli_w.dumps(document)


def parse_lock(text: str, where: str) -> PlatformLock:
    """Read a lock file that `encode_lock` wrote.

    Raises:
        DamagedDataError: it is not such a file; the message starts with `where`.
    """
    try:
        document = tomllib.loads(text)
        own = document["tool"][_TOOL]
        python = re.fullmatch(r"==(\d+\.\d+)\.\*", document["requires-python"])
        if python is None:
            raise ValueError("requires-python is not of the form ==3.N.*")
        return PlatformLock(
            _text(own["platform"]),
            _text(own["inputs"]),
            tuple(_text(name) for name in own["solved-for"]),
            _text(own["solution"]),
            _text(own["base"]),
            python[1],
            tuple(_parse_deb(package) for package in own["debian"]),
            tuple(_parse_wheel(package) for package in document["packages"]),
            _parse_image(own["image"]) if "image" in own else None,
            tuple(_parse_supplied(package) for package in own.get("supplied", ())),
            _truth(own.get("without-security", False)),
            tuple(_text(name) for name in own.get("added", ())),
            tuple(_text(name) for name in own.get("asked", ())),
        )
    except (tomllib.TOMLDecodeError, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise DamagedDataError(
            f"{where}: not a lock file of edgepack ({error!r}); remove it, or make it anew with --lock"
        ) from error


def _parse_deb(package: dict[str, Any]) -> DebPackage:
    found = DebPackage(**package)
    for value in (found.name, found.version, found.architecture, found.filename, found.archive):
        _text(value)
    _sha256(found.sha256)
    _size(found.size_bytes)
    return found


def _parse_image(document: dict[str, Any]) -> BaseImage:
    found = BaseImage(**{**document, "layers": tuple(BaseLayer(**layer) for layer in document["layers"])})
    texts = (found.interpreter, found.site_folder, found.passwd, found.group)
    members = (*found.environment.items(), *found.labels.items())
    for value in (*texts, *(text for pair in members for text in pair)):
        _text(value)
    for digest in (
        found.index,
        found.manifest,
        *(each for layer in found.layers for each in (layer.digest, layer.diff_id)),
    ):
        _sha256(_text(digest).removeprefix("sha256:"))
    for layer in found.layers:
        _text(layer.media_type)
        _size(layer.size_bytes)
    if not re.fullmatch(r"3\.\d+\.\d+\S*", _text(found.python_full)) or not re.fullmatch(r"2\.\d+", _text(found.glibc)):
        raise ValueError(f"{found.python_full!r} and {found.glibc!r} are no versions of Python and glibc")
    if not found.interpreter.startswith("/") or not is_plain_path(found.site_folder):
        raise ValueError(
            f"{found.interpreter!r} and {found.site_folder!r} are no places of an interpreter and its packages"
        )
    return found


def _parse_supplied(document: dict[str, Any]) -> SuppliedPackage:
    found = SuppliedPackage(**document)
    for value in (found.name, found.version, found.debian):
        _text(value)
    return found


def _parse_wheel(package: dict[str, Any]) -> Wheel:
    (wheel,) = package["wheels"]
    size = wheel.get("size")
    return Wheel(
        _text(package["name"]),
        _text(package["version"]),
        _text(wheel["name"]),
        _text(wheel["url"]),
        _sha256(wheel["hashes"]["sha256"]),
        None if size is None else _size(size),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a size")
    return value


def _sha256(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", _text(value)):
        raise ValueError(f"{value!r} is not a SHA-256 digest")
    return str(value)
