"""Who this device or module is at the hub, where it connects to, and who signs for it.

The first of these that is there:
1. EDGEPACK_CONNECTION_STRING, or the file that EDGEPACK_CONNECTION_STRING_FILE names. EdgeModuleCACertificateFile names
   the authorities of the gateway, if there is one; without, they are the system's.
2. The environment of an IoT Edge module: seven variables IOTEDGE_*, a security daemon that signs.
3. EdgeHubConnectionString and EdgeModuleCACertificateFile, as debugging tools set them.

A shared access key is decoded here and goes nowhere else. The certificate is always checked, with the name that is
connected to: the gateway's, or the hub's.
"""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from device_agent.errors import SettingsError
from device_agent.messages.iothub.connection_string import (
    ConnectionString,
    Endpoint,
    check_id,
    parse_connection_string,
    parse_endpoint,
)
from device_agent.messages.iothub.sas_token import Claim, encode_token, sign_with_key, text_to_sign
from device_agent.messages.iothub.workload import WorkloadAddress, WorkloadClient
from device_agent.messages.settings import MessageSettings

_EDGE_VARIABLES = (
    "IOTEDGE_IOTHUBHOSTNAME",
    "IOTEDGE_GATEWAYHOSTNAME",
    "IOTEDGE_DEVICEID",
    "IOTEDGE_MODULEID",
    "IOTEDGE_MODULEGENERATIONID",
    "IOTEDGE_WORKLOADURI",
    "IOTEDGE_APIVERSION",
)
_API_VERSION = "2019-10-01"
_CLIENT_TYPE = "edgepack"


class Signer(Protocol):
    """Who signs, and knows whom to trust: the security daemon, or a key. Raises WorkloadFailure, or OSError."""

    async def sign(self, text: bytes) -> bytes:
        """HMAC-SHA256 of the text by the key of the device or module."""
        ...

    async def authorities(self) -> str:
        """Authorities of the server's certificate, as PEM; "" for the system's."""
        ...


class KeySigner:
    """Signs with a shared access key. `ca_file`: PEM file of the authorities, "" for the system's."""

    def __init__(self, key: bytes, ca_file: str = "") -> None:
        self._key = key
        self._ca_file = ca_file

    async def sign(self, text: bytes) -> bytes:
        """See Signer."""
        return sign_with_key(self._key, text)

    async def authorities(self) -> str:
        """See Signer. The file is read each time; raises OSError."""
        if not self._ca_file:
            return ""
        text = await asyncio.to_thread(Path(self._ca_file).read_text, errors="replace")
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise OSError(f"{self._ca_file} holds no certificate")
        return text


class Identity(NamedTuple):
    """Who we are: `module_id` is "" for a device. `hub` is IoT Hub's name, also when `server` is a gateway."""

    hub: str
    server: Endpoint
    device_id: str
    module_id: str
    signer: Signer

    @property
    def client_id(self) -> str:
        """The MQTT client id."""
        return f"{self.device_id}/{self.module_id}" if self.module_id else self.device_id

    @property
    def user_name(self) -> str:
        """The MQTT user name."""
        return f"{self.hub}/{self.client_id}/?api-version={_API_VERSION}&DeviceClientType={_CLIENT_TYPE}"


class Credentials(NamedTuple):
    """What one connection needs: the token, and the authorities of the server's certificate ("": the system's)."""

    password: str
    authorities: str


async def fetch_credentials(identity: Identity, expiry_s: int) -> Credentials:
    """A token that is good until `expiry_s` (wall clock), and whom to trust; both made now.

    Raises WorkloadFailure, and OSError when the file of authorities cannot be read.
    """
    claim = Claim(identity.hub, identity.device_id, identity.module_id, expiry_s)
    authorities = await identity.signer.authorities()
    signature = await identity.signer.sign(text_to_sign(claim))
    return Credentials(encode_token(claim, signature), authorities)


