"""The transport over azure-iot-device; and the bare azure-iot-device as judge of the fake hub.

The SDK knows the ports 8883 and 443 only: each hub here has a loopback address of its own.
"""

import asyncio
import base64
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from azure.iot.device import Message as SdkMessage
from azure.iot.device import MethodResponse
from azure.iot.device.aio import IoTHubModuleClient

from device_agent.messages.iothub.azure_sdk import AzureSdkTransport
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Loss
from tests.fakes.fake_iot_hub import HUB_NAME, FakeIotHub
from tests.fakes.fake_provisioning import FakeProvisioning
from tests.fakes.fake_proxy import FakeProxy
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.device_agent.messages.hub_world import DEVICE, KEY, MODULE, Recorder, message
from tests.integration.device_agent.messages.transport_contract import ENDS_WITHIN_S

pytestmark = pytest.mark.filterwarnings("ignore:Callback API version 1 is deprecated")
_addresses = itertools.count(83)


@pytest.fixture
def hub() -> Iterator[FakeIotHub]:
    with FakeIotHub({MODULE: KEY, DEVICE: KEY}, host=f"127.0.0.{next(_addresses)}", port=8883) as running:
        yield running


def transport_to(
    hub: FakeIotHub, folder: Path, client_id: str = MODULE, environment: dict[str, str] | None = None, **more: Any
) -> AzureSdkTransport:
    """A transport with a connection string."""
    (folder / "ca.pem").write_text(hub.ca_pem)
    device_id, _, module_id = client_id.partition("/")
    text = f"HostName={HUB_NAME};GatewayHostName={hub.host};DeviceId={device_id}"
    text += f";ModuleId={module_id}" if module_id else ""
    text += f";SharedAccessKey={base64.b64encode(KEY).decode()}"
    settings = MessageSettings(connection_string=text, edge_ca_file=str(folder / "ca.pem"), input_name="in")
    return AzureSdkTransport(settings, environment or {}, **more)


