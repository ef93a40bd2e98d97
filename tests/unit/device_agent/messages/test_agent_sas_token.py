"""Tokens, judged by an independent verifier and by the service's own client."""

import base64
import hashlib
import hmac
import time
from urllib.parse import unquote

import pytest
from azure.iot.device.common.auth.sastoken import NonRenewableSasToken, RenewableSasToken
from azure.iot.device.common.auth.signing_mechanism import SymmetricKeySigningMechanism

from device_agent.messages.iothub.sas_token import Claim, encode_token, renewal_after_s, sign_with_key, text_to_sign

KEY = bytes(range(32))


def token(claim: Claim) -> str:
    return encode_token(claim, sign_with_key(KEY, text_to_sign(claim)))


@pytest.mark.parametrize("device_id", ["edge-1", "a%b;c=d,e$f'(!)@:*?_."])
@pytest.mark.parametrize("module_id", ["", "scorer", "m%20&x=y"])
def test_a_verifier_accepts_it(device_id: str, module_id: str) -> None:
    """Written from the documents: it signs the raw text of sr, and decodes sig."""
    scheme, _, text = token(Claim("hub.example.net", device_id, module_id, 1_800_000_000)).partition(" ")
    fields = dict(part.split("=", 1) for part in text.split("&"))
    assert scheme == "SharedAccessSignature"
    assert fields.keys() == {"sr", "sig", "se"}
    path = f"hub.example.net/devices/{device_id}" + (f"/modules/{module_id}" if module_id else "")
    assert unquote(fields["sr"]) == path
    assert fields["se"] == "1800000000"
    expected = hmac.new(KEY, f"{fields['sr']}\n1800000000".encode(), hashlib.sha256).digest()
    assert base64.b64decode(unquote(fields["sig"]), validate=True) == expected
    assert not set("/+ ") & set(text.replace("SharedAccessSignature ", ""))


def test_it_is_the_token_that_the_sdk_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.7)
    signer = SymmetricKeySigningMechanism(base64.b64encode(KEY).decode())  # type: ignore[no-untyped-call]
    theirs = RenewableSasToken("hub.example.net/devices/edge-1/modules/scorer", signer, ttl=3600)  # type: ignore[no-untyped-call]
    ours = token(Claim("hub.example.net", "edge-1", "scorer", 1_800_003_600))
    assert ours == str(theirs)
    read = NonRenewableSasToken(ours)  # type: ignore[no-untyped-call]
    assert read.expiry_time == 1_800_003_600


def test_renewal_is_two_minutes_before_the_end_or_at_four_fifths() -> None:
    assert [renewal_after_s(ttl_s) for ttl_s in (3600, 600, 300, 10)] == [3480, 480, 240, 8]
