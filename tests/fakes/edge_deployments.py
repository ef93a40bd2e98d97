"""Desired properties of `$edgeAgent`, a registry to put them in, and a runner that runs nothing."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

from simulator.cloud.registry import Registry
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_log import ModuleLog

DEVICE = "edge-1"


def module(image: str = "registry.example.com/scorer:1", **more: Any) -> dict[str, Any]:
    """A module of a deployment. `settings` given are laid over the image."""
    settings = {"image": image, "createOptions": "{}", **more.pop("settings", {})}
    base = {"type": "docker", "status": "running", "restartPolicy": "always", "version": "1.0"}
    return {**base, **more, "settings": settings}


def desired(version: str = "1.1", /, **modules: dict[str, Any]) -> dict[str, Any]:
    """Desired properties of `$edgeAgent` with these modules."""
    return {
        "schemaVersion": version,
        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
        "systemModules": {
            "edgeAgent": {"type": "docker", "settings": {"image": "mcr.example.com/agent:1.5"}},
            "edgeHub": {
                "type": "docker",
                "status": "running",
                "restartPolicy": "always",
                "startupOrder": 0,
                "settings": {"image": "mcr.example.com/hub:1.5"},
            },
        },
        "modules": modules,
    }


def registry(*modules: str) -> Registry:
    """A registry with the edge device and these modules."""
    numbers = itertools.count(1)
    made = Registry(lambda: 1.8e9, lambda: next(numbers).to_bytes(32, "big"), lambda: str(next(numbers)))
    made.add_device(DEVICE, is_edge=True)
    for name in modules:
        made.add_module(DEVICE, name, managed_by="iotEdge")
    return made


class FakeRun:
    """A run that ends when it is told to. `ignores_terminate`: it has to be killed."""

    def __init__(self, pid: int, environment: Mapping[str, str], *, ignores_terminate: bool = False) -> None:
        self.pid = pid
        self.url = f"http://127.0.0.1:{pid}"
        self.image_id = "sha256:0"
        self.environment = environment
        self.signals: list[str] = []
        self._ignores_terminate = ignores_terminate
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._end.done()

    def end(self, code: int) -> None:
        """End with an exit code."""
        if not self._end.done():
            self._end.set_result(code)

    async def wait(self) -> int:
        """The exit code."""
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        """End well, or not at all."""
        self.signals.append("TERM")
        if not self._ignores_terminate:
            self.end(0)

    def kill(self) -> None:
        """End at once."""
        self.signals.append("KILL")
        self.end(137)


class FakeRunner:
    """Keeps the runs of each module, oldest first. `refusals`: what a start of a module raises."""

    def __init__(self) -> None:
        self.runs: dict[str, list[FakeRun]] = {}
        self.refusals: dict[str, Exception] = {}
        self.started: list[WantedModule] = []
        self.removed: list[str] = []
        self.is_closed = False

    async def start(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> FakeRun:
        """Start; there must be no other run of the module."""
        await asyncio.sleep(0)
        if module.name in self.refusals:
            raise self.refusals[module.name]
        runs = self.runs.setdefault(module.name, [])
        assert all(run.has_ended for run in runs), f"two copies of {module.name}"
        self.started.append(module)
        runs.append(FakeRun(1000 + len(self.started), environment))
        return runs[-1]

    async def remove(self, name: str) -> None:
        """Note it."""
        self.removed.append(name)

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def last(self, name: str) -> FakeRun:
        """The newest run of a module."""
        return self.runs[name][-1]

    def count(self, name: str) -> int:
        """How often a module was started."""
        return len(self.runs.get(name, []))
