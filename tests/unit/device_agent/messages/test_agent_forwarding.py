"""HTTP results that go upstream too: 200 only when they are on disk."""

import json

import pytest

from device_agent.messages.forwarding import ForwardingScorer
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import ScoringRequest, ScoringResult
from tests.unit.device_agent.messages.road_world import HeldScorer, HeldStore

FORWARD = MessageSettings(transport="mqtt", http_forward=True)


class World:
    """A scorer that forwards, and its answers."""

    def __init__(self, settings: MessageSettings = FORWARD, refusal: str = "") -> None:
        self.inner = HeldScorer()
        self.store = HeldStore()
        self.answers: list[ScoringResult] = []
        self.refused: list[object] = []
        self.scorer = ForwardingScorer(
            self.inner,
            self.store,
            settings=lambda: settings,
            new_id=lambda: "id",
            refusal=lambda _: refusal,
            refused=self.refused.append,
        )

    def post(self, body: bytes, **result: object) -> None:
        """A request, and the script's answer to it."""
        self.scorer.submit(ScoringRequest(b"in", request_id="r"), self.answers.append)
        self.inner.answer(body, **result)


def test_a_result_is_answered_when_it_is_durable() -> None:
    world = World()
    world.post(b"1")
    assert world.answers == []
    world.store.commit()
    assert [answer.status for answer in world.answers] == [200]
    (message,) = world.store.kept
    assert (message.body, message.message_id, message.correlation_id) == (b"1", "id", "r")


def test_a_result_that_cannot_be_kept_is_answered_503_with_retry_after() -> None:
    world = World()
    world.post(b"1")
    world.store.commit(room=0)
    (answer,) = world.answers
    assert (answer.status, dict(answer.headers)) == (503, {"retry-after": "1"})
    assert "cannot be kept now: full" in json.loads(answer.body)["message"]


@pytest.mark.parametrize("settings", [FORWARD._replace(http_forward=False), FORWARD])
def test_what_failed_or_is_not_to_be_forwarded_goes_straight_back(settings: MessageSettings) -> None:
    world = World(settings)
    world.post(b"1", status=500 if settings.http_forward else 200)
    assert len(world.answers) == 1
    assert world.store.asked == []


def test_elements_of_a_list_are_all_kept_or_the_answer_is_503() -> None:
    world = World(FORWARD._replace(list_output="each"))
    world.post(b"[1, 2]")
    world.store.commit(room=1)
    assert [answer.status for answer in world.answers] == [503]
    world.post(b"[1, 2]")
    world.store.commit()
    assert world.answers[1].status == 200
    world.post(b"[]")
    assert world.answers[2].status == 200


def test_a_result_that_can_never_be_sent_is_an_error_of_the_script() -> None:
    world = World(refusal="it is too long")
    world.post(b"1")
    assert world.answers[0].status == 500
    assert "it is too long" in json.loads(world.answers[0].body)["message"]
