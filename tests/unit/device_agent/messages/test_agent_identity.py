"""Connection strings, and who we are: from a string, from IoT Edge, from debugging tools; all problems at once."""

import asyncio
import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.errors import SettingsError
from device_agent.messages.iothub.connection_string import ConnectionString, Endpoint, parse_connection_string
from device_agent.messages.iothub.identity import KeySigner, fetch_credentials, find_identity
from device_agent.messages.iothub.workload import WorkloadClient
from device_agent.messages.settings import MessageSettings

SECRET = base64.b64encode(b"0123456789abcdef").decode()
EDGE = {
    "IOTEDGE_IOTHUBHOSTNAME": "hub.example.net",
    "IOTEDGE_GATEWAYHOSTNAME": "gateway",
    "IOTEDGE_DEVICEID": "edge-1",
    "IOTEDGE_MODULEID": "scorer",
    "IOTEDGE_MODULEGENERATIONID": "1",
    "IOTEDGE_WORKLOADURI": "unix:///run/workload.sock",
    "IOTEDGE_APIVERSION": "2019-01-30",
}


def problems_of(text: str) -> list[str]:
    problems: list[str] = []
    assert parse_connection_string(text, "NAME", problems) is None
    return problems


def test_a_whole_connection_string() -> None:
    problems: list[str] = []
    text = f"SharedAccessKey={SECRET};HostName=hub.example.net;DeviceId=d@1;ModuleId=m;GatewayHostName=localhost:18883;"
    assert parse_connection_string(text, "NAME", problems) == ConnectionString(
        Endpoint("hub.example.net", 8883), "d@1", "m", Endpoint("localhost", 18883), b"0123456789abcdef"
    )
    assert problems == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no connection string", "no HostName", "no DeviceId", "SharedAccessKey or x509"]),
        (f"HostName=h;DeviceId=d;SharedAccessKey={SECRET};x509=true", ["either a SharedAccessKey or x509"]),
        ("HostName=h;DeviceId=d;x509=maybe", ["neither true nor false", "either"]),
        ("HostName=h;DeviceId=d;SharedAccessKey=not base64!", ["no base64"]),
        (f"HostName=h;DeviceId=d/e;ModuleId=m+;SharedAccessKey={SECRET}", ["DeviceId", "MQTT cannot address"]),
        (f"HostName=h;HostName=h;DeviceId=d;SharedAccessKey={SECRET}", ["HostName twice"]),
        (f"HostName=h:99999;DeviceId=d;GatewayHostName=a b;SharedAccessKey={SECRET}", ["HostName", "GatewayHostName"]),
        (f"hostname=h;DeviceId=d;SharedAccessKey={SECRET}", ["unknown key", "no HostName"]),
        ("HostName=h;DeviceId=d;SharedAccessSignature=sr", ["SharedAccessSignature", "either"]),
        (f"HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey={SECRET}", ["for services", "no DeviceId"]),
        (f"HostName=;DeviceId=d;SharedAccessKey={SECRET}", ["empty HostName"]),
        (f"HostName=h;DeviceId=d;{SECRET}", ["unknown key", "either"]),
    ],
)
def test_everything_wrong_is_told_at_once_and_no_secret(text: str, words: list[str]) -> None:
    problems = problems_of(text)
    assert len(problems) == len(words), problems
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
        assert problem.startswith("NAME")
        assert SECRET.rstrip("=") not in problem


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from(["HostName", "DeviceId", "=", ";", "a", "x509", "true"])).map("".join)
    )
)
def test_any_text_is_a_connection_string_or_has_problems(text: str) -> None:
    problems: list[str] = []
    parsed = parse_connection_string(text, "NAME", problems)
    assert (parsed is None) == bool(problems)


