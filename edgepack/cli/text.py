"""Texts that several commands read or print."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edgepack.errors import InputError


def relative(path: Path) -> str:
    """The shorter of a path and the way to it from here."""
    return min(str(path), os.path.relpath(path), key=len)


def text_of(file: Path) -> str:
    """The text of a file that the user named; `-` is standard input.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        with click.open_file(str(file), "rb") as opened:
            content: bytes = opened.read()
        return content.decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        what = f"not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x}): save it as UTF-8"
        raise InputError(f"{file}: {what}") from error


def layout_of(folder: Path) -> Path:
    """The layout itself, or the one in a build's output folder."""
    return folder / "image" if (folder / "image" / "index.json").is_file() else folder


def layer_lines(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each layer: kind, size, digest, title, and whether it came from the cache if that is known."""
    return [
        f"  {layer['kind']:<9}{size_text(layer['size_bytes']):>10}  {layer['digest'][7:19]}  {layer['title']}"
        + ("  (cached)" if layer.get("cached") else "")
        for layer in layers
    ]


def size_text(size_bytes: int) -> str:
    """MB or kB, with one decimal."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:.1f} kB"
