"""The service interface: twins, queries, direct methods."""

from typing import Any

import pytest

from simulator.cloud.service_request import MethodCall, Reply
from tests.fakes.service_world import OWNER_KEY, VERSION, ServiceWorld, token


def refused(reply: object) -> tuple[int, str]:
    assert isinstance(reply, Reply)
    return reply.status, reply.document["Message"]


def test_a_twin_is_read_merged_and_replaced() -> None:
    world = ServiceWorld()
    first = world.call("GET", "twins/edge-1")
    assert first.headers["ETag"] == f'"{first.document["etag"]}"'
    assert first.document["tags"] == {}
    change = {"tags": {"site": "a"}, "properties": {"desired": {"x": 1, "$version": 9, "$metadata": {}}}}
    merged = world.call("PATCH", "twins/edge-1", change, etag=first.headers["ETag"])
    assert merged.document["tags"] == {"site": "a"}
    assert merged.document["properties"]["desired"]["x"] == 1
    assert merged.document["properties"]["desired"]["$version"] == 2
    assert refused(world.call("PATCH", "twins/edge-1", change, etag=first.headers["ETag"]))[0] == 412
    read = world.call("GET", "twins/edge-1").document
    read["properties"]["desired"]["y"] = 2
    replaced = world.call("PUT", "twins/edge-1", read, etag="*").document
    assert {key: replaced["properties"]["desired"][key] for key in "xy"} == {"x": 1, "y": 2}
    assert world.call("PUT", "twins/edge-1", {}, etag="*").document["tags"] == {}
    assert world.registry.twin("edge-1").desired == {}


def test_a_modules_twin_is_its_own() -> None:
    world = ServiceWorld()
    path = "twins/edge-1/modules/$edgeHub"
    reply = world.call("PATCH", path, {"properties": {"desired": {"x": {"y": 1}}}})
    assert (reply.status, reply.document["moduleId"]) == (200, "$edgeHub")
    assert world.call("PATCH", path, {"properties": {"desired": {"x": None}}}).status == 200
    assert world.registry.twin("edge-1/$edgeHub").desired == {}
    assert world.registry.twin("edge-1").desired_version == 1
    assert refused(world.call("GET", "twins/edge-1/modules/none"))[0] == 404
    assert refused(world.call("GET", "twins/none"))[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"tags": []}, 400, "tags must be of type dict"),
        ({"properties": {"desired": 1}}, 400, "desired must be of type dict"),
        ({"tags": {"ok": 1}, "properties": {"desired": {"a.b": 1}}}, 400, "properties.desired has the key 'a.b'"),
        ({"properties": {"desired": {"ok": 1}}, "tags": {"a": {"b c": 1}}}, 400, "tags.a has the key 'b c'"),
        ({"tags": {"a": "x" * 4000, "b": "x" * 4000, "c": "x" * 4000}}, 413, "tags would have 12003 bytes"),
    ],
)
def test_a_change_is_taken_as_a_whole_or_not_at_all(body: Any, status: int, text: str) -> None:
    world = ServiceWorld()
    before = world.call("GET", "twins/edge-1").document
    found = refused(world.call("PATCH", "twins/edge-1", body))
    assert (found[0], text in found[1]) == (status, True), found
    assert world.call("GET", "twins/edge-1").document == before


def test_queries_come_in_pages() -> None:
    world = ServiceWorld()
    query = {"query": "SELECT deviceId FROM devices"}
    first = world.call("POST", "devices/query", query, x_ms_max_item_count="1")
    assert (first.document, first.headers["x-ms-item-type"]) == ([{"deviceId": "edge-1"}], "Raw")
    more = first.headers["x-ms-continuation"]
    last = world.call("POST", "devices/query", query, x_ms_max_item_count="1", x_ms_continuation=more)
    assert last.document == [{"deviceId": "sensor-1"}]
    assert "x-ms-continuation" not in last.headers
    other = {"query": "SELECT * FROM devices"}
    for token_text in (more, "?", "YWJj"):
        status, text = refused(world.call("POST", "devices/query", other, x_ms_continuation=token_text))
        assert (status, "x-ms-continuation" in text) == (400, True)
    assert refused(world.call("POST", "devices/query", other, x_ms_max_item_count="0"))[0] == 400
    assert world.call("POST", "devices/query", other).headers["x-ms-item-type"] == "Twin"
    top = {"query": "SELECT TOP 1 deviceId FROM devices"}
    assert "x-ms-continuation" not in world.call("POST", "devices/query", top, x_ms_max_item_count="1").headers


