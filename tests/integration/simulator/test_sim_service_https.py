"""The service interface on HTTPS: certificates, bodies, odd ids, methods that take their time, the end of a server."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from edgepack.errors import RemoteError
from simulator.cloud.service_api import serve_service, service_app
from simulator.cloud.service_request import LARGEST_BODY_BYTES
from tests.fakes.service_world import NOW_S, OWNER_KEY, FakeInvoker, ServiceWorld, manifest, token

HEADERS = {"Authorization": token("localhost", OWNER_KEY, "iothubowner")}
PARAMETERS = {"api-version": "2021-04-12"}


class Certificate:
    """A server's certificate and key as files, and a client's trust in it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(self.key))
        self.trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


def client_of(certificate: Certificate, url: str = "") -> httpx.AsyncClient:
    """A client that trusts the server and may do all."""
    return httpx.AsyncClient(base_url=url, verify=certificate.trust, headers=HEADERS, params=PARAMETERS, timeout=60)


def run(certificate: Certificate, body: Callable[[httpx.AsyncClient, ServiceWorld], Awaitable[None]]) -> None:
    """Run `body` with a client of a server on HTTPS."""

    @contextlib.asynccontextmanager
    async def served() -> AsyncIterator[tuple[httpx.AsyncClient, ServiceWorld]]:
        world = ServiceWorld()
        app = service_app(world.hub, FakeInvoker(), lambda: world.now_s)
        async with (
            serve_service(app, certificate.certificate, certificate.key) as port,
            httpx.AsyncClient(
                base_url=f"https://localhost:{port}",
                verify=certificate.trust,
                headers=HEADERS,
                params=PARAMETERS,
                timeout=30,
            ) as client,
        ):
            yield client, world

    async def main() -> None:
        async with served() as (client, world):
            await body(client, world)

    asyncio.run(main())


def test_a_deployment_and_its_twins_go_over_the_wire(certificate: Certificate) -> None:
    async def body(client: httpx.AsyncClient, world: ServiceWorld) -> None:
        answer = await client.post("/devices/edge-1/applyConfigurationContent", json=manifest("scorer"))
        assert (answer.status_code, answer.content) == (204, b"")
        twin = await client.get("/twins/edge-1/modules/scorer")
        assert twin.headers["content-type"] == "application/json; charset=utf-8"
        assert twin.json()["properties"]["desired"]["threshold"] == 0.5
        changed = await client.patch(
            "/twins/edge-1/modules/scorer",
            json={"properties": {"desired": {"threshold": 0.75}}},
            headers={"If-Match": twin.headers["etag"]},
        )
        assert changed.status_code == 200
        assert world.registry.twin("edge-1/scorer").desired == {"threshold": 0.75}
        page = await client.post(
            "/devices/query", json={"query": "SELECT * FROM devices"}, headers={"x-ms-max-item-count": "1"}
        )
        assert (len(page.json()), bool(page.headers["x-ms-continuation"])) == (1, True)

    run(certificate, body)


def test_ids_with_any_allowed_character_are_reached(certificate: Certificate) -> None:
    async def body(client: httpx.AsyncClient, world: ServiceWorld) -> None:
        for device_id, written in [("a#b?c%d", "a%23b%3Fc%25d"), ("x;y=$z", "x;y=$z"), ("p+q", "p+q")]:
            made = await client.put(f"/devices/{written}", json={})
            assert (made.status_code, made.json()["deviceId"]) == (200, device_id)
            assert (await client.get(f"/twins/{written}")).status_code == 200

    run(certificate, body)


def test_methods_are_called_and_their_failures_told(certificate: Certificate) -> None:
    async def body(client: httpx.AsyncClient, world: ServiceWorld) -> None:
        async def call(name: str) -> httpx.Response:
            return await client.post("/twins/edge-1/methods", json={"methodName": name, "payload": {"a": 1}})

        assert (await call("echo")).json() == {"status": 200, "payload": {"a": 1}}
        for name, status, code in [
            ("absent", 404, "DeviceNotOnline"),
            ("slow", 504, "GatewayTimeout"),
            ("odd", 502, "InvalidDeviceResponse"),
        ]:
            answer = await call(name)
            assert answer.status_code == status
            assert answer.json()["Message"].startswith(f"ErrorCode:{code};edge-1 ")

    run(certificate, body)


def test_refusals_have_the_hubs_shape(certificate: Certificate) -> None:
    async def body(client: httpx.AsyncClient, world: ServiceWorld) -> None:
        answer = await client.get("/twins/none")
        assert answer.status_code == 404
        assert answer.json() == {
            "Message": "ErrorCode:DeviceNotFound;there is no device 'none'",
            "ExceptionMessage": "GET /twins/none",
        }
        assert (await client.get("/twins/edge-1", headers={"Authorization": ""})).status_code == 401
        assert (await client.get("/twins/edge-1", params={"api-version": "1"})).status_code == 400
        assert (await client.get("/")).status_code == 404
        large = await client.patch("/twins/edge-1", content=b" " * (LARGEST_BODY_BYTES + 1))
        assert large.status_code == 413
        world.now_s = NOW_S + 100_000
        assert (await client.get("/twins/edge-1")).status_code == 401

    run(certificate, body)


def test_a_call_that_waits_holds_up_no_other_and_ends_with_the_server(certificate: Certificate) -> None:
    class Patient(FakeInvoker):
        async def invoke_method(self, *call: Any) -> tuple[int, Any]:
            called.set()
            await asyncio.Event().wait()
            raise AssertionError

    called = asyncio.Event()

    async def main() -> None:
        world = ServiceWorld()
        app = service_app(world.hub, Patient(), lambda: world.now_s)
        async with httpx.AsyncClient(
            verify=certificate.trust, headers=HEADERS, params=PARAMETERS, timeout=60
        ) as client:
            async with serve_service(app, certificate.certificate, certificate.key) as port:
                url = f"https://localhost:{port}/twins/edge-1"
                waiting = asyncio.create_task(client.post(f"{url}/methods", json={"methodName": "wait"}))
                await called.wait()
                assert (await client.get(url)).status_code == 200
            with contextlib.suppress(httpx.HTTPError):
                assert (await waiting).status_code == 500

    asyncio.run(main())


def test_what_it_cannot_serve_with_is_said(certificate: Certificate, tmp_path: Path) -> None:
    async def main() -> None:
        app = service_app(ServiceWorld().hub, FakeInvoker(), lambda: NOW_S)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(RemoteError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
                async with serve_service(app, certificate.certificate, certificate.key, port=port):
                    raise AssertionError
        with pytest.raises(RemoteError, match="cannot use"):
            async with serve_service(app, tmp_path / "none.pem", certificate.key):
                raise AssertionError

    asyncio.run(main())
