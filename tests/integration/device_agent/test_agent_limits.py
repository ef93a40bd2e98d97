"""What clients may do to a running agent, over real sockets: too much, too slowly, too many, or leave."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.integration.device_agent.agent_under_test import ECHO, ROOT, Agent, agent_process, served, wait_until

GATED = """
import os, time
def init(): pass
def run(data):
    while not os.path.exists("go"):
        time.sleep(0.005)
    return data
"""


@contextlib.contextmanager
def raw(agent: Agent) -> Iterator[socket.socket]:
    """A bare connection."""
    host, port = agent.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def test_a_full_queue_answers_503_and_says_when_to_come_back(tmp_path: Path) -> None:
    with served(tmp_path, GATED, EDGEPACK_MAX_QUEUE="3") as agent, ThreadPoolExecutor(3) as pool:
        held = [pool.submit(agent.post, b"x") for _ in range(3)]
        with httpx.Client(base_url=agent.url) as client:
            wait_until(lambda: "edgepack_requests_under_way 3\n" in client.get("/metrics").text, "three are held")
            refused = client.post("/score", content=b"one more")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["message"] == "The queue is full: 3 requests wait or are being scored."
            assert client.get("/readyz").status_code == 200
            (tmp_path / "go").touch()
            assert [answer.result().status_code for answer in held] == [200] * 3
            assert client.post("/score", content=b"x").status_code == 200


def test_a_request_that_waits_too_long_for_its_turn_answers_503(tmp_path: Path) -> None:
    with served(tmp_path, GATED, EDGEPACK_QUEUE_WAIT_MS="100") as agent, ThreadPoolExecutor(4) as pool:
        first = pool.submit(agent.post, b"first")
        with httpx.Client(base_url=agent.url) as client:
            wait_until(lambda: "edgepack_requests_under_way 1\n" in client.get("/metrics").text, "one is being scored")
        late = [answer.result() for answer in [pool.submit(agent.post, b"late") for _ in range(3)]]
        assert [answer.status_code for answer in late] == [503] * 3
        assert late[0].json()["message"] == "The request waited longer than 100 ms for its turn."
        assert late[0].headers["retry-after"] == "1"
        (tmp_path / "go").touch()
        assert first.result().json() == "first"


def test_slow_senders_are_told_and_the_others_do_not_notice(tmp_path: Path) -> None:
    with served(tmp_path, ECHO, EDGEPACK_CLIENT_TIMEOUT_S="0.3") as agent, raw(agent) as head, raw(agent) as body:
        head.sendall(b"POST /score HT")
        body.sendall(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nab")
        assert agent.post(b"quick").json() == "quick"
        for connection in (head, body):
            answer = read_all(connection)
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert answer.endswith(b'{"message": "The request did not arrive in time."}')


def test_a_client_that_does_not_read_its_answer_is_dropped(tmp_path: Path) -> None:
    script = "def init(): pass\ndef run(data): return 'x' * 20_000_000\n"
    with served(tmp_path, script, EDGEPACK_CLIENT_TIMEOUT_S="0.3") as agent, raw(agent) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")
        with httpx.Client(base_url=agent.url) as client:
            wait_until(lambda: "edgepack_http_connections 1\n" in client.get("/metrics").text, "only the asking one")


def test_a_head_of_hundreds_of_megabytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    with served(tmp_path, ECHO) as agent, raw(agent) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                connection.sendall(b"a" * 1_000_000)
        assert agent.post(b"x").json() == "x"
        peak_kb = int(Path(f"/proc/{agent.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0])
        assert peak_kb < 100_000


def test_a_client_that_only_closes_its_sending_side_gets_its_answer(tmp_path: Path) -> None:
    with served(tmp_path, GATED) as agent, raw(agent) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx")
        connection.shutdown(socket.SHUT_WR)
        first = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")  # is it still there?
        (tmp_path / "go").touch()
        answer = first + read_all(connection)
        assert b"HTTP/1.1 200 OK\r\n" in answer
        assert answer.endswith(b'"x"')


def test_a_client_that_is_gone_is_noticed_and_its_request_withdrawn(tmp_path: Path) -> None:
    with served(tmp_path, GATED) as agent, ThreadPoolExecutor(1) as pool:
        first = pool.submit(agent.post, b"first")
        with httpx.Client(base_url=agent.url) as client:
            wait_until(lambda: "edgepack_requests_under_way 1\n" in client.get("/metrics").text, "one is being scored")
            with raw(agent) as connection:
                connection.sendall(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx")
            wait_until(lambda: '{route="/score",code="499"} 1\n' in client.get("/metrics").text, "it is noticed")
        (tmp_path / "go").touch()
        assert first.result().status_code == 200


def test_a_thousand_clients_that_leave_in_the_middle_strand_nothing(tmp_path: Path) -> None:
    script = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.002)\n    return data\n"
    with served(tmp_path, script) as agent:
        leave = threading.Barrier(8)

        def come_and_go(number: int) -> None:
            leave.wait(20)
            for turn in range(125):
                with raw(agent) as connection:
                    connection.sendall(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc")
                    if turn % 2:  # gone with a reset
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(come_and_go, range(8)))
        with httpx.Client(base_url=agent.url) as client:

            def quiet() -> bool:
                figures = client.get("/metrics").text
                return all(
                    f"edgepack_{name} {count}\n" in figures
                    for name, count in (("requests_under_way", 0), ("http_held_bytes", 0), ("http_connections", 1))
                )

            wait_until(quiet, "nothing is left of them")
            assert [client.post("/score", content=b"after").json() for _ in range(10)] == ["after"] * 10


def test_the_same_routes_on_a_second_port(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(ECHO)
    arguments = ("--entry_script", "score.py", "--health_port", "0")
    with agent_process(tmp_path, *arguments, SEPERATE_HEALTH_ENDPOINT="true") as agent:
        agent.wait_ready()
        (line,) = [line for line in agent.output if "takes HTTP on" in line]
        second = line.rpartition(" and ")[2]
        assert f"http://{second}" != agent.url
        assert httpx.get(f"http://{second}/").text == "Healthy"


def test_keys_are_renewed_without_a_restart(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first-key\n")
    with served(tmp_path, ECHO, EDGEPACK_HTTP_KEY_FILE=str(keys)) as agent:
        assert agent.post(b"x").status_code == 401
        assert agent.post(b"x", authorization="Bearer first-key").json() == "x"
        keys.write_text("second-key-2\n")
        wait_until(lambda: agent.post(b"x", authorization="Bearer second-key-2").status_code == 200, "the new key")
        assert agent.post(b"x", authorization="Bearer first-key").status_code == 401
        keys.write_text("")

        def told() -> bool:
            return agent.post(b"x").status_code == 401 and "the last ones stay in force" in agent.log

        wait_until(told, "the empty file is reported")
        assert agent.post(b"x", authorization="Bearer second-key-2").status_code == 200
        assert "second-key" not in agent.log


def test_what_left_the_queue_takes_no_place_in_it(tmp_path: Path) -> None:
    with served(tmp_path, GATED, EDGEPACK_MAX_QUEUE="4") as agent, ThreadPoolExecutor(1) as pool:
        first = pool.submit(agent.post, b"first")
        with httpx.Client(base_url=agent.url) as client:
            wait_until(lambda: "edgepack_requests_under_way 1\n" in client.get("/metrics").text, "one is being scored")
            for _ in range(3):
                with raw(agent) as connection:
                    connection.sendall(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx")
                    wait_until(lambda: "under_way 2\n" in client.get("/metrics").text, "it waits")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                wait_until(lambda: "under_way 1\n" in client.get("/metrics").text, "it is gone")
            waiting = [pool_answer(agent) for _ in range(2)]
            wait_until(lambda: "under_way 3\n" in client.get("/metrics").text, "others take their places")
            (tmp_path / "go").touch()
        assert first.result().status_code == 200
        assert [answer.result().status_code for answer in waiting] == [200, 200]


def pool_answer(agent: Agent) -> "Future[httpx.Response]":
    """A request in a thread of its own."""
    future: Future[httpx.Response] = Future()
    threading.Thread(target=lambda: future.set_result(agent.post(b"x"))).start()
    return future


def test_an_agent_whose_output_nobody_reads_goes_on(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(ECHO)
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "device_agent", "--entry-script", "score.py", "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing,
    )
    os.close(writing)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:

            def is_ready() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/readyz").status_code == 200
                return False

            wait_until(is_ready, "ready")
            assert {client.post("/score", content=b"x").status_code for _ in range(3000)} == {200}
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reading)