def test_a_module_sends_and_receives_in_order(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        async with Recorder(transport_to(hub, tmp_path)) as recorder:
            await recorder.up()
            for number in range(1, 101):
                recorder.publish(number, message(number, properties=(("n", f"{number} %/ü"),)))
            for number in range(20):
                hub.send_input(MODULE, "in", b"%d" % number, {"$.mid": f"m{number}", "$.cdid": "leaf", "a": "b"})
                hub.send_input(MODULE, "other", b"not ours")
            await recorder.until(lambda: len(recorder.confirmed) == 100, "confirmations")
            await recorder.until(lambda: len(recorder.inputs) == 20, "inputs")
            assert [event.body for event in hub.events] == [b"%d" % number for number in range(1, 101)]
            assert hub.events[6].property("n") == "7 %/ü"
            assert hub.events[6].property("$.on") == "amlOutput"
            assert hub.events[6].property("$.mid") == "id-7"
            assert [received.body for received in recorder.inputs] == [b"%d" % number for number in range(20)]
            first = recorder.inputs[0]
            assert (first.message_id, first.sender, first.properties) == ("m0", "leaf", (("a", "b"),))
            assert not recorder.transport.capabilities.acknowledges_by_hand

    asyncio.run(story())


def test_a_device_sends_and_receives(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        async with Recorder(transport_to(hub, tmp_path, DEVICE)) as recorder:
            await recorder.up()
            recorder.publish(1, message(1))
            hub.send_input(DEVICE, "", b"c2d", {"$.mid": "m"})
            await recorder.until(lambda: recorder.confirmed and recorder.inputs, "both")
            assert hub.events[0].property("$.on") is None

    asyncio.run(story())


def test_twin_and_methods(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        hub.twin(MODULE).desired = {"a": 1}
        async with Recorder(transport_to(hub, tmp_path)) as recorder:
            recorder.transport.report({"state": "good"})
            await recorder.up()
            await recorder.until(lambda: recorder.desired_seen == [{"a": 1}], "desired")
            await recorder.until(lambda: hub.twin(MODULE).reported == {"state": "good"}, "reported")
            hub.change_desired(MODULE, {"b": {"c": 2}})
            await recorder.until(lambda: recorder.desired_seen[-1] == {"a": 1, "b": {"c": 2}}, "the patch")
            answer = asyncio.create_task(asyncio.to_thread(hub.call_method, MODULE, "ping", {"x": 1}))
            await recorder.until(lambda: recorder.calls, "the call")
            assert recorder.calls[0].payload == {"x": 1}
            recorder.transport.answer_method(recorder.calls[0], 200, {"y": 2})
            assert await answer == (200, {"y": 2})
            hub.twin_statuses += [500]
            recorder.transport.report({"state": "better"})
            await recorder.until(lambda: hub.twin(MODULE).reported == {"state": "better"}, "reported again")

    asyncio.run(story())


def test_it_comes_back_after_a_cut_and_after_a_renewal(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        async with Recorder(transport_to(hub, tmp_path, token_ttl_s=4), reconnects=True) as recorder:
            await recorder.up()
            recorder.publish(1, message(1))
            await recorder.until(lambda: recorder.confirmed, "confirmed")
            hub.drop(MODULE)
            assert (await recorder.lost())[0] is Loss.CLOSED
            await recorder.until(lambda: recorder.is_connected, "back")
            assert (await recorder.lost())[0] is Loss.PLANNED
            recorder.publish(2, message(2))
            await recorder.until(lambda: recorder.confirmed == [1, 2], "confirmed")
            assert len({connect.password for connect in hub.connects}) >= 2
            assert not hub.refusals

    asyncio.run(story())


def test_failures_have_their_reasons(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        hub.keys[MODULE] = b"another"
        async with Recorder(transport_to(hub, tmp_path)) as recorder:
            recorder.connect()
            loss, reason = await recorder.lost()
            assert (loss, "Credentials invalid" in reason) == (Loss.REFUSED, True)
            hub.keys[MODULE] = KEY
            hub.stop()
            recorder.connect()
            loss, reason = await recorder.lost()
            assert (loss, "refused" in reason) == (Loss.UNREACHABLE, True)
            hub.start()
            await recorder.up()
            recorder.disconnect(Loss.SILENT, "the test said so")
            assert await recorder.lost() == (Loss.SILENT, "the test said so")

    asyncio.run(story())


def test_a_hub_that_confirms_nothing_is_silent(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        async with Recorder(transport_to(hub, tmp_path, confirmation_timeout_s=0.5)) as recorder:
            await recorder.up()
            hub.confirms = False
            recorder.publish(1, message(1))
            assert (await recorder.lost())[0] is Loss.SILENT

    asyncio.run(story())


def test_a_certificate_signs_in(tmp_path: Path) -> None:
    async def story(hub: FakeIotHub) -> None:
        (tmp_path / "ca.pem").write_text(hub.ca_pem)
        certificate = hub.authority.issue_cert(DEVICE)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "device.pem"))
        text = f"HostName={HUB_NAME};GatewayHostName={hub.host};DeviceId={DEVICE};x509=true"
        settings = MessageSettings(connection_string=text, edge_ca_file=str(tmp_path / "ca.pem"))
        transport = AzureSdkTransport(settings, {"EDGEPACK_X509_CERT_FILE": str(tmp_path / "device.pem")})
        async with Recorder(transport) as recorder:
            await recorder.up()
            recorder.publish(1, message(1))
            await recorder.until(lambda: recorder.confirmed, "confirmed")
            assert hub.connects[0].password == ""

    with FakeIotHub({DEVICE: KEY}, host=f"127.0.0.{next(_addresses)}", port=8883, demands_certificates=True) as hub:
        asyncio.run(story(hub))


def test_a_proxy_is_used(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story(proxy: FakeProxy) -> None:
        for user, loss in (("us%20er", None), ("another", Loss.UNREACHABLE)):
            url = f"http://{user}:pass@127.0.0.1:{proxy.port}"
            async with Recorder(transport_to(hub, tmp_path, environment={"EDGEPACK_AZURE_PROXY": url})) as recorder:
                if loss is None:
                    await recorder.up()
                    recorder.publish(1, message(1))
                    await recorder.until(lambda: recorder.confirmed, "confirmed")
                else:
                    recorder.connect()
                    assert (await recorder.lost())[0] is loss

    with FakeProxy("us er", "pass") as proxy:
        asyncio.run(story(proxy))
        assert proxy.targets == [f"{hub.host}:8883"]


def test_a_device_is_provisioned_and_registers_again_when_its_hub_refuses_it(tmp_path: Path) -> None:
    """One authority for the service and the hubs: the SDK is told of one."""

    async def story(service: FakeProvisioning, hub: FakeIotHub, moved_to: FakeIotHub) -> None:
        (tmp_path / "ca.pem").write_text(service.ca_pem)
        (tmp_path / "key").write_text(base64.b64encode(KEY).decode())
        environment = {
            "EDGEPACK_DPS_ID_SCOPE": service.id_scope,
            "EDGEPACK_DPS_REGISTRATION_ID": "reg-1",
            "EDGEPACK_DPS_HOST": service.host,
            "EDGEPACK_DPS_KEY_FILE": str(tmp_path / "key"),
        }
        settings = MessageSettings(edge_ca_file=str(tmp_path / "ca.pem"))
        async with Recorder(AzureSdkTransport(settings, environment)) as recorder:
            recorder.connect()
            loss, reason = await recorder.lost()
            assert (loss, "401" in reason) == (Loss.REFUSED, True)
            service.assigned = (hub.host, DEVICE)
            await recorder.up()
            recorder.publish(1, message(1))
            await recorder.until(lambda: hub.events, "sent to the assigned hub")
            registrations = len(service.connects)
            hub.drop(DEVICE)
            await recorder.lost()
            await recorder.up()
            assert len(service.connects) == registrations, "it remembers its hub"
            service.assigned = (moved_to.host, DEVICE)
            hub.keys[DEVICE] = b"gone"
            hub.drop(DEVICE)
            await recorder.lost()
            recorder.connect()
            assert (await recorder.lost())[0] is Loss.REFUSED
            await recorder.up()
            assert [connect.client_id for connect in moved_to.connects] == [DEVICE]

    authority = trustme.CA()
    hosts = [f"127.0.0.{next(_addresses)}" for _ in range(3)]
    with (
        FakeProvisioning({"reg-1": KEY}, host=hosts[0], port=8883, authority=authority) as service,
        FakeIotHub({DEVICE: KEY}, host=hosts[1], hub_name=hosts[1], port=8883, authority=authority) as hub,
        FakeIotHub({DEVICE: KEY}, host=hosts[2], hub_name=hosts[2], port=8883, authority=authority) as moved_to,
    ):
        asyncio.run(story(service, hub, moved_to))


def test_a_frozen_hub_blocks_nothing(hub: FakeIotHub, tmp_path: Path) -> None:
    async def story() -> None:
        async with Recorder(transport_to(hub, tmp_path)) as recorder:
            hub.is_frozen = True
            recorder.connect()
            await recorder.until(lambda: hub.connects, "CONNECT")
            recorder.disconnect(Loss.SILENT, "enough")
            assert await recorder.lost() == (Loss.SILENT, "enough")
            hub.is_frozen = False
            await recorder.up()
            hub.is_frozen = True
            recorder.publish(1, message(1))
            async with asyncio.timeout(ENDS_WITHIN_S):
                await recorder.transport.close()
        hub.is_frozen = False

    asyncio.run(story())


def test_connections_leave_no_threads_behind(hub: FakeIotHub, tmp_path: Path) -> None:
    """The SDK's own threads come and go by two or three; what each connection left would be one of every drop."""
    warm, drops = 3, 20

    async def story() -> None:
        async with Recorder(transport_to(hub, tmp_path), reconnects=True) as recorder:
            await recorder.up()
            threads = []
            for number in range(2, warm + drops + 2):
                hub.drop(MODULE)
                await recorder.until(lambda number=number: recorder.connects == number, "back")  # type: ignore[misc]
                threads.append(threading.active_count())
            enough = max(threads[:warm]) + drops // 2
            await recorder.until(lambda: threading.active_count() < enough, f"threads that end: {threads}")

    asyncio.run(story())


def test_the_bare_sdk_can_use_the_fake_hub(hub: FakeIotHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the fake does what the service does, as far as the service's own client can tell."""

    async def story() -> None:
        client: Any = IoTHubModuleClient.create_from_edge_environment()
        inputs: list[Any] = []
        patches: list[dict[str, Any]] = []

        async def answer(request: Any) -> None:
            await client.send_method_response(MethodResponse.create_from_method_request(request, 200, request.payload))

        def set_handlers() -> None:
            client.on_message_received = inputs.append
            client.on_twin_desired_properties_patch_received = patches.append
            client.on_method_request_received = answer

        await client.connect()
        await asyncio.to_thread(set_handlers)
        sent: Any = SdkMessage("{}", message_id="m 1", content_type="application/json")  # type: ignore[no-untyped-call]
        sent.custom_properties["a b"] = "c/d"
        await client.send_message_to_output(sent, "out")
        expected = [("$.on", "out"), ("$.mid", "m 1"), ("$.ct", "application/json"), ("a b", "c/d")]
        assert hub.events[0].properties == expected
        hub.send_input(MODULE, "in", b"1", {"$.mid": "i1", "k": "ü"})
        await asyncio.to_thread(hub.wait_for, lambda: inputs, "an input at the SDK")
        assert (inputs[0].input_name, inputs[0].message_id, inputs[0].custom_properties) == ("in", "i1", {"k": "ü"})
        await client.patch_twin_reported_properties({"r": 1})
        assert (await client.get_twin())["reported"]["r"] == 1
        hub.change_desired(MODULE, {"d": 1})
        await asyncio.to_thread(hub.wait_for, lambda: patches, "a patch at the SDK")
        assert patches == [{"d": 1, "$version": 2}]
        assert await asyncio.to_thread(hub.call_method, MODULE, "echo", {"x": 1}) == (200, {"x": 1})
        await client.shutdown()

    with FakeWorkload(tmp_path / "w.sock", KEY, hub.ca_pem) as workload:
        for name, value in workload.environment(HUB_NAME, hub.host, DEVICE).items():
            monkeypatch.setenv(name, value)
        asyncio.run(story())
    assert not hub.misdeeds
    assert not hub.refusals
