"""The platforms that a command builds for."""

from collections.abc import Callable
from typing import Any

import click


def platforms_option(text: str) -> Callable[[Any], Any]:
    """The option `--platform`, as `platforms`: names between commas, or the option again; None if it is not given."""
    return click.option("--platform", "platforms", metavar="LIST", multiple=True, callback=_names, help=text)


def _names(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[str] | None:
    return [name.strip() for text in given for name in text.split(",") if name.strip()] if given else None
