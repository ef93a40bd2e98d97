"""The plan of a fleet: what may be left out, and everything that is wrong told at once."""

import json
from typing import Any

import pytest

from edgepack.errors import InputError
from simulator.devices.plan import DeviceCredential, parse_plan
from simulator.devices.schedule import Burst
from simulator.devices.spread_fleet import FleetOptions

LEAST: dict[str, Any] = {"host": "localhost", "devices": [{"device_id": "d1", "key": "a2V5"}]}


def problems(**changes: Any) -> tuple[str, ...]:
    """What is wrong with a plan."""
    with pytest.raises(InputError) as error:
        parse_plan(json.dumps({**LEAST, **changes}))
    return error.value.problems


def test_little_is_needed() -> None:
    plan = parse_plan(json.dumps({**LEAST, "duration_s": None}))
    assert plan.devices == (DeviceCredential("d1", b"key"),)
    assert (plan.port, plan.hub_name, plan.rate_per_s, plan.qos) == (8883, "localhost", 1.0, 1)
    assert (plan.duration_s, plan.burst, plan.source.kind, plan.listens) == (None, None, "temperature", True)


def test_all_can_be_set() -> None:
    plan = parse_plan(
        json.dumps(
            {
                **LEAST,
                "hub_name": "hub.test",
                "source": {"kind": "replay", "file": "x.csv", "loop": False, "time_column": "t"},
                "bursts": {"every_s": 30, "messages": 4},
                "duration_s": 5,
                "speed": 60,
                "listen": False,
                "clock_skew_s": -60.5,
            }
        )
    )
    assert plan.burst == Burst(30, 4)
    assert (plan.source.file, plan.source.loops, plan.source.time_column) == ("x.csv", False, "t")
    assert (plan.hub_name, plan.duration_s, plan.speed, plan.listens) == ("hub.test", 5, 60, False)
    assert plan.clock_skew_s == -60.5


def test_everything_wrong_is_told_at_once_and_no_key() -> None:
    found = problems(
        port=70_000,
        qos=2,
        rate_per_s=0,
        jitter="much",
        devices=[{"device_id": "a/b", "key": "?secret?"}, {"device_id": "d"}, "x", {"device_id": "d", "key": ""}],
        source={"kind": "magic"},
        bursts=3,
        listen=1,
        colour="red",
        speed=float("nan"),
    )
    text = "\n".join(found)
    for word in (
        "port",
        "qos",
        "rate_per_s",
        "jitter",
        "devices[0].device_id",
        "devices[0].key",
        "devices[1].key",
        "devices[2].device_id",
        "there twice",
        "source.kind",
        "bursts",
        "listen",
        "colour: unknown",
        "speed",
    ):
        assert word in text
    assert "secret" not in text


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_no_plan(text: str) -> None:
    with pytest.raises(InputError, match="the plan is no JSON"):
        parse_plan(text)


def test_a_plan_needs_devices() -> None:
    assert problems(devices=[]) == ("devices: expected a list of at least one device",)
    assert problems(source={"kind": "generator"}) == ("source.file: expected a text",)
    assert "must be above" in problems(source={"machine_temperature_min": 5, "machine_temperature_max": 5})[0]


def test_options_of_a_spread_fleet() -> None:
    FleetOptions(devices_file="x").check()
    FleetOptions(topic="a/{device_id}", url="mqtt://localhost").check()
    with pytest.raises(InputError) as error:
        FleetOptions(topic="a/#", rate_per_s=0, qos=2, body_bytes=-1, devices_file="x", url="ftp://x").check()
    assert len(error.value.problems) == 6
    with pytest.raises(InputError, match="TLS only"):
        FleetOptions(devices_file="x", url="mqtt://localhost").check()
