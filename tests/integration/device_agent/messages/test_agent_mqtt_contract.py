"""The transport `mqtt` keeps the contract, with both versions, against mosquitto."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.device_agent.messages.mqtt_world import MqttWorld
from tests.integration.device_agent.messages.transport_contract import TransportContract


class TestMqtt5(TransportContract):
    """mosquitto as it comes: it takes 20 unconfirmed messages at a time, fewer than our window."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[MqttWorld]:
        world = MqttWorld(tmp_path, "5")
        yield world
        world.close()


class TestMqtt311(TransportContract):
    """No properties, no limits."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[MqttWorld]:
        world = MqttWorld(tmp_path, "3.1.1", ["max_inflight_messages 0"])
        yield world
        world.close()
