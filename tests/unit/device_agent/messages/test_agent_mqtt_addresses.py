"""How the transports to a hub are called in the log."""

import base64

import pytest

from device_agent.messages.iothub.azure_sdk import AzureSdkTransport
from device_agent.messages.iothub.connection_string import Endpoint
from device_agent.messages.iothub.edgehub import EdgeHubTransport
from device_agent.messages.iothub.identity import Identity, KeySigner
from device_agent.messages.settings import MessageSettings

KEY = base64.b64encode(b"a key that nobody may see").decode()


@pytest.mark.parametrize(
    ("host", "address"), [("gateway", "mqtts://gateway:8883"), ("fd00::1", "mqtts://[fd00::1]:8883")]
)
def test_edgehub_is_the_server_that_is_connected_to(host: str, address: str) -> None:
    identity = Identity("hub.example.net", Endpoint(host), "device", "module", KeySigner(b"key"))
    assert EdgeHubTransport(identity, "*").address == address


def test_the_azure_sdk_names_the_hub_or_that_it_is_to_be_found() -> None:
    pytest.importorskip("azure.iot.device")
    settings = MessageSettings(connection_string=f"HostName=hub.example.net;DeviceId=d;SharedAccessKey={KEY}")
    assert AzureSdkTransport(settings, {}).address == "hub.example.net, by the Azure SDK"
    registration = {
        "EDGEPACK_DPS_ID_SCOPE": "0ne1",
        "EDGEPACK_DPS_REGISTRATION_ID": "d",
        "EDGEPACK_DPS_KEY": KEY,
    }
    assert AzureSdkTransport(MessageSettings(), registration).address == "IoT Hub, by the Azure SDK"
