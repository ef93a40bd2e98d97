"""Plans of deployments and how they are carried out, against a hub that refuses what a hub refuses."""

import copy
from typing import Any

import pytest

from edgepack.deploy import (
    Automatic,
    Plan,
    as_input_errors,
    carry_out,
    delete_automatic,
    plan_automatic,
    plan_device,
)
from edgepack.deployment.content import Content
from edgepack.deployment.difference import change_lines
from edgepack.deployment.hub_refusal import HubRefusal
from edgepack.errors import InputError
from tests.fakes.edge_deployments import module
from tests.fakes.fake_hub import FakeHub, Trouble
from tests.fakes.service_world import manifest

ALL = Automatic("base", "*", 5, {"team": "a"}, {"all": "SELECT deviceId FROM devices"})


def content(*modules: str, threshold: float = 0.5) -> Content:
    return Content(manifest(*modules, threshold=threshold)["modulesContent"])


def deploy(fake: FakeHub, what: Content, device_id: str = "edge-1") -> Plan:
    hub = fake.hub()
    plan = plan_device(hub, what, device_id)
    carry_out(hub, plan)
    return plan


def make(fake: FakeHub, what: Content, wanted: Automatic = ALL, *, replaces: bool = False) -> Plan:
    hub = fake.hub()
    plan = plan_automatic(hub, what, wanted, replaces=replaces)
    carry_out(hub, plan)
    return plan


def held(fake: FakeHub, name: str = "base") -> dict[str, Any]:
    found: dict[str, Any] = fake.world.call("GET", f"configurations/{name}").document
    return found


def test_a_device_gets_what_it_lacks_and_is_left_alone_when_it_has_it() -> None:
    fake = FakeHub()
    first = deploy(fake, content("scorer", "filter"))
    assert first.action == "apply"
    assert fake.changes() == ["POST /devices/edge-1/applyConfigurationContent"]
    assert fake.world.registry.twin("edge-1/scorer").desired == {"threshold": 0.5}
    again = deploy(fake, content("scorer", "filter"))
    assert (again.action, again.changes, again.warnings) == ("nothing", (), ())
    assert len(fake.changes()) == 1
    second = deploy(fake, content("scorer", threshold=0.75))
    assert change_lines(second.changes) == [
        "- module filter  image:1",
        "~ twin of scorer",
        "    ~ threshold  0.5 -> 0.75",
        '- twin of filter  {"threshold": 0.5}',
    ]
    assert second.warnings == ("the module filter is not in the deployment: it is removed",)


def test_a_twin_that_the_content_does_not_name_stays_and_is_no_change() -> None:
    fake = FakeHub()
    deploy(fake, content("scorer"))
    without = copy.deepcopy(manifest("scorer")["modulesContent"])
    del without["scorer"]
    plan = deploy(fake, Content(without))
    assert plan.changes == ()
    assert fake.world.registry.twin("edge-1/scorer").desired == {"threshold": 0.5}


def test_a_plan_changes_nothing() -> None:
    fake = FakeHub()
    plan_device(fake.hub(), content("scorer"), "edge-1")
    plan_automatic(fake.hub(), content("scorer"), ALL, replaces=True)
    assert fake.changes() == []


def test_devices_that_cannot_be_deployed_to_are_told() -> None:
    hub = FakeHub().hub()
    with pytest.raises(InputError, match="the hub has no device edge1: did you mean edge-1"):
        plan_device(hub, content("scorer"), "edge1")
    with pytest.raises(InputError, match="the hub has no device xyz: there is edge-1"):
        plan_device(hub, content("scorer"), "xyz")
    with pytest.raises(InputError, match="sensor-1 is no edge device"):
        plan_device(hub, content("scorer"), "sensor-1")
    with pytest.raises(InputError, match="a layer cannot go to one device"):
        plan_device(hub, Content({"$edgeAgent": {"properties.desired.modules.x": module()}}), "edge-1")


def test_an_unknown_device_is_told_also_where_listing_is_refused() -> None:
    fake = FakeHub()
    fake.troubles = [None, Trouble(403)]
    with pytest.raises(InputError, match=r"^the hub has no device edge1$"):
        plan_device(fake.hub(), content("scorer"), "edge1")


def test_an_automatic_deployment_that_holds_the_device_is_warned_of() -> None:
    fake = FakeHub()
    make(fake, content("scorer"))
    plan = plan_device(fake.hub(), content("filter"), "edge-1")
    assert any("the automatic deployment base applies to edge-1 and will put its own" in text for text in plan.warnings)


def test_a_base_and_its_layer_are_warned_of_together() -> None:
    fake = FakeHub()
    make(fake, content("scorer"))
    layer = Content({"$edgeAgent": {"properties.desired.modules.filter": module()}})
    make(fake, layer, Automatic("layer", "*", 6))
    plan = plan_device(fake.hub(), content("filter"), "edge-1")
    (warning,) = [text for text in plan.warnings if "automatic" in text]
    assert warning.startswith(
        "the automatic deployments base, layer apply to edge-1 and will put their own content back"
    )


def test_an_automatic_deployment_is_made_changed_and_left_alone() -> None:
    fake = FakeHub()
    assert make(fake, content("scorer")).action == "create"
    assert held(fake)["labels"] == {"team": "a"}
    assert held(fake)["metrics"]["queries"] == {"all": "SELECT deviceId FROM devices"}
    assert make(fake, content("scorer")).action == "nothing"
    plan = make(fake, content("scorer"), Automatic("base", priority=9))
    assert plan.action == "update"
    assert change_lines(plan.changes) == ["~ deployment", "    ~ priority  5 -> 9"]
    after = held(fake)
    assert (after["priority"], after["targetCondition"], after["labels"]) == (9, "*", {"team": "a"})
    assert make(fake, content("scorer"), Automatic("base", labels={})).action == "update"
    assert held(fake)["labels"] == {}
    assert [call.split()[0] for call in fake.changes()] == ["PUT"] * 3


