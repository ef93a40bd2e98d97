"""The fleet as its parent sees it, against a hub that checks tokens and keeps sessions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_iot_hub import FakeIotHub
from tests.integration.simulator.devices.fleet_under_test import KEY, ROOT, FleetUnderTest, PubackServer, plan

NAMES = [f"sensor-{number:03d}" for number in range(1, 9)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeIotHub]:
    """A hub that knows the devices."""
    with FakeIotHub(dict.fromkeys(NAMES, KEY)) as running:
        (tmp_path / "ca.pem").write_text(running.ca_pem)
        yield running


def hub_plan(hub: FakeIotHub, folder: Path, **more: Any) -> dict[str, Any]:
    """A plan for all devices of the hub."""
    return plan("localhost", hub.port, folder / "ca.pem", NAMES, **{"rate_per_s": 20, **more})


def arrived(hub: FakeIotHub) -> dict[str, list[str]]:
    """The message ids that the hub has, for each device."""
    found: dict[str, list[str]] = {}
    for event in list(hub.events):
        found.setdefault(event.client_id, []).append(event.property("$.mid") or "")
    return found


def check_promises(hub: FakeIotHub, fleet: FleetUnderTest) -> None:
    """What was said to be acknowledged has arrived, once said; what arrived first is in order; ids are never reused."""
    found = arrived(hub)
    everything = {name for names in found.values() for name in names}
    assert set(fleet.ids) <= everything
    assert len(set(fleet.ids)) == len(fleet.ids)
    for names in found.values():
        first = list(dict.fromkeys(names))
        assert first == sorted(first)
    bodies: dict[str, bytes] = {}
    for event in hub.events:
        assert bodies.setdefault(event.property("$.mid") or "", event.body) == event.body


def test_messages_arrive_and_are_recorded(hub: FakeIotHub, tmp_path: Path) -> None:
    record = tmp_path / "devices.jsonl"
    with FleetUnderTest(hub_plan(hub, tmp_path, record_file=str(record), jitter=0.5)) as fleet:
        fleet.until(lambda: fleet.connected == len(NAMES) and len(fleet.acked) > 200, "messages of all devices")
        fleet.until(lambda: len(fleet.states) == len(NAMES), "states")
        account = fleet.stop()
    assert account["outstanding"] == 0
    assert account["totals"]["acknowledged"] == len(fleet.acked) == len(hub.events)
    check_promises(hub, fleet)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(fleet.ids)
    assert all(line["created"] <= line["acked"] and line["id"].startswith(line["device"]) for line in lines)
    assert not hub.refusals
    assert not hub.misdeeds
    event = hub.events[0]
    assert event.property("$.ct") == "application/json"
    assert event.property("sequenceNumber") == "1"
    assert "temperature" in json.loads(event.body)["machine"]
    state = fleet.states[NAMES[0]]
    assert state["connected"]
    assert set(state["last"]) == {"temperature"}


def test_nothing_is_lost_when_connections_break_and_the_hub_restarts(hub: FakeIotHub, tmp_path: Path) -> None:
    with FleetUnderTest(hub_plan(hub, tmp_path, rate_per_s=50, duplicate_share=0.1)) as fleet:
        for round_number in range(3):
            before = len(fleet.acked)
            fleet.until(lambda before=before: len(fleet.acked) > before + 300, "messages flow")  # type: ignore[misc]
            for name in NAMES:
                hub.drop(name)
            if round_number == 1:
                hub.stop()
                hub.start()
        before = len(fleet.acked)
        fleet.until(lambda: len(fleet.acked) > before + 300, "messages flow again")
        account = fleet.stop()
    assert account["outstanding"] == 0
    assert account["totals"]["copies"] > 0
    assert account["totals"]["reconnects"] >= len(NAMES)
    assert account["totals"]["produced"] == account["totals"]["acknowledged"] == len(fleet.acked)
    check_promises(hub, fleet)
    assert any("lost the connection" in problem for problem in fleet.problems)


def test_tokens_are_renewed_before_they_end(hub: FakeIotHub, tmp_path: Path) -> None:
    with FleetUnderTest(hub_plan(hub, tmp_path, token_ttl_s=4)) as fleet:
        fleet.until(lambda: fleet.totals.get("reconnects", 0) >= 2 * len(NAMES), "two renewals of each")
        account = fleet.stop()
    assert account["outstanding"] == 0
    check_promises(hub, fleet)
    assert not hub.refusals


def test_a_backlog_is_bounded_and_what_is_not_made_is_counted(hub: FakeIotHub, tmp_path: Path) -> None:
    hub.stop()
    with FleetUnderTest(hub_plan(hub, tmp_path, backlog=10, rate_per_s=100)) as fleet:
        fleet.until(lambda: fleet.totals.get("not_produced", 0) > 100, "full backlogs")
        assert fleet.totals["held"] == 10 * len(NAMES)
        hub.start()
        fleet.until(lambda: len(fleet.acked) > 20 * len(NAMES), "messages flow")
        account = fleet.stop()
    assert account["outstanding"] == 0
    check_promises(hub, fleet)
    for names in arrived(hub).values():
        first = list(dict.fromkeys(names))
        numbers = [int(name.rpartition("-")[2]) for name in first]
        assert numbers == list(range(1, len(numbers) + 1))


def test_what_is_not_acknowledged_in_time_is_told(hub: FakeIotHub, tmp_path: Path) -> None:
    with FleetUnderTest(hub_plan(hub, tmp_path)) as fleet:
        fleet.until(lambda: len(fleet.acked) > 20, "messages flow")
        hub.confirms = False
        fleet.until(lambda: fleet.totals.get("held", 0) > 20, "messages without an answer")
        fleet.tell({"do": "stop", "drain_s": 0.2})
        account = fleet.finish()
    assert account["outstanding"] == account["totals"]["held"] == len(account["outstanding_ids"])
    assert not set(account["outstanding_ids"]) & set(fleet.ids)


def test_pause_resume_skew_and_unknown_commands(hub: FakeIotHub, tmp_path: Path) -> None:
    with FleetUnderTest(hub_plan(hub, tmp_path)) as fleet:
        fleet.until(lambda: len(fleet.acked) > 50, "messages flow")
        fleet.tell({"do": "pause"})
        fleet.tell("{")
        fleet.tell({"do": "skew", "by_s": 1, "devices": 5})
        fleet.tell({"do": "fly"})
        fleet.until(lambda: any("'fly' is unknown" in problem for problem in fleet.problems), "a problem")
        seen = [0]

        def is_quiet() -> bool:
            before, seen[0] = seen[0], fleet.reports
            return before > 0 and fleet.totals["held"] == 0 and fleet.totals["produced"] == len(fleet.acked)

        fleet.until(is_quiet, "all acknowledged, nothing made")
        fleet.tell({"do": "skew", "by_s": -86_400, "devices": NAMES[:1]})
        fleet.tell({"do": "resume"})
        before = len(fleet.acked)
        fleet.until(lambda: len(fleet.acked) > before + 50, "messages flow again")
        fleet.stop()
    days = {name: set[str]() for name in NAMES}
    for event in hub.events:
        days[event.client_id].add(json.loads(event.body)["timeCreated"][:10])
    assert len(days[NAMES[0]]) > len(days[NAMES[1]])


def test_twins_and_methods_reach_a_device(hub: FakeIotHub, tmp_path: Path) -> None:
    hub.twin(NAMES[0]).desired["SendInterval"] = 0.5
    with FleetUnderTest(hub_plan(hub, tmp_path)) as fleet:
        hub.wait_for(lambda: {"SendInterval": 0.5} in hub.patches, "the report of what was desired before")
        fleet.until(lambda: fleet.connected == len(NAMES), "all connected")
        hub.change_desired(NAMES[1], {"SendData": False})
        hub.wait_for(lambda: {"SendData": False} in hub.patches, "the report of a change")
        assert hub.call_method(NAMES[2], "reset", {}) == (200, {})
        assert hub.call_method(NAMES[2], "nothing", {})[0] == 404
        fleet.stop()


def test_refused_devices_say_why_and_go_on_trying(hub: FakeIotHub, tmp_path: Path) -> None:
    hub.keys[NAMES[0]] = b"another"
    with FleetUnderTest(hub_plan(hub, tmp_path)) as fleet:
        fleet.until(lambda: fleet.connected == len(NAMES) - 1, "the others connected")
        fleet.until(lambda: any("may not connect" in problem for problem in fleet.problems), "a problem")
        hub.keys[NAMES[0]] = KEY
        fleet.until(lambda: fleet.connected == len(NAMES), "all connected")
        fleet.stop()
    assert any(problem.startswith(f"{NAMES[0]}: the connection is refused") for problem in fleet.problems)


def test_a_broken_generator_ends_its_device_only(hub: FakeIotHub, tmp_path: Path) -> None:
    (tmp_path / "gen.py").write_text(
        "def generate(device_id, sequence, now_s):\n"
        "    print('this is no report')\n"
        "    if device_id == 'sensor-003' and sequence == 5:\n"
        "        raise ValueError('broken')\n"
        "    return {'n': sequence}\n"
    )
    source = {"kind": "generator", "file": str(tmp_path / "gen.py")}
    with FleetUnderTest(hub_plan(hub, tmp_path, source=source)) as fleet:
        fleet.until(lambda: any("ValueError" in problem for problem in fleet.problems), "the error")
        before = len(fleet.acked)
        fleet.until(lambda: len(fleet.acked) > before + 100, "the others go on")
        fleet.stop()
    assert f"sensor-003: {tmp_path}/gen.py, line 4: ValueError: broken" in fleet.problems
    assert len(arrived(hub)["sensor-003"]) == 4


def test_a_recording_that_ends_ends_the_fleet(hub: FakeIotHub, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"v": 1}\n{"v": 2}\n')
    source = {"kind": "replay", "file": str(tmp_path / "x.jsonl"), "loop": False}
    with FleetUnderTest(hub_plan(hub, tmp_path, source=source)) as fleet:
        account = fleet.finish()
    assert account["totals"]["acknowledged"] == 2 * len(NAMES)
    assert {event.body for event in hub.events} == {b'{"v": 1}', b'{"v": 2}'}


def test_wrong_lines_are_told_before_anything_is_sent(hub: FakeIotHub, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"v": 1}\n{\n}\n')
    source = {"kind": "replay", "file": str(tmp_path / "x.jsonl")}
    with FleetUnderTest(hub_plan(hub, tmp_path, source=source)) as fleet:
        fleet.finish(code=2)
    assert len(fleet.problems) == 2
    assert not hub.connects


def test_a_record_that_cannot_be_written_ends_with_2(hub: FakeIotHub, tmp_path: Path) -> None:
    with FleetUnderTest(hub_plan(hub, tmp_path, record_file=str(tmp_path / "none" / "x.jsonl"))) as fleet:
        fleet.finish(code=2)
    assert "record_file" in fleet.problems[0]


def test_a_wrong_plan_ends_with_2() -> None:
    with FleetUnderTest({"host": 5, "devices": []}) as fleet:
        fleet.finish(code=2)
    assert len(fleet.problems) == 2


def test_the_end_of_stdin_is_stop_and_a_duration_ends_by_itself(hub: FakeIotHub, tmp_path: Path) -> None:
    with FleetUnderTest(hub_plan(hub, tmp_path)) as fleet:
        fleet.until(lambda: len(fleet.acked) > 20, "messages flow")
        assert fleet.process.stdin is not None
        fleet.process.stdin.close()
        assert fleet.finish()["outstanding"] == 0
    with FleetUnderTest(hub_plan(hub, tmp_path, duration_s=120, speed=60, rate_per_s=1, first_sequence=500)) as fleet:
        account = fleet.finish()
    made = account["totals"]["produced"] + account["totals"]["not_produced"]
    assert made == pytest.approx(120 * len(NAMES), abs=3 * len(NAMES))
    assert account["outstanding"] == 0


def test_a_fleet_ends_when_nobody_reads_its_reports(hub: FakeIotHub, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.devices"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(hub_plan(hub, tmp_path)) + "\n")
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 3
    assert "cannot be written" in process.stderr.read()
    process.stdin.close()
    process.stderr.close()


@pytest.mark.parametrize("qos", [0, 1])
def test_counts_agree_with_a_fast_server(tmp_path: Path, qos: int) -> None:
    names = [f"d-{number}" for number in range(150)]
    with (
        PubackServer(tmp_path) as server,
        FleetUnderTest(plan("localhost", server.port, server.ca_file, names, rate_per_s=20, qos=qos)) as fleet,
    ):
        fleet.until(lambda: fleet.connected == len(names) and len(fleet.acked) > 3000, "messages flow")
        account = fleet.stop()
        counted = server.counted_from(len(fleet.acked))
    assert account["outstanding"] == 0
    assert counted["publishes"] - counted["repeats"] == len(fleet.acked) == len(set(fleet.ids))
    assert counted["most_open"] == len(names)
