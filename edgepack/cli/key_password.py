"""The password of a key: from a file, the environment or the terminal, never from an argument."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgepack.errors import InputError

VARIABLES = ("EDGEPACK_KEY_PASSWORD", "COSIGN_PASSWORD")


def password_option(command: Any) -> Any:
    """Give a command `--password-file`."""
    option = click.option(
        "--password-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The key's password: the first line. Default: $EDGEPACK_KEY_PASSWORD, $COSIGN_PASSWORD, or asked for.",
    )
    return option(command)


def given_password(file: Path | None, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The password that was given without being asked for, which may be empty; None: none was.

    Raises:
        InputError: the file cannot be read.
    """
    if file is not None:
        try:
            return file.read_bytes().partition(b"\n")[0].removesuffix(b"\r")
        except OSError as error:
            raise InputError(f"{file}: the password cannot be read ({error.strerror})") from error
    for name in VARIABLES:
        if name in environment:
            return os.fsencode(environment[name])
    return None


def asked_password(prompt: str, *, twice: bool = False) -> bytes | None:
    """The password that somebody types; None where there is no terminal."""
    if not sys.stdin.isatty():
        return None
    typed: str = click.prompt(
        prompt, hide_input=True, default="", show_default=False, err=True, confirmation_prompt=twice
    )
    return typed.encode()