def test_other_content_needs_another_id_or_to_replace() -> None:
    fake = FakeHub()
    make(fake, content("scorer", "filter"))
    with pytest.raises(InputError, match=r"cannot change in the hub, and differs in module filter.*--replace"):
        plan_automatic(fake.hub(), content("scorer"), ALL, replaces=False)
    plan = make(fake, content("scorer"), Automatic("base", priority=7), replaces=True)
    assert plan.action == "replace"
    assert [call.split()[0] for call in fake.changes()] == ["PUT", "DELETE", "PUT"]
    assert any("filter" in text for text in plan.warnings)
    assert (held(fake)["priority"], held(fake)["targetCondition"]) == (7, "*")
    assert "filter" not in held(fake)["content"]["modulesContent"]


def test_a_new_one_needs_condition_and_priority_and_both_are_told() -> None:
    with pytest.raises(InputError) as caught:
        plan_automatic(FakeHub().hub(), content("scorer"), Automatic("new"), replaces=False)
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == ["--target-condition", "--priority"]


def test_what_the_hub_finds_wrong_with_condition_and_metrics_is_told_before_anything_is_done() -> None:
    fake = FakeHub()
    make(fake, content("scorer"))
    wrong = Automatic("base", "tags.site =", 1, None, {"m": "nonsense"})
    with pytest.raises(InputError) as caught:
        make(fake, content("filter"), wrong, replaces=True)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("--target-condition: ")
    assert caught.value.problems[1].startswith("--metric m: ")
    assert len(fake.changes()) == 1


def test_a_layer_goes_on_top_of_a_base() -> None:
    fake = FakeHub()
    make(fake, content("scorer"))
    layer = Content(
        {
            "$edgeAgent": {"properties.desired.modules.filter": module()},
            "scorer": {"properties.desired.threshold": 0.9},
        }
    )
    plan = make(fake, layer, Automatic("layer", "*", 6))
    assert change_lines(plan.changes)[0].startswith("+ module filter")
    desired = fake.world.registry.twin("edge-1/$edgeAgent").desired
    assert set(desired["modules"]) == {"scorer", "filter"}
    assert fake.world.registry.twin("edge-1/scorer").desired == {"threshold": 0.9}


@pytest.mark.parametrize("action", ["update", "replace"])
def test_what_somebody_changed_meanwhile_is_not_overwritten(action: str) -> None:
    fake = FakeHub()
    make(fake, content("scorer"))
    what = content("scorer" if action == "update" else "filter")
    plan = plan_automatic(fake.hub(), what, Automatic("base", priority=9), replaces=True)
    assert plan.action == action
    make(fake, content("scorer"), Automatic("base", priority=7))
    with pytest.raises(HubRefusal, match="changed it meanwhile") as caught:
        carry_out(fake.hub(), plan)
    assert caught.value.exit_code == 3
    assert held(fake)["priority"] == 7


@pytest.mark.parametrize("trouble", [Trouble(is_done=True), Trouble(500, is_done=True), Trouble(), Trouble(503)])
def test_a_lost_answer_is_no_failure_whether_it_was_done_or_not(trouble: Trouble) -> None:
    fake = FakeHub()
    hub = fake.hub()
    steps: list[tuple[Content, Automatic]] = [
        (content("scorer"), ALL),
        (content("scorer"), Automatic("base", priority=9)),
        (content("filter"), Automatic("base", priority=10)),
    ]
    for what, wanted in steps:
        plan = plan_automatic(hub, what, wanted, replaces=True)
        fake.troubles = [trouble]
        carry_out(hub, plan)
    assert held(fake)["priority"] == 10
    plan_to_device = plan_device(hub, content("other"), "edge-1")
    fake.troubles = [trouble]
    carry_out(hub, plan_to_device)
    fake.troubles = [None, trouble]
    delete_automatic(hub, "base")
    assert fake.world.call("GET", "configurations").document == []


def test_one_that_somebody_else_made_meanwhile_is_not_taken_for_ones_own() -> None:
    fake = FakeHub()
    plan = plan_automatic(fake.hub(), content("scorer"), ALL, replaces=False)
    make(fake, content("other"))
    fake.troubles = [Trouble()]
    with pytest.raises(InputError, match="has it already"), as_input_errors():
        carry_out(fake.hub(), plan)


def test_a_replacement_that_fails_half_way_says_what_is_gone() -> None:
    fake = FakeHub()
    make(fake, content("scorer"))
    plan = plan_automatic(fake.hub(), content("filter"), ALL, replaces=True)
    fake.troubles = [None, Trouble(403)]
    with pytest.raises(HubRefusal, match="base is deleted: run the same command again"):
        carry_out(fake.hub(), plan)


def test_deleting_what_is_not_there_names_the_nearest() -> None:
    fake = FakeHub()
    with pytest.raises(InputError, match="there is no deployment bass: the hub has none"):
        delete_automatic(fake.hub(), "bass")
    make(fake, content("scorer"))
    with pytest.raises(InputError, match="there is no deployment bass: did you mean base"):
        delete_automatic(fake.hub(), "bass")
    delete_automatic(fake.hub(), "base")
