"""The transport `mqtt` with TLS, certificates and files of secrets."""

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from device_agent.errors import SettingsError
from device_agent.messages.mqtt.mqtt_files import MqttFiles
from device_agent.messages.mqtt.mqtt_transport import MqttTransport
from device_agent.messages.settings import MqttSettings
from device_agent.messages.transport import Loss
from tests.integration.device_agent.messages.mosquitto_server import HOST, MosquittoServer
from tests.integration.device_agent.messages.mqtt_world import SECRET
from tests.integration.device_agent.messages.transport_contract import (
    BLOCKED_S,
    ENDS_WITHIN_S,
    Lag,
    Recorder,
    on_loop,
    until,
)


class Authority(NamedTuple):
    """A certificate authority of the test, and where its certificate is."""

    issues: trustme.CA
    path: str


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return Authority(ca, str(path))


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    certificate = authority.issues.issue_cert(HOST, "localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    (tmp_path / "server.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return tmp_path


def tls_lines(folder: Path, authority: Authority, *more: str) -> list[str]:
    """The lines of mosquitto's configuration."""
    return [f"certfile {folder}/server.pem", f"keyfile {folder}/server.key", f"cafile {authority.path}", *more]


@pytest.fixture
def server(folder: Path, authority: Authority) -> Iterator[MosquittoServer]:
    with MosquittoServer(folder, tls_lines(folder, authority)) as server:
        yield server


def transport_to(port: int, *, keep_alive_s: int = 60, **fields: str) -> MqttTransport:
    """A transport with TLS."""
    settings = MqttSettings(**{"host": HOST, "port": port, "uses_tls": True, **fields})  # type: ignore[arg-type]
    return MqttTransport(settings, "agent-1", "in", keep_alive_s=keep_alive_s, window=100)


async def loss_of(transport: MqttTransport) -> tuple[Loss, str]:
    """What one attempt comes to."""
    recorder = Recorder(transport)
    recorder.begin()
    loss = await recorder.lost()
    await transport.close()
    return loss


@on_loop
async def test_messages_both_ways_over_tls(server: MosquittoServer, authority: Authority) -> None:
    recorder = Recorder(transport_to(server.port, ca_file=authority.path), acknowledges=True)
    lag = Lag()
    with lag.watch():
        await recorder.connect()
        body = bytes(range(256)) * 800
        for number in range(200):
            recorder.publish(number, b"%d" % number if number % 50 else body)
        await until(lambda: len(recorder.confirmed) == 200, "confirmations")
    assert recorder.confirmed == list(range(200))
    assert lag.longest_s < BLOCKED_S
    await recorder.transport.close()


@on_loop
async def test_many_inputs_over_tls(server: MosquittoServer, authority: Authority) -> None:
    """Bytes that are decrypted, but not read yet, are not forgotten."""
    receiver = Recorder(transport_to(server.port, ca_file=authority.path), acknowledges=True)
    await receiver.connect()
    settings = MqttSettings(host=HOST, port=server.port, uses_tls=True, ca_file=authority.path)
    sender = Recorder(MqttTransport(settings, "sender", "nothing", keep_alive_s=60, window=100))
    await sender.connect()
    for number in range(300):
        sender.publish_to("in", number, bytes([number % 256]) * (number * 7))
    await until(lambda: len(receiver.inputs) == 300, "inputs")
    assert [len(received.body) for received in receiver.inputs] == [number * 7 for number in range(300)]
    await sender.transport.close()
    await receiver.transport.close()


@on_loop
async def test_a_frozen_broker_is_noticed_over_tls(server: MosquittoServer, authority: Authority) -> None:
    recorder = Recorder(transport_to(server.port, keep_alive_s=1, ca_file=authority.path))
    await recorder.connect()
    lag = Lag()
    with lag.watch():
        server.freeze()
        frozen_s = time.monotonic()
        loss, _ = await recorder.lost()
    noticed_s = time.monotonic() - frozen_s
    server.thaw()
    assert loss is Loss.SILENT
    assert noticed_s - lag.total_s < 1.5
    await recorder.transport.close()


@on_loop
async def test_a_certificate_of_another_authority_is_refused(server: MosquittoServer, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for transport in (transport_to(server.port, ca_file=str(other)), transport_to(server.port)):
        loss, reason = await loss_of(transport)
        assert loss is Loss.REFUSED
        assert "not trusted" in reason
        assert "CA file" in reason


@on_loop
async def test_a_certificate_for_another_host_is_refused(folder: Path, authority: Authority) -> None:
    certificate = authority.issues.issue_cert("elsewhere.example")
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    with MosquittoServer(folder, tls_lines(folder, authority)) as server:
        loss, reason = await loss_of(transport_to(server.port, ca_file=authority.path))
    assert loss is Loss.REFUSED
    assert "host name" in reason


def test_tls_1_1_is_not_spoken(authority: Authority) -> None:
    context = MqttFiles(MqttSettings(uses_tls=True, ca_file=authority.path), []).tls
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@on_loop
async def test_a_port_without_tls_is_named_as_such(tmp_path: Path, authority: Authority) -> None:
    with MosquittoServer(tmp_path) as server:
        loss, reason = await loss_of(transport_to(server.port, ca_file=authority.path))
    assert loss is Loss.UNREACHABLE
    assert "TLS" in reason


@on_loop
async def test_a_port_that_wants_tls_is_no_surprise_to_plain_mqtt(server: MosquittoServer) -> None:
    settings = MqttSettings(host=HOST, port=server.port)
    loss, _ = await loss_of(MqttTransport(settings, "agent-1", "in", keep_alive_s=60, window=10))
    assert loss is Loss.CLOSED


@on_loop
async def test_a_silent_port_during_the_handshake(authority: Authority) -> None:
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(5)
        recorder = Recorder(transport_to(listener.getsockname()[1], ca_file=authority.path))
        recorder.begin()
        connection, _ = await asyncio.to_thread(listener.accept)
        await asyncio.to_thread(connection.recv, 1)
        async with asyncio.timeout(ENDS_WITHIN_S):
            await recorder.transport.close()
        connection.close()
        assert recorder.losses == []


@on_loop
async def test_a_client_certificate_is_shown_and_can_be_renewed(folder: Path, authority: Authority) -> None:
    client = folder / "client.pem"
    lines = tls_lines(folder, authority, "require_certificate true")
    with MosquittoServer(folder, lines) as server:
        loss, reason = await loss_of(transport_to(server.port, ca_file=authority.path))
        assert loss is Loss.REFUSED
        assert "certificate" in reason
        trustme.CA().issue_cert("agent-1").private_key_and_cert_chain_pem.write_to_path(str(client))
        transport = transport_to(server.port, ca_file=authority.path, cert_file=str(client))
        recorder = Recorder(transport)
        recorder.begin()
        loss, reason = await recorder.lost()
        assert loss is Loss.REFUSED
        assert "client certificate" in reason
        authority.issues.issue_cert("agent-1").private_key_and_cert_chain_pem.write_to_path(str(client))
        await recorder.reconnect()
        await transport.close()


@on_loop
async def test_a_password_file_is_read_for_every_connection(tmp_path: Path) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "agent", SECRET], check=True)
    secret.write_text("old\n")
    with MosquittoServer(tmp_path, ["allow_anonymous false", f"password_file {passwords}"]) as server:
        settings = MqttSettings(host=HOST, port=server.port, user="agent", password_file=str(secret))
        recorder = Recorder(MqttTransport(settings, "agent-1", "in", keep_alive_s=60, window=10))
        recorder.begin()
        loss, reason = await recorder.lost()
        assert loss is Loss.REFUSED
        assert "old" not in reason
        secret.unlink()
        recorder.begin()
        loss, reason = await recorder.lost(2)
        assert loss is Loss.REFUSED
        assert str(secret) in reason
        secret.write_text(f"{SECRET}\r\n")
        await recorder.reconnect()
        await recorder.transport.close()


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path, authority: Authority) -> None:
    no_certificate = tmp_path / "text"
    no_certificate.write_text("no certificate")
    settings = MqttSettings(
        host=HOST,
        uses_tls=True,
        ca_file=str(no_certificate),
        cert_file=str(tmp_path / "missing.pem"),
        status_topic="a/#",
    )
    with pytest.raises(SettingsError) as caught:
        MqttTransport(settings, "agent-1", "in/#/more", keep_alive_s=60, window=10)
    problems = caught.value.problems
    assert len(problems) == 4
    for problem, words in zip(
        problems, ("EDGEPACK_MQTT_CA_FILE", "EDGEPACK_MQTT_CERT_FILE", "EDGEPACK_INPUT", "status topic"), strict=True
    ):
        assert words in problem


def test_a_key_with_a_passphrase_is_a_problem_and_no_question(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issues.issue_cert("agent-1")
    key, locked, certificate = tmp_path / "key", tmp_path / "locked", tmp_path / "cert"
    pair.private_key_pem.write_to_path(str(key))
    pair.cert_chain_pems[0].write_to_path(str(certificate))
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:open-sesame"], check=True
    )
    with pytest.raises(SettingsError, match="passphrase"):
        transport_to(1, ca_file=authority.path, cert_file=str(certificate), key_file=str(locked))
    transport_to(1, ca_file=authority.path, cert_file=str(certificate), key_file=str(key))
    other = tmp_path / "other"
    authority.issues.issue_cert("agent-2").private_key_pem.write_to_path(str(other))
    with pytest.raises(SettingsError, match="belong together"):
        transport_to(1, ca_file=authority.path, cert_file=str(certificate), key_file=str(other))
