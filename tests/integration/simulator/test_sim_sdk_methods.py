"""Direct methods with the unmodified SDK: answers of all kinds, no answer, nobody there."""

import asyncio
import base64
import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from azure.iot.device import MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient

from simulator.cloud.method_invoker import MethodTimeout, NotConnected
from simulator.hub.links import UPSTREAM_LINK
from tests.integration.simulator.sdk_world import (
    DEVICE,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SimulationUnderTest,
    running_simulation,
    until,
)

pytestmark = SDK_WARNINGS
ALL = pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])
PAYLOADS = [{"a": [1, "ü", None]}, [], [1, 2], "text", "", 0, 1.5, True, False, None, {}]


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path) as running:
        yield running


def answer_methods(client: Any) -> list[Any]:
    """Answer every method with its payload and status 200, `fail` with 500 and nothing; the requests so far."""
    requests: list[Any] = []

    def answer(request: Any) -> None:
        requests.append(request)
        status, payload = (500, None) if request.name == "fail" else (200, request.payload)
        client.send_method_response(MethodResponse.create_from_method_request(request, status, payload))

    client.on_method_request_received = answer
    return requests


@ALL
def test_methods_are_called_and_answered(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        requests = answer_methods(client)
        for payload in PAYLOADS:
            assert sim.invoke(client_id, "echo", payload) == (200, payload)
        assert [request.payload for request in requests] == PAYLOADS
        assert sim.invoke(client_id, "fail", {"why": 1}) == (500, None)
        large = "x" * 131_000
        assert sim.invoke(client_id, "echo", large) == (200, large)
        assert sim.invoke(client_id, "with space/ü", 1) == (200, 1)
        assert sim.do("invoke", id=client_id, method="echo", payload=[1]) == {"status": 200, "payload": [1]}


@ALL
def test_who_is_not_there_or_does_not_listen_cannot_be_called(sim: SimulationUnderTest, client_id: str) -> None:
    with pytest.raises(NotConnected, match=client_id):
        sim.invoke(client_id, "echo")
    with sim.client(client_id) as client:
        with pytest.raises(NotConnected, match="does not listen"):
            sim.invoke(client_id, "echo")
        answer_methods(client)
        assert sim.invoke(client_id, "echo", 1) == (200, 1)
        client.disconnect()
        until(lambda: not sim.is_connected(client_id), "gone")
        with pytest.raises(NotConnected):
            sim.invoke(client_id, "echo")
        client.connect()
        assert sim.invoke(client_id, "echo", 2) == (200, 2), "without another subscription"


@ALL
def test_no_answer_in_time_is_a_timeout(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        late = threading.Event()

        def answer(request: Any) -> None:
            late.wait(30)
            client.send_method_response(MethodResponse.create_from_method_request(request, 200, "late"))

        client.on_method_request_received = answer
        with pytest.raises(MethodTimeout, match="did not answer slow"):
            sim.invoke(client_id, "slow", response_timeout_s=0.2)
        late.set()
        assert sim.invoke(client_id, "slow") == (200, "late")


def test_behind_a_cut_link_nobody_can_be_called(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as client:
        answer_methods(client)
        sim.do("offline")
        assert not sim.call(sim.world.network.condition, UPSTREAM_LINK).up
        with pytest.raises(NotConnected):
            sim.invoke(SCORER, "echo")
        sim.do("online")
        assert sim.invoke(SCORER, "echo", 1) == (200, 1)


def test_calls_at_the_same_time_get_their_own_answers(sim: SimulationUnderTest) -> None:
    async def story() -> None:
        client: Any = IoTHubDeviceClient.create_from_connection_string(sim.connection_string(DEVICE), **sim.options())

        async def answer(request: Any) -> None:
            await asyncio.sleep(0.01 * (request.payload % 3))
            await client.send_method_response(MethodResponse.create_from_method_request(request, 200, request.payload))

        await client.connect()
        client.on_method_request_received = answer
        await asyncio.to_thread(until, lambda: listens(sim), "the subscription")
        answers = await asyncio.gather(*(asyncio.to_thread(sim.invoke, DEVICE, "echo", number) for number in range(20)))
        assert answers == [(200, number) for number in range(20)]
        await client.shutdown()

    asyncio.run(story())


def listens(sim: SimulationUnderTest) -> bool:
    """Whether the device has subscribed to methods."""
    return sim.call(lambda: "$iothub/methods/POST/#" in sim.world.hub.broker.clients[DEVICE].filters)


def service_token(host: str) -> str:
    """As the owner of the hub."""
    audience, expiry = quote(host, safe=""), int(time.time()) + 600
    digest = hmac.new(b"k" * 32, f"{audience}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={audience}&sig={signature}&se={expiry}&skn=iothubowner"


def test_the_service_interface_reaches_clients_of_the_sdk(tmp_path: Path) -> None:
    with running_simulation(tmp_path, has_service=True) as sim:
        check_methods_of_the_service(sim)


def check_methods_of_the_service(sim: SimulationUnderTest) -> None:
    """All that a service can learn of a method: 404, 200, 504."""

    def call(method: str) -> httpx.Response:
        body = {"methodName": method, "payload": {"x": 1}, "responseTimeoutInSeconds": 5, "connectTimeoutInSeconds": 0}
        path = f"/twins/{DEVICE}/methods?api-version=2021-04-12"
        return httpx.post(sim.simulation.service()["url"] + path, json=body, headers=headers, verify=tls, timeout=30)

    tls = ssl.create_default_context(cadata=sim.ca_pem)
    headers = {"Authorization": service_token(sim.host)}
    assert call("echo").status_code == 404
    with sim.client(DEVICE) as client:
        answer_methods(client)
        answered = call("echo")
        assert (answered.status_code, answered.json()) == (200, {"status": 200, "payload": {"x": 1}})
        client.on_method_request_received = lambda _request: None
        assert call("nobody answers").status_code == 504
