"""The message road: the order of everything, and that nothing is acknowledged that is not kept."""

import asyncio
import json

import pytest

from device_agent.messages import message_road
from device_agent.messages.message import Received
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import ScoringResult, message_result, refuse
from tests.unit.device_agent.messages.road_world import EACH, World, on_a_loop


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_road, "TRY_AGAIN_S", 0.0)


def test_an_input_is_acknowledged_when_its_result_is_durable_and_not_before() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", message_id="m", properties=(("site", "a"),))
        assert world.acknowledged == []
        world.scorer.answer(b'{"y": 1}')
        assert world.acknowledged == []
        world.store.commit()
        assert world.acknowledged == [b"1"]
        (message,) = world.store.kept
        assert message.body == b'{"y": 1}'
        assert (message.output, message.correlation_id, message.properties) == ("amlOutput", "m", (("site", "a"),))
        assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")

    on_a_loop(story)


def test_results_are_kept_and_acknowledged_in_order_of_arrival_whoever_is_scored_first() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", b"2", b"3")
        first, second, third = world.scorer.tickets
        third.answer(ScoringResult(b"c"))
        second.answer(ScoringResult(b"b"))
        world.store.commit()
        assert world.store.kept == []
        first.answer(ScoringResult(b"a"))
        world.store.commit()
        assert [message.body for message in world.store.kept] == [b"a", b"b", b"c"]
        assert world.acknowledged == [b"1", b"2", b"3"]

    on_a_loop(story)


@pytest.mark.parametrize(
    "result",
    [
        message_result(400, "Input cannot be decoded"),
        message_result(500, "Scoring timeout after 5 ms", script_failed=True),
        ScoringResult(b"no such pump", 404, "text/plain"),
    ],
)
def test_an_input_that_cannot_be_scored_gives_an_error_message_and_is_acknowledged(result: ScoringResult) -> None:
    def story() -> None:
        world = World()
        world.receive(b"\xff", message_id="m")
        world.scorer.tickets[0].answer(result)
        world.store.commit()
        (message,) = world.store.kept
        assert (message.output, message.correlation_id) == ("amlError", "m")
        told = json.loads(message.body)
        assert told["status"] == result.status
        assert told["message"] in result.body.decode()
        assert told["input"] == "amlInput"
        assert world.acknowledged == [b"\xff"]
        assert world.observed == [result.status]

    on_a_loop(story)


def test_a_full_buffer_leaves_inputs_unacknowledged_and_in_order_until_there_is_room() -> None:
    async def story() -> None:
        world = World()
        world.receive(b"1", b"2", b"3")
        for body in (b"a", b"b"):
            world.scorer.answer(body)
        world.store.commit(room=1)
        assert world.acknowledged == [b"1"]
        world.scorer.answer(b"c")
        world.receive(b"4")
        assert world.store.asked == [], "it waits"
        await asyncio.sleep(0)
        world.road.go_on()
        world.scorer.answer(b"d")
        world.store.commit(room=0)
        world.road.go_on()
        world.store.commit()
        assert [message.body for message in world.store.kept] == [b"a", b"b", b"c", b"d"]
        assert world.acknowledged == [b"1", b"2", b"3", b"4"]
        assert world.road.waiting_bytes == 0

    asyncio.run(story())


def test_after_a_lost_connection_what_is_not_being_stored_is_forgotten() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", b"2", b"3")
        world.scorer.answer(b"a")
        world.road.lost_connection()
        assert [ticket.is_withdrawn for ticket in world.scorer.tickets] == [True, True]
        world.store.commit()
        assert [message.body for message in world.store.kept] == [b"a"]
        assert world.acknowledged == [], "nobody would understand it"
        assert world.road.waiting == world.road.under_way == world.road.waiting_bytes == 0
        world.receive(b"2")
        world.scorer.tickets[-1].answer(ScoringResult(b"b"))
        world.store.commit()
        assert world.acknowledged == [b"2"]

    on_a_loop(story)


def test_a_redelivered_input_gets_the_id_of_the_first_time() -> None:
    def story() -> None:
        world = World(origins={b"old": "id-of-old"})

        def deliver(origin: bytes, *, again: bool, message_id: str = "") -> str:
            world.receive(b"x", origin=origin, redelivered=again, message_id=message_id)
            world.scorer.answer()
            world.store.commit()
            return world.store.kept[-1].message_id

        first = deliver(b"a", again=False)
        assert deliver(b"a", again=True) == first
        assert deliver(b"b", again=True) != first
        assert deliver(b"a", again=False) != first, "a new message with the same packet id and body"
        assert deliver(b"old", again=True) == "id-of-old"
        named = deliver(b"c", again=False, message_id="m")
        assert deliver(b"d", again=False, message_id="m") == named

    on_a_loop(story)


