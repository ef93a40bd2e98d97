"""What a device's agent reports, against what it is asked for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.deployment.device_status import DeviceStatus, device_status, time_of
from tests.fakes.edge_deployments import desired, module

T0, T1, T2 = (f"2026-01-01T00:00:0{n}.1234567Z" for n in range(3))


def twin(
    modules: dict[str, Any] | None = None,
    *,
    version: int = 3,
    applied: int = 3,
    code: int = 200,
    description: str = "",
    said: str = T1,
    asked: str = T1,
    wanted: dict[str, Any] | None = None,
) -> dict[str, Any]:
    system = {
        "edgeAgent": {"runtimeStatus": "running", "settings": {"image": "mcr.example.com/agent:1.5"}},
        "edgeHub": {"runtimeStatus": "running", "settings": {"image": "mcr.example.com/hub:1.5"}},
    }
    return {
        "properties": {
            "desired": desired(**(wanted or {"scorer": module("a:1")}))
            | {"$version": version, "$metadata": {"$lastUpdated": asked}},
            "reported": {
                "lastDesiredVersion": applied,
                "lastDesiredStatus": {"code": code, "description": description},
                "systemModules": system,
                "modules": {"scorer": running()} if modules is None else modules,
                "$metadata": {"lastDesiredStatus": {"$lastUpdated": said}},
            },
        }
    }


def running(**more: Any) -> dict[str, Any]:
    base = {"runtimeStatus": "running", "exitCode": 0, "settings": {"image": "a:1"}, "lastStartTimeUtc": T1}
    return base | more


def status(*arguments: Any, **more: Any) -> DeviceStatus:
    return device_status("edge-1", twin(*arguments, **more))


def test_a_status_in_another_case_is_the_same_wish() -> None:
    found = status(wanted={"scorer": module("a:1", status="Running", restartPolicy="Always")})
    assert (found.state, found.reasons) == ("applied", ())


def test_all_as_wanted_is_applied() -> None:
    found = status()
    assert (found.state, found.reasons) == ("applied", ())
    assert [each.name for each in found.modules] == ["edgeAgent", "edgeHub", "scorer"]


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ({}, "module scorer nothing is reported of it yet"),
        ({"settings": {"image": "a:0"}}, "module scorer runs the image a:0, not a:1 yet"),
        (
            {"runtimeStatus": "backoff", "exitCode": 3, "restartCount": 2, "statusDescription": "Exited (3)\x1b[2J"},
            "module scorer is backoff, not running, exit code 3, 2 restarts, Exited (3) [2J",
        ),
        ({"runtimeStatus": "unhealthy"}, "module scorer is unhealthy, not running, exit code 0"),
    ],
)
def test_a_module_that_is_not_as_wanted_is_pending_with_its_reason(reported: dict[str, Any], reason: str) -> None:
    found = status({"scorer": running(**reported)} if reported else {})
    assert found.state == "pending"
    assert found.reasons == (reason,)


def test_a_module_that_was_given_up_has_failed() -> None:
    found = status({"scorer": running(runtimeStatus="failed", exitCode=1, restartCount=20)})
    assert found.state == "failed"
    assert found.reasons == ("module scorer is failed, not running, exit code 1, 20 restarts",)


@pytest.mark.parametrize("code", [400, 412, 417])
def test_a_deployment_that_the_agent_cannot_use_has_failed(code: int) -> None:
    assert status(code=code, description="why").state == "failed"
    newer = status(code=code, description="why", applied=2, said=T2)
    assert newer.state == "failed"
    assert any(f"code {code}" in reason and reason.endswith(": why") for reason in newer.reasons)
    assert status(code=code, description="why", applied=2, said=T0).state == "pending", "said of an older deployment"


def test_a_step_that_failed_is_pending_and_told() -> None:
    found = status(code=500, description="no such image")
    assert found.state == "pending"
    assert found.reasons == (
        "edgeAgent reports code 500 (a step of the deployment failed, and is tried again): no such image",
    )


def test_an_older_version_is_pending_whatever_else_is_reported() -> None:
    found = device_status("edge-1", twin({}, applied=2), is_connected=False)
    assert found.state == "pending"
    assert found.reasons == (
        "version 3 is not carried out, the last that it carried out is 2",
        "the hub says that it is not connected",
    )
    assert status(applied=0).reasons == ("version 3 is not carried out, it has none yet",)


def test_modules_that_are_to_be_stopped_or_run_once() -> None:
    stopped = {"scorer": module("a:1", status="stopped")}
    for runtime in ("stopped", "failed", "dead"):
        assert status({"scorer": running(runtimeStatus=runtime)}, wanted=stopped).state == "applied"
    assert status(wanted=stopped).reasons == ("module scorer is running, not stopped",)
    once = {"scorer": module("a:1", restartPolicy="never")}
    assert status({"scorer": running(runtimeStatus="stopped")}, wanted=once).state == "applied"
    assert status({"scorer": running(runtimeStatus="stopped", exitCode=1)}, wanted=once).state == "pending"
    assert status({"scorer": running(runtimeStatus="stopped")}).state == "pending"


def test_a_module_that_is_to_go_does_not_matter() -> None:
    found = status({"scorer": running(), "old": running(runtimeStatus="failed")})
    assert found.state == "applied"
    assert [each.wanted for each in found.modules] == ["running", "running", "running", ""]


def test_routes_that_edgehub_does_not_take_are_told() -> None:
    reported = {"lastDesiredVersion": 4, "lastDesiredStatus": {"code": 400, "description": "bad route"}}
    hub = {"properties": {"desired": {"$version": 4}, "reported": reported}}
    found = device_status("edge-1", twin(), hub)
    assert (found.state, found.reasons) == ("failed", ("edgeHub reports code 400: bad route",))
    reported["lastDesiredVersion"] = 3
    assert device_status("edge-1", twin(), hub).state == "applied", "it said so of an older version"


def test_times_are_compared_whatever_their_digits() -> None:
    assert time_of("2026-01-01T00:00:00Z") == time_of("2026-01-01T00:00:00.000Z")
    assert time_of("2026-01-01T00:00:00.12Z") < time_of("2026-01-01T00:00:00.1234567Z") < time_of(T1)
    assert time_of(None) < time_of("0001-01-01T00:00:00Z")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 500) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                "properties desired reported modules systemModules lastDesiredStatus code settings image".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_any_twin_is_read(document: Any) -> None:
    found = device_status("d", document if isinstance(document, dict) else {"properties": document})
    assert found.state in ("applied", "pending", "failed")
    assert (found.state == "applied") == (not found.reasons)
