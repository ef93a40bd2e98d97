"""Waiting until devices have applied a deployment, on a clock of its own, with devices that do as the test says."""

from typing import Any

import pytest

from edgepack.deploy import Automatic, carry_out, plan_automatic, plan_device
from edgepack.deploy_progress import (
    Progress,
    automatic_progress,
    device_progress,
    progress_document,
    wait_until_applied,
)
from edgepack.deployment.content import Content
from edgepack.deployment.device_status import twin_half
from edgepack.errors import InputError
from tests.fakes.fake_hub import FakeHub, Trouble
from tests.fakes.service_world import NOW_S, manifest


class Agent:
    """The edgeAgent of a device: reports when it is told to."""

    def __init__(self, fake: FakeHub, device_id: str = "edge-1") -> None:
        self.registry = fake.world.registry
        self.id = f"{device_id}/$edgeAgent"

    def report(self, code: int = 200, started: str = "2026-01-01T00:00:00Z", **modules: dict[str, Any]) -> None:
        """That all modules run, but for what is given of some."""
        twin = self.registry.twin(self.id)
        reported = {
            name: {
                "runtimeStatus": "running",
                "exitCode": 0,
                "settings": wanted["settings"],
                "lastStartTimeUtc": started,
            }
            | modules.get(name, {})
            for name, wanted in twin.desired.get("modules", {}).items()
        }
        system = {name: {"runtimeStatus": "running"} for name in ("edgeAgent", "edgeHub")}
        self.registry.patch_reported(
            self.id,
            {
                "lastDesiredVersion": twin.desired_version,
                "lastDesiredStatus": {"code": code, "description": "" if code == 200 else "because"},
                "systemModules": system,
                "modules": reported,
            },
        )


def content(*modules: str) -> Content:
    return Content(manifest(*modules)["modulesContent"])


def deployed() -> tuple[FakeHub, Agent]:
    fake = FakeHub()
    carry_out(fake.hub(), plan_device(fake.hub(), content("scorer"), "edge-1"))
    return fake, Agent(fake)


def wait(fake: FakeHub, wait_s: float = 300) -> tuple[Progress, list[str]]:
    hub, said = fake.hub(), list[str]()
    return wait_until_applied(hub, lambda: device_progress(hub, "edge-1"), wait_s=wait_s, say=said.append), said


def test_a_device_that_applies_it_ends_the_waiting_when_it_has_settled() -> None:
    fake, agent = deployed()
    fake.on_pause = lambda now_s: agent.report() if 9 < now_s < 20 else None
    seen, said = wait(fake)
    assert seen.is_applied
    assert seen.reasons == []
    assert 14 < fake.world.now_s - NOW_S < 40
    assert len(said) == 2
    assert "version 2 is not carried out" in said[0]


def test_a_module_that_starts_and_falls_over_does_not_run() -> None:
    fake, agent = deployed()

    def crash_loop(now_s: float) -> None:
        if now_s % 12 < 4:
            agent.report(started=f"2026-01-01T00:00:{int(now_s // 12):02}Z")
        else:
            agent.report(scorer={"runtimeStatus": "backoff", "exitCode": 3, "statusDescription": "Exited (3)"})

    fake.on_pause = crash_loop
    for wait_s in range(50, 70):
        fake.world.now_s = NOW_S
        seen, _ = wait(fake, wait_s)
        assert fake.world.now_s - NOW_S == pytest.approx(wait_s)
        assert not seen.is_applied
        assert seen.reasons


def test_waiting_ends_with_its_time_and_the_reasons() -> None:
    fake, agent = deployed()
    agent.report(scorer={"runtimeStatus": "backoff", "exitCode": 3, "statusDescription": "Exited (3)"})
    seen, said = wait(fake, 100)
    assert fake.world.now_s - NOW_S == pytest.approx(100)
    assert not seen.is_applied
    assert seen.reasons == ["edge-1: module scorer is backoff, not running, exit code 3, Exited (3)"]
    assert said == seen.reasons
    assert max(fake.pauses) <= 10


@pytest.mark.parametrize(
    ("code", "module", "reason"),
    [
        (
            200,
            {"runtimeStatus": "failed", "exitCode": 9, "restartCount": 20},
            "scorer is failed, not running, exit code 9",
        ),
        (412, {}, "edgeAgent reports code 412 (the agent does not take this schema version): because"),
    ],
)
def test_what_has_failed_for_good_ends_the_waiting(code: int, module: dict[str, Any], reason: str) -> None:
    fake, agent = deployed()
    agent.report(code, scorer=module)
    seen, _ = wait(fake)
    assert fake.pauses == []
    assert seen.has_failed
    assert reason in seen.reasons[0]


