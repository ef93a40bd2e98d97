"""Whom the hub does not let in, as the unmodified SDK tells it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient
from azure.iot.device.exceptions import ClientError, CredentialError

from tests.integration.simulator.paho_peer import paho_peer, password
from tests.integration.simulator.sdk_world import (
    DEVICE,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SINK,
    SimulationUnderTest,
    running_simulation,
    until,
)

pytestmark = SDK_WARNINGS
NOT_AUTHORIZED = 135
"""What paho makes of CONNACK 5: the code of MQTT 5."""
WRONG_KEY = base64.b64encode(b"wrong").decode()


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path) as running:
        yield running


def refusal(sim: SimulationUnderTest, text: str, **options: Any) -> str:
    """Connect with this connection string, be refused, and return what the hub has to say about it."""
    kind: Any = IoTHubModuleClient if "ModuleId" in text else IoTHubDeviceClient
    client = kind.create_from_connection_string(text, **sim.options(**options))
    try:
        with pytest.raises(CredentialError):
            client.connect()
        assert not client.connected
    finally:
        client.shutdown()
    return sim.world.refusals[-1]


@pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])
def test_a_wrong_key(sim: SimulationUnderTest, client_id: str) -> None:
    said = refusal(sim, sim.connection_string(client_id, SharedAccessKey=WRONG_KEY))
    assert (
        said == f"'{client_id}' is refused: its token is refused: its signature is not that of a key of this identity"
    )
    assert not sim.is_connected(client_id)


@pytest.mark.parametrize("client_id", [DEVICE, SCORER])
def test_a_token_for_another_hub(sim: SimulationUnderTest, client_id: str) -> None:
    text = sim.connection_string(client_id, HostName="other.azure-devices.net", GatewayHostName=sim.host)
    said = refusal(sim, text)
    assert "its audience is 'other.azure-devices.net/devices/" in said


@pytest.mark.parametrize(
    ("client_id", "other"),
    [(DEVICE, {"DeviceId": LEAF}), (SCORER, {"ModuleId": "sink"})],
)
def test_the_name_of_another(sim: SimulationUnderTest, client_id: str, other: dict[str, str]) -> None:
    assert "its signature is not that of a key" in refusal(sim, sim.connection_string(client_id, **other))


@pytest.mark.parametrize(
    ("client_id", "unknown"),
    [(DEVICE, {"DeviceId": "nobody"}), (SCORER, {"ModuleId": "nobody"}), (SCORER, {"DeviceId": "nobody"})],
)
def test_who_is_not_known(sim: SimulationUnderTest, client_id: str, unknown: dict[str, str]) -> None:
    assert "there is no such device or module" in refusal(sim, sim.connection_string(client_id, **unknown))


def test_who_is_disabled_and_that_ends_a_connection(sim: SimulationUnderTest) -> None:
    with sim.client(DEVICE, connection_retry=False) as client:
        sim.call(sim.world.registry.update, DEVICE, enabled=False)
        until(lambda: not client.connected, "the end")
        assert "it is disabled" in refusal(sim, sim.connection_string(DEVICE))
        sim.call(sim.world.registry.update, DEVICE, enabled=True)
        client.send_message("1")
        sim.until_arrived(1)


def test_who_is_removed(sim: SimulationUnderTest) -> None:
    with sim.client(DEVICE) as client:
        text = sim.connection_string(DEVICE)
        sim.call(sim.world.registry.remove, DEVICE)
        until(lambda: not client.connected, "the end")
        assert "there is no such device or module" in refusal(sim, text)


def test_a_token_of_the_past(sim: SimulationUnderTest) -> None:
    """IoT Hub allows clocks to be five minutes apart."""
    sim.do("clock_jump", by_s=3600 + 310)
    assert "it expired " in refusal(sim, sim.connection_string(DEVICE))
    sim.do("clock_jump", by_s=-20)
    with sim.client(DEVICE) as client:
        assert client.connected


def test_another_authority_is_not_trusted_by_the_client(sim: SimulationUnderTest) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    client: Any = IoTHubDeviceClient.create_from_connection_string(
        sim.connection_string(DEVICE), **sim.options(server_verification_cert=other)
    )
    try:
        with pytest.raises(ClientError, match="TLS"):
            client.connect()
    finally:
        client.shutdown()
    assert sim.world.refusals == []


@pytest.mark.parametrize(
    "user",
    [
        "",
        "HOST/direct-1",
        "HOST/direct-1/",
        "HOST/leaf-1/?api-version=2021-04-12",
        "/direct-1/?api-version=2021-04-12",
    ],
)
def test_user_names_that_are_none(sim: SimulationUnderTest, user: str) -> None:
    with paho_peer(sim, DEVICE, user=user.replace("HOST", sim.host)) as peer:
        assert peer.connack == NOT_AUTHORIZED
        assert "expected HOST/CLIENT_ID/?api-version" in sim.world.refusals[-1]


@pytest.mark.parametrize("secret", [None, "", "secret", "SharedAccessSignature sr=a&sig=b&se=c"])
def test_passwords_that_are_none(sim: SimulationUnderTest, secret: str | None) -> None:
    with paho_peer(sim, DEVICE, password=secret) as peer:
        assert peer.connack == NOT_AUTHORIZED


def test_a_token_of_its_device_does_not_let_a_module_in(sim: SimulationUnderTest) -> None:
    with paho_peer(sim, SINK, password=password(sim, SINK, of=SCORER)) as peer:
        assert peer.connack == NOT_AUTHORIZED
        assert "its audience is" in sim.world.refusals[-1]
