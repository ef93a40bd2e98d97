"""What the agent was told about messages: one frozen value, parsed from the same mapping as `device_agent.settings`.

Pure; files that are named here are read where they are needed.

    EDGEPACK_TRANSPORT          none, mqtt, edgehub or azure-sdk (edgehub where IOTEDGE_WORKLOADURI is set, else none)
    EDGEPACK_INPUT              input of the module, or MQTT topic filter (amlInput); edgehub: * for every input
    EDGEPACK_OUTPUT             output of the module, or MQTT topic, for results (amlOutput)
    EDGEPACK_ERROR_OUTPUT       the same for inputs that could not be scored (amlError)
    EDGEPACK_LIST_OUTPUT        a result that is a list is one message, or each element is one: one or each (one)
    EDGEPACK_HTTP_FORWARD       1: results of POST /score are also sent upstream (0)
    EDGEPACK_PRIORITY           of results, 0 (sent first) to 9 (5)
    EDGEPACK_ERROR_PRIORITY     of error messages, 0 to 9 (5)
    EDGEPACK_CAPTURE_OUTPUT     the same for captured records (EDGEPACK_CAPTURE_PERCENT), which stay on disk as well;
                                without: they are not sent
    EDGEPACK_MESSAGE_TTL_S      seconds after which a message that waits is of no use (0: for ever), to 10 years
    EDGEPACK_DRAIN              after an outage, what waited goes first, or what is new: oldest_first or live_first
                                (oldest_first)
    EDGEPACK_WINDOW             messages sent and not confirmed at a time (100), 1 to 1000
    EDGEPACK_BUFFER_PATH        the buffer's file (/var/lib/edgepack/buffer.db); its folder must exist
    EDGEPACK_BUFFER_MAX_BYTES   most bytes on disk (268435456), at least 1048576
    EDGEPACK_BUFFER_POLICY      when it is full: refuse what comes, or drop_oldest (refuse)
    EDGEPACK_KEEP_ALIVE_S       seconds of silence after which the connection is tested (60), 1 to 1740

    EDGEPACK_MQTT_URL           mqtt[s]://[user[:password]@]host[:port]; ports 1883 and 8883
    EDGEPACK_MQTT_PASSWORD_FILE file with the password, instead of having it in the URL
    EDGEPACK_MQTT_CLIENT_ID     client id (made once and kept in the buffer)
    EDGEPACK_MQTT_VERSION       5, 3.1.1 or auto, which tries 5 first (auto)
    EDGEPACK_MQTT_CA_FILE       authorities of the broker's certificate (the system's)
    EDGEPACK_MQTT_CERT_FILE     client certificate, PEM; its key in EDGEPACK_MQTT_KEY_FILE, or in the same file
    EDGEPACK_MQTT_KEY_FILE
    EDGEPACK_MQTT_STATUS_TOPIC  retained status, and last will (edgepack/CLIENT_ID/status)

    EDGEPACK_CONNECTION_STRING  of a module or device of IoT Hub, also through a gateway; or in the file
                                EDGEPACK_CONNECTION_STRING_FILE. Without: an edge module asks IoT Edge (IOTEDGE_*)
    EdgeHubConnectionString, EdgeModuleCACertificateFile     the same for debugging, as other tools set them

Azure SDK only: see azure_options.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from device_agent.messages.iothub.azure_options import VARIABLES as AZURE_VARIABLES
from device_agent.setting_values import parse_choice, parse_int

TRANSPORTS = ("none", "mqtt", "edgehub", "azure-sdk")
VARIABLES = frozenset(
    """
    EDGEPACK_TRANSPORT EDGEPACK_INPUT EDGEPACK_OUTPUT EDGEPACK_ERROR_OUTPUT EDGEPACK_LIST_OUTPUT EDGEPACK_HTTP_FORWARD
    EDGEPACK_CAPTURE_OUTPUT
    EDGEPACK_PRIORITY EDGEPACK_ERROR_PRIORITY EDGEPACK_MESSAGE_TTL_S EDGEPACK_DRAIN EDGEPACK_WINDOW
    EDGEPACK_BUFFER_PATH EDGEPACK_BUFFER_MAX_BYTES EDGEPACK_BUFFER_POLICY EDGEPACK_KEEP_ALIVE_S
    EDGEPACK_MQTT_URL EDGEPACK_MQTT_PASSWORD_FILE EDGEPACK_MQTT_CLIENT_ID EDGEPACK_MQTT_VERSION
    EDGEPACK_MQTT_CA_FILE EDGEPACK_MQTT_CERT_FILE EDGEPACK_MQTT_KEY_FILE EDGEPACK_MQTT_STATUS_TOPIC
    EDGEPACK_CONNECTION_STRING EDGEPACK_CONNECTION_STRING_FILE EdgeHubConnectionString EdgeModuleCACertificateFile
    """.split()
).union(AZURE_VARIABLES)
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttSettings(NamedTuple):
    """How to reach a broker. `host` "" when none was named."""

    host: str = ""
    port: int = 1883
    uses_tls: bool = False
    user: str | None = None
    password: str | None = None
    password_file: str | None = None
    client_id: str = ""
    version: str = "auto"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    status_topic: str = ""


class MessageSettings(NamedTuple):
    """Everything about messages. Those of RUN_TIME can change while the agent runs."""

    transport: str = "none"
    input_name: str = "amlInput"
    output: str = "amlOutput"
    error_output: str = "amlError"
    list_output: str = "one"
    http_forward: bool = False
    priority: int = 5
    error_priority: int = 5
    capture_output: str = ""
    ttl_s: int = 0
    drain: str = "oldest_first"
    window: int = 100
    buffer_path: str = "/var/lib/edgepack/buffer.db"
    buffer_max_bytes: int = 256 * 1024 * 1024
    buffer_policy: str = "refuse"
    keep_alive_s: int = 60
    mqtt: MqttSettings = MqttSettings()
    connection_string: str | None = None
    connection_string_file: str | None = None
    edge_hub_connection_string: str | None = None
    edge_ca_file: str | None = None


RUN_TIME = {
    "EDGEPACK_OUTPUT": "output",
    "EDGEPACK_ERROR_OUTPUT": "error_output",
    "EDGEPACK_LIST_OUTPUT": "list_output",
    "EDGEPACK_HTTP_FORWARD": "http_forward",
    "EDGEPACK_PRIORITY": "priority",
    "EDGEPACK_ERROR_PRIORITY": "error_priority",
    "EDGEPACK_MESSAGE_TTL_S": "ttl_s",
    "EDGEPACK_DRAIN": "drain",
    "EDGEPACK_BUFFER_POLICY": "buffer_policy",
}
"""Variables that the twin's desired properties override, by the field that they set."""


