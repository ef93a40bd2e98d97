"""Twins and direct methods over the edgeHub transport."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_agent.messages.iothub.edgehub import EdgeHubTransport
from device_agent.messages.message import MethodCall
from device_agent.messages.transport import Loss
from tests.fakes.fake_iot_hub import FakeIotHub
from tests.integration.device_agent.messages.hub_world import MODULE, Recorder, key_identity, message, running_hub

Story = Callable[[Recorder], Coroutine[Any, Any, None]]


@pytest.fixture
def hub() -> Iterator[FakeIotHub]:
    with running_hub() as running:
        yield running


@pytest.fixture
def play(hub: FakeIotHub, tmp_path: Path) -> Callable[[Story], None]:
    """Runs a story with a module's transport."""

    def run(story: Story) -> None:
        async def whole() -> None:
            transport = EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "*")
            async with Recorder(transport) as recorder:
                await story(recorder)

        asyncio.run(whole())
        assert not hub.misdeeds

    return run


def test_desired_properties_come_whole_after_every_connect_and_change(
    hub: FakeIotHub, play: Callable[[Story], None]
) -> None:
    async def story(recorder: Recorder) -> None:
        hub.twin(MODULE).desired = {"threshold": 0.5, "deep": {"a": 1, "b": 2}}
        await recorder.up()
        await recorder.until(lambda: recorder.desired_seen, "desired")
        hub.change_desired(MODULE, {"deep": {"a": None}, "new": [1]})
        await recorder.until(lambda: len(recorder.desired_seen) == 2, "the patch")
        recorder.disconnect(Loss.PLANNED, "test")
        await recorder.until(lambda: not recorder.is_connected, "gone")
        hub.change_desired(MODULE, {"threshold": None})
        await recorder.up()
        await recorder.until(lambda: len(recorder.desired_seen) == 3, "after the reconnect")
        assert recorder.desired_seen == [
            {"threshold": 0.5, "deep": {"a": 1, "b": 2}},
            {"threshold": 0.5, "deep": {"b": 2}, "new": [1]},
            {"deep": {"b": 2}, "new": [1]},
        ]

    play(story)


def test_a_lost_patch_is_made_good(hub: FakeIotHub, play: Callable[[Story], None]) -> None:
    async def story(recorder: Recorder) -> None:
        await recorder.up()
        await recorder.until(lambda: recorder.desired_seen, "desired")
        hub.change_desired(MODULE, {"lost": 1}, tells=False)
        hub.change_desired(MODULE, {"seen": 2})
        await recorder.until(lambda: recorder.desired_seen[-1] == {"lost": 1, "seen": 2}, "both")
        assert hub.gets == 2

    play(story)


def test_reported_properties_are_kept_as_wanted_over_reconnects(hub: FakeIotHub, play: Callable[[Story], None]) -> None:
    async def story(recorder: Recorder) -> None:
        hub.twin(MODULE).reported = {"stale": True, "state": {"ready": True}}
        state = {"state": {"ready": True}, "version": 1}
        recorder.transport.report(state)
        state["version"] = 0  # what was reported is not changed by that
        with pytest.raises(ValueError):
            recorder.transport.report({"version": float("nan")})
        await recorder.up()
        await recorder.until(lambda: hub.twin(MODULE).reported == {"state": {"ready": True}, "version": 1}, "reported")
        assert hub.patches == [{"stale": None, "version": 1}]
        for version in range(2, 50):
            recorder.transport.report({"state": {"ready": True}, "version": version})
        await recorder.until(lambda: hub.twin(MODULE).reported["version"] == 49, "the newest")
        assert len(hub.patches) < 10, "what is old by then is not sent"
        recorder.disconnect(Loss.PLANNED, "test")
        await recorder.until(lambda: not recorder.is_connected, "gone")
        recorder.transport.report({"version": 50})
        await recorder.up()
        await recorder.until(lambda: hub.twin(MODULE).reported == {"version": 50}, "after the reconnect")

    play(story)


def test_a_throttled_or_failing_hub_gets_the_report_later(hub: FakeIotHub, play: Callable[[Story], None]) -> None:
    async def story(recorder: Recorder) -> None:
        await recorder.up()
        await recorder.until(lambda: recorder.desired_seen, "desired")
        hub.twin_statuses += [429]
        recorder.transport.report({"a": 1})
        await recorder.until(lambda: hub.twin(MODULE).reported == {"a": 1}, "reported in the end")
        hub.twin_statuses += [400]
        recorder.transport.report({"refused": 1})
        await recorder.until(lambda: not hub.twin_statuses, "refused")
        recorder.transport.report({"a": 2})
        await recorder.until(lambda: hub.twin(MODULE).reported == {"a": 2}, "the next one is taken")

    play(story)


def test_direct_methods_are_called_and_answered(hub: FakeIotHub, play: Callable[[Story], None]) -> None:
    async def story(recorder: Recorder) -> None:
        await recorder.up()
        answer = asyncio.create_task(asyncio.to_thread(hub.call_method, MODULE, "score", {"x": [1, 2]}))
        await recorder.until(lambda: recorder.calls, "the call")
        (call,) = recorder.calls
        assert (call.name, call.payload) == ("score", {"x": [1, 2]})
        recorder.transport.answer_method(call, 200, {"y": 3})
        assert await answer == (200, {"y": 3})
        bad = await asyncio.to_thread(hub.call_method, MODULE, "score", None, raw=b"{no json")
        assert bad[0] == 400
        empty = asyncio.create_task(asyncio.to_thread(hub.call_method, MODULE, "ping", None, raw=b""))
        await recorder.until(lambda: len(recorder.calls) == 2, "the call without a payload")
        assert recorder.calls[1].payload is None
        recorder.transport.answer_method(recorder.calls[1], 501, None)
        assert await empty == (501, None)
        hub.drop(MODULE)
        await recorder.lost()
        recorder.transport.answer_method(MethodCall("late", None, call.receipt), 200, None)
        await recorder.up()
        recorder.transport.answer_method(MethodCall("late", None, call.receipt), 200, None)
        recorder.publish(1, message(1))
        await recorder.until(lambda: recorder.confirmed, "the connection works")

    play(story)
