"""edgeAgent's loop, with a runner that runs nothing and a clock a thousand times as fast."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edgepack.errors import InputError, RemoteError
from simulator.clock import Clock
from simulator.cloud.registry import Registry
from simulator.edge_agent import agent as agent_module
from simulator.edge_agent.agent import EdgeAgent
from tests.fakes.edge_deployments import DEVICE, FakeRunner, desired, module, registry

DEADLINE_S = 20.0
AGENT = f"{DEVICE}/$edgeAgent"


class World:
    """An edgeAgent, its hub and its runner. `is_online` may be changed."""

    def __init__(self, hub: Registry, speed: float) -> None:
        self.hub = hub
        self.runner = FakeRunner()
        self.is_online = True
        self.clock = Clock(speed)
        self.agent = EdgeAgent(DEVICE, hub, self.runner, self.clock, self._environment_of, lambda: self.is_online)

    def _environment_of(self, name: str) -> Mapping[str, str]:
        if self.hub.identity(f"{DEVICE}/{name}") is None:
            raise KeyError(name)
        return {"IOTEDGE_MODULEID": name}

    def deploy(self, **modules: dict[str, Any]) -> None:
        self.hub.replace_desired(AGENT, desired(**modules))

    @property
    def reported(self) -> dict[str, Any]:
        return self.hub.twin(AGENT).reported

    def status(self, name: str) -> str:
        return {view.name: view.status for view in self.agent.modules()}.get(name, "")

    def status_code(self) -> int:
        code: int = self.reported.get("lastDesiredStatus", {}).get("code", 0)
        return code


@asynccontextmanager
async def world(*modules: str, speed: float = 1000.0) -> AsyncIterator[World]:
    made = World(registry(*modules), speed)
    made.agent.start()
    try:
        yield made
    finally:
        await made.agent.close()


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.001)
    assert condition(), what


def test_a_deployment_is_carried_out_and_reported() -> None:
    async def body() -> None:
        async with world("scorer", "other") as here:
            await until(lambda: here.status_code() == 417, "empty")
            here.deploy(scorer=module(startupOrder=2, env={"A": {"value": 1}}), other=module(startupOrder=1))
            await until(lambda: here.reported.get("lastDesiredVersion") == 2, "applied")
            await until(lambda: here.reported["modules"]["scorer"]["runtimeStatus"] == "running", "reported")
            assert [started.name for started in here.runner.started] == ["other", "scorer"]
            reported = here.reported["modules"]["scorer"]
            assert here.reported["lastDesiredStatus"] == {"code": 200, "description": ""}
            assert reported["env"] == {"A": {"value": "1"}}
            assert reported["settings"]["imageHash"] == "sha256:0"
            assert (reported["restartCount"], reported["lastExitTimeUtc"]) == (0, "0001-01-01T00:00:00")
            assert here.reported["systemModules"]["edgeHub"]["runtimeStatus"] == "running"
            assert here.runner.last("scorer").environment == {"IOTEDGE_MODULEID": "scorer"}
            views = here.agent.modules()
            assert [(view.name, view.pid, view.url) for view in views] == [
                ("other", 1001, "http://127.0.0.1:1001"),
                ("scorer", 1002, "http://127.0.0.1:1002"),
            ]
            version = here.hub.twin(AGENT).reported_version
            for _ in range(3):
                here.agent.wake()
                await asyncio.sleep(0.01)
            assert here.hub.twin(AGENT).reported_version == version, "reports what is not new"
            here.deploy(other=module(startupOrder=1))
            await until(lambda: "scorer" not in here.reported["modules"], "removed")
            assert here.runner.last("scorer").signals == ["TERM"]
            assert here.runner.removed == ["scorer"]
        assert here.runner.is_closed
        assert here.runner.last("other").signals == ["TERM"]

    asyncio.run(body())


def test_a_killed_module_restarts_and_twenty_restarts_are_enough() -> None:
    async def body() -> None:
        async with world("scorer") as here:
            here.deploy(scorer=module())
            await until(lambda: here.runner.count("scorer") == 1, "started")
            await here.agent.kill_module("scorer")
            assert here.runner.last("scorer").signals == ["KILL"]
            for count in range(2, 22):
                await until(lambda count=count: here.runner.count("scorer") == count, f"start {count}")  # type: ignore[misc]
                here.runner.last("scorer").end(1)
            await until(lambda: here.status("scorer") == "failed", "left alone")
            await until(lambda: here.reported["modules"]["scorer"]["restartCount"] == 20, "reported")
            assert here.reported["modules"]["scorer"]["exitCode"] == 1
            with pytest.raises(InputError, match="edge-1/scorer does not run"):
                await here.agent.kill_module("scorer")
            here.deploy(scorer=module(version="2"))
            await until(lambda: here.status("scorer") == "running", "a new deployment starts anew")
            assert here.agent.modules()[0].restarts == 0

    asyncio.run(body())


def test_offline_nothing_new_is_seen_and_what_ends_restarts() -> None:
    async def body() -> None:
        async with world("scorer", "later") as here:
            here.deploy(scorer=module())
            await until(lambda: here.reported.get("lastDesiredVersion") == 2, "applied")
            await until(lambda: here.reported["modules"]["scorer"]["runtimeStatus"] == "running", "reported")
            here.is_online = False
            version = here.hub.twin(AGENT).reported_version
            here.deploy(scorer=module(), later=module())
            here.runner.last("scorer").end(3)
            await until(lambda: here.runner.count("scorer") == 2, "restarted offline")
            assert here.runner.count("later") == 0
            assert here.hub.twin(AGENT).reported_version == version
            here.is_online = True
            here.agent.wake()
            await until(lambda: here.runner.count("later") == 1, "seen when online again")
            await until(lambda: here.reported["modules"]["scorer"]["restartCount"] == 1, "newest state reported")

    asyncio.run(body())


def test_a_bad_deployment_changes_nothing() -> None:
    async def body() -> None:
        async with world("scorer") as here:
            here.deploy(scorer=module())
            await until(lambda: here.status("scorer") == "running", "running")
            here.hub.replace_desired(AGENT, desired("2.0", scorer=module("b:2")))
            await until(lambda: here.status_code() == 412, "refused")
            assert here.reported["lastDesiredVersion"] == 2
            assert here.status("scorer") == "running"
            assert "not compatible" in here.agent.problems[0]
            here.deploy(scorer=module("b:2"))
            await until(lambda: here.status_code() == 200, "taken")
            assert [started.image for started in here.runner.started][-1] == "b:2"
            assert here.agent.problems == ()

    asyncio.run(body())


def test_an_image_that_nobody_has_fails_and_the_others_run() -> None:
    async def body() -> None:
        async with world("missing", "scorer") as here:
            here.runner.refusals["missing"] = InputError("image x is not on this machine: build it")
            here.deploy(missing=module(startupOrder=1), scorer=module(startupOrder=2))
            await until(lambda: here.status_code() == 500, "reported")
            missing = here.reported["modules"]["missing"]
            assert missing["runtimeStatus"] == "failed"
            assert missing["statusDescription"] == "image x is not on this machine: build it"
            assert here.status("scorer") == "running"
            assert here.agent.problems == ("edge-1/missing: image x is not on this machine: build it",)

    asyncio.run(body())


def test_a_start_that_may_help_later_is_tried_again() -> None:
    async def body() -> None:
        async with world("scorer") as here:
            here.runner.refusals["scorer"] = RemoteError("the disk is full")
            here.deploy(scorer=module(restartPolicy="never"), unknown=module())
            await until(lambda: here.status("scorer") == "backoff", "waits")
            del here.runner.refusals["scorer"]
            await until(lambda: here.status("scorer") == "running", "started")
            assert here.status("unknown") in ("backoff", "failed")
            assert any("the hub has no identity edge-1/unknown" in problem for problem in here.agent.problems)

    asyncio.run(body())


def test_stopped_and_started_by_status() -> None:
    async def body() -> None:
        async with world("scorer") as here:
            here.deploy(scorer=module(restartPolicy="never"))
            await until(lambda: here.status("scorer") == "running", "running")
            here.deploy(scorer=module(restartPolicy="never", status="stopped"))
            await until(lambda: here.status("scorer") == "stopped", "stopped")
            assert here.runner.removed == []
            here.deploy(scorer=module(restartPolicy="never"))
            await until(lambda: here.runner.count("scorer") == 2, "started again")

    asyncio.run(body())


def test_what_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "STOP_S", 0.01)

    async def body() -> None:
        async with world("scorer") as here:
            here.deploy(scorer=module())
            await until(lambda: here.status("scorer") == "running", "running")
            here.runner.last("scorer")._ignores_terminate = True
        assert here.runner.last("scorer").signals == ["TERM", "KILL"]
        assert any("killed" in line for line in here.agent.log("scorer").lines()[0])

    asyncio.run(body())
