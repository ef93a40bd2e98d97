"""The registry: identities, their modules and twins, and what watchers hear."""

from itertools import count

import pytest

from simulator.cloud.identity import (
    Change,
    DesiredChanged,
    IdentityChanged,
    IdentityRemoved,
    RegistryError,
    ReportedChanged,
    TagsChanged,
)
from simulator.cloud.registry import Registry
from simulator.cloud.twin import TwinError


def new_registry() -> tuple[Registry, list[Change]]:
    numbers = count(1)
    registry = Registry(lambda: 1_000.0, lambda: b"key%d" % next(numbers), lambda: f"generation-{next(numbers)}")
    heard: list[Change] = []
    registry.watch(heard.append)
    return registry, heard


def test_an_edge_device_has_its_system_modules() -> None:
    registry, heard = new_registry()
    registry.add_device("edge", is_edge=True)
    registry.add_module("edge", "scorer", managed_by="iotEdge")
    assert [module.module_id for module in registry.modules_of("edge")] == ["$edgeAgent", "$edgeHub", "scorer"]
    assert [device.client_id for device in registry.devices()] == ["edge"]
    assert heard == [IdentityChanged(f"edge{rest}") for rest in ("", "/$edgeAgent", "/$edgeHub", "/scorer")]
    assert len({identity.primary_key for identity in registry.identities()}) == 4


def test_watchers_hear_of_changes_and_of_replacements_as_patches() -> None:
    registry, heard = new_registry()
    registry.add_device("d", keys=(b"a", b"b"))
    heard.clear()
    assert registry.patch_desired("d", {"a": {"x": 1, "y": 2}, "b": 1}) == 2
    assert registry.replace_desired("d", {"a": {"x": 1}, "c": 3}) == 3
    assert registry.patch_reported("d", {"r": 1}) == 2
    registry.patch_tags("d", {"site": "a"})
    registry.replace_tags("d", {})
    assert heard == [
        DesiredChanged("d", {"a": {"x": 1, "y": 2}, "b": 1}, 2),
        DesiredChanged("d", {"a": {"y": None}, "b": None, "c": 3}, 3),
        ReportedChanged("d", {"r": 1}, 2),
        TagsChanged("d"),
        TagsChanged("d"),
    ]
    with pytest.raises(TwinError):
        registry.patch_desired("d", {"a.b": 1})
    assert len(heard) == 5


def test_removing_a_device_removes_its_modules_and_frees_its_children() -> None:
    registry, heard = new_registry()
    registry.add_device("edge", is_edge=True)
    registry.add_device("leaf", parent="edge")
    registry.set_connected("edge", True, 5.0)
    heard.clear()
    registry.remove("edge")
    assert heard == [IdentityRemoved(f"edge{rest}") for rest in ("/$edgeAgent", "/$edgeHub", "")] + [
        IdentityChanged("leaf")
    ]
    assert [identity.client_id for identity in registry.identities()] == ["leaf"]
    assert not registry.is_connected("edge")
    with pytest.raises(KeyError):
        registry.twin("edge")
    registry.add_device("edge")
    registry.add_module("edge", "m")
    registry.remove("edge/m")
    assert registry.modules_of("edge") == []


def test_an_update_changes_what_it_names_and_the_etag() -> None:
    registry, _ = new_registry()
    before = registry.add_device("d")
    module = registry.add_module("d", "m")
    after = registry.update("d", enabled=False, keys=(b"p", b"s"), is_edge=True)
    assert (after.enabled, after.keys, after.is_edge) == (False, (b"p", b"s"), True)
    assert after.generation_id == before.generation_id
    assert after.etag != before.etag
    changed = registry.identity("d/m")
    assert changed is not None
    assert not changed.enabled
    assert changed.keys == module.keys
    assert len(registry.modules_of("d")) == 3
    assert registry.modules_of("d")[0] == changed


def test_an_edge_device_that_becomes_a_plain_one_loses_its_system_modules_and_children() -> None:
    registry, _ = new_registry()
    registry.add_device("edge", is_edge=True)
    registry.add_module("edge", "m")
    registry.add_device("leaf", parent="edge")
    registry.update("edge", is_edge=False)
    assert [module.module_id for module in registry.modules_of("edge")] == ["m"]
    leaf = registry.identity("leaf")
    assert leaf is not None
    assert leaf.parent == ""


def test_connections_are_those_of_known_clients() -> None:
    registry, _ = new_registry()
    registry.add_device("d")
    registry.set_connected("d", True, 7.0)
    registry.set_connected("stranger", True, 7.0)
    assert registry.is_connected("d")
    assert registry.connection("d").since_s == 7.0
    assert not registry.is_connected("stranger")


def test_what_the_registry_refuses() -> None:
    registry, _ = new_registry()
    registry.add_device("edge", is_edge=True)
    registry.add_device("below", is_edge=True, parent="edge")
    registry.add_device("d")

    def status(call: str, *arguments: str, **fields: object) -> tuple[int, str]:
        with pytest.raises(RegistryError) as caught:
            getattr(registry, call)(*arguments, **fields)
        return caught.value.status, caught.value.code

    assert status("add_device", "d") == (409, "DeviceAlreadyExists")
    assert status("add_device", "a b") == (400, "ArgumentInvalid")
    assert status("add_device", "x" * 129) == (400, "ArgumentInvalid")
    assert status("add_device", "e", parent="d") == (400, "ArgumentInvalid")
    assert status("update", "edge", parent="below") == (400, "ArgumentInvalid")
    assert status("add_module", "nobody", "m") == (404, "DeviceNotFound")
    assert status("add_module", "edge", "$edgeHub") == (409, "ModuleAlreadyExistsOnDevice")
    assert status("remove", "d/m") == (404, "ModuleNotFound")
    for number in range(50):
        registry.add_module("edge", f"m{number}")
    assert status("add_module", "edge", "m50") == (403, "ModuleCountExceeded")