def test_queries_see_devices_and_modules() -> None:
    world = ServiceWorld()
    world.call("PATCH", "twins/sensor-1", {"tags": {"site": "a"}})
    assert world.rows("SELECT deviceId FROM devices WHERE capabilities.iotEdge = true") == [{"deviceId": "edge-1"}]
    assert world.rows("SELECT * FROM devices WHERE tags.site = 'a'")[0]["deviceId"] == "sensor-1"
    assert world.rows("SELECT COUNT() AS n FROM devices.modules WHERE deviceId = 'edge-1'") == [{"n": 2}]
    status, text = refused(world.call("POST", "devices/query", {"query": "SELECT 1 FROM devices"}))
    assert (status, "expected * or a property, found '1' (column 8)" in text) == (400, True)


def method_call(
    world: ServiceWorld, body: Any, path: str = "twins/edge-1/methods", **headers: str
) -> Reply | MethodCall:
    sent = {"authorization": token("localhost", OWNER_KEY, "service")} | headers
    return world.raw("POST", path, body, headers=sent, **{"api-version": VERSION})


def test_a_method_is_handed_to_who_calls_it() -> None:
    world = ServiceWorld()
    body = {"methodName": "ping", "payload": {"a": [1]}, "responseTimeoutInSeconds": 5, "connectTimeoutInSeconds": 7}
    assert method_call(world, body) == MethodCall("edge-1", "ping", {"a": [1]}, 5, 7)
    path = "twins/edge-1/modules/$edgeAgent/methods"
    assert method_call(world, {"methodName": "ping"}, path) == MethodCall("edge-1/$edgeAgent", "ping", None, 30, 0)
    for wrong in (
        {},
        {"methodName": ""},
        {"methodName": "x" * 101},
        {"methodName": "x", "responseTimeoutInSeconds": 4},
        {"methodName": "x", "responseTimeoutInSeconds": 301},
        {"methodName": "x", "connectTimeoutInSeconds": -1},
    ):
        assert refused(method_call(world, wrong))[0] == 400
    assert refused(method_call(world, {"methodName": "x", "payload": "x" * 131_072}))[0] == 413
    assert refused(method_call(world, {"methodName": "x"}, "twins/none/methods"))[0] == 404


def test_a_module_calls_methods_near_it() -> None:
    world = ServiceWorld()
    module = world.registry.add_module("edge-1", "caller")
    world.registry.add_module("edge-1", "called")
    world.registry.add_device("far")
    sent = {
        "authorization": token("localhost/devices/edge-1/modules/caller", module.primary_key),
        "x-ms-edge-moduleid": "edge-1/caller",
    }
    body = {"methodName": "ping"}
    for path, client_id in [
        ("twins/edge-1/modules/called/methods", "edge-1/called"),
        ("twins/sensor-1/methods", "sensor-1"),
    ]:
        found = method_call(world, body, path, **sent)
        assert isinstance(found, MethodCall)
        assert found.client_id == client_id
    assert refused(method_call(world, body, "twins/far/methods", **sent))[0] == 401
    assert refused(method_call(world, body, **{**sent, "x-ms-edge-moduleid": "edge-1/called"}))[0] == 401
    assert "x-ms-edge-moduleId" in refused(method_call(world, body, **{**sent, "x-ms-edge-moduleid": ""}))[1]