def parse_message_settings(given: Mapping[str, str], problems: list[str]) -> MessageSettings:
    """Parse what is not empty; add a sentence to `problems` for everything that is wrong."""
    fallback = "edgehub" if given.get("IOTEDGE_WORKLOADURI") else "none"
    transport = parse_choice(given, "EDGEPACK_TRANSPORT", fallback, TRANSPORTS, problems)
    forwards = parse_choice(given, "EDGEPACK_HTTP_FORWARD", "0", ("0", "1"), problems) == "1"
    if forwards and transport == "none":
        problems.append("EDGEPACK_HTTP_FORWARD is 1, but EDGEPACK_TRANSPORT is none: there is nobody to send to")
    if given.get("EDGEPACK_CAPTURE_OUTPUT") and transport == "none":
        problems.append("EDGEPACK_CAPTURE_OUTPUT is set, but EDGEPACK_TRANSPORT is none: there is nobody to send to")
    if given.get("EDGEPACK_CONNECTION_STRING") and given.get("EDGEPACK_CONNECTION_STRING_FILE"):
        problems.append("EDGEPACK_CONNECTION_STRING and EDGEPACK_CONNECTION_STRING_FILE are both set: set one")
    return MessageSettings(
        transport=transport,
        input_name=given.get("EDGEPACK_INPUT", "amlInput"),
        output=_parse_topic(given, "EDGEPACK_OUTPUT", "amlOutput", problems),
        error_output=_parse_topic(given, "EDGEPACK_ERROR_OUTPUT", "amlError", problems),
        list_output=parse_choice(given, "EDGEPACK_LIST_OUTPUT", "one", ("one", "each"), problems),
        http_forward=forwards,
        priority=parse_int(given, "EDGEPACK_PRIORITY", 5, 0, 9, problems),
        error_priority=parse_int(given, "EDGEPACK_ERROR_PRIORITY", 5, 0, 9, problems),
        capture_output=_parse_topic(given, "EDGEPACK_CAPTURE_OUTPUT", "", problems),
        ttl_s=parse_int(given, "EDGEPACK_MESSAGE_TTL_S", 0, 0, 315_360_000, problems),
        drain=parse_choice(given, "EDGEPACK_DRAIN", "oldest_first", ("oldest_first", "live_first"), problems),
        window=parse_int(given, "EDGEPACK_WINDOW", 100, 1, 1000, problems),
        buffer_path=given.get("EDGEPACK_BUFFER_PATH", "/var/lib/edgepack/buffer.db"),
        buffer_max_bytes=parse_int(given, "EDGEPACK_BUFFER_MAX_BYTES", 256 * 1024 * 1024, 2**20, 2**46, problems),
        buffer_policy=parse_choice(given, "EDGEPACK_BUFFER_POLICY", "refuse", ("refuse", "drop_oldest"), problems),
        keep_alive_s=parse_int(given, "EDGEPACK_KEEP_ALIVE_S", 60, 1, 1740, problems),
        mqtt=_parse_mqtt(given, transport, problems),
        connection_string=given.get("EDGEPACK_CONNECTION_STRING"),
        connection_string_file=given.get("EDGEPACK_CONNECTION_STRING_FILE"),
        edge_hub_connection_string=given.get("EdgeHubConnectionString"),
        edge_ca_file=given.get("EdgeModuleCACertificateFile"),
    )


