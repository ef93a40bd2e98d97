"""The agent's transport `edgehub` keeps its contract against the simulator: as a module of edgeHub, and as a device."""

import base64
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from device_agent.messages.iothub.connection_string import Endpoint
from device_agent.messages.iothub.edgehub import EdgeHubTransport
from device_agent.messages.iothub.identity import Identity, KeySigner
from device_agent.messages.transport import Loss
from simulator.cloud.hub_error import HubError
from tests.integration.device_agent.messages.mosquitto_server import HOST, Cable
from tests.integration.device_agent.messages.transport_contract import (
    Recorder,
    TransportContract,
    Upstream,
    World,
    on_loop,
    until,
)
from tests.integration.simulator.sdk_world import DEVICE, SCORER, running_simulation

_SYSTEM = ("$.on", "$.mid", "$.cid", "$.ct", "$.ce")


class SimulatedWorld:
    """See transport_contract.World. `client_id`: the module, or the device of IoT Hub."""

    has_properties = True

    def __init__(self, folder: Path, client_id: str) -> None:
        self._running = running_simulation(folder, {"up": "FROM /messages/* INTO $upstream"}, host=HOST, port=0)
        self._sim = self._running.__enter__()
        self._cable = Cable(self._sim.port)
        self._client_id = client_id
        self._link = "modules" if client_id == SCORER else "upstream"
        self._ca_file = folder / "ca.pem"
        self._key = self._sim.call(self._sim.world.identity, client_id).primary_key
        self.secret = base64.b64encode(self._key).decode()

    def close(self) -> None:
        """End everything."""
        self._cable.close()
        self._running.__exit__(None, None, None)

    def transport(
        self, *, keep_alive_s: int = 60, window: int = 100, is_trusted: bool = True, port: int = 0
    ) -> EdgeHubTransport:
        """See World."""
        device_id, _, module_id = self._client_id.partition("/")
        signer = KeySigner(self._key if is_trusted else b"wrong", str(self._ca_file))
        endpoint = Endpoint("localhost", port or self._cable.port)
        return EdgeHubTransport(
            Identity("localhost", endpoint, device_id, module_id, signer), "in", keep_alive_s, window
        )

    def inject(self, body: bytes, message_id: str = "", properties: Mapping[str, str] | None = None) -> None:
        """See World. IoT Hub keeps 50 for a device: the next one waits for room."""
        system = {"$.mid": message_id} if message_id else {}
        pairs = {**system, **(properties or {})}
        if self._client_id == SCORER:
            self._sim.put_input("scorer", "in", body, pairs)
            return
        deadline_s = time.monotonic() + 10
        while True:
            try:
                identity = self._sim.call(self._sim.world.identity, self._client_id)
                self._sim.call(self._sim.world.hub.send_to_device, identity, tuple(pairs.items()), body)
            except HubError:
                assert time.monotonic() < deadline_s, "the device takes nothing"
            else:
                return

    def upstream(self) -> list[Upstream]:
        """See World."""
        return [
            Upstream(
                message.body,
                message.value("$.on"),
                message.value("$.mid"),
                message.value("$.cid"),
                tuple(pair for pair in message.properties if pair[0] not in _SYSTEM),
                message.value("$.ct"),
            )
            for message in list(self._sim.arrived.messages)
        ]

    def cut(self) -> None:
        """See World."""
        self._cable.cut()

    def cut_after(self, count_bytes: int) -> None:
        """See World."""
        self._cable.cut_after(count_bytes)

    def freeze(self) -> None:
        """See World."""
        self._sim.do("half_open", link=self._link)

    def thaw(self) -> None:
        """See World."""
        self._sim.do("online", link=self._link)

    def restart(self) -> None:
        """See World."""
        self._sim.on_loop(self._sim.world.server.restart(0))


class SimulatedContract(TransportContract):
    """Both sides share a process and its lock here: how long something takes is not looked at."""

    @pytest.mark.parametrize("sends", [False, True])
    @on_loop
    async def test_a_frozen_peer_is_noticed_in_one_and_a_half_keep_alives(self, world: World, sends: bool) -> None:
        recorder = Recorder(world.transport(keep_alive_s=1), acknowledges=True)
        await recorder.connect()
        world.freeze()
        if sends:
            recorder.publish(1, b"anybody there?")
        assert (await recorder.lost())[0] is Loss.SILENT
        world.thaw()
        await recorder.reconnect()
        await recorder.transport.close()


class TestModuleOfSimulatedEdgeHub(SimulatedContract):
    """All of it."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[SimulatedWorld]:
        world = SimulatedWorld(tmp_path, SCORER)
        yield world
        world.close()

    @on_loop
    async def test_what_was_not_acknowledged_comes_again(self, world: World) -> None:
        """edgeHub sends a module one input at a time."""
        recorder = Recorder(world.transport())
        await recorder.connect()
        for number in range(3):
            world.inject(b"%d" % number)
        await until(lambda: recorder.inputs, "the first input")
        recorder.acknowledge(recorder.inputs[0])
        await until(lambda: len(recorder.inputs) == 2, "the second")
        origin = recorder.inputs[1].origin
        world.cut()
        assert (await recorder.lost())[0] is Loss.CLOSED
        await recorder.reconnect()
        await until(lambda: len(recorder.inputs) == 3, "redelivery")
        again = recorder.inputs[2]
        assert (again.body, again.redelivered, again.origin) == (b"1", True, origin)
        recorder.acknowledge(again)
        await until(lambda: len(recorder.inputs) == 4, "the third")
        assert (recorder.inputs[3].body, recorder.inputs[3].redelivered) == (b"2", False)
        await recorder.transport.close()


class TestDeviceOfSimulatedIotHub(SimulatedContract):
    """All of it."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[SimulatedWorld]:
        world = SimulatedWorld(tmp_path, DEVICE)
        yield world
        world.close()

    @on_loop
    async def test_large_messages(self, world: World) -> None:
        """To a device IoT Hub sends at most 65,536 bytes."""
        recorder = Recorder(world.transport(), acknowledges=True)
        await recorder.connect()
        body = bytes(range(256)) * 800
        for number in range(5):
            recorder.publish(number, body)
        world.inject(body[:65_536])
        await until(lambda: recorder.inputs and len(recorder.confirmed) == 5, "large messages")
        assert recorder.inputs[0].body == body[:65_536]
        assert [message.body for message in world.upstream()] == [body] * 5
        await recorder.transport.close()
