"""One gateway: an edge device with its edgeHub, edgeAgent, workload API, and link to IoT Hub."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from simulator.authority import Authority
from simulator.clock import Clock
from simulator.cloud.identity import SYSTEM_MODULES, DesiredChanged
from simulator.cloud.registry import Registry
from simulator.edge_agent.agent import EdgeAgent, ModuleView
from simulator.edge_agent.runner import Runner
from simulator.hub.account import Account
from simulator.hub.edge_hub import EdgeHub
from simulator.hub.edge_twins import EdgeTwins
from simulator.hub.iot_hub import IotHub
from simulator.hub.links import UPSTREAM_LINK, LinkCondition, Network
from simulator.hub.upstream import Upstream
from simulator.tasks import Tasks
from simulator.workload_api import WorkloadApi
from simulator.workload_rules import ModuleOfDevice

_UPKEEP_S = 1.0
EDGE_HUB_VERSION = "1.6"


class Gateway:
    """See the module. `socket_folder` must be short; `host`: the name of IoT Hub and of this gateway for modules.

    `on_presence`: client id and whether it is connected. `on_routes`: called after the routes have changed.
    """

    def __init__(
        self,
        device_id: str,
        registry: Registry,
        hub: IotHub,
        network: Network,
        account: Account,
        runner: Runner,
        clock: Clock,
        tasks: Tasks,
        *,
        authority: Authority,
        socket_folder: Path,
        log_folder: Path,
        host: str,
        real_s: Callable[[], float],
        on_presence: Callable[[str, bool], None],
        on_routes: Callable[[], None],
        seed: int,
    ) -> None:
        self.device_id = device_id
        self.problem = ""
        """What is wrong with the desired properties of `$edgeHub`."""
        self._registry = registry
        self._network = network
        self._on_routes = on_routes
        self._on_presence = on_presence
        self._tasks = tasks
        self.twins = EdgeTwins(registry, lambda *change: self.edge_hub.broker.tell_desired(*change))
        self.edge_hub = EdgeHub(
            device_id,
            self.twins,
            account,
            now_s=clock.now_s,
            real_s=real_s,
            on_presence=on_presence,
            to_devices=hub.to_devices,
            is_online=lambda: self.is_online,
        )
        chance = random.Random(seed).random  # noqa: S311 - a simulation's chance, no secret
        self._upstream = Upstream(self.edge_hub, hub, network, clock, chance)
        self.workload = WorkloadApi(
            device_id, registry, authority, socket_folder, hub=host, gateway=host, modules=self._modules
        )
        self.agent = EdgeAgent(
            device_id,
            registry,
            runner,
            clock,
            self.workload.environment,
            lambda: self.is_online,
            log_folder=log_folder,
        )
        self._is_online = True
        self._configured_version = 0
        registry.watch(self._registry_changed)
        network.watch(self._network_changed)

    @property
    def is_online(self) -> bool:
        """Whether the link to IoT Hub is there."""
        condition = self._network.condition(UPSTREAM_LINK)
        return condition.up and not condition.half_open

    def start(self) -> None:
        """Begin: on a running loop."""
        self._configure()
        self._tell_presence()
        self._tasks.start(self._upstream.run(), f"upstream of {self.device_id}")
        self._tasks.start(self._upkeep(), f"upkeep of {self.device_id}")
        self.agent.start()

    def serves(self, client_id: str) -> bool:
        """Whether this edgeHub is the one that speaks to a client."""
        identity = self._registry.identity(client_id)
        if identity is None:
            return False
        return identity.device_id == self.device_id if identity.module_id else identity.parent == self.device_id

    async def close(self) -> None:
        """Stop the modules and everything else."""
        try:
            await self.agent.close()
        finally:
            await self.workload.close()

    def _modules(self) -> Sequence[ModuleOfDevice]:
        return [_module_of_device(view) for view in self.agent.modules()]

    def _registry_changed(self, change: object) -> None:
        if not isinstance(change, DesiredChanged):
            return
        if change.client_id == f"{self.device_id}/$edgeHub":
            self._configure()
        elif self.serves(change.client_id):
            self.twins.desired_changed(change.client_id, change.patch, change.version)

    def _network_changed(self, link: str, _condition: LinkCondition) -> None:
        if link != UPSTREAM_LINK or self.is_online == self._is_online:
            return
        self._is_online = self.is_online
        self._tell_presence()
        if not self._is_online:
            self.twins.go_offline()
        else:
            self.twins.go_online()
            self.edge_hub.link_is_back()
            self._configure()
            self.agent.wake()

    def _tell_presence(self) -> None:
        """The hub sees the system modules as connected while there is a link."""
        for name in SYSTEM_MODULES:
            self._on_presence(f"{self.device_id}/{name}", self.is_online)

    def _configure(self) -> None:
        """Take what is desired of edgeHub, if it is new and can be seen."""
        if self._registry.identity(f"{self.device_id}/$edgeHub") is None:
            return  # the device was deleted
        twin = self._registry.twin(f"{self.device_id}/$edgeHub")
        if not self.is_online or twin.desired_version == self._configured_version or not twin.desired:
            return
        self._configured_version = twin.desired_version
        result = self.edge_hub.configure(twin.desired)
        self.problem = f"{self.device_id}/$edgeHub: {result.problem}" if result.problem else ""
        self._on_routes()
        self._registry.patch_reported(
            f"{self.device_id}/$edgeHub",
            {
                "schemaVersion": twin.desired.get("schemaVersion"),
                "version": {"version": EDGE_HUB_VERSION},
                "lastDesiredVersion": twin.desired_version,
                "lastDesiredStatus": {
                    "code": result.code,
                    "description": result.problem if result.code != 200 else "",
                },
            },
        )

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(_UPKEEP_S)
            self.edge_hub.send_late_again()
            self.edge_hub.expire()


def _module_of_device(view: ModuleView) -> ModuleOfDevice:
    return ModuleOfDevice(view.name, view.image, view.status)
