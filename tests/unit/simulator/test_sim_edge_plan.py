"""Plans: what is done when a deployment changes, in which order."""

from dataclasses import replace

import pytest

from simulator.edge_agent.deployment import Deployment, WantedModule
from simulator.edge_agent.module_state import ModuleState, ended, started
from simulator.edge_agent.plan import Action, Step, after, next_due_s, plan, print_plan, settle

A = WantedModule("a", "image:1", startup_order=2)
B = WantedModule("b", "image:1", startup_order=1)


def deployment(*modules: WantedModule) -> Deployment:
    return Deployment(tuple(sorted(modules, key=lambda one: one.order)))


def running(module: WantedModule) -> ModuleState:
    return started(ModuleState(module), 0.0)


def words(steps: tuple[Step, ...]) -> list[str]:
    return [f"{step.action.value} {step.module}" for step in steps]


def test_new_modules_are_created_and_started_in_startup_order() -> None:
    assert words(plan(deployment(A, B), {}, 0.0)) == ["create b", "start b", "create a", "start a"]
    assert words(plan(deployment(replace(A, status="stopped")), {}, 0.0)) == ["create a"]


def test_modules_that_are_not_wanted_go_first_the_last_started_first() -> None:
    states = {"a": running(A), "b": running(B), "c": ModuleState(WantedModule("c", "image:1"))}
    steps = plan(deployment(WantedModule("d", "image:1")), states, 0.0)
    assert words(steps) == ["remove c", "stop a", "remove a", "stop b", "remove b", "create d", "start d"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": "image:2"}, "changed: image"),
        ({"environment": {"X": "1"}}, "changed: env"),
        ({"create_options": {"HostConfig": {}}}, "changed: createOptions"),
        ({"restart_policy": "never", "startup_order": 9}, "changed: restartPolicy, startupOrder"),
        ({"version": "2", "pull_policy": "never"}, "changed: imagePullPolicy, version"),
    ],
)
def test_what_changes_makes_a_new_module(change: dict[str, object], reason: str) -> None:
    steps = plan(deployment(replace(A, **change)), {"a": running(A)}, 0.0)  # type: ignore[arg-type]
    assert words(steps) == ["stop a", "update a", "start a"]
    assert {step.reason for step in steps} == {reason}


def test_another_status_needs_no_new_module() -> None:
    stopped = replace(A, status="stopped")
    assert words(plan(deployment(stopped), {"a": running(A)}, 0.0)) == ["stop a"]
    rests = ended(running(stopped), 0, 1.0)
    assert plan(deployment(stopped), {"a": rests}, 1e9) == ()
    assert words(plan(deployment(A), {"a": rests._replace(restarts=20)}, 1.0)) == ["start a"]
    settled = settle(deployment(A), {"a": rests._replace(restarts=20)}, 1.0)
    assert (settled["a"].restarts, settled["a"].wanted) == (0, A)


def test_what_is_equal_and_runs_is_left_alone() -> None:
    again = replace(A, settings={"image": "image:1"})
    assert plan(deployment(again), {"a": running(A)}, 100.0) == ()


def test_restarts_that_are_due_are_steps() -> None:
    always = replace(A, restart_policy="always")
    states = {"a": ended(running(always), 1, 50.0)}
    assert next_due_s(deployment(always), states) == 60.0
    assert plan(deployment(always), states, 59.0) == ()
    (step,) = plan(deployment(always), states, 60.0)
    assert str(step) == "restart a (ended with exit code 1)"


def test_a_plan_reads_well() -> None:
    assert print_plan(plan(deployment(A), {}, 0.0)) == (
        "1. create a (new in the deployment)\n2. start a (new in the deployment)"
    )
    assert print_plan(()) == "nothing to do"


def test_a_step_that_does_not_fit_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no step for"):
        after(Step(Action.START, A, "twice"), running(A), 0.0)
