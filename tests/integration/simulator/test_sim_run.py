"""Whole runs without modules: devices over TLS, the network broken, and what ledger and files say of it."""

import asyncio
import contextlib
import copy
import itertools
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import InputError
from simulator.control_client import ControlClient, RequestRefused
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_log import ModuleLog
from simulator.edge_agent.runner import Running
from simulator.message import HubMessage
from simulator.recount import recount
from simulator.run_folder import socket_folder
from simulator.scenario import parse_scenario
from simulator.simulation import DEFAULT_MANIFEST, Plan, Simulation
from simulator.steps import parse_step
from simulator.world import Places

DEADLINE_S = 60.0


class NoRunner:
    """Has no image for any module."""

    async def start(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> Running:
        """See Runner."""
        raise InputError(f"no image {module.image}")

    async def remove(self, name: str) -> None:
        """See Runner."""

    async def close(self) -> None:
        """See Runner."""


def manifest(**hub: Any) -> dict[str, Any]:
    """The default deployment with other desired properties of `$edgeHub`."""
    document: dict[str, Any] = copy.deepcopy(dict(DEFAULT_MANIFEST))
    document["modulesContent"]["$edgeHub"]["properties.desired"] |= hub
    return document


def run(
    folder: Path,
    scenario: dict[str, Any],
    prepare: Callable[[Simulation], None] = lambda _: None,
    deployment: Mapping[str, Any] = DEFAULT_MANIFEST,
    enough: int = 30,
) -> dict[str, Any]:
    """Run a scenario until all its steps are done and `enough` messages were sent, then to its end; the report."""

    async def story() -> dict[str, Any]:
        with socket_folder() as sockets:
            places = Places(folder, sockets, "localhost", 0)
            plan = Plan(parse_scenario(scenario, "scenario"), places, lambda _: NoRunner(), deployment, None, 20.0)
            simulation = Simulation(plan, secrets.token_bytes(32))
            try:
                await simulation.start()
                prepare(simulation)
                simulation.world.tasks.start(stop_after(simulation, enough), "stop")
                await simulation.run()
                return await simulation.report()
            finally:
                await simulation.close()

    return asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


async def stop_after(simulation: Simulation, enough: int) -> None:
    """End a run when it has seen enough."""
    steps = len(simulation.plan.scenario.steps)
    while len(simulation.world.ledger.entries) < enough or simulation.steps_done < steps:
        await asyncio.sleep(0.01)
    simulation.views.stop.set()


async def break_things(simulation: Simulation, steps: list[dict[str, Any]]) -> None:
    """Do steps one after the other while messages flow: the first after ten, each next after ten more or a second."""
    problems: list[str] = []
    for document in steps:
        goal = len(simulation.world.ledger.entries) + 10
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1 if document is not steps[0] else DEADLINE_S):
                while len(simulation.world.ledger.entries) < goal:
                    await asyncio.sleep(0.005)
        step = parse_step(document, "step", problems)
        assert step is not None, problems
        await simulation.faults.do(step)


def test_a_plain_run_loses_nothing_and_both_counts_agree(tmp_path: Path) -> None:
    report = run(tmp_path, {"devices": 5, "rate_per_s": 20})
    assert report["sent"] == report["delivered"] > 5
    assert (report["lost"], report["duplicated"], report["misordered"]) == (0, 0, 0)
    assert report["recount"] == {"sent": report["sent"], "delivered": report["sent"], "missing": 0, "foreign": 0}
    assert (report["problems"], report["lost_messages"], report["refused_connections"]) == ([], [], 0)
    assert report["latency_ms"]["p99"] >= report["latency_ms"]["p50"] >= 0
    lines = [json.loads(line) for line in (tmp_path / "cloud.jsonl").read_text().splitlines()]
    assert len(lines) == report["delivered"]
    assert set(lines[0]["body"]) == {"machine", "ambient", "timeCreated"}
    assert lines[0]["device"].startswith("sensor-")


