"""Direct methods against a module that does what the test says."""

import asyncio
from typing import Any

import pytest

from device_agent import __version__
from device_agent.messages import methods
from device_agent.messages.message import MethodCall
from device_agent.messages.methods import answer_method
from device_agent.scorer import ScoringResult
from tests.unit.device_agent.messages.road_world import HeldScorer


class ReloadedScorer(HeldScorer):
    """Counts."""

    reloads = 0

    async def reload(self) -> None:
        """See ChildScorer."""
        self.reloads += 1


class Module:
    """Implements methods.Module."""

    def __init__(self) -> None:
        self.scorer = ReloadedScorer()
        self.messages_left = 0

    def state_report(self) -> dict[str, Any]:
        """See methods.Module."""
        return {"state": "running"}

    async def flush(self) -> int:
        """See methods.Module."""
        return 3


def call(module: Module, name: str, payload: object = None) -> tuple[int, object]:
    """The answer to a call."""
    return asyncio.run(answer_method(module, MethodCall(name, payload)))


def test_ping_stats_and_flush() -> None:
    assert call(Module(), "ping") == (200, {"status": "ok", "version": __version__})
    assert call(Module(), "stats") == (200, {"state": "running"})
    assert call(Module(), "flush") == (200, {"restored": 3, "left": 0})


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (ScoringResult(b'{"y": [1]}'), (200, {"y": [1]})),
        (ScoringResult(b'{"message": "no"}', 400), (400, {"message": "no"})),
        (ScoringResult(b"plain", 200, "text/plain"), (200, "plain")),
    ],
)
def test_score_gives_the_payload_to_the_script(result: ScoringResult, answer: tuple[int, object]) -> None:
    module = Module()
    module.scorer.answers_at_once = result
    assert call(module, "score", {"x": 1}) == answer
    assert module.scorer.tickets[0].request.body == b'{"x": 1}'


def test_reload_tells_whether_the_script_is_ready_again() -> None:
    module = Module()
    assert call(module, "reload") == (200, {"status": "ready"})
    module.scorer.not_ready_reason = "init() failed: no model"
    assert call(module, "reload") == (500, {"message": "init() failed: no model"})
    assert module.scorer.reloads == 2


def test_an_unknown_method_is_told_what_there_is() -> None:
    status, answer = call(Module(), "reboot")
    assert status == 404
    assert answer == {"message": "there is no method 'reboot'; there are flush, ping, reload, score, stats"}


def test_a_method_that_takes_too_long_is_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "LONGEST_S", 0.0)
    assert call(Module(), "score", 1)[0] == 504


def test_a_reload_that_takes_long_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "LONGEST_S", 0.0)

    class SlowScorer(ReloadedScorer):
        """Reloads when it is told to."""

        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

        async def reload(self) -> None:
            await self.go.wait()
            await super().reload()

    async def test() -> None:
        module = Module()
        slow = module.scorer = SlowScorer()
        assert (await answer_method(module, MethodCall("reload", None)))[0] == 504
        slow.go.set()
        async with asyncio.timeout(5):
            while not slow.reloads:
                await asyncio.sleep(0)

    asyncio.run(test())


def test_an_answer_that_is_too_long_is_not_sent() -> None:
    class Transport:
        """Remembers answers."""

        def __init__(self) -> None:
            self.answers: list[tuple[int, object]] = []

        def answer_method(self, call: MethodCall, status: int, payload: object) -> None:
            """See Transport."""
            self.answers.append((status, payload))

    async def test() -> None:
        module, transport = Module(), Transport()
        module.scorer.answers_at_once = ScoringResult(b'"%s"' % (b"x" * 200_000))
        methods.MethodCalls(module, transport).begin(MethodCall("score", 1))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while not transport.answers:
                await asyncio.sleep(0)
        assert transport.answers == [(413, {"message": "the answer is longer than 131072 bytes"})]

    asyncio.run(test())
