"""How a service signs in to IoT Hub: `HostName=...;SharedAccessKeyName=...;SharedAccessKey=...`, and tokens made of it.

Pure. Keys stand in any order and any case; HostName may carry a port. All that is wrong is told at once, and no
sentence shows what could be a secret. A token is signed for the host as it is written:

    SharedAccessSignature sr=HOST&sig=SIGNATURE&se=EXPIRY&skn=POLICY
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from edgepack.errors import InputError

TOKEN_LIFE_S = 600
RENEWED_BEFORE_S = 60
"""A token is made anew when less than this is left of its life."""

_PARTS = ("HostName", "SharedAccessKeyName", "SharedAccessKey")
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.\-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_HOW_TO_GET_ONE = "`az iot hub connection-string show --policy-name iothubowner` prints one"


@dataclass(frozen=True, slots=True)
class ServiceConnection:
    """Where the hub is and as whom to call it. `host` is HostName as written, `key` the decoded key."""

    host: str
    policy: str
    key: bytes = field(repr=False)

    @property
    def url(self) -> str:
        """The root of the service interface, without a slash at the end."""
        return f"https://{self.host}"


def parse_service_connection(text: str, name: str) -> ServiceConnection:
    """Read the connection string that was found in `name` (a variable or a file).

    Raises:
        InputError: it is none of a service; every reason, without any of its values but HostName.
    """
    problems: list[str] = []
    given = _split(text, name, problems)
    missing = [part for part in _PARTS if part not in given]
    if missing and not problems:
        problems.append(
            f"{name} has no {', '.join(missing)}: a connection string of a policy is needed; {_HOW_TO_GET_ONE}"
        )
    host = given.get("HostName", "")
    found = _HOST.fullmatch(host)
    if host and (found is None or not 1 <= int(found[1] or 443) <= 65535):
        problems.append(f"{name}: HostName is {host[:80]!r}: expected a host name, or HOST:PORT")
    try:
        key = base64.b64decode(given.get("SharedAccessKey", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
        problems.append(f"{name}: SharedAccessKey is no base64: was it copied whole?")
    InputError.raise_if_any(problems)
    return ServiceConnection(host, given["SharedAccessKeyName"], key)


def service_token(connection: ServiceConnection, expiry_s: int) -> str:
    """A token that is good until `expiry_s` (whole seconds since 1970)."""
    audience = quote(connection.host, safe="")
    digest = hmac.new(connection.key, f"{audience}\n{expiry_s}".encode(), hashlib.sha256).digest()
    signature = quote(base64.b64encode(digest), safe="")
    policy = quote(connection.policy, safe="")
    return f"SharedAccessSignature sr={audience}&sig={signature}&se={expiry_s}&skn={policy}"


def without_secrets(connection: ServiceConnection, text: str) -> str:
    """`text` without the key and without signatures, whoever put them there."""
    key = base64.b64encode(connection.key).decode()
    for secret in (key, quote(key, safe="")):
        if secret:
            text = text.replace(secret, "***")
    return re.sub(r"(?i)\b(sig|SharedAccessKey)=[^&;\s\"']+", r"\1=***", text)


def _split(text: str, name: str, problems: list[str]) -> dict[str, str]:
    spelled = {part.lower(): part for part in _PARTS}
    given: dict[str, str] = {}
    for piece in text.strip().strip("\"'").strip(";").split(";"):
        key, equals, value = (each.strip() for each in piece.partition("="))
        part = spelled.get(key.lower())
        if not equals:
            problems.append(f"{name} is no connection string: expected {';'.join(f'{each}=...' for each in _PARTS)}")
            break
        if key.lower() in ("deviceid", "moduleid"):
            problems.append(f"{name} is that of a device or module, which may not deploy: {_HOW_TO_GET_ONE}")
        elif key.lower() == "sharedaccesssignature":
            problems.append(f"{name} has a SharedAccessSignature, which cannot be renewed: use SharedAccessKey")
        elif part is None:
            problems.append(f"{name} has a part that is none of {', '.join(_PARTS)}")
        elif part in given:
            problems.append(f"{name} has {part} twice")
        elif not value:
            problems.append(f"{name} has an empty {part}")
        else:
            given[part] = value
    return given