@pytest.mark.parametrize(
    ("steps", "effect"),
    [
        ([{"do": "offline", "for_s": 0.5}], "offline_s"),
        ([{"do": "offline"}], "offline_s"),
        ([{"do": "half_open", "for_s": 0.5}], "offline_s"),
        ([{"do": "restart_hub", "for_s": 0.3}], "reconnects"),
        ([{"do": "restart_hub", "for_s": 1000}], "reconnects"),
        ([{"do": "offline", "link": "devices", "for_s": 0.3}], "reconnects"),
        ([{"do": "half_open", "link": "devices", "for_s": 0.5}], ""),
        (
            [
                {"do": "latency", "ms": 100, "jitter_ms": 100},
                {"do": "loss", "rate": 0.2},
                {"do": "latency", "ms": 20, "jitter_ms": 20, "link": "devices"},
                {"do": "loss", "rate": 0.05, "link": "devices"},
                {"do": "bandwidth", "kbit": 500},
            ],
            "",
        ),
        ([{"do": "bandwidth", "kbit": 1}], "peak_buffered"),
        ([{"do": "latency", "ms": 60_000}], "peak_buffered"),
        ([{"do": "latency", "ms": 60_000, "link": "devices"}], ""),
        ([{"do": "clock_jump", "by_s": 3600}, {"do": "clock_jump", "by_s": -7200}], ""),
    ],
    ids=str,
)
def test_nothing_is_lost_whatever_the_network_does(tmp_path: Path, steps: list[dict[str, Any]], effect: str) -> None:
    async def breaking(simulation: Simulation) -> None:
        await break_things(simulation, steps)
        goal = len(simulation.world.ledger.entries) + 10
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while len(simulation.world.ledger.entries) < goal:
                    await asyncio.sleep(0.01)
        simulation.views.stop.set()

    def begin(simulation: Simulation) -> None:
        simulation.world.tasks.start(breaking(simulation), "breaking")

    report = run(tmp_path, {"devices": 5, "rate_per_s": 20}, begin, enough=10**9)
    assert report["sent"] >= 10
    assert (report["lost"], report["misordered"], report["expired"]) == (0, 0, 0)
    assert report["delivered"] == report["sent"]
    assert (report["recount"]["missing"], report["failures"]) == (0, [])
    assert [fault["do"] for fault in report["faults"]] == [step["do"] for step in steps]
    assert not effect or report[effect] > 0


def test_what_ends_a_task_of_the_run_ends_the_run(tmp_path: Path) -> None:
    """As a full disk under cloud.jsonl does."""

    def fill(simulation: Simulation) -> None:
        def full(message: HubMessage) -> None:
            raise OSError(28, "No space left on device")

        simulation.world.cloud.received = full  # type: ignore[method-assign]

    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, {"devices": 2, "rate_per_s": 20}, fill)


def test_offline_messages_wait_and_the_report_says_for_how_long(tmp_path: Path) -> None:
    steps = [{"at_s": 0, "do": "offline"}]
    report = run(tmp_path, {"devices": 4, "rate_per_s": 10, "speed": 10, "steps": steps})
    assert report["offline_s"] > 0
    assert report["sent"] == report["delivered"] >= report["peak_buffered"] > 0


def test_messages_expire_by_simulated_time(tmp_path: Path) -> None:
    steps = [{"at_s": 0, "do": "offline"}, {"at_s": 4000, "do": "online"}]
    deployment = manifest(storeAndForwardConfiguration={"timeToLiveSecs": 600})
    scenario = {"devices": 2, "rate_per_s": 0.02, "speed": 2000, "steps": steps}
    report = run(tmp_path, scenario, deployment=deployment)
    assert report["expired"] > 0
    assert report["expired"] + report["delivered"] == report["sent"]
    assert report["recount"]["missing"] == report["expired"]


def test_what_no_route_takes_is_unrouted_and_not_lost(tmp_path: Path) -> None:
    deployment = manifest(routes={"none": "FROM /messages/modules/nobody INTO $upstream"})
    report = run(tmp_path, {"devices": 2, "rate_per_s": 10}, deployment=deployment)
    assert report["unrouted"] == report["sent"] > 0
    assert (report["delivered"], report["lost"]) == (0, 0)


def test_a_hub_that_loses_messages_is_found_out(tmp_path: Path) -> None:
    """The ledger can find a loss, and name it."""
    lost: list[str] = []

    def forget_some(simulation: Simulation) -> None:
        receive, numbers = simulation.world.hub.receive, itertools.count()

        def forgetful(message: HubMessage) -> None:
            if next(numbers) in (3, 7):
                lost.append(message.value("$.mid"))
            else:
                receive(message)

        simulation.world.hub.receive = forgetful  # type: ignore[method-assign]
        object.__setattr__(simulation.plan, "drain_s", 1.0)

    report = run(tmp_path, {"devices": 2, "rate_per_s": 20}, forget_some)
    assert report["lost"] == 2
    assert {message["id"] for message in report["lost_messages"]} == set(lost)
    assert report["recount"]["missing"] == 2


