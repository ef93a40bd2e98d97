"""When modules start again."""

import math

import pytest

from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_state import ModuleState, ended, not_started, restarted, started
from simulator.edge_agent.restart import NextStart, next_start, recovered, runtime_status, wait_s


def ran(policy: str, exit_code: int, **more: object) -> ModuleState:
    """A module that ended at second 100."""
    wanted = WantedModule("m", "image:1", restart_policy=policy, **more)  # type: ignore[arg-type]
    return ended(started(ModuleState(wanted), 90.0), exit_code, 100.0)


def test_waits_double_up_to_five_minutes() -> None:
    assert [wait_s(count) for count in range(7)] == [10, 20, 40, 80, 160, 300, 300]
    assert wait_s(10_000) == 300


@pytest.mark.parametrize(
    ("policy", "exit_code", "status", "expected"),
    [
        ("always", 0, "backoff", NextStart(110, True)),
        ("always", 1, "backoff", NextStart(110, True)),
        ("on-failure", 1, "backoff", NextStart(110, True)),
        ("on-failure", 0, "stopped", NextStart(105, False)),
        ("on-unhealthy", 137, "backoff", NextStart(110, True)),
        ("on-unhealthy", 0, "stopped", NextStart(105, False)),
        ("never", 0, "stopped", None),
        ("never", 1, "failed", None),
    ],
)
def test_policies(policy: str, exit_code: int, status: str, expected: NextStart | None) -> None:
    state = ran(policy, exit_code)
    assert runtime_status(state) == status
    assert next_start(state) == expected


def test_after_twenty_restarts_a_module_is_left_alone() -> None:
    state = ran("always", 1)
    for count in range(20):
        due = next_start(state)
        assert due is not None
        assert due.at_s == 100 + wait_s(count)
        state = ended(restarted(state, 100.0), 1, 100.0)
    assert state.restarts == 20
    assert next_start(state) is None
    assert runtime_status(state) == "failed"


def test_ten_minutes_of_running_clear_the_account() -> None:
    state = restarted(ran("always", 1), 110.0)
    assert recovered(state, 710.0).restarts == 1
    assert recovered(state, 710.1).restarts == 0
    assert recovered(ended(state, 1, 200.0), 9000.0).restarts == 1


def test_a_module_that_is_to_be_stopped_does_not_start() -> None:
    for code, status in ((0, "stopped"), (143, "failed")):
        state = ran("always", code, status="stopped")
        assert next_start(state) is None
        assert runtime_status(state) == status


def test_a_start_that_failed_is_tried_again_only_where_that_may_help() -> None:
    fresh = ModuleState(WantedModule("m", "image:1", restart_policy="never"))
    assert next_start(fresh) == NextStart(-math.inf, False)
    for_good = not_started(fresh, "no such image", 5.0, may_retry=False)
    assert (runtime_status(for_good), next_start(for_good)) == ("failed", None)
    once = not_started(fresh, "disk full", 5.0, may_retry=True)
    assert (runtime_status(once), next_start(once)) == ("backoff", NextStart(15.0, True))
    twice = not_started(once, "disk full", 15.0, may_retry=True)
    assert next_start(twice) == NextStart(35.0, True)
    assert started(twice, 35.0).problem == ""
