"""Modules as processes: real images, real processes, volumes, ports, and no orphans."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from edgepack.errors import InputError
from edgepack.host_image import unpack_for_host
from edgepack.layers.entry import FileEntry
from simulator.authority import Authority
from simulator.clock import Clock
from simulator.edge_agent.agent import EdgeAgent
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_log import ModuleLog
from simulator.edge_agent.process_runner import ProcessRunner, RunningProcess, python_command
from simulator.workload_api import WorkloadApi
from tests.fakes.edge_deployments import DEVICE, desired, module, registry
from tests.fakes.shell_image import ShellImage, shell_image

DEADLINE_S = 30.0
ROOT = Path(__file__).parent.parent.parent.parent

SCRIPT = """
echo "device $IOTEDGE_DEVICEID, image $FROM_IMAGE, $OVERRIDDEN"
echo "http $EDGEPACK_HTTP"
echo "buffer $EDGEPACK_BUFFER_PATH, home $HOME, data $DATA_FILE"
echo run >> "$EDGEPACK_BUFFER_PATH"
test -n "$EXIT_CODE" && exit "$EXIT_CODE"
sleep 1000 &
echo "child $!"
test -n "$TRAPS" && trap 'echo drained; exit 0' TERM
echo ready
while :; do wait; done
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> ShellImage:
    """An image that says what it sees and waits."""
    return shell_image(tmp_path_factory.mktemp("shell"), SCRIPT)


