"""The transport `mqtt` against brokers that refuse, lie, or talk nonsense."""

import asyncio
import random

import pytest

from device_agent.messages.message import Message
from device_agent.messages.mqtt.mqtt_transport import MqttTransport
from device_agent.messages.settings import MqttSettings
from device_agent.messages.transport import Loss
from tests.integration.device_agent.messages.mosquitto_server import HOST
from tests.integration.device_agent.messages.scripted_broker import (
    ACCEPTED_5,
    ACCEPTED_311,
    CONNECT,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    Session,
    publish_packet,
    scripted_broker,
)
from tests.integration.device_agent.messages.transport_contract import Recorder, on_loop, until


def transport_to(port: int, version: str = "auto") -> MqttTransport:
    """A transport to a scripted broker."""
    return MqttTransport(
        MqttSettings(host=HOST, port=port, version=version), "agent-1", "in", keep_alive_s=60, window=10
    )


async def loss_of(port: int, version: str = "5") -> tuple[Loss, str]:
    """What one attempt comes to."""
    recorder = Recorder(transport_to(port, version))
    recorder.begin()
    loss = await recorder.lost()
    await recorder.transport.close()
    return loss


@pytest.mark.parametrize("refusal", [b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x01"], ids=["0x84", "1"])
@on_loop
async def test_an_old_broker_is_spoken_to_in_its_version_from_then_on(
    refusal: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    versions = []

    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        versions.append(session.version)
        if session.version == 5:
            session.write(refusal)
            return
        session.write(b"\x20\x02\x00\x00")
        subscription = await session.expect(SUBSCRIBE)
        session.write(b"\x90\x03" + subscription[:2] + b"\x01")
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port))
        await recorder.connect()
        recorder.disconnect(Loss.PLANNED, "again")
        await recorder.lost()
        await recorder.reconnect()
        assert versions == [5, 4, 4]
        assert len([record for record in caplog.records if "it carries no message ids" in record.message]) == 1
        await recorder.transport.close()


@on_loop
async def test_a_broker_that_hangs_up_twice_on_version_5_is_spoken_to_in_3_1_1_and_asked_for_5_again_the_next_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    versions = []

    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        versions.append(session.version)
        if session.version == 5:
            return
        session.write(b"\x20\x02\x00\x00")
        subscription = await session.expect(SUBSCRIBE)
        session.write(b"\x90\x03" + subscription[:2] + b"\x01")
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port))
        recorder.begin()
        assert (await recorder.lost())[0] is Loss.CLOSED
        assert versions == [5], "one hang-up may be anything"
        await recorder.reconnect()
        assert versions == [5, 5, 4]
        recorder.disconnect(Loss.PLANNED, "again")
        await recorder.lost()
        await recorder.reconnect()
        assert versions == [5, 5, 4, 5, 4]
        assert recorder.transport.address == f"mqtt://{HOST}:{port}, MQTT 3.1.1"
        await recorder.transport.close()
    assert (
        len([record for record in caplog.records if "in MQTT 3.1.1: it carries no message ids" in record.message]) == 1
    )


@on_loop
async def test_hang_ups_count_in_a_row_only() -> None:
    versions = []

    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        versions.append(session.version)
        if len(versions) == 2:
            session.write(b"\x20\x03\x00\x88\x00")
            await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port))
        for attempt in range(1, 5):
            recorder.begin()
            await recorder.lost(attempt)
        assert versions == [5, 5, 5, 5, 4]
        await recorder.transport.close()


@on_loop
async def test_a_version_that_was_asked_for_is_the_only_one() -> None:
    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        assert session.version == 5
        session.write(b"\x20\x03\x00\x84\x00")

    async with scripted_broker(script) as port:
        loss, reason = await loss_of(port)
        assert loss is Loss.REFUSED
        assert "version" in reason