def test_a_list_can_be_one_message_an_element_or_none_at_all() -> None:
    def story() -> None:
        world = World(EACH)
        world.receive(b"1", b"2", b"3")
        world.scorer.answer(b'[{"a": 1}, 2.5, "x"]')
        world.scorer.answer(b"[]")
        world.scorer.answer(b'"[1]"')
        assert world.acknowledged == [], "the empty list waits for its turn"
        world.store.commit()
        assert [message.body for message in world.store.kept] == [b'{"a": 1}', b"2.5", b'"x"', b'"[1]"']
        ids = [message.message_id for message in world.store.kept[:3]]
        assert ids == [f"{ids[0][:-2]}-{number}" for number in range(3)]
        assert world.acknowledged == [b"1", b"2", b"3"]

    on_a_loop(story)


def test_a_list_of_which_only_a_part_fitted_goes_on_with_the_rest() -> None:
    def story() -> None:
        world = World(EACH)
        world.receive(b"1")
        world.scorer.answer(b"[1, 2, 3]")
        world.store.commit(room=2)
        assert world.acknowledged == []
        world.road.go_on()
        world.store.commit()
        assert [message.body for message in world.store.kept] == [b"1", b"2", b"3"]
        assert world.acknowledged == [b"1"]

    on_a_loop(story)


def test_inputs_wait_while_the_script_takes_none() -> None:
    def story() -> None:
        world = World()
        world.scorer.not_ready_reason = "it is being restarted"
        world.receive(b"1", b"2")
        assert world.scorer.tickets == []
        world.scorer.not_ready_reason = ""
        world.road.go_on()
        assert [ticket.request.body for ticket in world.scorer.tickets] == [b"1", b"2"]

    on_a_loop(story)


def test_an_input_that_the_agent_refuses_for_now_is_tried_again_in_its_place() -> None:
    def story() -> None:
        world = World()
        world.scorer.answers_at_once = refuse("The queue is full")
        world.receive(b"1", b"2")
        assert len(world.scorer.tickets) == 1, "no use in asking on"
        world.scorer.answers_at_once = None
        world.scorer.tickets.clear()
        world.road.go_on()
        assert [ticket.request.body for ticket in world.scorer.tickets] == [b"1", b"2"]
        assert world.store.asked == []

    on_a_loop(story)


def test_a_script_that_answers_503_itself_gives_an_error_message() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1")
        world.scorer.answer(b"closed", status=503, headers=(("retry-after", "1"),))
        world.store.commit()
        assert world.store.kept[0].output == "amlError"
        assert world.acknowledged == [b"1"]

    on_a_loop(story)


def test_a_result_that_can_never_be_sent_gives_an_error_message() -> None:
    def story() -> None:
        world = World()
        world.refusals[b"long"] = "it is longer than 262144 bytes"
        world.receive(b"1", properties=(("p", "v"),))
        world.scorer.answer(b"long")
        world.store.commit()
        (message,) = world.store.kept
        assert message.output == "amlError"
        assert "longer than 262144" in json.loads(message.body)["message"]
        assert world.acknowledged == [b"1"]

    on_a_loop(story)


def test_draining_finishes_what_the_script_has_and_takes_no_more() -> None:
    def story() -> None:
        world = World()
        message_road_ahead = message_road.SCORED_AHEAD
        world.receive(*(b"%d" % number for number in range(message_road_ahead + 2)))
        world.road.drain()
        world.receive(b"late")
        while world.scorer.tickets:
            world.scorer.answer()
        world.store.commit()
        assert len(world.acknowledged) == message_road_ahead
        assert world.road.under_way == 0

    on_a_loop(story)


def test_the_topic_is_told_where_a_filter_matches_several() -> None:
    def story() -> None:
        world = World(MessageSettings(transport="mqtt", input_name="site/+/pump"))
        world.road.received(Received(b"1", "site/7/pump"))
        world.scorer.answer()
        world.store.commit()
        assert world.store.kept[0].properties == (("edgepack-input", "site/7/pump"),)

    on_a_loop(story)