@dataclass
class World:
    """A runner and the log of its module."""

    runner: ProcessRunner
    image: ShellImage
    log: ModuleLog = field(default_factory=ModuleLog)
    before: int = 0

    async def start(self, **more: Any) -> RunningProcess:
        self.before = self.log.last
        module = WantedModule("scorer", more.pop("image", self.image.name), **more)
        return await self.runner.start(module, {"IOTEDGE_DEVICEID": "edge-1"}, self.log)

    async def wait_for_line(self, start: str) -> str:
        """The first line of the newest run that begins so."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for line in self.log.lines(self.before)[0]:
                    if line.startswith(start):
                        return line
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world(image: ShellImage, folder: Path, **more: Any) -> AsyncIterator[World]:
    runner = ProcessRunner(folder / "edge-1", {"whatever:1": image.layout}, image.layout.parent / "roots", **more)
    try:
        yield World(runner, image)
    finally:
        await runner.close()


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def wait_gone(*pids: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while any(is_there(pid) for pid in pids):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_image_runs_with_its_variables_and_volumes(
    image: ShellImage, tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    options = {"HostConfig": {"Binds": ["scorer-buffer:/var/lib/edgepack", "/srv/x y:/data:rw"]}}
    environment = {"OVERRIDDEN": "manifest", "DATA_FILE": "/data/file", "TRAPS": "1"}

    async def body() -> None:
        async with world(image, tmp_path) as here:
            for _ in range(2):
                running = await here.start(create_options=options, environment=environment)
                await here.wait_for_line("ready")
                running.terminate()
                assert await running.wait() == 0
                running.terminate()
                running.kill()
            lines, _ = here.log.lines()
            volumes = tmp_path / "edge-1" / "volumes"
            buffer = volumes / "scorer-buffer"
            assert "device edge-1, image yes, manifest" in lines
            assert f"http {running.url.removeprefix('http://')}" in lines
            assert f"buffer {buffer}/buffer.db, home {buffer}, data {volumes}/srv-x-y/file" in lines
            assert lines[-1] == "drained"
            assert (buffer / "buffer.db").read_text() == "run\nrun\n"
            assert running.image_id.startswith("sha256:")

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(body())


@pytest.mark.parametrize(("variables", "code"), [({"EXIT_CODE": "3"}, 3), ({}, 143)])
def test_exit_codes(image: ShellImage, tmp_path: Path, variables: dict[str, str], code: int) -> None:
    async def body() -> None:
        async with world(image, tmp_path) as here:
            running = await here.start(environment=variables)
            if not variables:
                await here.wait_for_line("ready")
                running.terminate()
            assert await running.wait() == code

    asyncio.run(body())


@pytest.mark.parametrize("ending", ["kill", "terminate"])
def test_children_end_with_the_module(image: ShellImage, tmp_path: Path, ending: str) -> None:
    async def body() -> None:
        async with world(image, tmp_path) as here:
            running = await here.start(environment={"TRAPS": "1"})
            child = int((await here.wait_for_line("child ")).split()[1])
            await here.wait_for_line("ready")
            assert is_there(child)
            getattr(running, ending)()
            assert await running.wait() == (137 if ending == "kill" else 0)
            await wait_gone(child, running.pid)

    asyncio.run(body())


def test_the_port_of_create_options_is_taken_where_it_is_free(image: ShellImage, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(image, tmp_path) as here:
            with socket.create_server(("127.0.0.1", 0)) as taken:
                port = int(taken.getsockname()[1])
                options = {"HostConfig": {"PortBindings": {"5001/tcp": [{"HostPort": str(port)}]}}}
                running = await here.start(create_options=options)
                other = running.url
                assert other != f"http://127.0.0.1:{port}"
                running.kill()
                await running.wait()
            again = await here.start(create_options=options)
            assert again.url == other, "the port changes although it is free"
            again.kill()
            await again.wait()
            await here.runner.remove("scorer")
            third = await here.start(create_options=options)
            assert third.url == f"http://127.0.0.1:{port}"
            third.kill()
            await third.wait()
            said = f"edgeAgent: HTTP is at {other} (port {port} of createOptions is in use)"
            assert said in here.log.lines()[0]

    asyncio.run(body())


def test_an_image_that_is_not_there_is_an_error(image: ShellImage, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(image, tmp_path) as here:
            with pytest.raises(InputError, match=r"image other:1 is not on this machine .*: build it"):
                await here.start(image="other:1")
            with pytest.raises(InputError, match="is not on this machine"):
                await here.start(image=f"x@sha256:{'0' * 64}")
            running = await here.start(image="whatever:1", environment={"EXIT_CODE": "0"})
            assert await running.wait() == 0

    asyncio.run(body())


def test_an_image_that_is_no_process_is_an_error(tmp_path: Path) -> None:
    bare = shell_image(tmp_path / "bare", SCRIPT, with_libraries=False)

    async def body() -> None:
        async with world(bare, tmp_path) as here:
            with pytest.raises(InputError, match="so it is no process here; --runner docker"):
                await here.start()

    asyncio.run(body())


def test_images_that_are_built_in_are_commands(image: ShellImage, tmp_path: Path) -> None:
    commands = {"sensor": lambda module: [*python_command("platform"), module.name]}

    async def body() -> None:
        async with world(image, tmp_path, built_in=commands) as here:
            running = await here.start(image="mcr.example.com/any/sensor:1.4")
            assert await running.wait() == 0
            assert (running.url, running.image_id) == ("", "")
            assert here.log.lines()[0]
            broken = await here.start(image="sensor", environment={"PYTHONPATH": "/nowhere"})
            assert await broken.wait() == 0

    asyncio.run(body())


def test_a_program_that_is_not_there_is_exit_code_127(image: ShellImage, tmp_path: Path) -> None:
    async def body() -> None:
        async with world(image, tmp_path, built_in={"sensor": lambda _module: ["/nowhere/program"]}) as here:
            running = await here.start(image="sensor:1")
            assert await running.wait() == 127
            assert here.log.lines()[0] == ["/nowhere/program: No such file or directory"]

    asyncio.run(body())


def test_what_images_have_in_common_is_unpacked_once(tmp_path: Path) -> None:
    cache = tmp_path / "roots"
    images = [unpack_for_host(shell_image(tmp_path / name, f"echo {name}").layout, cache) for name in ("one", "two")]
    assert images[0].root == images[1].root
    assert (images[0].root / "usr" / "bin" / "sh").is_file()
    for image, name in zip(images, ("one", "two"), strict=True):
        assert [path.name for path in image.own.rglob("*") if path.is_file()] == ["run.sh"]
        ran = subprocess.run(
            image.command, env=image.environment, cwd=image.working_folder, capture_output=True, check=True
        )
        assert ran.stdout.decode() == f"{name}\n"


def test_layers_of_others_above_the_script_count(tmp_path: Path) -> None:
    changed = [FileEntry("app/run.sh", b"echo changed")]
    image = unpack_for_host(shell_image(tmp_path / "image", "echo ours", above=changed).layout, tmp_path / "roots")
    ran = subprocess.run(
        image.command, env=image.environment, cwd=image.working_folder, capture_output=True, check=True
    )
    assert ran.stdout == b"changed\n"


SIMULATOR = """
import asyncio, sys
from pathlib import Path
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_log import ModuleLog
from simulator.edge_agent.process_runner import ProcessRunner

