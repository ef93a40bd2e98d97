"""The transport `mqtt` and the network: names, addresses, floods, peers that do not read."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from device_agent.messages.mqtt import dialing
from device_agent.messages.mqtt.connection import ConnectionOptions
from device_agent.messages.mqtt.dialing import Destination, DialFailure, dial, resolve
from device_agent.messages.mqtt.mqtt_transport import MqttTransport
from device_agent.messages.mqtt.paho_connection import PahoConnection
from device_agent.messages.settings import MqttSettings
from device_agent.messages.transport import Loss
from tests.integration.device_agent.messages.mosquitto_server import HOST, MosquittoServer, free_port
from tests.integration.device_agent.messages.scripted_broker import ACCEPTED_311, CONNECT, Session, scripted_broker
from tests.integration.device_agent.messages.transport_contract import (
    BLOCKED_S,
    ENDS_WITHIN_S,
    Lag,
    Recorder,
    on_loop,
    until,
)


def transport_to(host: str, port: int) -> MqttTransport:
    """A transport without secrets."""
    settings = MqttSettings(host=host, port=port, version="3.1.1")
    return MqttTransport(settings, "agent-1", "in", keep_alive_s=60, window=100)


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that answers nothing, not even to a connect: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


@on_loop
async def test_a_name_that_nobody_knows() -> None:
    recorder = Recorder(transport_to("no-such-host.invalid", 1883))
    lag = Lag()
    with lag.watch():
        recorder.begin()
        loss, reason = await recorder.lost()
    assert loss is Loss.UNREACHABLE
    assert "no-such-host.invalid cannot be resolved" in reason
    assert lag.longest_s < BLOCKED_S
    await recorder.transport.close()


HANGING_RESOLVER = """
import asyncio, threading
from device_agent.messages.mqtt.dialing import resolve

async def give_up():
    try:
        async with asyncio.timeout(0.05):
            await resolve("broker.example", 1883, lambda *_, **__: threading.Event().wait())
    except TimeoutError:
        print("gave up", flush=True)

