"""Automatic deployments: conditions, priorities, layers, metrics, and what devices end up with."""

from typing import Any

import pytest

from simulator.cloud.configurations import Configuration, apply_configurations
from simulator.cloud.content import ContentError, desired_of, is_layer, parse_content
from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import Change
from tests.fakes.service_world import ServiceWorld, manifest

Parts = dict[str, dict[str, Any]]


def put(world: ServiceWorld, name: str, content: Parts, *, priority: int = 1, condition: str = "*") -> None:
    world.hub.configurations.put(Configuration(name, content, condition, priority, {}, {}))
    apply_configurations(world.registry, world.hub.configurations)


def base(*modules: str, threshold: float = 0.5) -> Parts:
    return parse_content(manifest(*modules, threshold=threshold))


def desired(world: ServiceWorld, module: str = "scorer") -> dict[str, Any]:
    return world.registry.twin(f"edge-1/{module}").desired


def modules(world: ServiceWorld) -> list[str]:
    return [module.module_id for module in world.registry.modules_of("edge-1")]


def test_the_highest_priority_wins_and_among_equals_the_newer() -> None:
    world = ServiceWorld()
    put(world, "low", base("scorer", threshold=0.1), priority=1)
    put(world, "high", base("scorer", threshold=0.3), priority=3)
    put(world, "mid", base("scorer", threshold=0.2), priority=2)
    assert desired(world) == {"threshold": 0.3}
    put(world, "newer", base("scorer", threshold=0.4), priority=3)
    assert desired(world) == {"threshold": 0.4}
    assert world.hub.configurations.statuses == {
        "edge-1": {"low": "Targeted", "mid": "Targeted", "high": "Targeted", "newer": "Applied"}
    }
    put(world, "high", base("scorer", threshold=0.3), priority=3)
    assert desired(world) == {"threshold": 0.4}, "a change does not make it newer"


def test_conditions_choose_devices_and_are_looked_at_again() -> None:
    world = ServiceWorld()
    world.registry.add_device("edge-2", is_edge=True)
    put(world, "dep", base("scorer"), condition="tags.site = 'b' AND NOT deviceId = 'edge-2'")
    assert modules(world) == ["$edgeAgent", "$edgeHub"]
    for device in ("edge-1", "edge-2", "sensor-1"):
        world.registry.patch_tags(device, {"site": "b"})
    apply_configurations(world.registry, world.hub.configurations)
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer"]
    assert len(world.registry.modules_of("edge-2")) == 2
    assert world.registry.modules_of("sensor-1") == []
    world.registry.patch_tags("edge-1", {"site": None})
    apply_configurations(world.registry, world.hub.configurations)
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer"], "it keeps what it has"
    assert world.hub.configurations.statuses["edge-1"] == {}


def test_nothing_is_written_twice_and_watchers_may_ask_again() -> None:
    world = ServiceWorld()
    heard: list[Change] = []
    world.registry.watch(heard.append)
    world.registry.watch(lambda _: apply_configurations(world.registry, world.hub.configurations))
    put(world, "dep", base("scorer"))
    version = world.registry.twin("edge-1/$edgeAgent").desired_version
    heard.clear()
    apply_configurations(world.registry, world.hub.configurations)
    world.registry.patch_reported("edge-1/$edgeAgent", {"lastDesiredVersion": version})
    assert len(heard) == 1
    assert version == 2


def test_layers_go_on_top_of_the_base_below_them() -> None:
    world = ServiceWorld()
    docker = {"type": "docker", "settings": {"image": "other:2"}}
    layer = {
        "$edgeAgent": {"properties.desired.modules.other": docker},
        "$edgeHub": {"properties.desired.routes.other": "FROM /messages/modules/other/* INTO $upstream"},
        "other": {"properties.desired": {"a": 1, "b": {"c": 2}}},
        "scorer": {"properties.desired.threshold": 0.9, "properties.desired.deep.er": {"x": 1}},
    }
    put(world, "alone", parse_content({"modulesContent": layer}), priority=5)
    assert modules(world) == ["$edgeAgent", "$edgeHub"], "a layer needs a base"
    put(world, "base", base("scorer"), priority=2)
    put(
        world, "too-low", parse_content({"modulesContent": {"scorer": {"properties.desired": {"lost": 1}}}}), priority=2
    )
    put(world, "top", parse_content({"modulesContent": {"other": {"properties.desired.b": 7}}}), priority=6)
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer", "other"]
    assert set(desired(world, "$edgeAgent")["modules"]) == {"scorer", "other"}
    assert set(desired(world, "$edgeHub")["routes"]) == {"up", "other"}
    assert desired(world) == {"threshold": 0.9, "deep": {"er": {"x": 1}}}
    assert desired(world, "other") == {"a": 1, "b": 7}
    assert world.hub.configurations.statuses["edge-1"] == {
        "base": "Applied",
        "too-low": "Targeted",
        "alone": "Applied",
        "top": "Applied",
    }
    world.hub.configurations.remove("alone")
    world.hub.configurations.remove("top")
    apply_configurations(world.registry, world.hub.configurations)
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer"]
    assert desired(world) == {"threshold": 0.5}


