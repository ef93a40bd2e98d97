"""Tokens of devices, modules and services: which are taken, and what is said of the others."""

import base64
import hashlib
import hmac
from urllib.parse import quote

import pytest

from device_agent.messages.iothub.sas_token import Claim, encode_token, sign_with_key, text_to_sign
from simulator.cloud.tokens import Refusal, Verified, verify_token

KEY, OTHER = b"primary key", b"secondary key"
HOSTS = ("localhost", "hub.example")
NOW = 1_000_000.0


def token(
    key: bytes = KEY, *, hub: str = "localhost", device: str = "d", module: str = "", expiry_s: int = 1_000_060
) -> str:
    claim = Claim(hub, device, module, expiry_s)
    return encode_token(claim, sign_with_key(key, text_to_sign(claim)))


def raw_token(audience: str, key: bytes = KEY, extra: str = "", expiry_s: int = 1_000_060) -> str:
    signature = base64.b64encode(hmac.new(key, f"{audience}\n{expiry_s}".encode(), hashlib.sha256).digest()).decode()
    return f"SharedAccessSignature sr={audience}&sig={quote(signature, safe='/')}&se={expiry_s}{extra}"


def check(text: str, client_id: str = "d", policy: str = "", now_s: float = NOW) -> Verified | Refusal:
    return verify_token(text, hosts=HOSTS, client_id=client_id, keys=(KEY, OTHER), now_s=now_s, policy=policy)


@pytest.mark.parametrize(
    ("text", "client_id"),
    [
        (token(), "d"),
        (token(OTHER), "d"),
        (token(module="m"), "d/m"),
        (token(hub="HUB.example"), "d"),
        (token(hub="localhost:8883"), "d"),
        (token(device="Plant-1"), "plant-1"),
        (raw_token("localhost%2Fdevices%2Fd"), "d"),
        (raw_token("localhost%2fdevices%2fd"), "d"),
        (raw_token("localhost/devices/d"), "d"),
        (raw_token(quote("localhost/devices/a%23b", safe="")), "a#b"),
        (token().replace("sr=", "SR=").replace("SharedAccessSignature", "sharedaccesssignature"), "d"),
        ("SharedAccessSignature " + "&".join(reversed(token().partition(" ")[2].split("&"))), "d"),
    ],
)
def test_a_good_token_is_taken(text: str, client_id: str) -> None:
    assert check(text, client_id) == Verified(1_000_060)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no SharedAccessSignature"),
        ("Bearer abc", "no SharedAccessSignature"),
        ("SharedAccessSignature sr", "no NAME=VALUE"),
        ("SharedAccessSignature sr=a&sr=b", "stands there twice"),
        ("SharedAccessSignature sr=a", "it has no sig, se"),
        ("SharedAccessSignature sr=a&sig=%%%&se=1", "sig is no base64"),
        ("SharedAccessSignature sr=a&sig=YQ%3D%3D&se=soon", "se is no number"),
        (token(b"wrong"), "signature"),
        (token(device="e"), "audience is 'localhost/devices/e': expected devices/d of hub.example, localhost"),
        (token(module="m"), "audience"),
        (token(hub="elsewhere"), "audience"),
        (token(expiry_s=999_699), "it expired 301 s ago"),
        (token() + "&skn=device", "policy 'device'"),
        (token().replace("se=1000060", "se=1000061"), "signature"),
    ],
)
def test_any_other_is_refused_with_the_reason(text: str, reason: str) -> None:
    refusal = check(text)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_a_clock_may_be_five_minutes_behind() -> None:
    assert isinstance(check(token(), now_s=1_000_360.0), Verified)
    assert isinstance(check(token(), now_s=1_000_361.0), Refusal)


def test_a_service_signs_in_with_its_policy() -> None:
    text = raw_token("localhost%3A18443", extra="&skn=iothubowner")
    assert isinstance(check(text, "", "iothubowner"), Verified)
    assert check(text, "", "service") == Refusal("it is one of the policy 'iothubowner'")
    assert check(raw_token("localhost"), "", "service") == Refusal("it names no policy (skn)")


def test_no_key_signs_for_an_empty_one() -> None:
    answer = verify_token(token(b""), hosts=HOSTS, client_id="d", keys=(b"", b""), now_s=NOW)
    assert isinstance(answer, Refusal)
