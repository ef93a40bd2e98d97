"""The service interface: who may call, devices and modules, limits of calls."""

import base64
from typing import Any

import pytest

from simulator.cloud.service_request import Reply
from simulator.cloud.tokens import SKEW_S
from tests.fakes.service_world import NOW_S, OWNER_KEY, VERSION, ServiceWorld, token

KEYS = {"primaryKey": base64.b64encode(b"p" * 32).decode(), "secondaryKey": base64.b64encode(b"s" * 32).decode()}


def said(reply: object) -> tuple[int, str]:
    """Status, and the message of a refusal."""
    assert isinstance(reply, Reply)
    return reply.status, "" if reply.document is None else reply.document["Message"]


def test_a_device_is_created_read_changed_and_deleted() -> None:
    world = ServiceWorld()
    body = {"deviceId": "edge-2", "status": "disabled", "capabilities": {"iotEdge": True}}
    made = world.call("PUT", "devices/edge-2", body | {"authentication": {"type": "sas", "symmetricKey": KEYS}})
    assert made.status == 200
    assert made.headers["ETag"] == f'"{made.document["etag"]}"'
    assert made.document["authentication"]["symmetricKey"] == KEYS
    assert (made.document["status"], made.document["capabilities"]) == ("disabled", {"iotEdge": True})
    assert world.call("GET", "devices/edge-2").document == made.document
    changed = world.call("PUT", "devices/edge-2", {"status": "enabled"}, etag=made.headers["ETag"])
    assert (changed.status, changed.document["status"]) == (200, "enabled")
    assert changed.document["authentication"]["symmetricKey"] == KEYS
    assert said(world.call("PUT", "devices/edge-2", body, etag=made.headers["ETag"]))[0] == 412
    assert said(world.call("DELETE", "devices/edge-2"))[0] == 412
    assert world.call("DELETE", "devices/edge-2", etag='"*"') == Reply(204)
    assert said(world.call("GET", "devices/edge-2")) == (404, "ErrorCode:DeviceNotFound;there is no device 'edge-2'")


def test_devices_and_modules_are_listed_and_counted() -> None:
    world = ServiceWorld()
    assert [device["deviceId"] for device in world.call("GET", "devices").document] == ["edge-1", "sensor-1"]
    modules = world.call("GET", "devices/edge-1/modules").document
    assert [(module["moduleId"], module["managedBy"]) for module in modules] == [
        ("$edgeAgent", "iotEdge"),
        ("$edgeHub", "iotEdge"),
    ]
    world.registry.set_connected("sensor-1", True, NOW_S)
    world.registry.update("edge-1", enabled=False)
    assert world.call("GET", "statistics/devices").document == {
        "totalDeviceCount": 2,
        "enabledDeviceCount": 1,
        "disabledDeviceCount": 1,
    }
    assert world.call("GET", "statistics/service").document == {"connectedDeviceCount": 1}
    assert world.call("GET", "devices/sensor-1").document["connectionState"] == "Connected"


def test_a_child_names_its_parents_scope() -> None:
    world = ServiceWorld()
    scope = world.call("GET", "devices/edge-1").document["deviceScope"]
    assert scope.startswith("ms-azure-iot-edge://edge-1-")
    leaf = world.call("PUT", "devices/leaf", {"deviceScope": scope}).document
    assert (leaf["deviceScope"], leaf["parentScopes"]) == (scope, [scope])
    nested = {"capabilities": {"iotEdge": True}, "parentScopes": [scope]}
    edge = world.call("PUT", "devices/edge-2", nested).document
    assert (edge["deviceScope"] != scope, edge["parentScopes"]) == (True, [scope])
    assert world.call("PUT", "devices/leaf", {"deviceScope": ""}, etag="*").document["deviceScope"] == ""
    status, text = said(world.call("PUT", "devices/other", {"deviceScope": "ms-azure-iot-edge://nobody-1"}))
    assert status == 400
    assert "is not the deviceScope of an edge device" in text


def test_a_module_is_created_changed_and_deleted() -> None:
    world = ServiceWorld()
    body = {"deviceId": "edge-1", "moduleId": "m", "managedBy": "me"}
    made = world.call("PUT", "devices/edge-1/modules/m", body)
    assert (made.status, made.document["managedBy"]) == (201, "me")
    changed = world.call("PUT", "devices/edge-1/modules/m", {"managedBy": "you"}, etag="*")
    assert (changed.status, changed.document["managedBy"]) == (200, "you")
    assert said(world.call("PUT", "devices/edge-1/modules/m", body))[0] == 409
    assert said(world.call("DELETE", "devices/edge-1/modules/m", etag='"stale"'))[0] == 412
    assert world.call("DELETE", "devices/edge-1/modules/m", etag="*").status == 204
    status, text = said(world.call("GET", "devices/edge-1/modules/m"))
    assert status == 404
    assert text.startswith("ErrorCode:ModuleNotFound;")
    assert said(world.call("DELETE", "devices/edge-1/modules/$edgeHub", etag="*"))[0] == 400


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "the body must be a JSON object"),
        (b"{", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b'{"a": 1e999}', "too large"),
        (b"[" * 70 + b"]" * 70, "nested deeper than 64"),
        (b"[" * 100_000, "nested deeper than 64"),
        ({"deviceId": "other"}, "deviceId in the body is not that of the path"),
        ({"status": "on"}, "status must be enabled or disabled"),
        ({"status": True}, "status must be of type str"),
        ({"capabilities": {"iotEdge": 1}}, "iotEdge must be of type bool"),
        ({"authentication": {"type": "selfSigned"}}, "only sas is taken here"),
        ({"authentication": {"symmetricKey": {"primaryKey": "?"}}}, "a key is no base64"),
        ({"authentication": {"symmetricKey": {**KEYS, "secondaryKey": "YQ=="}}}, "two keys of 16 to 64 bytes"),
        ({"authentication": {"symmetricKey": {**KEYS, "secondaryKey": None}}}, "two keys of 16 to 64 bytes"),
    ],
)
def test_a_device_that_makes_no_sense_is_refused(body: Any, text: str) -> None:
    status, message = said(ServiceWorld().call("PUT", "devices/new", body))
    assert status == 400
    assert text in message


