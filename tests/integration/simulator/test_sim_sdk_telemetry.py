"""Messages of the unmodified SDK arrive whole and in order: from devices of IoT Hub, leaf devices, and modules."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device.aio import IoTHubDeviceClient, IoTHubModuleClient

from tests.integration.simulator.sdk_world import (
    DEVICE,
    GATEWAY,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SimulationUnderTest,
    running_simulation,
    sdk_message,
    until,
)

pytestmark = SDK_WARNINGS
UP = {"up": "FROM /messages/* INTO $upstream"}


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path, UP) as running:
        yield running


def full_message(body: Any) -> Any:
    """A message with everything that the SDK can say."""
    made = sdk_message(
        body,
        message_id="id 1/ü",
        content_encoding="utf-8",
        content_type="application/json",
        output_name="out",
    )
    made.correlation_id = "was this?"
    made.user_id = "me & you"
    made.expiry_time_utc = "2099-01-01T00:00:00Z"
    made.set_as_security_message()
    made.custom_properties.update({"plain": "1", "a b": "c/d=e", "grad": "21 °C % + # $", "empty": "", "zwölf": "12"})
    return made


EXPECTED = {
    "$.mid": "id 1/ü",
    "$.cid": "was this?",
    "$.uid": "me & you",
    "$.ct": "application/json",
    "$.ce": "utf-8",
    "$.exp": "2099-01-01T00:00:00Z",
    "$.ifid": "urn:azureiot:Security:SecurityAgent:1",
    "plain": "1",
    "a b": "c/d=e",
    "grad": "21 °C % + # $",
    "empty": "",
    "zwölf": "12",
}


@pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])
def test_a_message_arrives_with_all_its_properties(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        message = full_message('{"n": 1}')
        if client_id == SCORER:
            client.send_message_to_output(message, "out")
        else:
            client.send_message(message)
        (arrived,) = sim.until_arrived(1)
    assert f"{arrived.device_id}/{arrived.module_id}".rstrip("/") == client_id
    assert arrived.body == b'{"n": 1}'
    expected = {"$.on": "out", **EXPECTED}
    assert dict(arrived.properties) == expected
    assert len(arrived.properties) == len(expected)


@pytest.mark.parametrize("client_id", [DEVICE, LEAF])
def test_bodies_arrive_as_they_are(sim: SimulationUnderTest, client_id: str) -> None:
    bodies = [b"", b"\x00\xff\n", "ü".encode(), bytes(range(256)) * 800, b"[" + b"1," * 130_000 + b"1]"]
    with sim.client(client_id) as client:
        for body in bodies:
            client.send_message(sdk_message(body))
        assert [message.body for message in sim.until_arrived(len(bodies))] == bodies


@pytest.mark.parametrize("client_id", [DEVICE, LEAF])
def test_messages_of_a_thread_arrive_in_order(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        for number in range(200):
            client.send_message(str(number))
        sim.until_arrived(200)
    assert sim.bodies() == list(range(200))


def test_many_at_once_arrive_once_each(sim: SimulationUnderTest) -> None:
    with sim.client(LEAF) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.send_message(str(number)), range(300)))
        sim.until_arrived(300)
    assert sorted(sim.bodies()) == list(range(300))
    assert sim.call(sim.world.ledger.figures, True).duplicated == 0


def test_the_asynchronous_clients_send_and_a_message_is_confirmed_when_it_is_stored(sim: SimulationUnderTest) -> None:
    async def story() -> None:
        device: Any = IoTHubDeviceClient.create_from_connection_string(sim.connection_string(DEVICE), **sim.options())
        module: Any = IoTHubModuleClient.create_from_connection_string(sim.connection_string(SCORER), **sim.options())
        await asyncio.gather(device.connect(), module.connect())
        assert sim.is_connected(DEVICE)
        await asyncio.gather(*(device.send_message(f'{{"device": {number}}}') for number in range(40)))
        assert len(sim.arrived.messages) == 40, "IoT Hub has what it confirmed"
        await asyncio.to_thread(sim.do, "offline")
        await asyncio.gather(*(module.send_message(f'{{"module": {number}}}') for number in range(40)))
        assert sim.call(lambda: len(sim.world.gateways[GATEWAY].edge_hub.upstream)) == 40, "so has edgeHub"
        await asyncio.to_thread(sim.do, "online")
        await asyncio.to_thread(sim.until_arrived, 80)
        await asyncio.gather(device.shutdown(), module.shutdown())

    asyncio.run(story())
    for kind, bodies in (("device", sim.bodies()[:40]), ("module", sim.bodies()[40:])):
        assert sorted(body[kind] for body in bodies) == list(range(40)), "which the SDK sends in any order"
    until(lambda: not sim.is_connected(DEVICE), "the hub knows that it has left")


def test_a_client_connects_by_itself_when_it_sends(sim: SimulationUnderTest) -> None:
    with sim.client(LEAF) as client:
        client.disconnect()
        until(lambda: not sim.is_connected(LEAF), "gone")
        client.send_message("1")
        assert sim.until_arrived(1)[0].device_id == LEAF
