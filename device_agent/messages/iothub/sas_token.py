"""Shared access signature tokens: the password of a device or module at IoT Hub and edgeHub.

    SharedAccessSignature sr=AUDIENCE&sig=SIGNATURE&se=EXPIRY        AUDIENCE: HUB/devices/DEVICE[/modules/MODULE]

Pure: who signs and what time it is comes from outside. Every value is percent-encoded, `/` too; the signature is
HMAC-SHA256 over the encoded audience, a line feed and the expiry (seconds since 1970, by the wall clock).
"""

import base64
import hashlib
import hmac
from typing import NamedTuple
from urllib.parse import quote

TTL_S = 3600
"""How long a token lives."""
_RENEWAL_S = 120
_RENEWAL_SHARE = 0.8


class Claim(NamedTuple):
    """What a token says: for whom, and until when (whole seconds since 1970)."""

    hub: str
    device_id: str
    module_id: str
    expiry_s: int


def text_to_sign(claim: Claim) -> bytes:
    """The bytes that are signed."""
    return f"{_audience(claim)}\n{claim.expiry_s}".encode()


def sign_with_key(key: bytes, text: bytes) -> bytes:
    """The signature by a shared access key (decoded)."""
    return hmac.new(key, text, hashlib.sha256).digest()


def encode_token(claim: Claim, signature: bytes) -> str:
    """The token, with the signature of `text_to_sign(claim)`."""
    text = quote(base64.b64encode(signature), safe="")
    return f"SharedAccessSignature sr={_audience(claim)}&sig={text}&se={claim.expiry_s}"


def renewal_after_s(ttl_s: float) -> float:
    """Seconds after which a token of this life should be renewed: 120 s before its end; a short one at 80 %."""
    return max(ttl_s - _RENEWAL_S, ttl_s * _RENEWAL_SHARE)


def _audience(claim: Claim) -> str:
    path = f"{claim.hub}/devices/{claim.device_id}"
    return quote(f"{path}/modules/{claim.module_id}" if claim.module_id else path, safe="")
