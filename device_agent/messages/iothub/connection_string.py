"""Connection strings of IoT Hub: `HostName=...;DeviceId=...;ModuleId=...;SharedAccessKey=...;GatewayHostName=...`.

Pure. Keys are spelled as the hub's tools print them, in any order; a semicolon at the end does not matter. A host may
carry a port (`localhost:18883`), 8883 otherwise. Everything that is wrong is told at once, and no sentence shows what
could be a secret. Not for signatures made elsewhere (SharedAccessSignature), nor for the strings of services.
"""

import base64
import binascii
import re
from typing import NamedTuple

MQTT_TLS_PORT = 8883
KEYS = ("HostName", "DeviceId", "ModuleId", "GatewayHostName", "SharedAccessKey", "x509")
_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_HOST = re.compile(r"[A-Za-z0-9_.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


class Endpoint(NamedTuple):
    """Where a server listens: a host name or address (IPv6 without brackets), and a port."""

    host: str
    port: int = MQTT_TLS_PORT


class ConnectionString(NamedTuple):
    """What a connection string says. `module_id` is "" for a device, `gateway` None without one.

    `key` is the decoded shared access key; b"" where a certificate signs in (`x509=true`).
    """

    hub: Endpoint
    device_id: str
    module_id: str = ""
    gateway: Endpoint | None = None
    key: bytes = b""


def parse_connection_string(text: str, name: str, problems: list[str]) -> ConnectionString | None:
    """Parse the text of the variable `name`; None, and sentences added to `problems`, when anything is wrong."""
    found: list[str] = []
    given = _split(text, name, found)
    for key in ("HostName", "DeviceId"):
        if key not in given:
            found.append(f"{name} has no {key}")
    hub = _endpoint(given, "HostName", name, found)
    gateway = _endpoint(given, "GatewayHostName", name, found)
    for key, kind in (("DeviceId", "device"), ("ModuleId", "module")):
        if key in given:
            check_id(given[key], f"{name}: {key}", kind, found)
    key_bytes = _parse_key(given, name, found)
    problems += found
    if found or hub is None:
        return None
    return ConnectionString(hub, given["DeviceId"], given.get("ModuleId", ""), gateway, key_bytes)


def parse_endpoint(text: str, name: str, problems: list[str]) -> Endpoint | None:
    """Parse `host` or `host:port`; None, and a sentence added to `problems`, when it is neither."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(MQTT_TLS_PORT)
    if _HOST.fullmatch(host) and re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535:
        return Endpoint(host.strip("[]"), int(port))
    problems.append(f"{name} is {text[:80]!r}: expected a host name, or host:port")
    return None


def check_id(text: str, name: str, kind: str, problems: list[str]) -> None:
    """Add a sentence to `problems` unless this can be the id of a `kind` (device, module) that speaks MQTT."""
    if not _ID.fullmatch(text):
        problems.append(f"{name} is {text[:80]!r}: not the id of a {kind}")
    elif "+" in text or "#" in text:
        problems.append(f"{name} is {text!r}: MQTT cannot address an id with + or #")


def _split(text: str, name: str, found: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in text.strip().removesuffix(";").split(";"):
        key, equals, value = part.partition("=")
        if key == "SharedAccessSignature":
            found.append(f"{name} has a SharedAccessSignature, which would end and not be renewed: use SharedAccessKey")
        elif key == "SharedAccessKeyName":
            found.append(f"{name} has a SharedAccessKeyName: it is for services; use that of a device or module")
        elif not equals:
            found.append(f"{name} is no connection string: expected KEY=VALUE, separated by semicolons")
        elif key not in KEYS:
            found.append(f"{name} has an unknown key: expected {', '.join(KEYS)}, spelled so")
        elif key in given:
            found.append(f"{name} has {key} twice")
        elif not value:
            found.append(f"{name} has an empty {key}")
        if equals and key in KEYS:
            given.setdefault(key, value)
    return given


def _endpoint(given: dict[str, str], key: str, name: str, found: list[str]) -> Endpoint | None:
    return parse_endpoint(given[key], f"{name}: {key}", found) if given.get(key) else None


def _parse_key(given: dict[str, str], name: str, found: list[str]) -> bytes:
    uses_x509 = given.get("x509", "false").lower()
    if uses_x509 not in ("true", "false"):
        found.append(f"{name}: x509 is neither true nor false")
    if (uses_x509 == "true") == ("SharedAccessKey" in given):
        found.append(f"{name}: expected either a SharedAccessKey or x509=true")
    try:
        return base64.b64decode(given.get("SharedAccessKey", ""), validate=True)
    except (binascii.Error, ValueError):
        found.append(f"{name}: SharedAccessKey is no base64")
        return b""
