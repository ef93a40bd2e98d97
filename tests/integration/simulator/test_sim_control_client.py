"""The client of the control socket against the real protocol: answers, refusals, ends of connections."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from simulator.control_client import ControlClient, RequestRefused, SimulationAway
from tests.fakes.fake_simulation import FakeSimulation
from tests.fakes.sample_runs import heavy_run, plain_run

Result = TypeVar("Result")


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[FakeSimulation]:
    """A plain run."""
    with FakeSimulation(tmp_path / "control.sock", plain_run()) as fake:
        yield fake


def ask(path: Path, call: Callable[[ControlClient], Awaitable[Result]], timeout_s: float = 30) -> Result:
    """What a client gets."""

    async def run() -> Result:
        async with ControlClient(path, timeout_s) as client:
            return await call(client)

    return asyncio.run(run())


def test_a_snapshot_comes_as_it_was_given_however_large(simulation: FakeSimulation) -> None:
    assert ask(simulation.path, lambda client: client.snapshot()) == plain_run()
    body = {"text": "x" * 1000}
    simulation.snapshot = replace(
        heavy_run(), devices=tuple(replace(device, last=body) for device in heavy_run().devices)
    )
    assert ask(simulation.path, lambda client: client.snapshot()) == simulation.snapshot


def test_each_command_says_what_the_protocol_says(simulation: FakeSimulation) -> None:
    simulation.twins["edge-1/scorer"] = {"tags": {}, "properties": {"desired": {"$version": 1}, "reported": {}}}

    async def all_of_them(client: ControlClient) -> tuple[dict[str, Any], Any]:
        await client.set_twin("edge-1/scorer", {"a": 1, "b": None})
        await client.send("edge-1/scorer", "amlInput", [1])
        answer = await client.invoke("edge-1/scorer", "score", {"x": 1})
        twin = await client.twin("edge-1/scorer")
        await client.request({"do": "offline", "link": "upstream"})
        await client.stop()
        return answer, twin["properties"]["desired"]

    answer, desired = ask(simulation.path, all_of_them)
    assert answer == {"status": 200, "payload": {"echo": {"x": 1}}}
    assert desired == {"a": 1, "$version": 2}
    assert simulation.requests == [
        {"do": "set_twin", "id": "edge-1/scorer", "desired": {"a": 1, "b": None}},
        {"do": "send", "id": "edge-1/scorer", "input": "amlInput", "body": [1]},
        {"do": "invoke", "id": "edge-1/scorer", "method": "score", "payload": {"x": 1}},
        {"do": "offline", "link": "upstream"},
        {"do": "stop"},
    ]
    assert simulation.snapshot.state == "draining"


def test_a_log_is_read_in_parts(simulation: FakeSimulation) -> None:
    simulation.logs["edge-1/scorer"] = ["a", "b", "c"]
    assert ask(simulation.path, lambda client: client.logs("edge-1/scorer", 0, 2)) == (("a", "b"), 2)
    assert ask(simulation.path, lambda client: client.logs("edge-1/scorer", 2, 2)) == (("c",), 3)
    assert ask(simulation.path, lambda client: client.logs("edge-1/scorer", 3)) == ((), 3)


def test_a_refusal_says_why_and_the_connection_goes_on(simulation: FakeSimulation) -> None:
    async def refused_then_fine(client: ControlClient) -> str:
        with pytest.raises(RequestRefused, match="there is no device or module moon"):
            await client.twin("moon")
        return (await client.snapshot()).scenario

    assert ask(simulation.path, refused_then_fine) == "plain day"


@pytest.mark.parametrize("answer", [b"hello\n", b'{"ok": true}\n', b"[]\n", b'{"ok": true, "result": {"at_s": 1}}\n'])
def test_what_is_no_answer_is_said_to_be_none(simulation: FakeSimulation, answer: bytes) -> None:
    simulation.raw = answer
    with pytest.raises(RequestRefused, match=r"no answer|another language"):
        ask(simulation.path, lambda client: client.snapshot())


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(SimulationAway, match=r"no simulation answers at .*control\.sock: No such file"):
        ask(tmp_path / "control.sock", lambda client: client.snapshot())


def test_a_simulation_that_hangs_is_away_after_a_while(simulation: FakeSimulation) -> None:
    simulation.hangs = True
    with pytest.raises(SimulationAway, match=r"did not answer in 0\.2 s"):
        ask(simulation.path, lambda client: client.snapshot(), timeout_s=0.2)


def test_the_client_finds_a_simulation_that_came_back(simulation: FakeSimulation) -> None:
    async def before_and_after(client: ControlClient) -> None:
        await client.snapshot()
        simulation.stop()
        with pytest.raises(SimulationAway):
            await client.snapshot()
        simulation.start()
        assert await client.snapshot() == simulation.snapshot

    ask(simulation.path, before_and_after)


def test_requests_of_one_client_do_not_mix(simulation: FakeSimulation) -> None:
    simulation.logs["edge-1/scorer"] = [str(number) for number in range(20)]

    async def at_once(client: ControlClient) -> list[str]:
        answers = await asyncio.gather(*(client.logs("edge-1/scorer", number, 1) for number in range(20)))
        return [answer.lines[0] for answer in answers]

    assert ask(simulation.path, at_once) == simulation.logs["edge-1/scorer"]


def test_giving_up_on_an_answer_does_not_spoil_the_next_one(simulation: FakeSimulation) -> None:
    simulation.logs["edge-1/scorer"] = ["of the log"]

    async def give_up_then_ask(client: ControlClient) -> tuple[str, ...]:
        simulation.hangs = True
        task = asyncio.create_task(client.snapshot())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        simulation.hangs = False
        return (await client.logs("edge-1/scorer")).lines

    assert ask(simulation.path, give_up_then_ask) == ("of the log",)
