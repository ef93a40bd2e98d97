"""The report in words, and the second count."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.ledger import Ledger
from simulator.message import HubMessage
from simulator.recount import Recount, recount
from simulator.report import RunFigures, report_document, report_lines


def write(path: Path, *lines: object, end: bytes = b"") -> Path:
    """A file of these JSON lines."""
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + end)
    return path


def arrival(message_id: str, correlation_id: str = "", module: str = "") -> dict[str, str]:
    """A line of the cloud's file."""
    return {"module": module, "output": "o", "id": message_id, "correlation_id": correlation_id}


def test_the_second_count(tmp_path: Path) -> None:
    devices = write(tmp_path / "devices", *({"id": name} for name in "abcd"))
    lines = [arrival("a"), arrival("x", "b", "scorer"), arrival("x", "b", "scorer"), arrival("y", "x", "alarm")]
    cloud = write(tmp_path / "cloud", *lines, arrival(""))
    assert recount(devices, cloud) == Recount(4, 2, 1, 2, ("c", "d"))


@pytest.mark.parametrize("end", [b'{"id": "b", "dev', b'{"id": "\xc3', b"\0\0\0", b""])
def test_a_file_whose_writer_was_killed(tmp_path: Path, end: bytes) -> None:
    devices = write(tmp_path / "devices", {"id": "a"}, end=end)
    assert recount(devices, write(tmp_path / "cloud", arrival("a"), end=end)) == Recount(1, 1, 0, 0, ())


def test_a_broken_line_that_is_not_the_last_is_named(tmp_path: Path) -> None:
    devices = write(tmp_path / "devices", {"id": "a"}, end=b'{"id"\n{"id": "b"}\n')
    with pytest.raises(ValueError, match="devices, line 2: is no JSON"):
        recount(devices, write(tmp_path / "cloud"))


def report(ledger: Ledger, count: Recount | None = None) -> tuple[dict[str, Any], str]:
    """The report of a run that knows no more than this: as a document and as text."""
    run = RunFigures("plain", 60, 60, 0, 0, 2, {}, (), 0, (), 0, 0, ())
    document = report_document(ledger, run, count)
    return document, "\n".join(report_lines(document))


def filled(*fates: str) -> Ledger:
    """A ledger with a message of each of these fates."""
    ledger = Ledger(lambda: 0.0)
    for number, fate in enumerate(fates):
        message = HubMessage("d", "", (("$.mid", str(number)),), b"")
        message = message._replace(trace=ledger.accepted(message, () if fate == "unrouted" else ("$upstream",)))
        if fate == "delivered":
            ledger.arrived(message)
        if fate == "expired":
            ledger.expired(message)
    return ledger


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (Recount(4, 1, 0, 0, ("1", "2", "3")), "agrees"),
        (
            Recount(4, 2, 0, 0, ("1", "2")),
            "finds 2 of 4 missing, where this one has 3",
        ),
        (
            Recount(4, 0, 0, 1, ("0", "1", "2", "3")),
            "finds 4 of 4 missing, where this one has 3; arrivals whose ids name no device's message, which it cannot "
            "follow (modules that answer other modules, or begin messages): 1",
        ),
        (
            Recount(2, 1, 0, 0, ("1",)),
            "finds 1 of 2 missing, where this one has 3: devices were told of 2 messages, this one counts 4",
        ),
    ],
)
def test_what_is_said_of_the_second_count(count: Recount, told: str) -> None:
    document, text = report(filled("delivered", "lost", "expired", "unrouted"), count)
    assert document["recount"]["foreign"] == count.foreign
    assert f"  a second count, from the devices' and the cloud's own files, {told}" in text.splitlines()


def test_where_a_lost_message_was_last_seen() -> None:
    ledger = filled("lost")
    message = HubMessage("d", "", (("$.mid", "a"),), b"")
    taken = message._replace(trace=ledger.accepted(message, ("scorer/in",)))
    ledger.taken(taken, "scorer")
    ledger.accepted(HubMessage("e", "scorer", (("$.cid", "a"), ("$.on", "debug")), b""), ())
    _, text = report(ledger)
    assert "  lost: 0 of d, still waiting in edgeHub" in text
    assert "  lost: a of d, taken by scorer; outputs without a route: 1" in text
    assert text.startswith("plain: 2 of 2 messages lost")


def test_a_run_in_which_all_is_well() -> None:
    _, text = report(filled("delivered"), Recount(1, 1, 0, 0, ()))
    assert text.startswith("plain: nothing lost: 1 of 1 messages delivered")
    assert "lost:" not in text.partition("\n")[2]
