"""The client of the workload API against a daemon that works, and one that does not."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.messages.iothub.edgehub import EdgeHubTransport
from device_agent.messages.iothub.identity import find_identity
from device_agent.messages.iothub.workload import WorkloadAddress, WorkloadClient, WorkloadFailure
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Loss
from tests.fakes.fake_iot_hub import HUB_NAME
from tests.fakes.fake_workload import FakeWorkload, response
from tests.integration.device_agent.messages.hub_world import DEVICE, KEY, Recorder, running_hub

BUNDLE = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeWorkload]:
    with FakeWorkload(tmp_path / "workload.sock", KEY, BUNDLE) as running:
        yield running


def client_of(daemon: FakeWorkload, timeout_s: float = 5.0, module_id: str = "scorer") -> WorkloadClient:
    address = WorkloadAddress(f"unix://{daemon.path}", "2019-01-30", module_id, "636463636327267111")
    return WorkloadClient(address, timeout_s)


def failure_of(client: WorkloadClient) -> WorkloadFailure:
    with pytest.raises(WorkloadFailure) as caught:
        asyncio.run(client.sign(b"text"))
    return caught.value


def test_it_signs_and_tells_the_authorities(daemon: FakeWorkload) -> None:
    client = client_of(daemon)

    async def both() -> tuple[list[bytes], str]:
        signatures = await asyncio.gather(*(client.sign(b"text") for _ in range(10)))
        return signatures, await client.authorities()

    signatures, authorities = asyncio.run(both())
    assert set(signatures) == {hmac.new(KEY, b"text", hashlib.sha256).digest()}
    assert authorities == BUNDLE
    assert daemon.requests[0] == "POST /modules/scorer/genid/636463636327267111/sign?api-version=2019-01-30 HTTP/1.1"


def test_another_module_is_refused(daemon: FakeWorkload) -> None:
    failure = failure_of(client_of(daemon, module_id="other one"))
    assert failure.loss is Loss.REFUSED
    assert "/modules/other%20one/genid/" in str(failure)
    assert "status 403: Forbidden: another module" in str(failure)


def test_it_is_not_there(daemon: FakeWorkload) -> None:
    daemon.stop()
    failure = failure_of(client_of(daemon))
    assert failure.loss is Loss.UNREACHABLE
    assert str(failure).endswith(f"{daemon.path} cannot be reached: No such file or directory")


def test_it_hangs(daemon: FakeWorkload) -> None:
    daemon.hangs = True
    failure = failure_of(client_of(daemon, timeout_s=0.2))
    assert failure.loss is Loss.SILENT
    assert "within 0.2 s" in str(failure)


@pytest.mark.parametrize(
    ("raw", "loss", "words"),
    [
        (b"", Loss.CLOSED, "without a whole answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", Loss.CLOSED, "without a whole answer"),
        (b"rubbish\r\n\r\n", Loss.REFUSED, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + bytes(2_000_000), Loss.CLOSED, "whole answer"),
        (response(500, "no object"), Loss.REFUSED, "status 500$"),
        (response(200, ["digest"]), Loss.REFUSED, "without a digest"),
        (response(200, {"digest": 3}), Loss.REFUSED, "without a digest"),
        (response(200, {"digest": "?"}), Loss.REFUSED, "no base64"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{{{{", Loss.REFUSED, "without a digest"),
    ],
)
def test_it_answers_rubbish(daemon: FakeWorkload, raw: bytes, loss: Loss, words: str) -> None:
    daemon.raw = raw
    failure = failure_of(client_of(daemon))
    assert failure.loss is loss
    assert re.search(words, str(failure)), str(failure)


def test_an_answer_in_chunks(daemon: FakeWorkload) -> None:
    daemon.raw = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"digest"\r\n8\r\n:"AAAA"}\r\n0\r\n\r\n'
    assert asyncio.run(client_of(daemon).sign(b"text")) == b"\0\0\0"


def test_a_trust_bundle_without_a_certificate(daemon: FakeWorkload) -> None:
    daemon.trust_bundle = "nothing"
    with pytest.raises(WorkloadFailure, match="without a certificate"):
        asyncio.run(client_of(daemon).authorities())


def test_the_transport_says_what_is_wrong_and_recovers(tmp_path: Path) -> None:
    async def story() -> None:
        with running_hub() as hub, FakeWorkload(tmp_path / "w.sock", KEY, hub.ca_pem) as daemon:
            environment = daemon.environment(HUB_NAME, f"localhost:{hub.port}", DEVICE)
            async with Recorder(EdgeHubTransport(find_identity(MessageSettings(), environment), "*")) as recorder:
                daemon.stop()
                recorder.connect()
                assert (await recorder.lost())[0] is Loss.UNREACHABLE
                daemon.start()
                daemon.raw = response(403, {"message": "who are you?"})
                recorder.connect()
                loss, reason = await recorder.lost()
                assert (loss, "who are you?" in reason) == (Loss.REFUSED, True)
                daemon.raw = response(200, {"certificate": BUNDLE, "digest": "AAAA"})
                recorder.connect()
                loss, reason = await recorder.lost()
                assert (loss, "authorities" in reason) == (Loss.REFUSED, True)
                daemon.raw = None
                await recorder.up()
                assert len(hub.connects) == 1

    asyncio.run(story())
