"""Calls to IoT Hub: tokens, repetitions, what errors say, and that no secret is ever said."""

import socket
import ssl
import urllib.parse
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from edgepack.deployment.hub_refusal import HubRefusal
from edgepack.deployment.service_connection import TOKEN_LIFE_S
from edgepack.errors import InputError, RemoteError
from edgepack.hub_client import HubClient, trust
from simulator.cloud.tokens import Token, parse_token
from tests.fakes.fake_hub import CONNECTION, KEY_TEXT, FakeHub, Trouble
from tests.fakes.service_world import NOW_S

DEVICE = ("twins", "edge-1")


def read(client: HubClient) -> None:
    client.call("read edge-1", "GET", DEVICE)


def test_a_call_is_signed_and_its_token_is_used_until_it_is_nearly_over() -> None:
    fake = FakeHub()
    client = fake.client()
    tokens = []
    for later_s in (0, TOKEN_LIFE_S - 61, 2, TOKEN_LIFE_S):
        fake.world.now_s += later_s
        read(client)
        tokens.append(fake.headers[-1]["authorization"])
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3
    token = parse_token(tokens[0])
    assert isinstance(token, Token)
    assert (token.audience, token.policy, token.expiry_s) == ("localhost", "iothubowner", int(NOW_S) + TOKEN_LIFE_S)


def test_a_clock_that_was_set_back_gets_a_new_token() -> None:
    fake = FakeHub()
    client = fake.client()
    read(client)
    fake.world.now_s -= 100_000
    read(client)
    token = parse_token(fake.headers[-1]["authorization"])
    assert isinstance(token, Token)
    assert token.expiry_s == int(fake.world.now_s) + TOKEN_LIFE_S


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 0])
def test_what_may_pass_is_tried_again_after_waits_that_double(status: int) -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(status)] * 3
    read(fake.client())
    assert fake.pauses == [1, 2, 4]
    assert len(fake.said) == 3
    assert "trying again in 1.0 s" in fake.said[0]


def test_waits_vary() -> None:
    fake = FakeHub()
    fake.clock = replace(fake.clock, chance=lambda: 0.0)
    fake.troubles = [Trouble(500)] * 2
    read(fake.client())
    assert fake.pauses == [0.5, 1]


@pytest.mark.parametrize("text", ["17", "Thu, 01 Jan 2026 00:00:17 GMT"])
def test_retry_after_is_honoured(text: str) -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(429, headers={"Retry-After": text})]
    read(fake.client())
    assert fake.pauses == [17]


@pytest.mark.parametrize("text", ["soon", "", "-5", "Thu, 01 Jan 2020 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_no_wait(text: str) -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(429, headers={"Retry-After": text})]
    read(fake.client())
    assert fake.pauses == [1]


def test_repetitions_end_with_the_time_for_them() -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(503, body=b"<html>gateway</html>")] * 100
    with pytest.raises(HubRefusal, match=r"has trouble of its own \(503\).*tried 5 times in the 20 s of --timeout"):
        read(fake.client(timeout_s=20))
    assert sum(fake.pauses) <= 20
    fake.troubles = [Trouble()] * 100
    with pytest.raises(RemoteError, match=r"cannot be reached .*tried 2 times in the 1 s"):
        read(fake.client(timeout_s=1))


def test_a_wait_that_is_asked_for_and_does_not_fit_is_told_at_once() -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(429, headers={"retry-after": "300"})]
    with pytest.raises(HubRefusal, match=r"takes no more calls now: .*asks for a wait of 300 s"):
        read(fake.client())
    assert fake.pauses == []


def test_the_throttle_of_a_hub_is_waited_for() -> None:
    fake = FakeHub(throttled=True)
    client = fake.client()
    for _ in range(22):
        client.call("list", "GET", ("configurations",))
    assert 0 < sum(fake.pauses) < 20


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "does not take it"),
        (403, "the policy lacks a right"),
        (404, "knows no such thing"),
        (409, "has it already"),
        (412, "somebody changed it meanwhile"),
        (413, "too large"),
        (302, "is HostName that of an IoT Hub"),
        (418, "answered 418"),
    ],
)
def test_what_does_not_pass_is_told_once_with_what_to_do(status: int, text: str) -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(status, body=b'{"errorCode": 400001, "message": "hub\\u001b[31m says"}')]
    with pytest.raises(HubRefusal) as caught:
        read(fake.client())
    assert text in str(caught.value)
    assert "it says: hub [31m says" in str(caught.value)
    assert caught.value.status == status
    assert fake.pauses == []