def test_an_edge_module_is_found_in_its_environment() -> None:
    identity = find_identity(MessageSettings(), EDGE)
    assert (identity.hub, identity.server) == ("hub.example.net", Endpoint("gateway", 8883))
    assert identity.client_id == "edge-1/scorer"
    assert identity.user_name.startswith("hub.example.net/edge-1/scorer/?api-version=2019-10-01&DeviceClientType=")
    assert isinstance(identity.signer, WorkloadClient)


def test_a_connection_string_goes_before_the_environment(tmp_path: Path) -> None:
    text = f"HostName=other;DeviceId=d;SharedAccessKey={SECRET}"
    path = tmp_path / "secret"
    path.write_text(f"{text}\n")
    for settings in (MessageSettings(connection_string=text), MessageSettings(connection_string_file=str(path))):
        identity = find_identity(settings, EDGE)
        assert (identity.hub, identity.client_id, identity.server.host) == ("other", "d", "other")
        assert identity.user_name.startswith("other/d/?api-version=")
        assert isinstance(identity.signer, KeySigner)


def test_debugging_tools_give_a_string_and_an_authority(tmp_path: Path) -> None:
    text = f"HostName=h;GatewayHostName=g;DeviceId=d;ModuleId=m;SharedAccessKey={SECRET}"
    settings = MessageSettings(edge_hub_connection_string=text, edge_ca_file=str(tmp_path / "ca.pem"))
    identity = find_identity(settings, {})
    assert (identity.hub, identity.server, identity.client_id) == ("h", Endpoint("g", 8883), "d/m")
    with pytest.raises(SettingsError, match="EdgeModuleCACertificateFile is not set"):
        find_identity(MessageSettings(edge_hub_connection_string=text), {})
    no_gateway = text.replace("GatewayHostName=g;", "")
    with pytest.raises(SettingsError, match="needs a GatewayHostName"):
        find_identity(settings._replace(edge_hub_connection_string=no_gateway), {})


@pytest.mark.parametrize(
    ("settings", "environment", "words"),
    [
        (MessageSettings(), {}, ["Nothing says which device"]),
        (MessageSettings(), {**EDGE, "IOTEDGE_MODULEID": " "}, ["not complete: IOTEDGE_MODULEID not set"]),
        (
            MessageSettings(),
            {**EDGE, "IOTEDGE_MODULEID": "a#b", "IOTEDGE_WORKLOADURI": "http://x", "IOTEDGE_GATEWAYHOSTNAME": "?"},
            ["IOTEDGE_GATEWAYHOSTNAME", "IOTEDGE_MODULEID", "IOTEDGE_WORKLOADURI"],
        ),
        (MessageSettings(connection_string_file="/nowhere"), EDGE, ["EDGEPACK_CONNECTION_STRING_FILE names /nowhere"]),
        (MessageSettings(connection_string="HostName=h;DeviceId=d;x509=true"), {}, ["azure-sdk can do that"]),
    ],
)
def test_who_we_are_is_not_known(settings: MessageSettings, environment: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        find_identity(settings, environment)
    assert len(caught.value.problems) == len(words), caught.value.problems
    for problem, word in zip(caught.value.problems, words, strict=True):
        assert word in problem


def test_an_empty_file_is_no_connection_string(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_text(" \n")
    with pytest.raises(SettingsError, match="which is empty"):
        find_identity(MessageSettings(connection_string_file=str(path)), {})


def test_credentials_are_for_the_hub_also_through_a_gateway() -> None:
    text = f"HostName=hub.example.net:1234;GatewayHostName=g;DeviceId=d;ModuleId=m;SharedAccessKey={SECRET}"
    identity = find_identity(MessageSettings(connection_string=text), {})
    credentials = asyncio.run(fetch_credentials(identity, 1_800_000_000))
    assert credentials.password.startswith("SharedAccessSignature sr=hub.example.net%2Fdevices%2Fd%2Fmodules%2Fm&sig=")
    assert credentials.password.endswith("&se=1800000000")
    assert credentials.authorities == ""
