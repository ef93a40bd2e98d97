"""Modules of the simulator in a real engine."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from edgepack.errors import InputError
from simulator.authority import Authority
from simulator.clock import Clock
from simulator.edge_agent.agent import EdgeAgent
from simulator.edge_agent.container_body import OWNER_LABEL
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.docker_runner import DockerRunner, RunningContainer
from simulator.edge_agent.module_log import ModuleLog
from simulator.workload_api import WorkloadApi
from tests.fakes.edge_deployments import DEVICE, desired, module, registry
from tests.fakes.shell_image import ShellImage, shell_image

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ROOT = Path(__file__).parent.parent.parent
DEADLINE_S = 60.0
SCRIPT = """
echo "device $IOTEDGE_DEVICEID, image $FROM_IMAGE, http $EDGEPACK_HTTP"
test -S "${IOTEDGE_WORKLOADURI#unix://}" && echo "socket is there"
echo run >> /var/lib/edgepack/runs || exit 9
echo x > /written && exit 8
while read line; do echo "kept $line"; done < /var/lib/edgepack/runs
test -n "$EXIT_CODE" && exit "$EXIT_CODE"
trap 'echo drained; exit 0' TERM
echo ready
while :; do sleep 1000 & wait; done
"""
OPTIONS: dict[str, Any] = {"HostConfig": {"Binds": ["buffer:/var/lib/edgepack"], "ReadonlyRootfs": True, "Init": False}}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ShellImage:
    """An image that says what it sees and waits."""
    return shell_image(tmp_path_factory.mktemp("shell"), SCRIPT)


@pytest.fixture(autouse=True)
def _engine_of_the_test(engine_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_url)


@asynccontextmanager
async def runner(image: ShellImage, folder: Path) -> AsyncIterator[DockerRunner]:
    made = DockerRunner(DEVICE, folder, {"x": image.layout})
    try:
        yield made
    finally:
        await made.close()


async def wait_for(log: ModuleLog, line: str, after: int = 0) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while line not in log.lines(after)[0]:
            await asyncio.sleep(0.01)


async def start(here: DockerRunner, image: ShellImage, log: ModuleLog, **more: Any) -> RunningContainer:
    wanted = WantedModule("scorer", image.name, create_options=more.pop("options", OPTIONS), **more)
    return await here.start(wanted, {"IOTEDGE_DEVICEID": DEVICE}, log)


def leftovers(engine: docker.DockerClient) -> int:
    containers = engine.containers.list(all=True, filters={"label": OWNER_LABEL})
    return len(containers) + len(engine.volumes.list(filters={"label": OWNER_LABEL}))


def test_a_container_runs_restarts_and_is_removed(
    image: ShellImage, tmp_path: Path, engine: docker.DockerClient
) -> None:
    log = ModuleLog()

    async def body() -> None:
        async with runner(image, tmp_path) as here:
            running = await start(here, image, log)
            await wait_for(log, "ready")
            assert f"device {DEVICE}, image yes, http {running.url.removeprefix('http://')}" in log.lines()[0]
            assert Path(f"/proc/{running.pid}").exists()
            running.terminate()
            assert await running.wait() == 0
            assert log.lines()[0][-1] == "drained"
            before = log.last
            again = await start(here, image, log)
            await wait_for(log, "ready", before)
            assert log.lines(before)[0].count("kept run") == 2, "the volume is lost"
            again.kill()
            assert await again.wait() == 137
            await here.remove("scorer")
            ended = await start(here, image, log, environment={"EXIT_CODE": "3"})
            assert await ended.wait() == 3
            assert log.lines()[0].count("kept run") == 1 + 2 + 3
        assert leftovers(engine) == 0

    asyncio.run(body())


def test_what_cannot_run_is_an_error(image: ShellImage, tmp_path: Path, engine: docker.DockerClient) -> None:

    async def body() -> None:
        async with runner(image, tmp_path) as here:
            with pytest.raises(InputError, match="neither in the engine nor among the images at hand"):
                await here.start(WantedModule("m", "nobody/has:this", pull_policy="never"), {}, ModuleLog())
            with pytest.raises(InputError, match="does not take the createOptions of scorer"):
                await start(here, image, ModuleLog(), options={"HostConfig": {"Memory": 1}})
        assert leftovers(engine) == 0

    asyncio.run(body())


SIMULATOR = """
import asyncio, os, sys
from pathlib import Path
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.docker_runner import DockerRunner
from simulator.edge_agent.module_log import ModuleLog

async def main(layout, image):
    options = {"HostConfig": {"Binds": ["buffer:/var/lib/edgepack"], "ReadonlyRootfs": True}}
    runner = DockerRunner("edge-1", Path("."), {"x": layout})
    await runner.start(WantedModule("scorer", image, create_options=options), {}, ModuleLog())
    os.kill(os.getpid(), 9)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_what_a_killed_run_left_is_removed_by_the_next(
    image: ShellImage, tmp_path: Path, engine: docker.DockerClient
) -> None:
    command = [sys.executable, "-c", SIMULATOR, str(image.layout), image.name]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -9
    assert leftovers(engine) == 2

    async def body() -> None:
        async with runner(image, tmp_path) as here:
            log = ModuleLog()
            await start(here, image, log)
            await wait_for(log, "ready")
            assert leftovers(engine) == 2, "its own only"
            assert log.lines()[0].count("kept run") == 1
        assert leftovers(engine) == 0

    asyncio.run(body())


def test_edge_agent_runs_a_deployment_in_the_engine(
    image: ShellImage, tmp_path: Path, engine: docker.DockerClient
) -> None:
    hub = registry("scorer")
    create_options = '{"HostConfig":{"Binds":["buffer:/var/lib/edgepack"],"ReadonlyRootfs":true}}'

    async def body() -> None:
        api = WorkloadApi(DEVICE, hub, Authority(), tmp_path / "w", hub="hub.example.com", gateway="localhost")
        docker_runner = DockerRunner(DEVICE, tmp_path, {"x": image.layout})
        agent = EdgeAgent(DEVICE, hub, docker_runner, Clock(1000.0), api.environment, lambda: True)
        agent.start()
        settings = {"createOptions": create_options}
        hub.replace_desired(f"{DEVICE}/$edgeAgent", desired(scorer=module(image.name, settings=settings)))
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not agent.modules() or agent.modules()[0].pid is None:
                    await asyncio.sleep(0.01)
            log = agent.log("scorer")
            await wait_for(log, "ready")
            assert "socket is there" in log.lines()[0]
            before = log.last
            await agent.kill_module("scorer")
            await wait_for(log, "ready", before)
            assert log.lines(before)[0].count("kept run") == 2
        finally:
            await agent.close()
            await api.close()
        assert leftovers(engine) == 0

    asyncio.run(body())
