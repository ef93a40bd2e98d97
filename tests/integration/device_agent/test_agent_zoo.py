"""Scripts that hang, crash, leak, print, fork and meddle: each costs its own request at most, and never the agent.

For each way: an answer before, the way itself among other requests, and an answer after it, all right; and the agent
is still the process that it was.
"""

import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.device_agent.agent_under_test import Agent, agent_process, is_alive, wait_until

SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."
TIMED_OUT = "Scoring timeout after 300 ms"


@contextlib.contextmanager
def kept(name: str, folder: Path, **environment: str) -> Iterator[Agent]:
    """Serve a script of the zoo and wait until it is ready."""
    script = folder / "score.py"
    script.write_bytes((SCRIPTS / f"{name}.py").read_bytes())
    with agent_process(folder, "--entry-script", "score.py", **environment) as agent:
        agent.wait_ready()
        yield agent


def survives(agent: Agent, way: str, status: int, expected: object) -> object:
    """Go this way among other requests; returns its answer's value. `expected` ... is not compared."""
    assert echoes(agent, f"before {way}")
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(echoes, agent, "beside 1")
        answer = threads.submit(agent.post, way.encode())
        others = [threads.submit(echoes, agent, f"beside {number}") for number in (2, 3)]
        assert all(other.result() for other in [first, *others]), f"{way}\n{agent.log[-3000:]}"
    value = answer.result().json()
    found = value["message"] if answer.result().status_code >= 400 else value
    assert answer.result().status_code == status, (way, found, agent.log[-3000:])
    assert expected is ... or found == expected, (way, found)
    assert echoes(agent, f"after {way}"), agent.log[-3000:]
    assert agent.process.poll() is None, agent.log[-3000:]
    assert httpx.get(f"{agent.url}/readyz").status_code == 200
    return found


def echoes(agent: Agent, text: str) -> bool:
    """Whether a text comes back, or its length."""
    answer = agent.post(text.encode())
    return answer.status_code == 200 and answer.json() in (text, len(text))


def ways(name: str) -> list[str]:
    """The ways of a script, from its source: a way that is added is tested."""
    source = (SCRIPTS / f"{name}.py").read_text()
    table = re.search(r"^(?:WAYS|VALUES) = \{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL)
    assert table
    return re.findall(r'^    "([^"]+)": ', table[1], re.MULTILINE)


@pytest.mark.parametrize("way", ways("zoo_hangs"))
def test_hangs(tmp_path: Path, way: str) -> None:
    with kept("zoo_hangs", tmp_path, SCORING_TIMEOUT_MS="300") as agent:
        survives(agent, way, 500, TIMED_OUT)


@pytest.mark.parametrize("way", ways("zoo_crashes"))
def test_crashes(tmp_path: Path, way: str) -> None:
    with kept("zoo_crashes", tmp_path) as agent:
        survives(agent, way, 500, SCRIPT_ERROR)


LEFT = {
    "memory": 16 << 20,
    "threads": True,
    "descriptors": 100,
    "fork that outlives": ...,
    "fork that ends": 3,
    "fork that returns": ...,
    "process": 0,
    "program": "5\n",
    "program left": ...,
}


@pytest.mark.parametrize("way", ways("zoo_leaks"))
def test_leaks(tmp_path: Path, way: str) -> None:
    with kept("zoo_leaks", tmp_path) as agent:
        found = survives(agent, way, 200, LEFT[way])
        assert way != "fork that returns" or found in ("the parent", "the child")
        agent.stop()
        assert agent.exit_code() == 0, agent.log
        if isinstance(found, list):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[1], signal.SIGKILL)  # the test's to clear away: it may outlive the agent


def test_repeated_leaks_do_not_reach_the_agent(tmp_path: Path) -> None:
    with kept("zoo_leaks", tmp_path) as agent:
        for number in range(1, 6):
            assert agent.post(b"memory").json() == number * (16 << 20)
        status = Path(f"/proc/{agent.process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident
        assert int(resident[1]) < 80_000, "what the script keeps is not in the agent's process"


@pytest.mark.parametrize("way", ways("zoo_prints"))
def test_prints(tmp_path: Path, way: str) -> None:
    with kept("zoo_prints", tmp_path) as agent:
        survives(agent, way, 200, way)


def test_what_is_printed_arrives_whole(tmp_path: Path) -> None:
    with kept("zoo_prints", tmp_path) as agent:
        for way in ("many lines", "from threads", "huge line"):
            survives(agent, way, 200, way)
        agent.wait_log("azmlinfsrv.print - 19999")
        wait_until(lambda: agent.log.count("azmlinfsrv.print - " + "t" * 100) == 800, "800 lines of threads")
        wait_until(lambda: agent.log.count("x") >= 8 << 20, "the huge line")


@pytest.mark.parametrize("way", ways("zoo_meddles"))
def test_meddles(tmp_path: Path, way: str) -> None:
    with kept("zoo_meddles", tmp_path) as agent:
        child = agent.child_pid()
        answer = agent.post(way.encode())
        assert answer.status_code in (200, 500), answer
        assert echoes(agent, "after"), (answer.text, agent.log)
        assert echoes(agent, "again"), agent.log
        assert agent.process.poll() is None
        agent.stop()
        assert agent.exit_code() == 0, agent.log
        wait_until(lambda: not is_alive(child), "the script's process has ended")


VALUES: dict[str, tuple[int, object]] = {
    "64 MB": (200, "x" * (64 << 20)),
    "64 MB escaped": (200, "\u00e9" * (11 << 20)),
    "many numbers": (200, list(range(1_000_000))),
    "deep list": (500, INTERNAL_ERROR),
    "deep dict": (500, INTERNAL_ERROR),
    "text that fails": (200, "x"),
    "table that fails": (500, INTERNAL_ERROR),
    "number that lies": (200, 5),
    "itself": (500, INTERNAL_ERROR),
    "lock": (500, INTERNAL_ERROR),
    "exception": (500, INTERNAL_ERROR),
    "NotImplemented": (500, INTERNAL_ERROR),
    "class": (500, INTERNAL_ERROR),
    "generator": (500, INTERNAL_ERROR),
    "open file": (500, INTERNAL_ERROR),
    "memoryview": (500, INTERNAL_ERROR),
    "big integer": (500, INTERNAL_ERROR),
}


@pytest.mark.parametrize("way", ways("zoo_values"))
def test_values(tmp_path: Path, way: str) -> None:
    with kept("zoo_values", tmp_path) as agent:
        status, value = VALUES[way]
        survives(agent, way, status, value)


def test_a_huge_input(tmp_path: Path) -> None:
    size = 64 << 20
    with kept("zoo_values", tmp_path) as agent:
        survives(agent, "x" * size, 200, size)
        assert agent.post(json.dumps(["\u00e9" * 1000] * 1000).encode()).json() > 1_000_000


def test_a_non_daemon_thread_does_not_delay_the_end(tmp_path: Path) -> None:
    with kept("zoo_leaks", tmp_path) as agent:
        assert agent.post(b"threads").json() is True
        child = agent.child_pid()
        agent.stop()
        assert agent.exit_code(5) == 0
        assert not is_alive(child)