def _parse_topic(given: Mapping[str, str], name: str, default: str, problems: list[str]) -> str:
    text = given.get(name, default)
    if any(character in text for character in "+#\0") or len(text.encode("utf-8", "replace")) > 1024:
        problems.append(f"{name} is {text[:80]!r}: expected a name of at most 1024 bytes without +, # and NUL")
        return default
    return text


def _parse_mqtt(given: Mapping[str, str], transport: str, problems: list[str]) -> MqttSettings:
    url = given.get("EDGEPACK_MQTT_URL", "")
    parts = _split_url(url, problems) if url else None
    if transport == "mqtt" and not url:
        problems.append(
            "EDGEPACK_TRANSPORT is mqtt, but EDGEPACK_MQTT_URL is not set: for example mqtt://localhost:1883"
        )
    if given.get("EDGEPACK_MQTT_KEY_FILE") and not given.get("EDGEPACK_MQTT_CERT_FILE"):
        problems.append("EDGEPACK_MQTT_KEY_FILE is set, but EDGEPACK_MQTT_CERT_FILE is not")
    uses_tls = parts is not None and parts.scheme == "mqtts"
    for name in ("EDGEPACK_MQTT_CA_FILE", "EDGEPACK_MQTT_CERT_FILE"):
        if given.get(name) and parts is not None and not uses_tls:
            problems.append(f"{name} is set, but EDGEPACK_MQTT_URL begins with mqtt://: mqtts:// uses certificates")
    version = parse_choice(given, "EDGEPACK_MQTT_VERSION", "auto", ("5", "3.1.1", "auto"), problems)
    client_id = given.get("EDGEPACK_MQTT_CLIENT_ID", "")
    return MqttSettings(
        host=(parts.hostname or "") if parts else "",
        port=(parts.port or _PORTS[parts.scheme]) if parts else 1883,
        uses_tls=uses_tls,
        user=unquote(parts.username) if parts and parts.username is not None else None,
        password=unquote(parts.password) if parts and parts.password is not None else None,
        password_file=given.get("EDGEPACK_MQTT_PASSWORD_FILE"),
        client_id=client_id,
        version=version,
        ca_file=given.get("EDGEPACK_MQTT_CA_FILE"),
        cert_file=given.get("EDGEPACK_MQTT_CERT_FILE"),
        key_file=given.get("EDGEPACK_MQTT_KEY_FILE"),
        status_topic=_parse_topic(given, "EDGEPACK_MQTT_STATUS_TOPIC", "", problems),
    )


def _split_url(url: str, problems: list[str]) -> SplitResult | None:
    """The parts of a broker's URL. It may hold a password: no message shows it."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in _PORTS and parts.hostname and parts.path in ("", "/") and not parts.query
        if fits and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:
        pass
    problems.append("EDGEPACK_MQTT_URL is not mqtt[s]://[user[:password]@]host[:port], a port being 1 to 65535")
    return None
