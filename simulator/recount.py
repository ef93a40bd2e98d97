"""Counts what was lost a second time, from the devices' and the cloud's own files and nothing else.

The devices write down what was acknowledged, the cloud what arrived. A message is delivered if it arrived under its id,
or something did whose correlation id is its id. That knows nothing of times to live, of routes, and of modules that
answer another module, or begin messages: the ledger does, and must agree where none of these play a part. What arrived
and belongs to no device's message, by neither id, is counted: where there is such, the counts may differ.

A file may end in the middle of a line, as it does when its writer is killed: that line does not count.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Recount(NamedTuple):
    """`sent`: ids that devices had acknowledged; `missing`: those that never arrived; `repeated`: arrivals of an id
    beyond its first; `foreign`: arrivals that belong to none of the ids."""

    sent: int
    delivered: int
    repeated: int
    foreign: int
    missing: tuple[str, ...]


def recount(devices: Path, cloud: Path) -> Recount:
    """Read both files. Raises OSError, ValueError (a line that is no JSON, and not the last)."""
    sent = {line["id"] for line in _lines(devices)}
    left = set(sent)
    seen: set[tuple[str, str, str]] = set()
    repeated = foreign = 0
    for message in _lines(cloud):
        ids = {message["id"], message["correlation_id"]}
        left -= ids
        foreign += ids.isdisjoint(sent)
        key = (message["module"], message["output"], message["id"])
        if message["id"]:
            repeated += key in seen
            seen.add(key)
    return Recount(len(sent), len(sent) - len(left), repeated, foreign, tuple(sorted(left)))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                document = json.loads(line)
            except ValueError:
                if not line.endswith(b"\n"):
                    return
                raise ValueError(f"{path}, line {number}: is no JSON") from None
            yield document