def test_a_hub_that_is_away_for_a_while_is_waited_for() -> None:
    fake, agent = deployed()
    agent.report()
    fake.troubles = [Trouble(503), None, Trouble(), Trouble(429, headers={"Retry-After": "3"})]
    seen, _ = wait(fake)
    assert seen.is_applied


def test_a_wait_of_no_time_is_one_look() -> None:
    fake, agent = deployed()
    agent.report()
    seen, _ = wait(fake, 0)
    assert seen.is_applied
    assert fake.pauses == []


def automatic(fake: FakeHub, *modules: str, condition: str = "*", name: str = "base", priority: int = 5) -> None:
    plan = plan_automatic(fake.hub(), content(*modules), Automatic(name, condition, priority), replaces=True)
    carry_out(fake.hub(), plan)


def test_all_devices_of_an_automatic_deployment_are_waited_for() -> None:
    fake = FakeHub()
    fake.world.registry.add_device("edge-2", is_edge=True)
    automatic(fake, "scorer")
    one, two = Agent(fake), Agent(fake, "edge-2")
    one.report()
    hub = fake.hub()
    seen = automatic_progress(hub, "base")
    assert [(each.device_id, each.state) for each in seen.devices] == [("edge-1", "applied"), ("edge-2", "pending")]
    assert seen.figures == {
        "targetedCount": 2,
        "appliedCount": 2,
        "reportedSuccessfulCount": 1,
        "reportedFailedCount": 0,
    }
    fake.on_pause = lambda now_s: two.report() if now_s > 20 else None
    assert wait_until_applied(hub, lambda: automatic_progress(hub, "base")).is_applied
    assert fake.world.now_s - NOW_S > 20


def test_many_devices_come_in_pages() -> None:
    fake = FakeHub()
    for number in range(2, 251):
        fake.world.registry.add_device(f"edge-{number}", is_edge=True)
    automatic(fake, "scorer")
    assert len(automatic_progress(fake.hub(), "base").devices) == 250


def test_a_device_under_a_higher_priority_is_told() -> None:
    fake = FakeHub()
    automatic(fake, "other", name="above", priority=9)
    automatic(fake, "scorer")
    seen = automatic_progress(fake.hub(), "base")
    assert seen.devices == ()
    assert not seen.is_applied
    assert "a deployment of a higher priority" in seen.reasons[0]


def test_a_condition_that_no_device_fulfils_is_told() -> None:
    fake = FakeHub()
    automatic(fake, "scorer", condition="tags.site = 'a'")
    hub = fake.hub()
    seen = wait_until_applied(hub, lambda: automatic_progress(hub, "base"), wait_s=30)
    assert not seen.is_applied
    assert seen.reasons == ["the deployment targets no edge device"]


def test_what_a_replaced_deployment_left_behind_is_not_taken_for_the_new_one() -> None:
    fake = FakeHub()
    automatic(fake, "scorer")
    Agent(fake).report()
    fake.world.now_s += 10
    fake.world.hub.configurations.is_applying = True  # the hub has not looked at conditions again
    automatic(fake, "filter")
    seen = automatic_progress(fake.hub(), "base")
    assert dict(seen.waiting) == {"edge-1": "the hub has not given it to the device yet"}
    fake.world.hub.configurations.is_applying = False
    automatic(fake, "filter", priority=6)
    assert [each.state for each in automatic_progress(fake.hub(), "base").devices] == ["pending"]
    Agent(fake).report()
    assert automatic_progress(fake.hub(), "base").is_applied


def test_what_is_not_there_is_told() -> None:
    hub = FakeHub().hub()
    with pytest.raises(InputError, match="did you mean edge-1"):
        device_progress(hub, "edge-l")
    with pytest.raises(InputError, match="there is no deployment base"):
        automatic_progress(hub, "base")


def test_the_document_has_all_that_is_told() -> None:
    fake, agent = deployed()
    agent.report(scorer={"runtimeStatus": "backoff", "exitCode": 3})
    document = progress_document(device_progress(fake.hub(), "edge-1"))
    assert document["applied"] is False
    (device,) = document["devices"]
    assert device["last_desired_status"] == {"code": 200, "description": ""}
    scorer = device["modules"][-1]
    assert (scorer["name"], scorer["runtime_status"], scorer["exit_code"]) == ("scorer", "backoff", 3)
    assert scorer["as_wanted"] is False
    twin = fake.world.call("GET", "twins/edge-1/modules/$edgeAgent").document
    assert device["desired_version"] == twin_half(twin, "desired")["$version"]