asyncio.run(give_up())
"""


def test_a_resolver_that_hangs_does_not_keep_the_process() -> None:
    child = subprocess.run([sys.executable, "-c", HANGING_RESOLVER], capture_output=True, timeout=20, check=True)
    assert child.stdout == b"gave up\n"
    assert child.stderr == b""


@on_loop
async def test_an_answer_of_the_resolver_that_comes_too_late_is_ignored() -> None:
    problems: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: problems.append(context))
    may_answer = threading.Event()
    threads: list[threading.Thread] = []

    def look_up(*_arguments: object, **_named: object) -> list[tuple[Any, ...]]:
        threads.append(threading.current_thread())
        may_answer.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, 1883))]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resolve("broker.example", 1883, look_up)
    may_answer.set()
    await until(lambda: threads and not threads[0].is_alive(), "the end of the resolver")
    await asyncio.sleep(0)  # what it told the loop has its turn
    assert problems == []
    assert await resolve("broker.example", 1883, look_up) == [(socket.AF_INET, (HOST, 1883))]


@on_loop
async def test_a_port_that_does_not_answer_is_given_up_in_time(dead_port: int) -> None:
    lag = Lag()
    with lag.watch():
        endless = asyncio.create_task(dial(Destination(HOST, dead_port, None, HOST), 100, asyncio.Protocol))
        with pytest.raises(DialFailure, match="no answer") as caught:
            await dial(Destination(HOST, dead_port, None, HOST), 0.3, asyncio.Protocol)
        assert not endless.done()
        endless.cancel()
    assert caught.value.loss is Loss.UNREACHABLE
    assert lag.longest_s < BLOCKED_S


def test_an_address_that_leads_nowhere_does_not_hide_the_next(dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int) -> list[tuple[int, Any]]:
        return [(socket.AF_INET, address) for address in ((HOST, free_port()), (HOST, dead_port), (HOST, port))]

    monkeypatch.setattr(dialing, "resolve", resolve)

    async def connect() -> None:
        async with scripted_broker(_accept) as port:
            options, opened = ConnectionOptions("broker.example", port, "me", connect_timeout_s=1), Opened()
            connection = PahoConnection(options, opened, asyncio.get_running_loop())
            connection.open()
            await until(lambda: opened.is_open, "opened")
            await connection.shut()
            assert opened.ends == []

    asyncio.run(connect())


class Opened:
    """ConnectionEvents that note one."""

    def __init__(self) -> None:
        self.is_open = False
        self.ends: list[Loss] = []

    def opened(self, session_present: bool) -> None:
        """See ConnectionEvents."""
        self.is_open = True

    def closed(self, loss: Loss, reason: str, code: int | None) -> None:
        """See ConnectionEvents."""
        self.ends.append(loss)

    def message(self, *arguments: object) -> None:
        """See ConnectionEvents."""

    def confirmed(self, mid: int) -> None:
        """See ConnectionEvents."""

    def refused(self, number: int, reason: str, code: int) -> None:
        """See ConnectionEvents."""

    def subscribed(self, mid: int, codes: list[int]) -> None:
        """See ConnectionEvents."""


async def _accept(session: Session) -> None:
    await session.expect(CONNECT)
    session.write(ACCEPTED_311)
    await session.expect(0)


@on_loop
async def test_a_flood_of_inputs_does_not_stop_the_loop() -> None:
    """Several thousand messages in one piece; the same loop answers HTTP."""
    count = 30_000
    one = b"\x30\x0c\x00\x02in" + b"12345678"
    flood = one * count

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(1000)
            client.sendall(ACCEPTED_311)
            subscription = client.recv(1000)
            client.sendall(b"\x90\x03" + subscription[2:4] + b"\x01")
            client.sendall(flood)
            while client.recv(1000):
                pass

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        recorder = Recorder(transport_to(HOST, listener.getsockname()[1]))
        await recorder.connect()
        lag = Lag()
        with lag.watch():
            await until(lambda: len(recorder.inputs) == count, "the flood")
        await recorder.transport.close()
        thread.join(5)
    assert lag.longest_s < BLOCKED_S


@on_loop
async def test_a_peer_that_does_not_read_is_no_burden() -> None:
    """Its bytes wait; the end still comes within a second."""
    with socket.create_server((HOST, 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        recorder = Recorder(transport_to(HOST, listener.getsockname()[1]))
        recorder.begin()
        client, _ = await asyncio.to_thread(listener.accept)
        with client:
            await asyncio.to_thread(client.recv, 1000)
            client.sendall(ACCEPTED_311)
            subscription = await asyncio.to_thread(client.recv, 1000)
            client.sendall(b"\x90\x03" + subscription[2:4] + b"\x01")
            await until(lambda: recorder.is_connected, "connected")
            lag = Lag()
            with lag.watch():
                for number in range(100):
                    recorder.publish(number, bytes(200_000))
                    await asyncio.sleep(0)
                async with asyncio.timeout(ENDS_WITHIN_S):
                    await recorder.transport.close()
            assert lag.longest_s < BLOCKED_S


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_both_loops_carry_it(run: Any, tmp_path: Any) -> None:
    async def echo() -> None:
        recorder = Recorder(transport_to(HOST, server.port))
        await recorder.connect()
        for number in range(300):
            recorder.publish_to("in", number, b"%d" % number)
        await until(lambda: len(recorder.inputs) == 20, "a window of inputs")
        recorder.acknowledges = True
        for received in list(recorder.inputs):
            recorder.acknowledge(received)
        await until(lambda: len(recorder.inputs) == 300, "inputs")
        assert [received.body for received in recorder.inputs] == [b"%d" % number for number in range(300)]
        await recorder.transport.close()

    with MosquittoServer(tmp_path) as server:
        run(echo())
