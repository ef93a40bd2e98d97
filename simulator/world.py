"""Everything that stands while a scenario runs: registry, IoT Hub, gateways, the MQTT endpoint, the service interface.

    Front --> Broker of IoT Hub | Broker of a gateway's edgeHub        Registry --> all of them, edgeAgent, service API
    Network: one condition a link, watched by sockets and gateways     Ledger: told by IoT Hub and the edgeHubs

One loop owns all of it. The certificate authority, the keys and the ids are made anew for each run.
"""

import asyncio
import itertools
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.authority import Authority
from simulator.clock import Clock
from simulator.cloud.content import check_desired, desired_of, parse_content, put_on_device
from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import DesiredChanged, Identity, IdentityChanged, IdentityRemoved
from simulator.cloud.registry import Registry
from simulator.cloud_record import CloudRecord
from simulator.edge_agent.runner import Runner
from simulator.gateway import Gateway
from simulator.hub.broker import Broker
from simulator.hub.front import Front
from simulator.hub.iot_hub import IotHub
from simulator.hub.links import UPSTREAM_LINK, Network
from simulator.hub.server import HubServer
from simulator.ledger import Ledger
from simulator.method_calls import MethodCalls
from simulator.tasks import Tasks

_KEY_BYTES = 32
_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run keeps what: its folder, a short one for sockets, and where it listens."""

    folder: Path
    sockets: Path
    host: str = "localhost"
    port: int = 8883


class HubTwins:
    """Twins as IoT Hub's own clients see them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def document(self, client_id: str) -> dict[str, Any]:
        """See Twins."""
        return self._registry.twin(client_id).device_document()

    def report(self, client_id: str, patch: Any) -> int | None:
        """See Twins."""
        return self._registry.patch_reported(client_id, patch)


class World:
    """See the module. `runners`: by the device id of the gateways."""

    def __init__(self, clock: Clock, places: Places, *, units: int, seed: int) -> None:
        self.clock = clock
        self.places = places
        self.tasks = Tasks()
        self.authority = Authority()
        self.network = Network()
        self.registry = Registry(clock.wall_s, lambda: secrets.token_bytes(_KEY_BYTES), _new_id)
        self.ledger = Ledger(time.time, self._reaches_cloud)
        self.cloud = CloudRecord(places.folder / "cloud.jsonl", clock.wall_s)
        self.refusals: list[str] = []
        """Whom the hubs did not let in, and what clients should not have sent; one sentence each, the first hundred."""
        self.refused = 0
        self.skew_s = 0.0
        """By how much the hub's clock is wrong, in seconds."""
        self.may_enter: Callable[[str, str], bool] = lambda _client_id, _user: True
        """See Front."""
        self.gateways: dict[str, Gateway] = {}
        self.hub = IotHub(
            HubTwins(self.registry),
            self.ledger,
            self.cloud,
            units=units,
            now_s=clock.now_s,
            on_presence=self._presence,
        )
        self._brokers: dict[str, Broker] = {}
        self.hub.broker.on_fault = self._note
        self.front = Front(
            self.registry,
            self.hub.broker,
            self._brokers,
            (places.host, *_NAMES),
            wall_s=self.wall_s,
            network=self.network,
            on_refusal=self._refused,
            may_enter=lambda client_id, user: self.may_enter(client_id, user),
        )
        self.hub.to_devices.broker_of = lambda identity: self.front.place(identity).broker
        context = self.authority.server_context(tuple(dict.fromkeys((places.host, *_NAMES))))
        self.server = HubServer(self.front, self.network, clock, context, seed, self.wall_s)
        self.methods = MethodCalls(self._broker_of)
        self._seeds = itertools.count(seed + 1)
        self.registry.watch(self._registry_changed)

    @property
    def hub_host(self) -> str:
        """The hub's name for clients: with its port where that is not the usual one."""
        return self.places.host if self.server.port == 8883 else f"{self.places.host}:{self.server.port}"

    def wall_s(self) -> float:
        """The hub's clock for tokens: the machine's, and what it is wrong by."""
        return time.time() + self.skew_s

    def add_gateway(self, device_id: str, runner: Runner) -> Gateway:
        """An edge device with all that is on it; after the endpoint listens."""
        self.registry.add_device(device_id, is_edge=True)
        gateway = Gateway(
            device_id,
            self.registry,
            self.hub,
            self.network,
            self.ledger,
            runner,
            self.clock,
            self.tasks,
            authority=self.authority,
            socket_folder=self.places.sockets / device_id,
            log_folder=self.places.folder / "logs" / device_id,
            host=self.hub_host,
            real_s=time.monotonic,
            on_presence=self._presence,
            on_routes=self.ledger.judge_again,
            seed=next(self._seeds),
        )
        self.gateways[device_id] = gateway
        self._brokers[device_id] = gateway.edge_hub.broker
        gateway.edge_hub.broker.on_fault = self._note
        return gateway

    def deploy(self, device_id: str, manifest: Mapping[str, Any]) -> None:
        """Apply a deployment manifest to an edge device. Raises HubError."""
        desired = desired_of([parse_content(manifest)])
        check_desired(desired)
        put_on_device(self.registry, device_id, desired, only_changed=False)

    def identity(self, client_id: str) -> Identity:
        """A known identity. Raises HubError 404."""
        found = self.registry.identity(client_id)
        if found is None:
            raise HubError(404, f"there is no device or module {client_id!r}")
        return found

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await self.server.start(self.places.host, self.places.port)
        self.tasks.start(self.server.sweep(), "keep-alives and tokens")

    async def close(self) -> None:
        """End everything, whatever goes wrong on the way; raises the first of it."""
        ends = await asyncio.gather(*(gateway.close() for gateway in self.gateways.values()), return_exceptions=True)
        try:
            await self.tasks.close()
            await self.server.stop()
        finally:
            self.cloud.close()
        for failure in ends:
            if isinstance(failure, BaseException):
                raise failure

    def _broker_of(self, client_id: str) -> Broker | None:
        identity = self.registry.identity(client_id)
        condition = self.network.condition(UPSTREAM_LINK)
        if identity is None or not condition.up or condition.half_open:
            return None
        return self.front.place(identity).broker

    def _reaches_cloud(self, module_id: str) -> bool:
        return any(gateway.edge_hub.reaches_cloud(module_id) for gateway in self.gateways.values())

    def _presence(self, client_id: str, is_there: bool) -> None:
        self.registry.set_connected(client_id, is_there, self.clock.wall_s())

    def _refused(self, reason: str) -> None:
        self.refused += 1
        self._note(reason)

    def _note(self, reason: str) -> None:
        if len(self.refusals) < 100 and reason not in self.refusals:
            self.refusals.append(reason)

    def _registry_changed(self, change: object) -> None:
        match change:
            case DesiredChanged(client_id, patch, version):
                if not any(gateway.serves(client_id) for gateway in self.gateways.values()):
                    self.hub.broker.tell_desired(client_id, patch, version)
            case IdentityRemoved(client_id):
                for broker in (self.hub.broker, *self._brokers.values()):
                    broker.forget(client_id)
            case IdentityChanged(client_id):
                self._sign_out(client_id)

    def _sign_out(self, client_id: str) -> None:
        """A disabled identity's connection ends."""
        identity = self.registry.identity(client_id)
        if identity is not None and not identity.enabled:
            client = self.front.place(identity).broker.clients.get(client_id)
            if client is not None and client.connection is not None:
                client.connection.end()


def _new_id() -> str:
    return uuid.uuid4().hex