def test_a_wrong_key_is_told_with_the_policy_and_not_the_key() -> None:
    fake = FakeHub()
    wrong = replace(CONNECTION, key=b"another key, which is wrong")
    with pytest.raises(HubRefusal) as caught:
        read(fake.client(wrong))
    said = str(caught.value)
    assert "localhost does not accept the key of the policy 'iothubowner'" in said
    assert "clock" not in said
    assert "another key" not in repr(wrong)


def test_a_clock_that_is_wrong_is_told() -> None:
    fake = FakeHub()
    fake.machine_is_ahead_s = -3600
    fake.troubles = [Trouble(401, headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})]
    with pytest.raises(HubRefusal, match="clock is 60 minutes behind the hub's"):
        read(fake.client())
    with pytest.raises(HubRefusal, match="it expired"):
        read(fake.client())


def test_a_version_that_the_hub_does_not_take_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepack.hub_client.API_VERSION", "2017-01-01")
    with pytest.raises(HubRefusal, match="api-version is '2017-01-01'"):
        read(FakeHub().client())


def test_an_answer_that_is_no_json_is_no_hub_s() -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(200, body=b"<html>please sign in</html>")]
    with pytest.raises(RemoteError, match="no JSON: is HostName that of an IoT Hub"):
        read(fake.client())


def test_what_a_hub_says_back_is_said_without_secrets() -> None:
    fake = FakeHub()
    signature = urllib.parse.quote(KEY_TEXT, safe="")
    body = f'{{"Message": "bad SharedAccessSignature sr=x&sig={signature}&se=1 or {KEY_TEXT}, {signature}"}}'
    fake.troubles = [Trouble(400, body=body.encode())]
    with pytest.raises(HubRefusal) as caught:
        read(fake.client())
    assert "sig=***" in str(caught.value)
    assert KEY_TEXT not in str(caught.value)
    assert signature not in str(caught.value)


def test_a_lost_answer_makes_the_next_one_unsure() -> None:
    fake = FakeHub()
    fake.troubles = [Trouble(is_done=True)]
    assert fake.client().call("read", "GET", DEVICE).is_unsure
    assert not fake.client().call("read", "GET", DEVICE).is_unsure
    fake.troubles = [Trouble(500, is_done=True), Trouble(409)]
    with pytest.raises(HubRefusal) as caught:
        read(fake.client())
    assert caught.value.is_unsure


@pytest.mark.parametrize(
    ("cause", "text", "tries"),
    [
        (ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "--ca-file", 1),
        (socket.gaierror(-2, "Name or service not known"), "there is no host localhost", 1),
        (socket.gaierror(-3, "Temporary failure in name resolution"), "cannot be reached", 6),
        (ConnectionRefusedError(111, "refused"), "check the network", 6),
    ],
)
def test_what_keeps_from_connecting_is_told(cause: Exception, text: str, tries: int) -> None:
    fake = FakeHub()
    asked = []

    class Broken(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request)
            raise httpx.ConnectError(str(cause)) from cause

    client = HubClient(CONNECTION, clock=fake.clock, transport=Broken())
    with pytest.raises(RemoteError, match=text):
        read(client)
    assert len(asked) == tries


def test_ids_are_quoted_and_lone_surrogates_sent() -> None:
    fake = FakeHub()
    with pytest.raises(HubRefusal) as caught:
        fake.client().call("x", "PUT", ("devices", "a#b/c?d"), {"deviceId": "\ud800"})
    assert fake.calls == ["PUT /devices/a%23b%2Fc%3Fd"]
    assert caught.value.status in (400, 404)


def test_files_with_authorities_are_checked(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(InputError, match=r"--ca-file: .*none.pem: No such file"):
        trust(tmp_path / "none.pem", {})
    with pytest.raises(InputError, match=r"REQUESTS_CA_BUNDLE: .*empty.pem: holds no certificate in PEM"):
        trust(None, {"REQUESTS_CA_BUNDLE": str(empty)})
    assert trust(tmp_path, {}).verify_mode is ssl.CERT_REQUIRED
