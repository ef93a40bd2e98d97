"""Several copies of the script: they share the queue, and the trouble of one is not the trouble of the others."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.integration.device_agent.agent_under_test import Agent, agent_process, served, wait_until

SCRIPT = """
import os, time
def init(): pass
def run(data):
    if data.startswith("wait "):
        open(data[5:] + f"/{os.getpid()}", "w").close()
        while not os.path.exists(data[5:] + "/go"):
            time.sleep(0.005)
    if data == "crash":
        os._exit(1)
    return os.getpid()
"""


def _children(agent: Agent) -> set[int]:
    return set(map(int, Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read_text().split()))


def test_they_work_at_the_same_time_and_an_idle_one_takes_what_waits(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    with served(tmp_path, SCRIPT, EDGEPACK_WORKERS="3") as agent, ThreadPoolExecutor(8) as pool:
        assert len(_children(agent)) == 3
        held = [pool.submit(agent.post, f"wait {marks}".encode()) for _ in range(2)]
        wait_until(lambda: len(list(marks.iterdir())) == 2, "two copies are busy")
        busy = {int(mark.name) for mark in marks.iterdir()}
        free = {agent.post(b"x").json() for _ in range(20)}
        assert free == _children(agent) - busy
        (marks / "go").touch()
        assert {answer.result().json() for answer in held} == busy


def test_a_crash_of_one_leaves_the_others_at_work_and_readyz_true(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT, EDGEPACK_WORKERS="2") as agent, httpx.Client(base_url=agent.url) as client:
        before = _children(agent)
        victim = before.pop()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in _children(agent), "it is gone")
        assert client.get("/readyz").status_code == 200
        assert client.post("/score", content=b"x").json() in _children(agent)
        wait_until(lambda: len(_children(agent)) == 2, "it is back")
        assert client.post("/score", content=b"crash").status_code == 500
        assert [client.post("/score", content=b"x").status_code for _ in range(10)] == [200] * 10
        figures = client.get("/metrics").text
    assert "edgepack_script_restarts_total 2\n" in figures


def test_one_that_cannot_start_ends_the_agent(tmp_path: Path) -> None:
    script = "import os\ndef init():\n    assert os.environ['EDGEPACK_WORKER'] != '1', 'not me'\ndef run(data): pass\n"
    (tmp_path / "score.py").write_text(script)
    with agent_process(tmp_path, "--entry-script", "score.py", "--worker-count", "2") as agent:
        assert agent.exit_code() == 3
    assert "not me" in agent.log


def test_all_are_gone_when_the_agent_is(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT, EDGEPACK_WORKERS="4") as agent:
        children = _children(agent)
        agent.stop()
        assert agent.exit_code() == 0
    assert len(children) == 4
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_large_bodies_hang_nothing(tmp_path: Path) -> None:
    script = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.05)\n    return len(data)\n"
    with served(tmp_path, script, EDGEPACK_WORKERS="2") as agent, ThreadPoolExecutor(6) as pool:
        body = b"x" * 3_000_000
        answers = [pool.submit(agent.post, body) for _ in range(6)]
        assert httpx.get(f"{agent.url}/livez", timeout=10).status_code == 200
        assert [answer.result().json() for answer in answers] == [len(body)] * 6


def test_a_slow_request_holds_up_nobody_while_another_copy_is_free(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    with served(tmp_path, SCRIPT, EDGEPACK_WORKERS="2") as agent, ThreadPoolExecutor(17) as pool:
        for _ in range(100):
            agent.post(b"warm")
        quick = [pool.submit(agent.post, b"x") for _ in range(100)]
        held = pool.submit(agent.post, f"wait {marks}".encode())
        quick += [pool.submit(agent.post, b"x") for _ in range(100)]
        assert {answer.result().status_code for answer in quick} == {200}
        assert not held.done()
        (marks / "go").touch()
        assert held.result().status_code == 200
