"""The workload API on its sockets: with the device agent's client, with the SDK, and with nonsense."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from azure.iot.device.iothub.edge_hsm import IoTEdgeHsm
from azure.iot.device.iothub.sync_clients import IoTHubModuleClient
from cryptography import x509

from device_agent.messages.iothub.workload import WorkloadAddress, WorkloadClient, WorkloadFailure
from edgepack.errors import InputError
from simulator.authority import Authority
from simulator.cloud.registry import Registry
from simulator.workload_api import WorkloadApi
from tests.fakes.edge_deployments import DEVICE, registry

AUTHORITY = Authority()


@asynccontextmanager
async def api(hub: Registry, folder: Path) -> AsyncIterator[WorkloadApi]:
    made = WorkloadApi(DEVICE, hub, AUTHORITY, folder, hub="hub.example.com", gateway="localhost")
    try:
        yield made
    finally:
        await made.close()


def client(variables: dict[str, str]) -> WorkloadClient:
    return WorkloadClient(
        WorkloadAddress(
            variables["IOTEDGE_WORKLOADURI"],
            variables["IOTEDGE_APIVERSION"],
            variables["IOTEDGE_MODULEID"],
            variables["IOTEDGE_MODULEGENERATIONID"],
        )
    )


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_agent_gets_what_it_needs(tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    hub = registry("scorer", "other")

    async def body() -> None:
        async with api(hub, tmp_path) as here:
            variables = here.environment("scorer")
            asking = client(variables)
            assert await asking.authorities() == AUTHORITY.ca_pem
            identity = hub.identity(f"{DEVICE}/scorer")
            assert identity is not None
            expected = hmac.new(identity.primary_key, b"text", hashlib.sha256).digest()
            assert await asyncio.gather(*(asking.sign(b"text") for _ in range(20))) == [expected] * 20
            stranger = client({**here.environment("other"), "IOTEDGE_MODULEID": "scorer"})
            with pytest.raises(WorkloadFailure, match="status 403: Forbidden"):
                await stranger.sign(b"text")
            hub.remove(f"{DEVICE}/other")
            assert not (tmp_path / "other.sock").exists()
            with pytest.raises(KeyError):
                here.environment("other")
        assert not (tmp_path / "scorer.sock").exists()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(body())


@pytest.mark.filterwarnings("ignore:Callback API version 1 is deprecated")
def test_the_sdk_gets_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = registry("scorer")

    async def body() -> None:
        async with api(hub, tmp_path) as here:
            variables = here.environment("scorer")
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            hsm = IoTEdgeHsm(  # type: ignore[no-untyped-call]
                "scorer",
                variables["IOTEDGE_MODULEGENERATIONID"],
                variables["IOTEDGE_WORKLOADURI"],
                variables["IOTEDGE_APIVERSION"],
            )
            assert await asyncio.to_thread(hsm.get_certificate) == AUTHORITY.ca_pem
            identity = hub.identity(f"{DEVICE}/scorer")
            assert identity is not None
            expected = base64.b64encode(hmac.new(identity.primary_key, b"text", hashlib.sha256).digest()).decode()
            assert await asyncio.to_thread(hsm.sign, "text") == expected
            made = await asyncio.to_thread(IoTHubModuleClient.create_from_edge_environment)
            await asyncio.to_thread(made.shutdown)

    asyncio.run(body())


def test_a_certificate_is_one_of_the_run(tmp_path: Path) -> None:
    hub = registry("my_module")

    async def body() -> None:
        async with api(hub, tmp_path) as here:
            variables = here.environment("my_module")
            path = f"/modules/my_module/genid/{variables['IOTEDGE_MODULEGENERATIONID']}/certificate/server"
            body = b'{"commonName": "edge.example.com", "expiration": "2999-01-01T00:00:00Z"}'
            head = f"POST {path}?api-version=2022-08-03 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            answer = await exchange(here, "my_module", f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert answer.startswith(b"HTTP/1.1 201 ")
            document = json.loads(answer.partition(b"\r\n\r\n")[2])
            certificate = x509.load_pem_x509_certificate(document["certificate"].encode())
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == ["edge.example.com", "mymodule"]
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.ca_pem.encode()))

    asyncio.run(body())


async def exchange(here: WorkloadApi, module_id: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(here.socket_of(module_id))
    writer.write(request)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


def test_nonsense_is_answered_with_a_message(tmp_path: Path) -> None:
    async def body() -> None:
        async with api(registry("scorer"), tmp_path) as here:
            answer = await exchange(here, "scorer", b"no HTTP at all\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b'{"message": ' in answer

    asyncio.run(body())


def test_a_name_that_is_too_long_gives_way_to_a_number(tmp_path: Path) -> None:
    name = "m" * 128

    async def body() -> None:
        async with api(registry(name), tmp_path) as here:
            assert here.socket_of(name).name == "~1.sock"
            assert await client(here.environment(name)).authorities() == AUTHORITY.ca_pem

    asyncio.run(body())


def test_a_folder_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    async def body() -> None:
        async with api(registry("scorer"), tmp_path / ("x" * 100)) as here:
            with pytest.raises(InputError, match="107 at most: choose a folder with a shorter path"):
                here.socket_of("scorer")

    asyncio.run(body())


def test_a_socket_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "scorer.sock").write_text("")

    async def body() -> None:
        async with api(registry("scorer"), tmp_path) as here:
            assert await client(here.environment("scorer")).authorities() == AUTHORITY.ca_pem

    asyncio.run(body())
