"""Connection strings of services, and the tokens that are made of them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.deployment.service_connection import (
    ServiceConnection,
    parse_service_connection,
    service_token,
    without_secrets,
)
from edgepack.errors import InputError
from simulator.cloud.tokens import Verified, verify_token

TEXT = "HostName=hub.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0IGtleQ=="


def test_the_parts_are_read_in_any_order_and_case() -> None:
    expected = ServiceConnection("hub.azure-devices.net", "iothubowner", b"secret key")
    assert parse_service_connection(TEXT, "X") == expected
    turned = ";".join(reversed(TEXT.split(";")))
    assert parse_service_connection(f' "{turned};"\n', "X") == expected
    assert parse_service_connection(TEXT.replace("HostName", "hostname"), "X") == expected
    local = parse_service_connection(TEXT.replace("hub.azure-devices.net", "localhost:8443"), "X")
    assert local.url == "https://localhost:8443"


def test_the_key_is_not_in_its_repr() -> None:
    assert "secret" not in repr(parse_service_connection(TEXT, "X"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "X is no connection string"),
        ("c2VjcmV0", "X is no connection string"),
        (TEXT.replace("HostName=hub.azure-devices.net;", ""), "X has no HostName"),
        (
            TEXT.replace("SharedAccessKeyName=iothubowner;", ""),
            "X has no SharedAccessKeyName: a connection string of a",
        ),
        (
            TEXT.replace("hub.azure", "https://hub.azure"),
            "HostName is 'https://hub.azure-devices.net': expected a host",
        ),
        (TEXT.replace("devices.net", "devices.net:0"), "expected a host name, or HOST:PORT"),
        (TEXT.replace("devices.net", "devices.net/x?y"), "expected a host name, or HOST:PORT"),
        (TEXT.replace("==", "=*"), "SharedAccessKey is no base64"),
        (TEXT + ";DeviceId=edge-1", "X is that of a device or module, which may not deploy"),
        (TEXT + ";SharedAccessSignature=c2VjcmV0", "cannot be renewed"),
        (TEXT + ";Secret=c2VjcmV0", "X has a part that is none of"),
        (TEXT + ";HostName=other", "X has HostName twice"),
        ("HostName=;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0IGtleQ==", "X has an empty HostName"),
    ],
)
def test_what_is_wrong_is_told_without_secrets(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_service_connection(text, "X")
    assert told in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse_service_connection(text, "X").host


@given(st.binary(min_size=1, max_size=64), st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_tokens_are_good_at_a_hub(key: bytes, policy: str) -> None:
    token = service_token(ServiceConnection("localhost:8443", policy, key), 1000)
    found = verify_token(token, hosts=("localhost",), client_id="", policy=policy, keys=[key], now_s=999)
    assert found == Verified(1000)
    assert token.isascii()
    assert token.isprintable()


def test_secrets_are_taken_out_of_any_text() -> None:
    connection = parse_service_connection(TEXT, "X")
    token = service_token(connection, 1000)
    for text in (TEXT, token, f"the key c2VjcmV0IGtleQ== and {token} again", "c2VjcmV0IGtleQ%3D%3D"):
        clean = without_secrets(connection, text)
        assert "c2VjcmV0" not in clean
        assert token.partition("sig=")[2].partition("&")[0] not in clean
    assert without_secrets(connection, "nothing here") == "nothing here"
