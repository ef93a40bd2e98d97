"""The transport `edgehub` keeps the contract, against a hub that checks tokens."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from device_agent.messages.iothub.connection_string import Endpoint
from device_agent.messages.iothub.edgehub import EdgeHubTransport
from device_agent.messages.iothub.identity import KeySigner
from tests.integration.device_agent.messages.hub_world import KEY, MODULE, key_identity, running_hub
from tests.integration.device_agent.messages.mosquitto_server import Cable
from tests.integration.device_agent.messages.transport_contract import TransportContract, Upstream

_SYSTEM = ("$.on", "$.mid", "$.cid", "$.ct", "$.ce")


class HubWorld:
    """See transport_contract.World."""

    has_properties = True
    secret = base64.b64encode(KEY).decode()

    def __init__(self, folder: Path) -> None:
        self._running = running_hub(inputs_at_a_time=100)
        self._hub = self._running.__enter__()
        self._cable = Cable(self._hub.port)
        self._ca_file = folder / "ca.pem"

    def close(self) -> None:
        """End everything."""
        self.thaw()
        self._cable.close()
        self._running.__exit__(None, None, None)

    def transport(
        self, *, keep_alive_s: int = 60, window: int = 100, is_trusted: bool = True, port: int = 0
    ) -> EdgeHubTransport:
        """See World."""
        identity = key_identity(self._hub, self._ca_file)
        identity = identity._replace(server=Endpoint("localhost", port or self._cable.port))
        if not is_trusted:
            identity = identity._replace(signer=KeySigner(b"wrong", str(self._ca_file)))
        return EdgeHubTransport(identity, "in", keep_alive_s, window)

    def inject(self, body: bytes, message_id: str = "", properties: Mapping[str, str] | None = None) -> None:
        """See World."""
        system = {"$.mid": message_id} if message_id else {}
        self._hub.send_input(MODULE, "in", body, {**system, **(properties or {})})

    def upstream(self) -> list[Upstream]:
        """See World."""
        return [
            Upstream(
                event.body,
                event.property("$.on") or "",
                event.property("$.mid") or "",
                event.property("$.cid") or "",
                tuple(pair for pair in event.properties if pair[0] not in _SYSTEM),
                event.property("$.ct") or "",
            )
            for event in self._hub.events
        ]

    def cut(self) -> None:
        """See World."""
        self._cable.cut()

    def cut_after(self, count_bytes: int) -> None:
        """See World."""
        self._cable.cut_after(count_bytes)

    def freeze(self) -> None:
        """See World."""
        self._hub.is_frozen = True

    def thaw(self) -> None:
        """See World."""
        self._hub.is_frozen = False

    def restart(self) -> None:
        """See World."""
        self._hub.stop()
        self._hub.start()


class TestEdgeHub(TransportContract):
    """All of it."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[HubWorld]:
        world = HubWorld(tmp_path)
        yield world
        world.close()
