"""Checks shared access signature tokens, as IoT Hub and edgeHub do. Pure; the other end of `iothub.sas_token`.

    SharedAccessSignature sr=AUDIENCE&sig=SIGNATURE&se=EXPIRY[&skn=POLICY]

Fields stand in any order, in any case; what is signed is the text of `sr` as it stands in the token. The audience is
`HOST/devices/DEVICE[/modules/MODULE]`, or `HOST` for a service, compared without regard to case; the host may carry a
port. The primary key is tried first, then the secondary. A token is good until `skew_s` after its expiry.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple
from urllib.parse import unquote

SKEW_S = 300
"""How far the clocks of a device and the hub may be apart."""

_SCHEME = re.compile(r"SharedAccessSignature +", re.IGNORECASE)
_LONGEST = 8_192
_FIELDS = ("sr", "sig", "se", "skn")


class Verified(NamedTuple):
    """The token is good until `expiry_s` (seconds since 1970)."""

    expiry_s: int


class Refusal(NamedTuple):
    """Why a token is not taken; one sentence, without secrets."""

    reason: str


class Token(NamedTuple):
    """The fields of a token. `signed` is the text that was signed; `policy` is "" without one."""

    audience: str
    signed: bytes
    signature: bytes
    expiry_s: int
    policy: str


def parse_token(text: str) -> Token | Refusal:
    """The fields of any text, or why it is no token."""
    scheme = _SCHEME.match(text)
    if scheme is None or len(text) > _LONGEST:
        return Refusal("it is no SharedAccessSignature token")
    fields: dict[str, str] = {}
    for part in text[scheme.end() :].split("&"):
        name, equals, value = part.strip().partition("=")
        if not equals or name.lower() in fields:
            return Refusal("a field of it is no NAME=VALUE, or stands there twice")
        fields[name.lower()] = value
    missing = [name for name in _FIELDS[:3] if not fields.get(name)]
    if missing:
        return Refusal(f"it has no {', '.join(missing)}")
    if not re.fullmatch(r"[0-9]{1,15}", fields["se"]):
        return Refusal("se is no number of seconds since 1970")
    try:
        signature = base64.b64decode(unquote(fields["sig"]), validate=True)
    except (binascii.Error, ValueError):
        return Refusal("sig is no base64")
    signed = f"{fields['sr']}\n{fields['se']}".encode("utf-8", "surrogatepass")
    return Token(unquote(fields["sr"]), signed, signature, int(fields["se"]), unquote(fields.get("skn", "")))


def verify_token(
    text: str,
    *,
    hosts: Collection[str],
    client_id: str,
    keys: Sequence[bytes],
    now_s: float,
    policy: str = "",
    skew_s: float = SKEW_S,
) -> Verified | Refusal:
    """Whether the token lets `client_id` in (`device` or `device/module`), or, where that is "", the service `policy`.

    `hosts` are the names of the hub and of the edge device, with or without ports. `keys` are tried in order.
    """
    token = parse_token(text)
    if isinstance(token, Refusal):
        return token
    if token.policy != policy:
        return Refusal(f"it is one of the policy {token.policy[:80]!r}" if token.policy else "it names no policy (skn)")
    if not _is_for(token.audience, hosts, client_id):
        wanted = audience_path(client_id) or "the hub"
        return Refusal(f"its audience is {token.audience[:200]!r}: expected {wanted} of {', '.join(sorted(hosts))}")
    if not any(_is_signed_by(key, token) for key in keys if key):
        return Refusal("its signature is not that of a key of this identity")
    if now_s > token.expiry_s + skew_s:
        return Refusal(f"it expired {now_s - token.expiry_s:.0f} s ago")
    return Verified(token.expiry_s)


def audience_path(client_id: str) -> str:
    """`devices/DEVICE[/modules/MODULE]`, "" for a service."""
    device, _, module = client_id.partition("/")
    if not device:
        return ""
    return f"devices/{device}/modules/{module}" if module else f"devices/{device}"


def _is_signed_by(key: bytes, token: Token) -> bool:
    return hmac.compare_digest(hmac.new(key, token.signed, hashlib.sha256).digest(), token.signature)


def _is_for(audience: str, hosts: Collection[str], client_id: str) -> bool:
    host, _, path = audience.lower().partition("/")
    if _without_port(host) not in {_without_port(known.lower()) for known in hosts}:
        return False
    wanted = audience_path(client_id).lower()
    return wanted in (path.rstrip("/"), unquote(path).rstrip("/"))  # some clients encode the ids once more


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]{1,5}$", "", host)