def trust(authorities: str) -> ssl.SSLContext:
    """A TLS context for a client that trusts these, or the system's. Blocks. Raises ssl.SSLError (an OSError).

    Made by hand: what newer Pythons demand by default, the authorities of gateways do not always have.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities:
        context.load_verify_locations(cadata=authorities.encode("ascii", "ignore").decode())
    else:
        context.load_default_certs()
    return context


def find_identity(
    settings: MessageSettings, environment: Mapping[str, str], *, has_certificate: bool = False
) -> Identity:
    """Who we are, from the settings and the environment. Reads the file of a connection string.

    `has_certificate`: a connection string may say x509=true; then its signer only knows whom to trust.

    Raises SettingsError with everything that is wrong.
    """
    problems: list[str] = []
    text, name = own_connection_string(settings, problems)
    identity: Identity | None = None
    if text:
        identity = _from_connection_string(text, name, settings.edge_ca_file or "", has_certificate, problems)
    elif not problems:
        missing = [variable for variable in _EDGE_VARIABLES if not environment.get(variable, "").strip()]
        if not missing:
            identity = _from_edge(environment, problems)
        elif settings.edge_hub_connection_string:
            identity = _from_debugging(settings, settings.edge_hub_connection_string, problems)
        else:
            problems.append(_nobody(missing))
    if identity is None or problems:
        raise SettingsError(*problems)
    return identity


def own_connection_string(settings: MessageSettings, problems: list[str]) -> tuple[str, str]:
    """EDGEPACK_CONNECTION_STRING or the content of its file, and which of the two variables it was; "" without."""
    path = settings.connection_string_file
    if settings.connection_string or not path:
        return settings.connection_string or "", "EDGEPACK_CONNECTION_STRING"
    name = "EDGEPACK_CONNECTION_STRING_FILE"
    try:
        text = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        problems.append(f"{name} names {path}, which cannot be read: {getattr(error, 'strerror', None) or error}")
        return "", name
    if not text:
        problems.append(f"{name} names {path}, which is empty")
    return text, name


def _from_connection_string(
    text: str, name: str, ca_file: str, has_certificate: bool, problems: list[str]
) -> Identity | None:
    parsed = parse_connection_string(text, name, problems)
    if parsed is None:
        return None
    if not parsed.key and not has_certificate:
        problems.append(f"{name} signs in with a certificate (x509=true): EDGEPACK_TRANSPORT=azure-sdk can do that")
    return _identity(parsed, ca_file)


def _from_debugging(settings: MessageSettings, text: str, problems: list[str]) -> Identity | None:
    parsed = parse_connection_string(text, "EdgeHubConnectionString", problems)
    if not settings.edge_ca_file:
        problems.append("EdgeModuleCACertificateFile is not set: EdgeHubConnectionString needs the gateway's authority")
    if parsed is None:
        return None
    if parsed.gateway is None or not parsed.module_id or not parsed.key:
        problems.append("EdgeHubConnectionString needs a GatewayHostName, a ModuleId and a SharedAccessKey")
    return _identity(parsed, settings.edge_ca_file or "")


def _identity(parsed: ConnectionString, ca_file: str) -> Identity:
    server = parsed.gateway or parsed.hub
    return Identity(parsed.hub.host, server, parsed.device_id, parsed.module_id, KeySigner(parsed.key, ca_file))


def _from_edge(environment: Mapping[str, str], problems: list[str]) -> Identity | None:
    hub, gateway, device_id, module_id, generation_id, uri, version = (
        environment[variable].strip() for variable in _EDGE_VARIABLES
    )
    hub_endpoint = parse_endpoint(hub, "IOTEDGE_IOTHUBHOSTNAME", problems)
    server = parse_endpoint(gateway, "IOTEDGE_GATEWAYHOSTNAME", problems)
    check_id(device_id, "IOTEDGE_DEVICEID", "device", problems)
    check_id(module_id, "IOTEDGE_MODULEID", "module", problems)
    address = WorkloadAddress(uri, version, module_id, generation_id)
    if not address.socket_path:
        problems.append(f"IOTEDGE_WORKLOADURI is {uri!r}: expected unix:///PATH")
    if hub_endpoint is None or server is None:
        return None
    return Identity(hub_endpoint.host, server, device_id, module_id, WorkloadClient(address))


def _nobody(missing: list[str]) -> str:
    if len(missing) < len(_EDGE_VARIABLES):
        return f"The environment of an IoT Edge module is not complete: {', '.join(missing)} not set"
    return (
        "Nothing says which device or module this is: set EDGEPACK_CONNECTION_STRING, or run it as a module of IoT Edge"
    )