def test_layers_that_do_not_fit_together_change_nothing_and_say_why() -> None:
    world = ServiceWorld()
    put(world, "base", base("scorer"))
    big = {f"k{number}": "x" * 4000 for number in range(5)}
    for number in range(2):
        parts = {"scorer": {f"properties.desired.part{number}": big}}
        put(world, f"layer{number}", parse_content({"modulesContent": parts}), priority=2 + number)
    assert set(desired(world)) == {"threshold", "part0"}
    assert "scorer.properties.desired would have" in world.hub.configurations.faults["edge-1"]
    assert set(world.hub.configurations.statuses["edge-1"].values()) == {"Targeted"}
    world.hub.configurations.remove("layer1")
    apply_configurations(world.registry, world.hub.configurations)
    assert world.hub.configurations.faults == {}


def test_modules_made_by_hand_stay() -> None:
    world = ServiceWorld()
    world.registry.add_module("edge-1", "by-hand")
    put(world, "dep", base("scorer", "second"))
    put(world, "next", base("third"), priority=2)
    assert modules(world) == ["$edgeAgent", "$edgeHub", "by-hand", "third"]


def test_too_many_modules_are_refused_before_anything_changes() -> None:
    world = ServiceWorld()
    for number in range(10):
        world.registry.add_module("edge-1", f"by-hand-{number}")
    before = modules(world)
    put(world, "dep", base(*(f"m{number}" for number in range(41))))
    assert modules(world) == before
    assert "more than 50 modules" in world.hub.configurations.faults["edge-1"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "content needs modulesContent"),
        ({"modulesContent": {}}, "content needs modulesContent"),
        ({"modulesContent": {"m": {"properties.desired": {}}}, "deviceContent": {}}, "'deviceContent'"),
        ({"modulesContent": {"a b": {}}}, "is not the id of a module"),
        ({"modulesContent": {"m": []}}, "modulesContent.m must be an object"),
        ({"modulesContent": {"m": {"desired": {}}}}, "has the key 'desired'"),
        ({"modulesContent": {"m": {"properties.desired.": {}}}}, "has the key 'properties.desired.'"),
        ({"modulesContent": {"m": {"properties.desired": 1}}}, "must be a JSON object"),
        (
            {"modulesContent": {"m": {"properties.desired": {"a.b": 1}}}},
            "modulesContent.m.properties.desired has the key",
        ),
    ],
)
def test_content_that_is_none_is_refused(content: object, said: str) -> None:
    with pytest.raises(HubError) as caught:
        parse_content(content)
    assert said in caught.value.text
    assert caught.value.status == 400


def test_a_base_names_both_system_modules_whole() -> None:
    assert not is_layer(base("m"))
    assert is_layer({**base("m"), "$edgeHub": {"properties.desired.routes.a": "x"}})
    assert is_layer({"m": {"properties.desired": {}}})


def test_content_is_not_shared_with_twins() -> None:
    content = base("m")
    first = desired_of([content, {"m": {"properties.desired.threshold": 1}}])
    assert first["m"] == {"threshold": 1}
    assert content["m"]["properties.desired"] == {"threshold": 0.5}
    assert desired_of([{"m": {"properties.desired": {"a": None, "b": 1}}}]) == {"m": {"b": 1}}


def test_there_is_a_most_of_configurations() -> None:
    world = ServiceWorld()
    for number in range(100):
        world.hub.configurations.put(Configuration(f"c{number}", base("m"), "", 0, {}, {}))
    with pytest.raises(ContentError):
        world.hub.configurations.put(Configuration("c100", base("m"), "", 0, {}, {}))
    world.hub.configurations.put(Configuration("c0", base("m"), "*", 0, {}, {}))
