"""A load for modules on a broker: numbered messages in, so many in flight, results counted. MQTT 3.1.1, QoS 1.

A codec of a few lines on uvloop, so that the load costs less than what it measures. It fails on a result that is lost.
"""

import asyncio
import json
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import uvloop

_PUBLISH, _PUBACK, _SUBACK, _CONNACK = 3, 4, 9, 2


class Found(NamedTuple):
    """What was measured. Latencies in milliseconds, from sending the input to receiving the result."""

    per_s: float
    p50_ms: float
    p99_ms: float
    messages: int


class Client(asyncio.Protocol):
    """Sends inputs and receives results over one connection."""

    def __init__(self, name: str, results: str) -> None:
        self._name = name
        self._results = results
        self._held = bytearray()
        self._mid = 0
        self.is_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_result: Callable[[bytes], None] = lambda _: None

    def connection_made(self, transport: Any) -> None:
        """Say hello."""
        self.transport = transport
        transport.write(_packet(0x10, _text("MQTT") + bytes([4, 2, 0, 0]) + _text(self._name)))

    def publish(self, topic: str, body: bytes) -> None:
        """One message, QoS 1."""
        self._mid = self._mid % 65535 + 1
        self.transport.write(_packet(0x32, _text(topic) + struct.pack("!H", self._mid) + body))

    def data_received(self, data: bytes) -> None:
        """Packets, whole or in pieces."""
        held = self._held
        held += data
        at = 0
        acknowledgements = []
        while len(held) - at >= 2:
            length, shift, begin = 0, 0, at + 1
            while begin < len(held):
                byte = held[begin]
                length |= (byte & 127) << shift
                shift += 7
                begin += 1
                if byte < 128:
                    break
            else:
                break
            if len(held) < begin + length or held[begin - 1] >= 128:
                break
            kind = held[at] >> 4
            if kind == _PUBLISH:
                (size,) = struct.unpack_from("!H", held, begin)
                start = begin + 2 + size
                if held[at] & 6:
                    acknowledgements.append(b"\x40\x02" + held[start : start + 2])
                    start += 2
                self.on_result(bytes(held[start : begin + length]))
            elif kind == _CONNACK:
                self.transport.write(_packet(0x82, b"\0\1" + _text(self._results) + b"\1"))
            elif kind == _SUBACK:
                self.is_ready.set_result(None)
            at = begin + length
        del held[:at]
        if acknowledgements:
            self.transport.write(b"".join(acknowledgements))


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _packet(head: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while True:
        length, byte = length >> 7, length & 127
        size.append(byte | 128 if length else byte)
        if not length:
            return bytes([head]) + size + body


def body_of(number: int, size_bytes: int) -> bytes:
    """A JSON document of this size."""
    start = b'{"number": %d, "padding": "' % number
    return start + b"x" * (size_bytes - len(start) - 2) + b'"}'


def send(port: int, inputs: str, results: str, *, seconds: float, in_flight: int, size_bytes: int = 200) -> Found:
    """Keep so many messages in flight for so long; wait for all results."""
    return uvloop.run(_send(port, inputs, results, seconds, in_flight, size_bytes))


def receive(port: int, results: str, count: int, within_s: float) -> list[float]:
    """When each of so many results came, seconds of time.perf_counter; they come from a backlog."""
    return uvloop.run(_receive(port, results, count, within_s))


async def _connect(port: int, results: str) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(f"load-{time.monotonic_ns()}", results), "127.0.0.1", port)
    await client.is_ready
    return client


async def _receive(port: int, results: str, count: int, within_s: float) -> list[float]:
    client = await _connect(port, results)
    times: list[float] = []
    done = asyncio.Event()

    def on_result(_: bytes) -> None:
        times.append(time.perf_counter())
        if len(times) == count:
            done.set()

    client.on_result = on_result
    print("ready", flush=True)
    async with asyncio.timeout(within_s):
        await done.wait()
    client.transport.close()
    return times


async def _send(port: int, inputs: str, results: str, seconds: float, in_flight: int, size_bytes: int) -> Found:
    client = await _connect(port, results)
    waiting: dict[int, float] = {}
    latencies: deque[float] = deque()
    done = asyncio.Event()
    number = 0
    begun_s = time.perf_counter()
    end_s = begun_s + seconds

    def send_one() -> None:
        nonlocal number
        number += 1
        waiting[number] = time.perf_counter()
        client.publish(inputs, body_of(number, size_bytes))

    def on_result(body: bytes) -> None:
        now_s = time.perf_counter()
        sent_s = waiting.pop(json.loads(body)["number"], None)
        if sent_s is None:
            return  # a repetition, or left over from a run before
        latencies.append(now_s - sent_s)
        if now_s < end_s:
            send_one()
        elif not waiting:
            done.set()

    client.on_result = on_result
    for _ in range(in_flight):
        send_one()
    try:
        async with asyncio.timeout(seconds + 30):
            await done.wait()
    except TimeoutError:
        raise SystemExit(f"{inputs}: {len(waiting)} of {number} results did not come") from None
    took_s = time.perf_counter() - begun_s
    client.transport.close()
    ordered = sorted(latencies)
    p50, p99 = (1000 * ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
    return Found(len(ordered) / took_s, p50, p99, len(ordered))