@pytest.mark.parametrize(
    ("answer", "loss", "words"),
    [
        (b"\x20\x03\x00\x87\x00", Loss.REFUSED, "not authorized"),
        (b"\x20\x03\x00\x86\x00", Loss.REFUSED, "bad user name or password"),
        (b"\x20\x03\x00\x88\x00", Loss.REFUSED, "server unavailable"),
        (b"\x20\x05\x00\x00\x02\x24\x00", Loss.REFUSED, "QoS 1"),
        (b"", Loss.CLOSED, "without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Loss.CLOSED, "without an answer"),
        (ACCEPTED_5 + ACCEPTED_5, Loss.CLOSED, "twice"),
        (publish_packet(b"in", 1, b"x", b"\x00"), Loss.CLOSED, "before it accepted"),
        (b"\x20\x03\x00\xee\x00", Loss.CLOSED, "MQTT 5"),
        (ACCEPTED_5 + b"\xe0\x02\x8b\x00", Loss.CLOSED, "server shutting down"),
        (ACCEPTED_5 + b"\x32\x05\x00\x02in\x00", Loss.CLOSED, "MQTT 5"),
        (ACCEPTED_5 + b"\x32\x08\x00\x02\xff\xff\x00\x01\x00x", Loss.CLOSED, "MQTT 5"),
        (ACCEPTED_5 + b"\x40\x01\x00", Loss.CLOSED, "MQTT 5"),
        (ACCEPTED_5 + b"\xff\xff\xff\xff\xff\xff", Loss.CLOSED, "MQTT 5"),
    ],
)
@on_loop
async def test_every_end_has_its_reason(answer: bytes, loss: Loss, words: str) -> None:
    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        session.write(answer)
        if answer and not answer.startswith(b"HTTP"):
            await session.expect(0)

    async with scripted_broker(script) as port:
        found, reason = await loss_of(port)
        assert found is loss
        assert words in reason
        assert f"mqtt://{HOST}:{port}" in reason


@on_loop
async def test_a_refused_subscription_is_a_loss() -> None:
    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        session.write(ACCEPTED_5)
        subscription = await session.expect(SUBSCRIBE)
        session.write(b"\x90\x04" + subscription[:2] + b"\x00\x87")
        await session.expect(0)

    async with scripted_broker(script) as port:
        loss, reason = await loss_of(port)
        assert loss is Loss.REFUSED
        assert "subscription to in" in reason
        assert "not authorized" in reason


def mid_of(publish: bytes) -> bytes:
    """The packet identifier of a PUBLISH with QoS 1."""
    at = 2 + (publish[0] << 8 | publish[1])
    return publish[at : at + 2]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x80, "unspecified error"),
        (0x83, "implementation specific error"),
        (0x87, "not authorized"),
        (0x90, "topic name invalid"),
        (0x95, "packet too large"),
        (0x99, "payload format invalid"),
        (0xEE, "reason code 0xee"),
    ],
)
@on_loop
async def test_a_message_that_is_refused_holds_up_no_other(code: int, words: str) -> None:
    async def script(session: Session) -> None:
        await session.accept()
        session.write(b"\x40\x02" + mid_of(await session.expect(PUBLISH)))  # the status
        session.write(b"\x40\x04" + mid_of(await session.expect(PUBLISH)) + bytes([code, 0]))
        session.write(b"\x40\x02" + mid_of(await session.expect(PUBLISH)))
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port, "5"))
        await recorder.connect()
        recorder.publish(1, b"not this one")
        recorder.publish(2, b"this one")
        await until(lambda: recorder.confirmed, "the confirmation of the second")
        assert recorder.confirmed == [2]
        assert recorder.refusals == [(1, f"the broker refused it: {words}")]
        assert recorder.losses == []
        await recorder.transport.close()


@on_loop
async def test_a_refused_status_is_told_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def script(session: Session) -> None:
        await session.accept()
        for code in (0x95, 0x97):
            session.write(b"\x40\x04" + mid_of(await session.expect(PUBLISH)) + bytes([code, 0]))
        session.write(b"\x40\x02" + mid_of(await session.expect(PUBLISH)))
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port, "5"))
        await recorder.connect()
        recorder.transport.report({"a": 1})
        recorder.publish(1, b"x")
        await until(lambda: recorder.confirmed, "a confirmation")
        assert recorder.losses == []
        assert recorder.refusals == []
        told = [record.message for record in caplog.records if "refused" in record.message]
        assert told == [
            f"mqtt://{HOST}:{port} refused the status, topic edgepack/agent-1/status: packet too large",
        ]
        await recorder.transport.close()


