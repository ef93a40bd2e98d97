"""The temperature sensor, and what the cloud can tell a device."""

import json
import random
import uuid

import pytest

from simulator.devices.reading import SourceEnded
from simulator.devices.remote_control import RemoteControl, asks_for_reset
from simulator.devices.sensor import SensorSettings, TemperatureSensor
from simulator.devices.sources import batch_id

NOON_S = 1_767_268_800.123456
USUAL = SensorSettings()


def sensor(settings: SensorSettings = USUAL, seed: int = 1) -> TemperatureSensor:
    """A sensor with chance of its own."""
    return TemperatureSensor(settings, "b-1", random.Random(seed).random)  # noqa: S311 - the same each time


def temperatures(subject: TemperatureSensor, count: int) -> list[float]:
    """Of so many messages."""
    return [json.loads(subject.measure(n, NOON_S).body)["machine"]["temperature"] for n in range(1, count + 1)]


def test_message_has_the_fields_of_the_public_sensor() -> None:
    reading = sensor().measure(7, NOON_S)
    document = json.loads(reading.body)
    assert set(document) == {"machine", "ambient", "timeCreated"}
    assert set(document["machine"]) == {"temperature", "pressure"}
    assert document["timeCreated"] == "2026-01-01T12:00:00.123456Z"
    assert reading.properties == (("batchId", "b-1"), ("sequenceNumber", "7"))
    assert (reading.content_type, reading.content_encoding) == ("application/json", "utf-8")
    assert reading.values == {"temperature": document["machine"]["temperature"]}


def test_machine_heats_up_and_then_swings_around_its_highest() -> None:
    found = temperatures(sensor(), 2000)
    steps = [later - sooner for sooner, later in zip([21.0, *found], found, strict=False)]
    for before, step in zip([21.0, *found], steps, strict=False):
        least, most = (-0.5, 0.5) if before > 100.001 else (-0.25, 1.25)
        if abs(before - 100) > 0.001:
            assert least - 0.001 <= step <= most + 0.001
    assert found[300] > 60


def test_pressure_follows_temperature_and_the_room_stays_as_it_is() -> None:
    subject = sensor()
    for number in range(1, 300):
        document = json.loads(subject.measure(number, NOON_S).body)
        expected = 1 + (document["machine"]["temperature"] - 21) * 9 / 79
        assert document["machine"]["pressure"] == pytest.approx(expected, abs=1e-3)
        assert 20.5 <= document["ambient"]["temperature"] <= 21.5
        assert document["ambient"]["humidity"] in (24, 25, 26)


def test_ends_after_its_count_and_begins_cold_after_a_reset() -> None:
    subject = sensor(SensorSettings(message_count=2))
    temperatures(subject, 2)
    with pytest.raises(SourceEnded) as end:
        subject.measure(3, NOON_S)
    assert end.value.problem == ""
    hot = sensor()
    assert temperatures(hot, 100)[-1] > 50
    hot.reset()
    assert temperatures(hot, 1)[0] < 22.3


def test_the_same_seed_measures_the_same() -> None:
    assert temperatures(sensor(seed=5), 50) == temperatures(sensor(seed=5), 50)
    assert temperatures(sensor(seed=5), 50) != temperatures(sensor(seed=6), 50)


@pytest.mark.parametrize("size", [0, 100, 200, 5000])
def test_bodies_are_filled_up(size: int) -> None:
    body = sensor(SensorSettings(body_bytes=size)).measure(1, NOON_S).body
    json.loads(body)
    assert len(body) == max(size, len(sensor().measure(1, NOON_S).body))


def test_desired_properties_are_obeyed_and_reported() -> None:
    control, problems = RemoteControl(), list[str]()
    assert control.desired({"SendData": False, "SendInterval": 2, "$version": 3}, problems) == {
        "SendData": False,
        "SendInterval": 2,
    }
    assert (control.sends, control.interval_s) == (False, 2.0)
    assert control.desired({"other": 1, "SendData": None}, problems) == {}
    assert not problems


@pytest.mark.parametrize("properties", [{"SendData": "yes"}, {"SendInterval": 0}, {"SendInterval": True}])
def test_what_cannot_be_obeyed_changes_nothing(properties: dict[str, object]) -> None:
    control, problems = RemoteControl(), list[str]()
    assert control.desired(properties, problems) == {}
    assert (control.sends, control.interval_s) == (True, None)
    assert len(problems) == 1
    assert next(iter(properties)) in problems[0]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"command": "reset"}', True),
        (b'[{"command": "go"}, {"command": "reset"}]', True),
        (b'{"command": "go"}', False),
        (b"[1]", False),
        (b"reset", False),
        (b"[" * 100_000, False),
    ],
)
def test_commands(body: bytes, expected: bool) -> None:
    assert asks_for_reset(body) is expected


def test_a_batch_id_is_a_guid() -> None:
    assert uuid.UUID(batch_id(random.Random(1))).version == 4  # noqa: S311 - the same each time
