"""The service interface: deployments to one device and at scale."""

from typing import Any

import pytest

from simulator.cloud.service_request import Reply
from tests.fakes.service_world import ServiceWorld, manifest


def refused(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.document["Message"]


def modules(world: ServiceWorld) -> list[str]:
    return [module["moduleId"] for module in world.call("GET", "devices/edge-1/modules").document]


def configuration(**fields: Any) -> dict[str, Any]:
    return {
        "id": "dep",
        "schemaVersion": "2.0",
        "content": manifest("scorer"),
        "targetCondition": "tags.site='a'",
        "priority": 10,
        "labels": {"made": "here"},
        "metrics": {"queries": {"all": "select deviceId from devices"}},
        "etag": "*",
        **fields,
    }


def test_a_manifest_is_put_on_one_device() -> None:
    world = ServiceWorld()
    path = "devices/edge-1/applyConfigurationContent"
    assert world.call("POST", path, manifest("scorer", "other")) == Reply(204)
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer", "other"]
    assert world.registry.twin("edge-1/scorer").desired == {"threshold": 0.5}
    assert set(world.registry.twin("edge-1/$edgeAgent").desired["modules"]) == {"scorer", "other"}
    assert world.call("POST", path, manifest("scorer")).status == 204
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer"]
    assert world.registry.twin("edge-1/scorer").desired_version == 3, "each deployment is told, also without a change"


@pytest.mark.parametrize(
    ("device", "body", "status", "text"),
    [
        ("none", {}, 404, "there is no device"),
        ("sensor-1", manifest("m"), 400, "sensor-1 is no edge device"),
        (
            "edge-1",
            {"modulesContent": {"m": {"properties.desired": {}}}},
            400,
            "needs properties.desired of $edgeAgent",
        ),
        ("edge-1", manifest(*(f"m{number}" for number in range(51))), 403, "more than 50 modules"),
        ("edge-1", manifest("a/b"), 400, "is not the id of a module"),
        (
            "edge-1",
            {"modulesContent": {**manifest("m")["modulesContent"], "m": {"properties.desired": {"a": [None]}}}},
            400,
            "m.properties.desired.a[0] is null",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(device: str, body: Any, status: int, text: str) -> None:
    world = ServiceWorld()
    found = refused(world.call("POST", f"devices/{device}/applyConfigurationContent", body))
    assert (found[0], text in found[1]) == (status, True), found
    assert modules(world) == ["$edgeAgent", "$edgeHub"]


def test_a_configuration_is_created_read_changed_and_deleted() -> None:
    world = ServiceWorld()
    made = world.call("PUT", "configurations/dep", configuration())
    assert (made.status, made.document["priority"]) == (200, 10)
    assert modules(world) == ["$edgeAgent", "$edgeHub"]
    world.call("PATCH", "twins/edge-1", {"tags": {"site": "a"}})
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer"], "a change of tags is enough"
    found = world.call("GET", "configurations/dep").document
    assert found["systemMetrics"]["results"] == {
        "targetedCount": 1,
        "appliedCount": 1,
        "reportedSuccessfulCount": 0,
        "reportedFailedCount": 0,
    }
    assert found["metrics"]["results"] == {"all": 2}
    assert found["content"] == manifest("scorer")
    assert world.call("GET", "twins/edge-1").document["configurations"] == {"dep": {"status": "Applied"}}
    changed = world.call("PUT", "configurations/dep", configuration(priority=3), etag=f'"{found["etag"]}"')
    assert (changed.status, changed.document["priority"]) == (200, 3)
    assert changed.document["createdTimeUtc"] == found["createdTimeUtc"]
    assert refused(world.call("PUT", "configurations/dep", configuration(), etag=f'"{found["etag"]}"'))[0] == 412
    assert [each["id"] for each in world.call("GET", "configurations").document] == ["dep"]
    assert refused(world.call("DELETE", "configurations/dep"))[0] == 412
    assert world.call("DELETE", "configurations/dep", etag="*").status == 204
    assert refused(world.call("GET", "configurations/dep"))[0] == 404
    assert "configurations" not in world.call("GET", "twins/edge-1").document


def test_success_is_what_the_device_reports_of_this_version() -> None:
    world = ServiceWorld()
    world.call("PUT", "configurations/dep", configuration(targetCondition="*"))
    version = world.registry.twin("edge-1/$edgeAgent").desired_version

    def results(code: int, reported_version: int) -> list[int]:
        report = {"lastDesiredVersion": reported_version, "lastDesiredStatus": {"code": code}}
        world.registry.patch_reported("edge-1/$edgeAgent", report)
        return list(world.call("GET", "configurations/dep").document["systemMetrics"]["results"].values())

    assert results(200, version - 1) == [1, 1, 0, 0]
    assert results(200, version) == [1, 1, 1, 0]
    assert results(417, version) == [1, 1, 0, 1]


def test_what_a_service_changes_by_hand_is_put_right_again() -> None:
    world = ServiceWorld()
    world.call("PUT", "configurations/dep", configuration(targetCondition="deviceId='edge-1'"))
    world.call("PATCH", "twins/edge-1/modules/scorer", {"properties": {"desired": {"threshold": 1}}})
    assert world.registry.twin("edge-1/scorer").desired == {"threshold": 0.5}


@pytest.mark.parametrize(
    ("path", "fields", "status", "text"),
    [
        ("Dep", {"id": "Dep"}, 400, "is no id"),
        ("dep", {"id": "other"}, 400, "id in the body"),
        ("dep", {"targetCondition": "tags.a ="}, 400, "expected a value, found the end (column 9)"),
        ("dep", {"targetCondition": "a" * 5000}, 400, "more than 4096 characters"),
        ("dep", {"priority": -1}, 400, "priority must be"),
        ("dep", {"priority": 1.5}, 400, "priority must be"),
        ("dep", {"labels": {"a": 1}}, 400, "labels.a must be a text"),
        ("dep", {"metrics": {"queries": {"m": "select"}}}, 400, "metrics.queries.m: expected * or a property"),
        ("dep", {"content": None}, 400, "content needs modulesContent"),
        ("dep", {"content": {"deviceContent": {}}}, 400, "content needs modulesContent"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    path: str, fields: dict[str, Any], status: int, text: str
) -> None:
    world = ServiceWorld()
    found = refused(world.call("PUT", f"configurations/{path}", configuration(**fields)))
    assert (found[0], text in found[1]) == (status, True), found
    assert world.call("GET", "configurations").document == []


def test_id_and_content_stay() -> None:
    world = ServiceWorld()
    world.call("PUT", "configurations/dep", configuration())
    status, text = refused(world.call("PUT", "configurations/dep", configuration()))
    assert (status, text) == (409, "ErrorCode:ConfigurationAlreadyExists;there is a configuration dep already")
    found = refused(world.call("PUT", "configurations/dep", configuration(content=manifest("other")), etag="*"))
    assert (found[0], "cannot change" in found[1]) == (400, True)
    without = configuration(targetCondition="*")
    del without["content"]
    assert world.call("PUT", "configurations/dep", without, etag="*").status == 200
    assert modules(world) == ["$edgeAgent", "$edgeHub", "scorer"]
    assert refused(world.call("PUT", "configurations/none", configuration(id="none"), etag="*"))[0] == 404


def test_queries_are_tested_before_they_are_used() -> None:
    world = ServiceWorld()
    body = {"targetCondition": "tags.a", "customMetricQueries": {"good": "select * from devices"}}
    assert world.call("POST", "configurations/testQueries", body).document == {
        "targetConditionError": None,
        "customMetricQueryErrors": {},
    }
    body = {"targetCondition": "tags.a = = 1", "customMetricQueries": {"bad": "nonsense"}}
    assert world.call("POST", "configurations/testQueries", body).document == {
        "targetConditionError": "expected a value, found '=' (column 10)",
        "customMetricQueryErrors": {"bad": "expected SELECT, found 'nonsense' (column 1)"},
    }
