"""When devices send, how messages are addressed, and when tokens are renewed: all in virtual time."""

import itertools
import random

import pytest

from device_agent.messages.iothub.topics import parse_properties
from simulator.devices.addressing import HubAddressing, TemplateAddressing, check_template
from simulator.devices.reading import Reading
from simulator.devices.schedule import Burst, Schedule
from simulator.devices.session import Session, SessionSettings
from simulator.devices.token_life import TokenLife


def test_interval_without_jitter_does_not_drift() -> None:
    schedule = Schedule(0.1, lambda: 0.5)
    times = []
    for _ in range(100):
        times.append(schedule.due_s)
        schedule.advance(0.1)
    assert times == pytest.approx([0.05 + 0.1 * n for n in range(100)])


def test_jitter_spreads_and_keeps_the_rate() -> None:
    schedule = Schedule(1.0, random.Random(1).random, jitter=0.5)  # noqa: S311 - the same each time
    times = []
    for _ in range(4000):
        times.append(schedule.due_s)
        schedule.advance(1.0)
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert min(gaps) >= 0.5
    assert max(gaps) <= 1.5
    assert sum(gaps) / len(gaps) == pytest.approx(1.0, abs=0.05)


def test_bursts_come_beside_the_usual_messages() -> None:
    schedule = Schedule(4.0, lambda: 0.5, burst=Burst(10.0, 7))
    sent: list[tuple[float, int]] = []
    while schedule.due_s < 30:
        due_s = schedule.due_s
        if schedule.is_burst():
            sent.append((due_s, schedule.burst_messages()))
        else:
            sent.append((due_s, 1))
            schedule.advance(4.0)
    assert [item for item in sent if item[1] > 1] == [(7.5, 7), (17.5, 7), (27.5, 7)]
    assert len([item for item in sent if item[1] == 1]) == 7


def test_what_is_too_late_is_left_out_and_counted() -> None:
    schedule = Schedule(1.0, lambda: 0.0)
    assert schedule.skip_to(10.0, 1.0) == 10
    assert schedule.due_s == 10.0
    assert schedule.skip_to(10.0, 1.0) == 0


def test_hub_topics() -> None:
    device = HubAddressing("sensor 1")
    topic = device.topic(12, Reading(b"", (("a", "b/c"),)))
    root, _, properties = topic.rpartition("/")
    assert root == "devices/sensor 1/messages/events"
    assert parse_properties(properties) == (
        ("$.mid", "sensor 1-000000012"),
        ("$.ct", "application/json"),
        ("$.ce", "utf-8"),
        ("a", "b/c"),
    )
    assert device.message_id(12) == "sensor 1-000000012"
    module = HubAddressing("edge-1", "sim", "temperatureOutput", "sim-1234")
    topic = module.topic(1, Reading(b"", content_type="", content_encoding=""))
    assert topic == "devices/edge-1/modules/sim/messages/events/%24.on=temperatureOutput&%24.mid=sim-1234-000000001"


def test_templates() -> None:
    problems: list[str] = []
    check_template("factory/{device_id}/{sequence}", "--topic", problems)
    assert not problems
    assert TemplateAddressing("f/{device_id}/{message_id}", "d").topic(3, Reading(b"")) == "f/d/d-000000003"
    for wrong in ("", "a/+", "a/{name}", "a/{device_id!r}", "a/{device_id", "a/#"):
        check_template(wrong, "--topic", problems)
    assert len(problems) >= 6
    assert all("--topic" in problem for problem in problems)


def test_a_token_is_replaced_before_its_end() -> None:
    session, token = Session(SessionSettings("d")), TokenLife()
    assert not token.is_over(session, 1e9)
    token.begin(3600, 1000.0)
    assert not token.is_over(session, 1000 + 3479)
    assert token.is_over(session, 1000 + 3481)