@pytest.mark.parametrize(
    ("code", "words"), [(0x97, "quota exceeded"), (0x88, "server unavailable"), (0x89, "server busy")]
)
@on_loop
async def test_a_broker_that_takes_nothing_at_the_moment_is_a_loss(code: int, words: str) -> None:
    async def script(session: Session) -> None:
        await session.accept()
        await session.expect(PUBLISH)  # the status
        mid = mid_of(await session.expect(PUBLISH))
        session.write(b"\x40\x04" + mid + bytes([code, 0]))
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port, "5"))
        await recorder.connect()
        recorder.publish(1, b"too much")
        loss, reason = await recorder.lost()
        assert loss is Loss.REFUSED
        assert words in reason
        assert recorder.confirmed == []
        assert recorder.refusals == []
        await recorder.transport.close()


@on_loop
async def test_no_more_messages_are_under_way_than_the_broker_takes() -> None:
    most = 0

    async def script(session: Session) -> None:
        nonlocal most
        await session.expect(CONNECT)
        session.write(b"\x20\x06\x00\x00\x03\x21\x00\x03")
        subscription = await session.expect(SUBSCRIBE)
        session.write(b"\x90\x04" + subscription[:2] + b"\x00\x01")
        held: list[bytes] = []
        while True:
            try:
                async with asyncio.timeout(0.05):
                    body = await session.expect(PUBLISH)
            except TimeoutError:
                for mid in held:
                    session.write(b"\x40\x02" + mid)
                held.clear()
                continue
            topic_bytes = body[0] << 8 | body[1]
            held.append(body[2 + topic_bytes : 4 + topic_bytes])
            most = max(most, len(held))

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port, "5"), window=10)
        await recorder.connect()
        for number in range(10):
            recorder.publish(number, b"x")
        await until(lambda: len(recorder.confirmed) == 10, "confirmations")
        assert recorder.confirmed == list(range(10))
        assert most == 3
        await recorder.transport.close()


@on_loop
async def test_a_packet_that_the_broker_does_not_take_is_refused_here() -> None:
    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        session.write(b"\x20\x08\x00\x00\x05\x27\x00\x00\x04\x00")
        subscription = await session.expect(SUBSCRIBE)
        session.write(b"\x90\x04" + subscription[:2] + b"\x00\x01")
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port, "5"))
        message = Message(bytes(1100), "out", "id")
        assert recorder.transport.refusal(message) == ""
        await recorder.connect()
        assert "1024" in recorder.transport.refusal(message)
        await recorder.transport.close()


@on_loop
async def test_inputs_that_come_before_the_answer_to_the_subscription_wait_for_connected() -> None:
    async def script(session: Session) -> None:
        await session.expect(CONNECT)
        session.write(ACCEPTED_5 + publish_packet(b"in", 7, b"early", b"\x00"))
        subscription = await session.expect(SUBSCRIBE)
        session.write(b"\x90\x04" + subscription[:2] + b"\x00\x01" + publish_packet(b"in", 8, b"late", b"\x00"))
        assert await session.expect(PUBACK) == b"\x00\x07"
        assert await session.expect(PUBACK) == b"\x00\x08"
        session.write(publish_packet(b"in", 9, b"done", b"\x00"))
        await session.expect(0)

    async with scripted_broker(script) as port:
        recorder = Recorder(transport_to(port, "5"), acknowledges=True)
        await recorder.connect()
        await until(lambda: len(recorder.inputs) == 3, "inputs")
        assert [received.body for received in recorder.inputs] == [b"early", b"late", b"done"]
        await recorder.transport.close()


@pytest.mark.parametrize("seed", range(4))
@on_loop
async def test_nonsense_ends_the_connection_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311

    async def script(session: Session) -> None:
        if chance.random() < 0.7:
            await session.accept()
        valid = [
            publish_packet(b"in", 1, b"x", b"\x00"),
            b"\xd0\x00",
            b"\x40\x02\x00\x01",
            b"\x62\x02\x00\x01",
            b"\x90\x04\x00\x01\x00\x01",
            ACCEPTED_5,
            ACCEPTED_311,
        ]
        for _ in range(chance.randrange(1, 20)):
            packet = bytearray(
                chance.choice(valid) if chance.random() < 0.5 else chance.randbytes(chance.randrange(40))
            )
            if packet and chance.random() < 0.5:
                packet[chance.randrange(len(packet))] = chance.randrange(256)
            session.write(bytes(packet))
            await asyncio.sleep(0)

    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    async with scripted_broker(script) as port:
        transport = transport_to(port, chance.choice(["5", "3.1.1", "auto"]))
        recorder = Recorder(transport, acknowledges=True)
        for attempt in range(1, 120):
            recorder.begin()
            await recorder.lost(attempt)
        await transport.close()
    assert problems == []
