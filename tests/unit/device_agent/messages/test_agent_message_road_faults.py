"""The message road when something goes wrong: nothing overtakes, nothing is stuck, nothing is forged."""

import json

import pytest

from device_agent.messages import message_road
from device_agent.messages.message import Received
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import ScoringResult, refuse
from tests.unit.device_agent.messages.road_world import EACH, World, on_a_loop


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_road, "TRY_AGAIN_S", 0.0)


def test_a_script_that_answers_at_once_uses_up_no_stack() -> None:
    def story() -> None:
        world = World()
        world.scorer.not_ready_reason = "init() has not returned yet"
        world.receive(*(b"%d" % number for number in range(3000)))
        world.scorer.not_ready_reason = ""
        world.scorer.answers_at_once = ScoringResult(b"{}")
        world.road.go_on()
        world.store.commit(room=3000)
        assert world.acknowledged == [b"%d" % number for number in range(3000)]
        assert world.road.under_way == world.road.waiting_bytes == 0

    on_a_loop(story)


def test_refused_inputs_are_tried_again_in_the_order_of_their_arrival() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", b"2", b"3")
        for ticket in list(world.scorer.tickets):
            ticket.answer(refuse("it is being restarted"))
        world.scorer.tickets.clear()
        world.road.go_on()
        assert [ticket.request.body for ticket in world.scorer.tickets] == [b"1", b"2", b"3"]
        world.scorer.tickets[0].answer(refuse("again"))
        world.road.lost_connection()
        assert world.road.under_way == world.road.waiting == world.road.waiting_bytes == 0

    on_a_loop(story)


def test_at_the_end_nothing_overtakes_an_input_that_is_not_scored_any_more() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", b"2")
        first, second = world.scorer.tickets
        first.answer(refuse("for now"))
        second.answer(ScoringResult(b"b"))
        world.road.drain()
        assert world.store.asked == []
        assert world.road.under_way == 0

    on_a_loop(story)


def test_an_input_that_nobody_sends_again_outlives_its_connection_and_is_finished_at_the_end() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", b"2", receipt=None)
        world.receive(b"3")
        world.road.lost_connection()
        world.scorer.not_ready_reason = "it is being restarted"
        world.receive(b"4", receipt=None)
        world.road.drain()
        assert world.road.under_way == 3
        world.scorer.not_ready_reason = ""
        world.road.go_on()
        for ticket in world.scorer.tickets:
            ticket.answer(ScoringResult(ticket.request.body))
        world.store.commit()
        assert [message.body for message in world.store.kept] == [b"1", b"2", b"4"]

    on_a_loop(story)


def test_two_agents_give_one_input_different_ids() -> None:
    def story() -> None:
        ids = []
        for identity in ("a", "b", "a"):
            world = World(identity=identity)
            world.receive(b"1", message_id="m")
            world.scorer.answer()
            world.store.commit()
            ids.append(world.store.kept[0].message_id)
        assert ids[0] == ids[2] != ids[1]

    on_a_loop(story)


@pytest.mark.parametrize("body", [b'"%s"' % (b"x" * 200_000), b"[%s1]" % (b"1234567890, " * 9_000)])
def test_a_result_that_the_buffer_can_never_take_gives_an_error_message(body: bytes) -> None:
    def story() -> None:
        world = World(EACH)
        world.receive(b"1", b"2", properties=(("site", "a"),))
        world.scorer.answer(body)
        world.scorer.answer(b"2")
        world.store.commit()
        error, result = world.store.kept
        assert (error.output, result.body) == ("amlError", b"2")
        assert error.properties == (("site", "a"),)
        assert "allow 100000 for one result" in json.loads(error.body)["message"]
        assert world.acknowledged == [b"1", b"2"]
        assert world.road.failed_count == 1

    on_a_loop(story)


@pytest.mark.parametrize(("status", "body"), [(200, b"[1, "), (200, b"[" * 100_000), (422, b"[" * 100_000)])
def test_a_response_that_is_no_json_holds_up_nothing(status: int, body: bytes) -> None:
    def story() -> None:
        world = World(EACH)
        world.store.largest_bytes = 10_000_000
        world.receive(b"1", b"2")
        world.scorer.answer(body, status=status)
        world.scorer.answer(b"2")
        world.store.commit()
        assert world.acknowledged == [b"1", b"2"]
        assert world.store.kept[0].output == ("amlError" if status == 422 else "amlOutput")

    on_a_loop(story)


def test_a_sender_cannot_say_that_its_message_came_from_another_topic() -> None:
    def story() -> None:
        world = World(MessageSettings(transport="mqtt", input_name="site/+"))
        world.road.received(Received(b"1", "site/7", properties=(("edgepack-input", "site/1"),)))
        world.scorer.answer()
        world.store.commit()
        assert world.store.kept[0].properties == (("edgepack-input", "site/7"),)

    on_a_loop(story)


def test_a_full_buffer_is_told_once_a_turn() -> None:
    def story() -> None:
        world = World()
        world.receive(b"1", b"2")
        world.scorer.answer()
        world.scorer.answer()
        world.store.commit(room=0)
        assert len(world.refused) == 1

    on_a_loop(story)
