"""`edgepack cache`: what the workspace keeps for later."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import size_text

if TYPE_CHECKING:
    from edgepack.cache import CachedThing

_DAY_S = 86_400.0


@click.group("cache")
def cache_command() -> None:
    """What the workspace keeps for later: layers, downloads, unpacked images. All of it can be made again."""


@cache_command.command("show")
@pass_session
def show_command(session: Session) -> None:
    """Show how much there is of what; layers that an output folder has, too, take no room of their own."""
    from edgepack.cache import read_cache

    things = read_cache(session.workspace)
    document = {"folder": str(session.workspace / "cache"), **_document(things)}
    session.result(document, "\n".join([document["folder"], *_lines(document)]))


@cache_command.command("prune")
@click.option(
    "--unused-for", "days", metavar="DAYS", type=click.IntRange(min=0), default=30, show_default=True,
    help="Remove what was not used for so many days; 0: all but what services and simulations run from.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@pass_session
def prune_command(session: Session, days: int, dry_run: bool) -> None:
    """Remove what was not used for long. A build that needs it makes or fetches it again, unless it is --offline.

    With 0 days, not while a build runs: it would fail, and have to be started again.
    """
    from edgepack.cache import prune_cache

    gone = prune_cache(session.workspace, days * _DAY_S, is_trial=dry_run)
    document = {"removed": not dry_run, **_document(gone)}
    told = "would be removed" if dry_run else "removed"
    if not gone:
        session.result(document, f"nothing was unused for {days} days")
        return
    session.result(document, "\n".join([f"{told}:", *_lines(document)]))


def _document(things: "Iterable[CachedThing]") -> dict[str, Any]:
    """Size, count and what is in use, of each kind and in all."""
    kinds: dict[str, dict[str, int]] = {}
    for thing in things:
        kind = kinds.setdefault(thing.kind, {"size_bytes": 0, "count": 0, "in_use": 0})
        kind["size_bytes"] += thing.size_bytes
        kind["count"] += 1
        kind["in_use"] += thing.is_in_use
    return {"size_bytes": sum(kind["size_bytes"] for kind in kinds.values()), "kinds": kinds}


def _lines(document: dict[str, Any]) -> list[str]:
    lines = []
    for name, kind in document["kinds"].items():
        in_use = f", {kind['in_use']} in use" if kind["in_use"] else ""
        lines.append(f"  {name:<16} {size_text(kind['size_bytes']):>12}  {kind['count']}{in_use}")
    return [*lines, f"  {'in all':<16} {size_text(document['size_bytes']):>12}"]
