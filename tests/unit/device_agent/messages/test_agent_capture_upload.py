"""Captured records on their way upstream: last in line, never in the place of a result, rather lost than in the way."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from device_agent.capture import Capture, CapturingScorer
from device_agent.collected_data import DataFolder
from device_agent.collected_place import device_place
from device_agent.errors import SettingsError
from device_agent.messages.buffer.interface import Reason
from device_agent.messages.capture_upload import MOST_WAITING_BYTES, CaptureUpload
from device_agent.messages.iothub import topics
from device_agent.messages.message import SPARE, key_lane
from device_agent.messages.settings import MessageSettings
from device_agent.messages.start import MessageSide
from device_agent.scorer import ScoringRequest, ScoringResult
from device_agent.settings import parse_settings
from tests.unit.device_agent.answering import Answering
from tests.unit.device_agent.messages.buffer_thread_world import ALL, World, run

SETTINGS = MessageSettings(transport="mqtt", capture_output="captured", ttl_s=60)
MQTT = {"EDGEPACK_TRANSPORT": "mqtt", "EDGEPACK_MQTT_URL": "mqtt://broker"}


def upload(world: World, lost: list[int], **more: Any) -> CaptureUpload:
    """Into the buffer of this world; its transport is as strict as IoT Hub."""
    return CaptureUpload(
        world.thread,
        settings=lambda: SETTINGS._replace(**more),
        refusal=lambda message: topics.refusal("press-7", "scorer", message),
        lost=lost.append,
    )


def test_a_record_is_a_message_that_goes_after_all_others() -> None:
    async def test(world: World) -> None:
        lost: list[int] = []
        send = upload(world, lost).send
        send(b'{"id":"r-1"}', "r-1")
        send(b'{"id":"r-2"}', "r-2")
        world.append(3)
        await world.diary.until(lambda: len(world.diary.of("done")) == 1)
        result, first, second = (stored.message for stored in world.buffer.read(0, ALL, 10, 1000))
        assert (result.message_id, first.body, second.body) == ("id-3", b'{"id":"r-1"}', b'{"id":"r-2"}')
        assert (first.output, first.correlation_id, first.priority, first.ttl_s) == ("captured", "r-1", SPARE, 60)
        assert first.message_id != second.message_id
        assert first.content_type == "application/json"
        assert lost == []

    run(test)


def test_what_could_never_be_sent_is_lost_and_not_set_aside() -> None:
    async def test(world: World) -> None:
        lost: list[int] = []
        upload(world, lost).send(b'"' + b"x" * 262_144 + b'"', "r-1")
        assert lost == [1]
        world.append(1)
        await world.diary.until(lambda: len(world.diary.of("done")) == 1)
        assert world.buffer.figures().messages == 1

    run(test)


def test_half_of_the_buffer_stays_free_of_records() -> None:
    async def test(world: World) -> None:
        lost: list[int] = []
        send = upload(world, lost).send
        for number in range(200):
            send(b'"%04d"' % number + b" " * 1000, "r")
        world.append(-1)
        await world.diary.until(lambda: len(world.diary.of("done")) == 1)
        kept = world.buffer.figures().messages - 1
        assert kept + len(lost) == 200
        assert 20 <= kept <= 46
        assert world.buffer.figures().size_bytes <= 50_000
        for number in range(40):
            world.append(number)
        await world.diary.until(lambda: len(world.diary.of("done")) == 41)
        assert all(isinstance(outcome, int) for _, outcome in world.diary.of("done"))
        lanes = [key_lane(stored.key) for stored in world.buffer.read(0, ALL, 1000, 10**6)]
        assert lanes == [5] * 41 + [SPARE] * kept

    run(test, max_bytes=100_000)


@pytest.mark.parametrize("policy", ["refuse", "drop_oldest"])
def test_a_spare_append_is_refused_and_drops_nothing_where_results_share_its_commit(policy: str) -> None:
    async def test(world: World) -> None:
        await world.hold()
        for number in range(8):
            world.append(number, body=b"x" * 10_000)
        world.append(100, priority=SPARE)
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("done")) == 10)
        outcomes = dict(world.diary.of("done"))
        assert outcomes[100] is Reason.FULL
        assert all(isinstance(outcomes[number], int) for number in range(-1, 8))
        assert world.diary.of("dropped") == []

    run(test, max_bytes=100_000, policy=policy)


@pytest.mark.parametrize("policy", ["refuse", "drop_oldest"])
def test_records_give_way_to_results(policy: str) -> None:
    async def test(world: World) -> None:
        lost: list[int] = []
        send = upload(world, lost).send
        for _ in range(40):
            send(b"1" * 1000, "r")
        await world.diary.until(lambda: world.buffer.figures().messages == 40)
        for number in range(90):
            world.append(number, body=b"x" * 1000)
        await world.diary.until(lambda: len(world.diary.of("done")) == 90)
        assert all(isinstance(outcome, int) for _, outcome in world.diary.of("done"))
        dropped = [key for keys in world.diary.of("dropped") for key in keys]
        assert dropped
        assert {key_lane(key) for key in dropped} == {SPARE}
        lanes = [key_lane(stored.key) for stored in world.buffer.read(0, ALL, 1000, 10**6)]
        assert lanes == [5] * 90 + [SPARE] * (40 - len(dropped))

    run(test, max_bytes=110_000, policy=policy)


def test_while_the_disk_hangs_little_waits_for_it() -> None:
    async def test(world: World) -> None:
        lost: list[int] = []
        await world.hold()
        send = upload(world, lost).send
        for _ in range(100):
            send(b"1" * 100_000, "r")
        assert 100 - MOST_WAITING_BYTES // 100_000 <= len(lost) < 65
        world.buffer.gate.set()
        await world.diary.until(lambda: world.buffer.figures().messages == 101 - len(lost))
        before = len(lost)
        send(b"1", "r")
        await world.diary.until(lambda: world.buffer.figures().messages == 102 - before)
        assert len(lost) == before

    run(test, max_bytes=2**28)


def test_while_the_disk_fails_records_are_lost_and_not_tried_again() -> None:
    async def test(world: World) -> None:
        lost: list[int] = []
        world.buffer.failure = "the disk fails"
        upload(world, lost).send(b"1", "r-1")
        await world.diary.until(lambda: bool(world.diary.of("failed")))
        assert lost == [1]
        world.buffer.failure = ""
        await world.diary.until(lambda: bool(world.diary.of("recovered")))
        assert world.buffer.figures().messages == 0

    run(test)


def test_what_is_captured_is_on_disk_and_in_the_buffer(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        capture = Capture(DataFolder(tmp_path), device_place({}, "requests"), percent=100, body_bytes=1000)
        capture.upload = upload(world, [])
        scorer = CapturingScorer(Answering(ScoringResult(b"[7]")), capture)
        scorer.submit(ScoringRequest(b"[1]", request_id="r-1"), lambda _result: None)
        await asyncio.to_thread(capture.close)
        world.append(1)
        await world.diary.until(lambda: len(world.diary.of("done")) == 1)
        _, stored = world.buffer.read(0, ALL, 10, 1000)
        (file,) = tmp_path.rglob("*.jsonl")
        assert file.read_bytes() == stored.message.body + b"\n"
        assert json.loads(stored.message.body)["response"] == [7]
        scorer.submit(ScoringRequest(b"[2]"), lambda _result: None)
        assert (capture.kept, capture.lost) == (1, 1)

    run(test)


def test_settings(tmp_path: Path) -> None:
    given = {**MQTT, "EDGEPACK_CAPTURE_OUTPUT": "captured"}
    found = parse_settings(given).messages
    assert found.capture_output == "captured"
    assert parse_settings(MQTT).messages.capture_output == ""
    with pytest.raises(SettingsError) as caught:
        parse_settings(
            {
                "EDGEPACK_CAPTURE_OUTPUT": "captured",
                "EDGEPACK_CAPTURE_FORMAT": "csv",
            }
        )
    told = "\n".join(caught.value.problems)
    assert "EDGEPACK_CAPTURE_OUTPUT is set, but EDGEPACK_TRANSPORT is none" in told
    assert "EDGEPACK_CAPTURE_FORMAT" in told
    loop = {**given, "EDGEPACK_INPUT": "captured", "EDGEPACK_BUFFER_PATH": str(tmp_path / "buffer.db")}
    with pytest.raises(SettingsError, match="EDGEPACK_CAPTURE_OUTPUT, captured: what is sent would come back"):
        MessageSide(parse_settings(loop).messages, loop, str(tmp_path))
    all_inputs = {**MQTT, "EDGEPACK_INPUT": "#", "EDGEPACK_BUFFER_PATH": str(tmp_path / "buffer.db")}
    with pytest.raises(SettingsError) as caught:
        MessageSide(parse_settings(all_inputs).messages, all_inputs, str(tmp_path))
    assert "EDGEPACK_CAPTURE_OUTPUT" not in str(caught.value)
