"""The agent over real HTTP: answers of the contract, oversized and broken requests, clients that leave."""

import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.integration.device_agent.agent_under_test import ECHO, agent_process, served, wait_until

SCRIPT = """
import math, os, sys
from device_agent import BadInput
def init():
    print("printed by", "init")
    print("to stderr", file=sys.stderr)
    os.write(1, b"written to descriptor 1\\n")
def run(data):
    if data == "raise": raise ValueError("mine")
    if data == "bad": raise BadInput("no such station")
    if data == "exit": sys.exit(0)
    if data == "set": return {1}
    if data == "nan": return [math.nan]
    if data == "none": return None
    return data
"""


def test_the_answers_of_the_contract(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT) as agent, httpx.Client(base_url=agent.url) as client:
        root = client.get("/")
        assert (root.status_code, root.text, root.headers["content-type"]) == (
            200,
            "Healthy",
            "text/html; charset=utf-8",
        )
        assert client.head("/").status_code == 200
        expected = {
            b"text \xc3\xa9": (200, '"text \\u00e9"', "False"),
            b"nan": (200, "[null]", "False"),
            b"none": (200, "{}", "False"),
            b"raise": (500, "An unexpected error occurred in scoring script. Check the logs for more info.", "True"),
            b"exit": (500, "An unexpected error occurred in scoring script. Check the logs for more info.", "True"),
            b"set": (500, "An unexpected internal error occurred. Check the logs for more info.", "False"),
            b"bad": (400, "no such station", "False"),
        }
        for body, (status, text, failed) in expected.items():
            answer = client.post("/score", content=body)
            assert (answer.status_code, answer.headers["x-ms-run-function-failed"]) == (status, failed), body
            assert (answer.text if status == 200 else answer.json()["message"]) == text
            assert ("x-ms-run-fn-exec-ms" in answer.headers) == (status == 200)
        query = client.get("/score", params={"a": "[1]"}, headers={"x-request-id": "mine"})
        assert (query.json(), query.headers["x-request-id"]) == ('{"a": [1]}', "mine")
        assert client.options("/score").status_code == 200
        assert client.post("/score", content=b"\xff").json()["message"].startswith("Input cannot be decoded as UTF-8")
        assert client.get("/nope").status_code == 404
        assert client.put("/score").status_code == 405
        agent.wait_log("POST /score 500 ")
        agent.wait_log("azmlinfsrv.print - printed by init")
        agent.wait_log("azmlinfsrv.print - written to descriptor 1")
        agent.wait_log("azmlinfsrv.stderr - to stderr")
        agent.wait_log("ValueError: mine")
        agent.wait_log("result is of type set")


def test_bodies_beyond_the_limit_and_at_it(tmp_path: Path) -> None:
    with served(tmp_path, ECHO, EDGEPACK_MAX_BODY_BYTES="100000") as agent:
        assert agent.post(b"x" * 100_000).status_code == 200
        assert agent.post(b"x" * 100_001).status_code == 413
        streamed = httpx.post(f"{agent.url}/score", content=iter([b"x" * 60_000] * 2))
        assert streamed.status_code == 413
        assert agent.post(b"after").json() == "after"


def test_nonsense_on_the_wire_is_refused_and_forgotten(tmp_path: Path) -> None:
    with served(tmp_path, ECHO) as agent:
        host, port = agent.url.removeprefix("http://").split(":")
        for nonsense in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET\r\n\r\n",
            b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(nonsense)
                assert connection.recv(1000).startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))
        assert agent.post(b"after").json() == "after"


def test_ten_clients_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    with served(tmp_path, ECHO) as agent, ThreadPoolExecutor(10) as threads:

        def talk(client_number: int) -> None:
            with httpx.Client(base_url=agent.url) as client:
                for number in range(20):
                    text = f"{client_number}/{number}"
                    assert client.post("/score", content=text).json() == text

        list(threads.map(talk, range(10)))


def test_a_client_that_leaves_strands_nothing(tmp_path: Path) -> None:
    source = """
import os
def init(): pass
def run(data):
    if data == "wait":
        open("begun", "w").close()
        with open("gate") as gate: gate.read()
    return data
"""
    os.mkfifo(tmp_path / "gate")
    with served(tmp_path, source) as agent:
        host, port = agent.url.removeprefix("http://").split(":")
        head = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
        leaving = socket.create_connection((host, int(port)))
        leaving.sendall(head + b"wait")
        wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
        queued = [socket.create_connection((host, int(port))) for _ in range(40)]
        for connection in queued:
            connection.sendall(head + b"gone")
        with ThreadPoolExecutor(3) as threads:
            waiting = [threads.submit(agent.post, f"stays {number}".encode()) for number in range(3)]
            assert httpx.get(f"{agent.url}/").text == "Healthy"
            for connection in [leaving, *queued]:
                connection.close()
            agent.wait_log("POST /score 499 ")
            with (tmp_path / "gate").open("w") as gate:
                gate.write("open")
            assert [answer.result().json() for answer in waiting] == [f"stays {number}" for number in range(3)]
        assert agent.post(b"after").json() == "after"


def test_health_is_answered_while_run_is_busy(tmp_path: Path) -> None:
    source = "def init(): pass\ndef run(data):\n    open('begun', 'w').close()\n    while True: pass\n"
    with served(tmp_path, source) as agent:
        busy = threading.Thread(target=lambda: agent.post(b"x"), daemon=True)
        busy.start()
        wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
        for path in ("/", "/livez", "/readyz"):
            assert httpx.get(agent.url + path, timeout=5).status_code == 200
        os.kill(agent.child_pid(), 9)
        busy.join(10)


def test_before_init_has_returned_nothing_is_ready(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "score.py").write_text("def init(): open('gate').read()\ndef run(data): return data\n")
    with agent_process(tmp_path, "--entry-script", "score.py") as agent:
        agent.wait_log("Invoking user's init function")
        with httpx.Client(base_url=agent.url) as client:
            wait_until(lambda: "init()" in client.get("/readyz").json().get("reason", ""), "the reason is told")
            assert [client.get(path).status_code for path in ("/", "/livez", "/readyz")] == [503, 200, 503]
            refused = client.post("/score", content=b"x")
            assert refused.status_code == 503
            assert "init()" in refused.json()["message"]
            (tmp_path / "gate").write_text("open")
            agent.wait_ready()
            assert client.get("/").status_code == 200


def test_json_logs_are_json(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT, EDGEPACK_LOG="json") as agent:
        agent.post(b"raise")
        agent.wait_log("POST /score 500")
        agent.stop()
        assert agent.exit_code() == 0
    records = [json.loads(line) for line in agent.output]
    assert {"azmlinfsrv", "azmlinfsrv.print", "edgepack.agent"} <= {record["logger"] for record in records}
    assert any("ValueError: mine" in record["message"] for record in records)
