"""Options of a build that are about its base."""

from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class BaseOptions:
    """What the command line says of the base."""

    base: str | None = None
    update_base: bool = False
    without_security: bool = False


def base_options(command: Any) -> Any:
    """Give a command the options `base`, `update_base` and `without_security`."""
    for option in (
        click.option(
            "--without-security",
            is_flag=True,
            help="Of a Debian base, take the release alone, without security updates. The image and its lock say so.",
        ),
        click.option(
            "--update-base",
            is_flag=True,
            help="Take the base as it is now, keep the packages that fit it, and say what changed.",
        ),
        click.option(
            "--base",
            metavar="BASE",
            help="Base file system: debian:bookworm (default), debian:trixie, an image (NAME:TAG, NAME@DIGEST), or "
            "oci:FOLDER.",
        ),
    ):
        command = option(command)
    return command


def check_base(options: BaseOptions, *, frozen: bool, offline: bool) -> None:
    """Refuse what contradicts itself.

    Raises:
        click.UsageError: two options exclude each other.
    """
    if options.update_base and frozen:
        raise click.UsageError("--update-base and --locked exclude each other.")
    if options.update_base and offline:
        raise click.UsageError("--update-base needs the network, which --offline forbids.")
