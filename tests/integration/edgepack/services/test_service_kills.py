"""Many services at once, processes killed at random, commands killed at any moment: the truth, and no leftovers."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgepack import service
from edgepack.services.ports import port_problem
from edgepack.services.record import FAILED, RUNNING
from tests.fakes.service_desk import SCRIPT, Desk, until

ROOT = Path(__file__).parent.parent.parent.parent.parent
SERVICES = 20


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.delete_all()
    assert list(made.workspace.glob("services*")) == []


def test_twenty_at_once_and_the_machine_kills_at_random(desk: Desk) -> None:
    names = [f"service-{number:02}" for number in range(SERVICES)]
    with ThreadPoolExecutor(SERVICES) as pool:
        deployed = dict(zip(names, pool.map(desk.deploy, names), strict=True))
    assert len({found.port for found in deployed.values()}) == SERVICES
    for number, name in enumerate(names):
        assert desk.answer(number, name)["product"] == 2 * number

    chance = random.Random(8)  # noqa: S311 - of a test
    killed = set(chance.sample(names, 7))
    for name in killed:
        [folder] = (desk.shop.store.place(name) / "instances").iterdir()
        books = json.loads((folder / "process.json").read_text())
        victims = chance.choice((["process"], ["keeper"], ["process", "keeper"]))
        for victim in victims:
            os.kill(books[victim]["pid"], chance.choice((signal.SIGKILL, signal.SIGSEGV)))

    def states() -> dict[str, str]:
        return {found.name: found.state for found in service.list_services(desk.workspace, shop=desk.shop)}

    truth = {name: FAILED if name in killed else RUNNING for name in names}
    until(lambda: states() == truth, "list tells the truth")
    assert all(desk.find(name).reason for name in killed)
    back = sorted(killed)[0]
    assert desk.reload(back).port == deployed[back].port
    assert desk.answer(1, back)["product"] == 2

    pids = {pid for name in names for pid in desk.pids(name)}
    assert len(pids) >= 2 * (SERVICES - len(killed))
    with ThreadPoolExecutor(SERVICES) as pool:
        list(pool.map(desk.delete, names))
    assert [pid for name in names for pid in desk.pids(name)] == []
    assert [port_problem("127.0.0.1", found.port or 0) for found in deployed.values()] == [None] * SERVICES
    assert not (desk.workspace / "services").exists()


Stage = Callable[[Path], bool]
STAGES: dict[str, Stage] = {
    "it has a record": lambda place: (place / "service.json").exists(),
    "its image is there": lambda place: any(place.glob("images/*/image/index.json")),
    "it is unpacked": lambda place: any(place.glob("instances/*/app/var")),
    "its keeper is told": lambda place: any(place.glob("instances/*/start.json")),
    "it runs": lambda place: any(place.glob("instances/*/process.json")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_deployment_that_is_killed(desk: Desk, stage: str) -> None:
    place = desk.shop.store.place("service")
    _kill_when(desk, STAGES[stage], place)
    assert desk.find().state in (FAILED, RUNNING, "deploying")
    assert desk.deploy().state == RUNNING  # without --overwrite: the first was never done
    assert desk.answer(3)["product"] == 6
    assert len(list((place / "instances").iterdir())) == 1
    assert len(desk.pids()) == 3  # keeper, agent, script


def test_a_replacement_that_is_killed_and_a_deletion(desk: Desk) -> None:
    desk.deploy()
    desk.write(SCRIPT.format(factor=3))
    place = desk.shop.store.place("service")
    _kill_when(desk, lambda place: len(list(place.glob("instances/*/process.json"))) == 2, place, "overwrite")
    assert desk.find().state == RUNNING  # the old one, which nobody has ended yet
    assert desk.answer(3)["product"] == 6
    desk.delete()
    assert desk.pids() == []


def _kill_when(desk: Desk, stage: Stage, place: Path, *more: str) -> None:
    command = [sys.executable, "-m", "tests.fakes.deploying_command", str(desk.folder), "service", *more]
    with subprocess.Popen(command, cwd=ROOT) as process:
        turn = threading.Event()
        while not stage(place):
            assert process.poll() is None
            turn.wait(0.001)
        process.kill()
        process.wait()
