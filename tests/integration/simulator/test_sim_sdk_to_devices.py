"""Messages from the cloud to devices with the unmodified SDK, directly and through a gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.cloud.hub_error import HubError
from tests.integration.simulator.paho_peer import paho_peer
from tests.integration.simulator.sdk_world import (
    DEVICE,
    LEAF,
    SDK_WARNINGS,
    SimulationUnderTest,
    running_simulation,
    until,
)

pytestmark = SDK_WARNINGS
BOTH = pytest.mark.parametrize("client_id", [DEVICE, LEAF])


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path) as running:
        yield running


def bound(client_id: str) -> str:
    """The filter of messages to this device."""
    return f"devices/{client_id}/messages/devicebound/#"


def waiting(sim: SimulationUnderTest, client_id: str) -> int:
    """How many messages IoT Hub has for a device that it has not acknowledged."""

    def count() -> int:
        identity = sim.world.identity(client_id)
        client = sim.world.front.place(identity).broker.client(identity)
        return len(client.in_flight) + len(sim.world.hub.to_devices._waiting.get(client_id, ()))

    return sim.call(count)


@BOTH
def test_a_message_comes_with_its_properties(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        seen: list[Any] = []
        client.on_message_received = seen.append
        sim.do("send", id=client_id, body={"command": "reset"}, properties={"a b": "c/d ü", "empty": ""})
        until(lambda: seen, "the message")
        until(lambda: waiting(sim, client_id) == 0, "the acknowledgement")
    (message,) = seen
    assert message.data == b'{"command": "reset"}'
    assert message.message_id == "step-000001"
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.custom_properties == {"a b": "c/d ü", "empty": ""}


@BOTH
def test_messages_wait_for_a_device_fifty_of_them(sim: SimulationUnderTest, client_id: str) -> None:
    for number in range(50):
        sim.do("send", id=client_id, body=number)
    with pytest.raises(HubError, match="50 messages waiting"):
        sim.do("send", id=client_id, body=50)
    with sim.client(client_id) as client:
        seen: list[int] = []
        client.on_message_received = lambda message: seen.append(int(message.data))
        until(lambda: len(seen) == 50, "all that waited")
        until(lambda: waiting(sim, client_id) == 0, "their acknowledgements")
        sim.do("send", id=client_id, body=50)
        until(lambda: sorted(seen) == list(range(51)), "the next")


@BOTH
def test_what_is_not_acknowledged_comes_again_in_order(sim: SimulationUnderTest, client_id: str) -> None:
    with paho_peer(sim, client_id) as peer:
        peer.subscribe(bound(client_id))
        for number in range(5):
            sim.do("send", id=client_id, body=number)
        first = peer.until_messages(5)
        assert [message.payload for message in first] == [b"0", b"1", b"2", b"3", b"4"]
        peer.acknowledge(first[1])
        until(lambda: waiting(sim, client_id) == 4, "the acknowledgement")
        peer.tear()
    with paho_peer(sim, client_id) as peer:
        again = peer.until_messages(4)
        assert [(message.payload, message.dup) for message in again] == [
            (b"0", True),
            (b"2", True),
            (b"3", True),
            (b"4", True),
        ]


def test_they_wait_in_iot_hub_while_the_gateway_is_offline(sim: SimulationUnderTest) -> None:
    with sim.client(LEAF) as client:
        seen: list[int] = []
        client.on_message_received = lambda message: seen.append(int(message.data))
        sim.do("send", id=LEAF, body=1)
        until(lambda: seen == [1], "the first")
        sim.do("offline")
        sim.do("send", id=LEAF, body=2)
        assert waiting(sim, LEAF) == 1
        sim.do("online")
        until(lambda: seen == [1, 2], "the second")


@BOTH
def test_a_device_that_is_made_anew_has_none(sim: SimulationUnderTest, client_id: str) -> None:
    for number in range(3):
        sim.do("send", id=client_id, body=number)
    sim.call(sim.world.registry.remove, client_id)
    sim.call(sim.world.registry.add_device, client_id, parent="edge-1" if client_id == LEAF else "")
    assert waiting(sim, client_id) == 0
    with sim.client(client_id) as client:
        seen: list[int] = []
        client.on_message_received = lambda message: seen.append(int(message.data))
        sim.do("send", id=client_id, body=3)
        until(lambda: seen == [3], "only what was sent to the new one")