def test_only_known_callers_with_the_right_may_call() -> None:
    world = ServiceWorld()

    def get(authorization: str, path: str = "devices/edge-1", method: str = "GET") -> tuple[int, str]:
        headers = {"authorization": authorization} if authorization else {}
        return said(world.raw(method, path, {}, headers=headers, **{"api-version": VERSION}))

    owner = token("localhost:443", OWNER_KEY, "iothubowner")
    assert get(owner.replace("skn=iothubowner", "skn=nobody")) == (
        401,
        "ErrorCode:IotHubUnauthorizedAccess;there is no policy 'nobody'",
    )
    for authorization, text in [
        ("", "the header Authorization is missing"),
        ("Bearer abc", "no SharedAccessSignature"),
        (token("localhost", b"wrong", "iothubowner"), "signature"),
        (token("elsewhere", OWNER_KEY, "iothubowner"), "audience"),
        (token("localhost", OWNER_KEY, "iothubowner", int(NOW_S) - SKEW_S - 1), "expired"),
        (token("localhost", OWNER_KEY, "service"), "the policy service lacks the right RegistryRead"),
        (token("localhost/devices/sensor-1", world.registry.identities()[-1].primary_key), "audience"),
    ]:
        status, message = get(authorization)
        assert (status, text in message) == (401, True), message
    assert get(token("localhost", OWNER_KEY, "registryRead"), method="PUT")[1].endswith("lacks the right RegistryWrite")
    assert get(token("localhost", OWNER_KEY, "registryReadWrite"), "twins/edge-1")[0] == 401


def test_a_device_reads_and_makes_its_own_modules() -> None:
    world = ServiceWorld()
    device = world.registry.identity("edge-1")
    assert device is not None
    headers = {"authorization": token("localhost/devices/edge-1", device.secondary_key)}
    query = {"api-version": "2020-05-31-preview"}
    for method, path, status in [
        ("GET", "devices/edge-1/modules", 200),
        ("PUT", "devices/edge-1/modules/new", 201),
        ("GET", "devices/edge-1/modules/new", 200),
        ("GET", "devices/sensor-1/modules", 401),
        ("PUT", "devices/edge-1", 401),
        ("GET", "twins/edge-1", 401),
    ]:
        found = world.raw(method, path, {}, headers=headers, **query)
        assert isinstance(found, Reply)
        assert found.status == status, path
    world.registry.update("edge-1", enabled=False)
    assert said(world.raw("GET", "devices/edge-1/modules", headers=headers, **query))[0] == 401


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("", "is missing"),
        ("2016-11-14", "is '2016-11-14'"),
        ("latest", "is 'latest'"),
        ("2021-04-12x", "'2021-04-12x'"),
    ],
)
def test_an_api_version_is_needed(version: str, text: str) -> None:
    world = ServiceWorld()
    headers = {"authorization": token("localhost", OWNER_KEY, "iothubowner")}
    query = {"api-version": version} if version else {}
    status, message = said(world.raw("GET", "devices", headers=headers, **query))
    assert status == 400
    assert text in message


def test_unknown_paths_and_methods_are_refused() -> None:
    world = ServiceWorld()
    assert said(world.call("GET", "jobs/v2"))[0] == 404
    assert said(world.call("GET", "devices/"))[0] == 404
    status, text = said(world.call("PATCH", "devices/edge-1"))
    assert (status, text.endswith("there are DELETE, GET, PUT")) == (405, True)
    assert said(world.call("GET", "devices/edge-1%2Fx/modules"))[0] == 404


def test_configuration_calls_are_throttled_where_that_is_asked_for() -> None:
    world = ServiceWorld(throttled=True)
    for _ in range(20):
        assert world.call("GET", "configurations").status == 200
    refused = world.call("GET", "configurations")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "4")
    assert refused.document["Message"].startswith("ErrorCode:ThrottlingException;too many calls about configurations")
    world.now_s += 3
    assert world.call("GET", "configurations").status == 200
    assert world.call("GET", "configurations").status == 429
    assert world.call("GET", "devices").status == 200
    for _ in range(30):
        assert ServiceWorld().call("GET", "configurations").status == 200