def test_a_hub_that_repeats_and_reorders_is_found_out(tmp_path: Path) -> None:
    held: list[HubMessage] = []

    def repeat_some(simulation: Simulation) -> None:
        receive, numbers = simulation.world.hub.receive, itertools.count()

        def confused(message: HubMessage) -> None:
            number = next(numbers)
            if number == 2:
                held.append(message)
                return
            receive(message)
            if number == 5:
                receive(message)
            if number == 8:
                receive(held[0])

        simulation.world.hub.receive = confused  # type: ignore[method-assign]

    report = run(tmp_path, {"devices": 1, "rate_per_s": 30}, repeat_some)
    assert (report["duplicated"], report["misordered"], report["lost"]) == (1, 1, 0)


def test_steps_that_cannot_be_done_are_problems_of_the_run(tmp_path: Path) -> None:
    steps = [
        {"at_s": 0, "do": "kill_agent"},
        {"at_s": 0, "do": "kill_agent", "module": "edge-1/nobody"},
        {"at_s": 0, "do": "expire_token", "id": "nobody"},
        {"at_s": 0, "do": "set_twin", "id": "nobody", "desired": {}},
        {"at_s": 0, "do": "invoke", "id": "nobody", "method": "ping"},
        {"at_s": 0, "do": "send", "id": "edge-1/nobody", "body": 1},
    ]
    report = run(tmp_path, {"devices": 0, "steps": steps}, enough=0)
    problems = "\n".join(report["failures"])
    for words in ("there is no module", "nobody", "not connected", "no device or module"):
        assert words in problems
    assert len(report["failures"]) == len(steps)


def test_a_device_s_twin_method_and_messages(tmp_path: Path) -> None:
    steps = [
        {"at_s": 0.8, "do": "set_twin", "id": "sensor-001", "desired": {"SendInterval": 0.05}},
        {"at_s": 1.2, "do": "invoke", "id": "sensor-001", "method": "reset"},
        {"at_s": 1.2, "do": "send", "id": "sensor-001", "body": {"command": "reset"}},
    ]
    twins: list[dict[str, Any]] = []

    def keep(simulation: Simulation) -> None:
        simulation.world.registry.watch(
            lambda _: twins.append(simulation.world.registry.twin("sensor-001").reported.copy())
        )

    report = run(tmp_path, {"devices": 1, "rate_per_s": 2, "steps": steps}, keep, enough=20)
    assert {"SendInterval": 0.05} in twins
    [answer] = [fault["answer"] for fault in report["faults"] if fault["do"] == "invoke"]
    assert answer["status"] == 200
    assert report["problems"] == []
    assert report["lost"] == 0


def test_the_control_socket_answers_and_obeys(tmp_path: Path) -> None:
    async def story() -> dict[str, Any]:
        with socket_folder() as sockets:
            plan = Plan(
                parse_scenario({"devices": 2, "rate_per_s": 10, "name": "watched"}, "x"),
                Places(tmp_path, sockets, "localhost", 0),
                lambda _: NoRunner(),
            )
            simulation = Simulation(plan, secrets.token_bytes(32))
            try:
                await simulation.start()
                running = asyncio.create_task(simulation.run())
                async with ControlClient(simulation.control.path) as client:
                    while (await client.snapshot()).ledger.delivered < 5:
                        await asyncio.sleep(0.02)
                    await client.request({"do": "offline"})
                    snapshot = await client.snapshot()
                    assert (snapshot.state, snapshot.scenario, snapshot.links["upstream"].up) == (
                        "running",
                        "watched",
                        False,
                    )
                    assert (snapshot.devices_total, snapshot.faults[-1]["do"]) == (2, "offline")
                    await client.set_twin("sensor-001", {"SendData": False})
                    twin = await client.twin("sensor-001")
                    assert twin["properties"]["desired"]["SendData"] is False
                    for wrong in ({"do": "fly"}, {"do": "offline", "link": "moon"}, {"do": "logs", "module": "x/y"}):
                        with pytest.raises(RequestRefused):
                            await client.request(wrong)
                    await client.stop()
                await running
                return await simulation.report()
            finally:
                await simulation.close()

    report = asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
    assert (report["lost"], report["delivered"]) == (0, report["sent"])
    assert recount(tmp_path / "devices.jsonl", tmp_path / "cloud.jsonl").missing == ()
