"""The edgeHub transport against a hub that checks tokens: messages both ways, sessions, renewal, faults."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from device_agent.messages.iothub.edgehub import EdgeHubTransport
from device_agent.messages.transport import Loss
from tests.fakes.fake_iot_hub import FakeIotHub
from tests.integration.device_agent.messages.hub_world import (
    DEVICE,
    MODULE,
    Recorder,
    edge,
    key_identity,
    message,
    running_hub,
)


@pytest.fixture
def hub() -> Iterator[FakeIotHub]:
    with running_hub() as running:
        yield running


def test_a_module_of_iot_edge_sends_and_receives(tmp_path: Path) -> None:
    async def story() -> None:
        with edge(tmp_path) as (hub, _, identity):
            transport = EdgeHubTransport(identity, "amlInput")
            async with Recorder(transport) as recorder:
                await recorder.up()
                properties = (("größe", "a/b&c=d+e %"), ("empty", ""))
                recorder.publish(7, message(1, properties=properties, correlation_id="c 1"))
                await recorder.until(lambda: recorder.confirmed, "confirmed")
                (event,) = hub.events
                system = ("$.on", "amlOutput"), ("$.mid", "id-1"), ("$.cid", "c 1"), ("$.ct", "application/json")
                assert event.properties == [*system, ("$.ce", "utf-8"), *properties]
                assert (event.body, recorder.confirmed) == (b"1", [7])

                sent = {"$.mid": "m 1", "$.cdid": "leaf", "$.cmid": "sensor", "$.ct": "text/plain", "seq": "1/2"}
                hub.send_input(MODULE, "amlInput", b"in", sent)
                await recorder.until(lambda: recorder.inputs, "an input")
                (received,) = recorder.inputs
                assert received._replace(receipt=None)[:7] == (
                    b"in",
                    "amlInput",
                    "m 1",
                    (("seq", "1/2"),),
                    "text/plain",
                    "",
                    "leaf/sensor",
                )
                assert not received.redelivered
                await recorder.until(lambda: hub.acknowledged == [b"in"], "acknowledged")
                assert hub.connects[0].keep_alive_s == 60
                assert not hub.connects[0].clean
                assert not hub.misdeeds
                assert recorder.losses == []

    asyncio.run(story())


def test_a_device_gets_messages_from_the_cloud(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        transport = EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem", DEVICE), "of no matter")
        async with Recorder(transport) as recorder:
            await recorder.up()
            hub.send_input(
                DEVICE, "", b"c2d", {"$.mid": "m1", "$.to": "/devices/edge-1/messages/devicebound", "a": "b"}
            )
            recorder.publish(1, message(1))
            await recorder.until(lambda: recorder.inputs and recorder.confirmed, "both")
            assert recorder.inputs[0].properties == (("a", "b"),)
            assert hub.events[0].property("$.on") is None

    asyncio.run(story())


def test_unacknowledged_inputs_come_again_with_the_same_origin(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        transport = EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "*")
        async with Recorder(transport, acknowledges=False) as recorder:
            await recorder.up()
            hub.send_input(MODULE, "one", b"no id")
            await recorder.until(lambda: recorder.inputs, "an input")
            hub.drop(MODULE)
            assert (await recorder.lost())[0] is Loss.CLOSED
            stale = recorder.inputs[0].receipt
            await recorder.up()
            await recorder.until(lambda: len(recorder.inputs) == 2, "the input again")
            transport.acknowledge(stale)
            first, second = recorder.inputs
            assert second.redelivered
            assert first.origin == second.origin
            assert 0 < len(first.origin) <= 64
            transport.acknowledge(second.receipt)
            await recorder.until(lambda: hub.acknowledged == [b"no id"], "acknowledged once")
            hub.send_input(MODULE, "one", b"no id")
            await recorder.until(lambda: len(recorder.inputs) == 3, "another message")
            assert recorder.inputs[2].origin != first.origin

    asyncio.run(story())


def test_inputs_of_other_names_do_not_block_ours(
    hub: FakeIotHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        transport = EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "mine")
        async with Recorder(transport) as recorder:
            await recorder.up()
            for name in ("other", "other", "mine"):
                hub.send_input(MODULE, name, name.encode())
            await recorder.until(lambda: recorder.inputs, "ours")
            assert [received.body for received in recorder.inputs] == [b"mine"]
            await recorder.until(lambda: len(hub.acknowledged) == 3, "all acknowledged")
            assert caplog.text.count("'other'") == 1

    asyncio.run(story())


def test_the_largest_message_that_is_not_refused_arrives(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        async with Recorder(EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "*")) as recorder:
            await recorder.up()
            large = message(1, properties=(("ü", "%"),))
            size_bytes = 262_144
            while recorder.transport.refusal(large._replace(body=bytes(size_bytes))):
                size_bytes -= 1
            recorder.publish(1, large._replace(body=bytes(size_bytes)))
            await recorder.until(lambda: recorder.confirmed, "confirmed")
            assert size_bytes > 262_000
            recorder.publish(2, large._replace(body=bytes(size_bytes + 1)))
            assert (await recorder.lost())[0] is Loss.CLOSED, "the hub would not have taken it"

    asyncio.run(story())


def test_a_token_is_renewed_during_traffic_without_loss(tmp_path: Path) -> None:
    async def story() -> None:
        with edge(tmp_path) as (hub, workload, identity):
            transport = EdgeHubTransport(identity, "*", token_ttl_s=3, window=50)
            async with Recorder(transport, reconnects=True) as recorder:
                await recorder.up()
                hub.confirms_after_s = 0.1  # so that there is always something under way
                number = 0
                while recorder.connects < 3:
                    if len(recorder.unconfirmed) < 50:
                        number += 1
                        recorder.publish(number, message(number))
                        if number % 10 == 0:
                            hub.send_input(MODULE, "in", b"%d" % number)
                    await asyncio.sleep(0.002)
                await recorder.until(lambda: not recorder.unconfirmed, "all confirmed")
                await recorder.until(lambda: len(recorder.inputs) >= number // 10, "all inputs")
                assert [loss for loss, _ in recorder.losses] == [Loss.PLANNED, Loss.PLANNED]
                bodies = [int(event.body) for event in hub.events]
                assert bodies == list(range(1, number + 1)), "each once, in order: what was in flight was waited for"
                assert sorted(recorder.confirmed) == bodies
                assert len({connect.password for connect in hub.connects}) == 3
                assert len([line for line in workload.requests if "sign" in line]) == 3

    asyncio.run(story())


def test_a_token_that_cannot_be_renewed_ends_with_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        with edge(tmp_path) as (_, workload, identity):
            transport = EdgeHubTransport(identity, "*", token_ttl_s=3)
            async with Recorder(transport) as recorder:
                await recorder.up()
                workload.stop()
                loss, _ = await recorder.lost()
                assert loss is Loss.CLOSED, "it was kept until the hub ended it"
                recorder.connect()
                loss, reason = await recorder.lost()
                assert loss is Loss.UNREACHABLE
                assert str(workload.path) in reason
                workload.start()
                await recorder.up()

    asyncio.run(story())


def test_refused_credentials_say_who_and_what_time_it_is(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        hub.keys[MODULE] = b"another key"
        transport = EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "*")
        async with Recorder(transport) as recorder:
            recorder.connect()
            loss, reason = await recorder.lost()
            assert loss is Loss.REFUSED
            assert f"it is {MODULE} of {hub.hub_name}, and the clock here says 20" in reason
            assert "refused the connection: it does not accept the token" in reason
            assert (
                "UTC: check that this identity is there and enabled, that the key is its own, and the clock" in reason
            )
            assert "user" not in reason

    asyncio.run(story())


def test_a_certificate_of_another_authority_is_refused(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        identity = key_identity(hub, tmp_path / "ca.pem")
        (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
        async with Recorder(EdgeHubTransport(identity, "*")) as recorder:
            recorder.connect()
            loss, reason = await recorder.lost()
            assert loss is Loss.REFUSED
            assert "certificate" in reason
            assert hub.connects == []

    asyncio.run(story())


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"])
def test_authorities_that_cannot_be_used_are_told(hub: FakeIotHub, tmp_path: Path, content: str | None) -> None:
    async def story() -> None:
        identity = key_identity(hub, tmp_path / "ca.pem")
        (tmp_path / "ca.pem").unlink()
        if content is not None:
            (tmp_path / "ca.pem").write_text(content)
        async with Recorder(EdgeHubTransport(identity, "*")) as recorder:
            recorder.connect()
            loss, reason = await recorder.lost()
            assert loss is Loss.REFUSED
            assert "authorities" in reason

    asyncio.run(story())


def test_a_refused_subscription_is_a_refusal(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        hub.refused_filters.add("$iothub/methods/POST/#")
        async with Recorder(EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "*")) as recorder:
            recorder.connect()
            loss, reason = await recorder.lost()
            assert (loss, recorder.connects) == (Loss.REFUSED, 0)
            assert "$iothub/methods/POST/#" in reason

    asyncio.run(story())


def test_a_hub_that_confirms_nothing_is_silent(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        transport = EdgeHubTransport(key_identity(hub, tmp_path / "ca.pem"), "*", confirmation_timeout_s=0.5)
        async with Recorder(transport, reconnects=True) as recorder:
            await recorder.up()
            hub.confirms = False
            recorder.publish(1, message(1))
            loss, reason = await recorder.lost()
            assert loss is Loss.SILENT
            assert "0.5 s" in reason
            hub.confirms = True
            await recorder.until(lambda: recorder.confirmed == [1], "sent again")

    asyncio.run(story())


@pytest.mark.parametrize("phase", ["credentials", "connecting", "connected"])
def test_disconnect_reports_what_it_was_given_in_every_phase(tmp_path: Path, phase: str) -> None:
    async def story() -> None:
        with edge(tmp_path) as (hub, workload, identity):
            workload.hangs = phase == "credentials"
            hub.is_frozen = phase == "connecting"
            transport = EdgeHubTransport(identity, "*")
            async with Recorder(transport) as recorder:
                recorder.connect()
                if phase == "credentials":
                    await recorder.until(lambda: workload.requests, "asked")
                elif phase == "connecting":
                    await recorder.until(lambda: hub.connects, "CONNECT")
                else:
                    await recorder.until(lambda: recorder.is_connected, "connected")
                recorder.disconnect(Loss.PLANNED, "because")
                await recorder.until(lambda: recorder.losses, "told")
                assert recorder.losses == [(Loss.PLANNED, "because")]
                workload.hangs = hub.is_frozen = False
                await recorder.up()
                await transport.close()
                await transport.close()
                assert len(recorder.losses) == 1

    asyncio.run(story())


@pytest.mark.parametrize("phase", ["credentials", "connecting"])
def test_close_during_an_attempt_is_quick_and_quiet(tmp_path: Path, phase: str) -> None:
    async def story() -> None:
        with edge(tmp_path) as (hub, workload, identity):
            workload.hangs = phase == "credentials"
            hub.is_frozen = True
            transport = EdgeHubTransport(identity, "*")
            async with Recorder(transport) as recorder:
                recorder.connect()
                await recorder.until(lambda: workload.requests if workload.hangs else hub.connects, "under way")
                async with asyncio.timeout(1.5):
                    await transport.close()
                await asyncio.sleep(0)
                assert (recorder.losses, recorder.connects) == ([], 0)

    asyncio.run(story())
