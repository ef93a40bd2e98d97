"""Ten thousand requests with faults among them: each gets its own right answer, none is lost, no memory is kept.

Sixteen clients on raw sockets send at the same time. Which request is a fault follows from its number.
"""

import asyncio
import contextlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.device_agent.agent_under_test import DEADLINE_S, Agent, served

SCRIPT = (Path(__file__).parent / "scripts" / "faults.py").read_text()
SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."
CLIENTS = 16
WARM_UP = 1_000
REQUESTS = 10_000
LONGEST_BODY = 100_000
LIMIT_MS = 1000
CRASHES = ("os._exit", "segfault", "abort")
LEAVES = "leaves"


@dataclass(frozen=True)
class Sent:
    """One request: its body, the answer that must come, and whether its client waits for it."""

    kind: str
    body: bytes
    status: int
    answer: object


def planned(number: int) -> Sent:
    """What request `number` is."""
    if number % 200 == 7:
        return _told(number, CRASHES[number // 200 % 3], SCRIPT_ERROR)
    if number % 1000 == 3:
        return _told(number, "hang", f"Scoring timeout after {LIMIT_MS} ms")
    if number % 50 == 11:
        return _told(number, "raise", SCRIPT_ERROR)
    if number % 50 == 12:
        body = b"\xff%d" % number
        reason = (
            "Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
        )
        return Sent("not UTF-8", body, 400, {"message": reason})
    if number % 250 == 17:
        text = f"The request body must not exceed {LONGEST_BODY} bytes."
        return Sent("too long", b"x" * (LONGEST_BODY + number), 413, {"message": text})
    padding = {"padding": "x" * 90_000} if number % 97 == 5 else {}
    body = json.dumps({"number": number, **padding}).encode()
    kind = LEAVES if number % 100 == 13 else "plain"
    return Sent(kind, body, 200, {"number": number, "length": len(body)})


def _told(number: int, fault: str, text: str) -> Sent:
    return Sent(fault, json.dumps({"number": number, "fault": fault}).encode(), 500, {"message": text})


class Client:
    """Sends every sixteenth request over one connection as long as that lasts."""

    def __init__(self, port: int, answered: "Counter[str]", wrong: list[str]) -> None:
        self._port = port
        self._wrong = wrong
        self._answered = answered
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send_all(self, numbers: range) -> None:
        """Send each and check its answer."""
        for number in numbers:
            request = planned(number)
            reader, writer = await self._connection()
            lines = "POST /score HTTP/1.1", "Host: a", f"x-request-id: {number}", f"Content-Length: {len(request.body)}"
            head = "\r\n".join([*lines, "", ""])
            writer.write(head.encode() + request.body)
            if request.kind == LEAVES:
                await writer.drain()
                await self.close()
            else:
                await self._check(number, request, reader)
            self._answered[request.kind] += 1

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            with contextlib.suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None

    async def _check(self, number: int, request: Sent, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", head)
        assert length, head
        body = await reader.readexactly(int(length[1]))
        status = int(head.split(" ", 2)[1])
        if (status, json.loads(body)) != (request.status, request.answer):
            self._wrong.append(f"{number}, {request.kind}: {status} {body[:100]!r}")
        assert f"x-request-id: {number}\r\n" in head or status == 413, (number, head)
        if "connection: close" in head:
            assert await reader.read() == b"", "nothing follows"
            await self.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams


async def send_from_all(port: int, first: int, last: int) -> "Counter[str]":
    """Send the requests of these numbers; return how many of each kind were answered, all of them right."""
    wrong: list[str] = []
    answered: Counter[str] = Counter()
    clients = [Client(port, answered, wrong) for _ in range(CLIENTS)]
    try:
        async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
            for index, client in enumerate(clients):
                tasks.create_task(client.send_all(range(first + index, last, CLIENTS)))
    finally:
        for client in clients:
            await client.close()
    assert not wrong, f"{len(wrong)} wrong answers: {wrong[:10]}"
    return answered


def test_a_body_that_is_too_long_is_refused_under_its_own_id(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT, EDGEPACK_MAX_BODY_BYTES=str(LONGEST_BODY)) as agent:
        answer = agent.post(b"x" * (LONGEST_BODY + 1), **{"x-request-id": "mine"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (413, "mine")


def own_memory_kb(pid: int) -> int:
    """Memory that one process has filled itself. Pages of files depend on who else has them, such as other agents."""
    found = re.search(r"^Anonymous:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def send(agent: Agent, first: int, last: int) -> "Counter[str]":
    """Send these, and return once the agent is at rest."""
    answered = asyncio.run(send_from_all(int(agent.url.rpartition(":")[2]), first, last))
    agent.wait_ready()
    return answered


@pytest.mark.timeout(180)
def test_every_answer_is_right_and_no_memory_is_kept(tmp_path: Path) -> None:
    limits = {"SCORING_TIMEOUT_MS": str(LIMIT_MS), "EDGEPACK_MAX_BODY_BYTES": str(LONGEST_BODY)}
    with served(tmp_path, SCRIPT, **limits) as agent:
        assert send(agent, 0, WARM_UP).total() == WARM_UP
        before_kb = own_memory_kb(agent.process.pid)
        answered = send(agent, WARM_UP, WARM_UP + REQUESTS)
        after_kb = own_memory_kb(agent.process.pid)
        assert answered == Counter(planned(number).kind for number in range(WARM_UP, WARM_UP + REQUESTS))
        assert answered.total() == REQUESTS
        assert sum(answered[fault] for fault in CRASHES) == REQUESTS // 200
        assert after_kb < before_kb * 1.1, f"{before_kb} kB after the warm-up, {after_kb} kB at the end"
        assert agent.post({"number": -1}, **{"x-request-id": "last"}).json()["number"] == -1
        assert agent.process.poll() is None
        agent.stop()
        assert agent.exit_code(DEADLINE_S) == 0
