"""What a crash or a script that takes too long costs: its own request, and nothing else."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.device_agent.agent_under_test import (
    ECHO,
    STUBBORN,
    served,
    wait_until,
)

CRASHING = """
import os, signal, ctypes
def init():
    open("inits", "a").write("x")
def run(data):
    if data == "exit": os._exit(0)
    if data == "segv": os.kill(os.getpid(), signal.SIGSEGV)
    if data == "null": ctypes.string_at(0)
    return [data, os.getpid()]
"""


SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."


@pytest.mark.parametrize(
    ("way", "told"),
    [("exit", "ended with exit code 0"), ("segv", "signal 11 (SIGSEGV)"), ("null", "signal 11 (SIGSEGV)")],
)
def test_a_crash_costs_the_request_in_flight_and_no_other(tmp_path: Path, way: str, told: str) -> None:
    with served(tmp_path, CRASHING) as agent:
        first_pid = agent.post(b"a").json()[1]
        with ThreadPoolExecutor(8) as threads:
            others = [threads.submit(agent.post, f"{number}".encode()) for number in range(6)]
            lost = threads.submit(agent.post, way.encode()).result()
            after = [threads.submit(agent.post, f"{number}".encode()) for number in range(6, 12)]
            answers = [answer.result() for answer in others + after]
        assert (lost.status_code, lost.json()) == (500, {"message": SCRIPT_ERROR})
        assert lost.headers["x-ms-run-function-failed"] == "True"
        assert [answer.json()[0] for answer in answers] == [str(number) for number in range(12)]
        assert agent.post(b"b").json()[1] != first_pid
        assert (tmp_path / "inits").read_text() == "xx"
        agent.wait_log(told)
        if way == "null":
            agent.wait_log("Fatal Python error: Segmentation fault")
        assert httpx.get(f"{agent.url}/readyz").status_code == 200


def test_crash_after_crash_is_survived(tmp_path: Path) -> None:
    with served(tmp_path, CRASHING) as agent:
        for _ in range(3):
            assert agent.post(b"exit").status_code == 500
        assert agent.post(b"x").status_code == 200


def test_a_process_that_dies_while_idle_is_started_again(tmp_path: Path) -> None:
    with served(tmp_path, CRASHING) as agent:
        pid = agent.child_pid()
        os.kill(pid, signal.SIGKILL)
        agent.wait_log("while it was idle")
        assert agent.post(b"x").status_code == 200
        assert agent.child_pid() != pid


def test_a_script_that_does_not_start_again_answers_503_until_it_does(tmp_path: Path) -> None:
    source = "import os\ndef init(): open('model').read()\ndef run(data): os._exit(1) if data == 'exit' else None\n"
    (tmp_path / "model").write_text("")
    with served(tmp_path, source) as agent, httpx.Client(base_url=agent.url) as client:
        (tmp_path / "model").unlink()
        assert client.post("/score", content=b"exit").status_code == 500
        wait_until(lambda: client.get("/readyz").status_code == 503, "not ready")
        agent.wait_log("did not start again, next attempt in 0.5 s")
        refused = client.post("/score", content=b"x")
        assert refused.status_code == 503
        assert "No such file" in refused.json()["message"]
        assert client.get("/").status_code == 200  # alive, though not ready
        (tmp_path / "model").write_text("")
        agent.wait_ready()
        assert client.post("/score", content=b"x").status_code == 200


def test_the_time_limit_holds_for_a_script_that_catches_everything(tmp_path: Path) -> None:
    with served(tmp_path, STUBBORN, SCORING_TIMEOUT_MS="400") as agent:
        with ThreadPoolExecutor(4) as threads:
            hanging = threads.submit(agent.post, b"hang")
            wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
            behind = [threads.submit(agent.post, f"{number}".encode()) for number in range(3)]
            answer = hanging.result()
            assert [other.result().json() for other in behind] == ["0", "1", "2"]
        assert (answer.status_code, answer.json()) == (500, {"message": "Scoring timeout after 400 ms"})
        assert answer.headers["x-ms-run-function-failed"] == "True"
        assert agent.post(b"after").json() == "after"


def test_the_time_limit_is_counted_for_each_request(tmp_path: Path) -> None:
    source = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.08)\n    return data\n"
    with served(tmp_path, source, SCORING_TIMEOUT_MS="400") as agent, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(agent.post, [b"x"] * 8))  # 0.64 s in all
        assert [answer.status_code for answer in answers] == [200] * 8


def test_a_request_that_comes_just_after_a_crash_while_idle_is_not_lost(tmp_path: Path) -> None:
    with served(tmp_path, ECHO) as agent:
        for number in range(5):
            wait_until(lambda: httpx.get(f"{agent.url}/readyz").status_code == 200, "it is ready")
            os.kill(agent.child_pid(), signal.SIGKILL)
            answer = agent.post(b"%d" % number)
            assert (answer.status_code, answer.text) == (200, f'"{number}"')


def test_an_agent_that_was_held_up_does_not_blame_a_script_that_was_in_time(tmp_path: Path) -> None:
    script = """
import time
from pathlib import Path
def init(): pass
def run(data):
    Path("begun").write_text(data)
    time.sleep(float(data))
    return data
"""
    with served(tmp_path, script, SCORING_TIMEOUT_MS="500") as agent, ThreadPoolExecutor(1) as pool:
        assert agent.post(b"60").json() == {"message": "Scoring timeout after 500 ms"}  # its own fault
        agent.wait_ready()
        answer = pool.submit(agent.post, b"0.1")
        wait_until(lambda: (tmp_path / "begun").read_text() == "0.1", "it is scored")
        agent.stop(signal.SIGSTOP)
        held_up = threading.Event()
        held_up.wait(1.0)  # longer than the limit: this is the fault
        agent.stop(signal.SIGCONT)
        assert answer.result().status_code == 200
        assert agent.log.count("Scoring timeout") == 1


def test_a_crash_that_is_told_after_the_time_limit_is_still_a_crash(tmp_path: Path) -> None:
    script = """
import os, subprocess
def init(): pass
def run(data):
    subprocess.Popen(["sleep", "2"], start_new_session=True)  # holds the script's output open
    os._exit(3)
"""
    with served(tmp_path, script, SCORING_TIMEOUT_MS="200") as agent:
        assert agent.post(b"x").json() == {"message": SCRIPT_ERROR}
        assert "Scoring timeout" not in agent.log