async def main(layout, folder, image):
    runner = ProcessRunner(folder, {"image": layout}, layout.parent / "roots")
    log = ModuleLog()
    running = await runner.start(WantedModule("scorer", image, environment={"TRAPS": "1"}), {}, log)
    children = []
    while not children:
        await asyncio.sleep(0.01)
        children = [line for line in log.lines()[0] if line.startswith("child ")]
    print(running.pid, children[0].split()[1], runner._watch._process.pid, flush=True)
    await running.wait()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
"""


@pytest.mark.parametrize("kills_watch", [False, True])
def test_a_killed_simulator_leaves_no_process(image: ShellImage, tmp_path: Path, kills_watch: bool) -> None:
    command = [sys.executable, "-c", SIMULATOR, str(image.layout), str(tmp_path), image.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as simulator:
        assert simulator.stdout is not None
        module, child, watch = (int(pid) for pid in simulator.stdout.readline().split())
        assert all(is_there(pid) for pid in (module, child, watch))
        try:
            if kills_watch:  # then the kernel still ends the module itself
                os.kill(watch, signal.SIGKILL)
            simulator.kill()
            asyncio.run(wait_gone(module, watch, *(() if kills_watch else (child,))))
        finally:
            if is_there(child):
                os.kill(child, signal.SIGKILL)


def test_edge_agent_runs_a_deployment_of_real_processes(image: ShellImage, tmp_path: Path) -> None:
    hub = registry("scorer")
    options = {"HostConfig": {"Binds": ["scorer-buffer:/var/lib/edgepack"]}}
    settings = {"createOptions": json.dumps(options)}

    async def body() -> None:
        api = WorkloadApi(DEVICE, hub, Authority(), tmp_path / "w", hub="hub.example.com", gateway="localhost")
        runner = ProcessRunner(tmp_path / DEVICE, {"x": image.layout}, image.layout.parent / "roots")
        logs = tmp_path / "logs"
        agent = EdgeAgent(DEVICE, hub, runner, Clock(1000.0), api.environment, lambda: True, log_folder=logs)
        agent.start()
        buffer = tmp_path / DEVICE / "volumes" / "scorer-buffer" / "buffer.db"
        pids = []
        try:
            for version, run in (("1", 1), ("1", 2), ("2", 3)):
                wanted = desired(scorer=module(image.name, version=version, settings=settings))
                hub.replace_desired(f"{DEVICE}/$edgeAgent", wanted)
                async with asyncio.timeout(DEADLINE_S):
                    while not (buffer.is_file() and buffer.read_text() == "run\n" * run):
                        await asyncio.sleep(0.01)
                    while not (views := agent.modules()) or views[0].pid is None:
                        await asyncio.sleep(0.01)
                pids.append(views[0].pid)
                if run == 1:
                    await agent.kill_module("scorer")
            assert views[0].status == "running"
            assert len(set(pids)) == 3
        finally:
            await agent.close()
            await api.close()
        assert not any(is_there(pid) for pid in pids)
        assert "device edge-1, image yes, image" in (logs / "scorer.log").read_text()

    asyncio.run(body())
