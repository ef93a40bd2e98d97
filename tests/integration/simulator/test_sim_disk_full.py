"""A module's disk is full: its processes can write no more, and the agent starts and serves all the same."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from simulator.clock import Clock
from simulator.faults import Faults
from simulator.steps import Step
from tests.integration.device_agent.agent_under_test import Agent

ROOT = Path(__file__).parents[3]
WRITERS = """
import itertools, pathlib, subprocess, sys
folder = pathlib.Path(sys.argv[1])
below = sys.argv[2] == "parent" and subprocess.Popen([sys.executable, "-c", sys.argv[3], folder, "child", ""],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
for line in itertools.chain([""], sys.stdin):
    try:
        with open(folder / sys.argv[2], "wb", buffering=0) as file:
            assert file.write(bytes(1 << 16)) == 1 << 16
        said = "written"
    except (OSError, AssertionError):
        said = "full"
    if below:
        if line:
            print(line, file=below.stdin, end="", flush=True)
        said += " " + below.stdout.readline().strip()
    print(said, flush=True)
"""


def faults_for(pid: int) -> Faults:
    """Faults of a world whose one module, edge-1/scorer, is this process."""
    view = SimpleNamespace(name="scorer", pid=pid)
    gateway = SimpleNamespace(device_id="edge-1", agent=SimpleNamespace(modules=lambda: (view,)))
    network = SimpleNamespace(watch=lambda _: None)
    world: Any = SimpleNamespace(gateways={"edge-1": gateway}, network=network, clock=Clock())
    return Faults(world, lambda _: None)


@contextmanager
def process(*command: str | Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=variables) as it:
        try:
            yield it
        finally:
            it.terminate()


def test_no_process_of_the_module_can_write_until_it_is_over(tmp_path: Path) -> None:
    async def story(pid: int) -> list[str]:
        faults = faults_for(pid)
        said = [await asyncio.to_thread(ask)]
        await faults.do(Step("disk_full", {"for_s": 0.3}))
        said.append(await asyncio.to_thread(ask))
        async with asyncio.timeout(20):
            while faults._full:
                await asyncio.sleep(0.01)
        said.append(await asyncio.to_thread(ask))
        await faults.close()
        return said

    with process(sys.executable, "-c", WRITERS, tmp_path, "parent", WRITERS) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        assert writers.stdout.readline().split() == ["written", "written"]

        def ask() -> str:
            print("again", file=writers.stdin, flush=True)
            return writers.stdout.readline().strip() if writers.stdout else ""

        said = asyncio.run(story(writers.pid))
    assert said == ["written written", "full full", "written written"]


def test_an_agent_that_starts_on_a_full_disk_serves(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    environment = {"AML_APP_ROOT": str(tmp_path), "AZUREML_ENTRY_SCRIPT": "score.py", "PYTHONPATH": str(ROOT)}
    start = f'read line; exec "{sys.executable}" -m device_agent --port 0'
    with process("sh", "-c", start, environment=environment) as started:
        assert started.stdin is not None
        asyncio.run(faults_for(started.pid).do(Step("disk_full", {})))
        print("go", file=started.stdin, flush=True)
        agent = Agent(started)
        agent.wait_ready()
        assert json.loads(agent.post({"x": 1}).json()) == {"x": 1}
        agent.stop()
        assert agent.exit_code() == 0
