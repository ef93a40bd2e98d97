"""A snapshot survives its JSON; a document that is none is refused with every place at once."""

import json
from dataclasses import replace
from typing import Any

import pytest

from simulator.snapshot import (
    DeviceState,
    GatewayState,
    Latency,
    LedgerFigures,
    LinkState,
    ModuleState,
    QueueState,
    Rates,
    Snapshot,
    SnapshotError,
    parse_snapshot,
)

FULL = Snapshot(
    at_s=12.3,
    clock="2026-01-01T00:00:12Z",
    state="running",
    speed=2,
    scenario="plain day",
    duration_s=60,
    links={"upstream": LinkState(up=False, loss=0.5, bandwidth_kbit=64), "devices": LinkState(latency_ms=40)},
    gateways=(
        GatewayState("edge-1", (QueueState("$upstream", 0, 3),), (ModuleState("scorer", "backoff", 2, 137, pid=12),)),
    ),
    devices=(DeviceState("sensor-001", True, 12, {"temperature": 21.4}), DeviceState("sensor-002")),
    devices_total=300,
    devices_connected=299,
    rates=Rates((1, 2.5), (0,)),
    ledger=LedgerFigures(sent=3, delivered=1, outstanding=2),
    latency_ms=Latency(4.5, 80),
    faults=({"at_s": 3.0, "do": "offline", "link": "upstream"},),
    problems=("edge-1/scorer: ended with exit code 3",),
)


@pytest.mark.parametrize("snapshot", [FULL, Snapshot(0, "2026-01-01T00:00:00Z", "done")])
def test_a_snapshot_survives_its_json(snapshot: Snapshot) -> None:
    document = snapshot.document()
    assert json.loads(json.dumps(document)) == document
    assert parse_snapshot(json.loads(json.dumps(document))) == snapshot


def test_the_json_has_the_names_of_the_protocol() -> None:
    document = FULL.document()
    assert document["gateways"][0]["queues"] == [{"endpoint": "$upstream", "priority": 0, "messages": 3}]
    assert document["latency_ms"] == {"p50": 4.5, "p99": 80}
    assert document["rates"] == {"sent": [1, 2.5], "delivered": [0]}
    module = document["gateways"][0]["modules"][0]
    assert (module["status"], module["restarts"], module["exit_code"], module["buffer_messages"]) == (
        "backoff",
        2,
        137,
        None,
    )


def changed(**changes: Any) -> dict[str, Any]:
    return FULL.document() | changes


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        ([], ["/: must be an object, not []"]),
        (changed(at_s="soon"), ["/at_s: must be a number, not 'soon'"]),
        (changed(state="over"), ["/state: must be one of running, draining, done, not 'over'"]),
        (changed(devices={}, devices_total=True), ["/devices: must be a list, not {}"]),
        (changed(extra=1), ["/extra: is unknown"]),
        (changed(faults=[{"do": "offline"}]), ["/faults/0: needs at_s, a number, and do, a text"]),
        (changed(links={"upstream": 1}), ["/links/upstream: must be an object, not 1"]),
        (changed(latency_ms={"p50": "x" * 90, "p99": None}), ["/latency_ms/p50: must be a number, not 'xxx"]),
    ],
)
def test_what_is_no_snapshot_is_refused_by_place(document: object, problems: list[str]) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(document)
    for problem in problems:
        assert any(said.startswith(problem) for said in refused.value.problems), refused.value.problems


def test_all_problems_are_said_at_once() -> None:
    document = changed(speed=None, ledger={"sent": 1.5})
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(document)
    said = "\n".join(refused.value.problems)
    assert "/speed: must be a number, not None" in said
    assert "/ledger/lost: is missing" in said
    assert "/ledger/sent: must be a whole number, not 1.5" in said


def test_a_change_of_one_value_is_a_change_of_the_snapshot() -> None:
    assert replace(FULL, ledger=LedgerFigures(sent=4)) != FULL
