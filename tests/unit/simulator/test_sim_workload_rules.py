"""What the security daemon answers a module."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.workload_rules import (
    Daemon,
    IssuedCertificate,
    ModuleOfDevice,
    WorkloadAnswer,
    WorkloadRequest,
    answer,
    dns_label,
)
from tests.fakes.edge_deployments import DEVICE, registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODULE = registry("scorer").identity(f"{DEVICE}/scorer")
assert MODULE is not None
OWN = f"/modules/scorer/genid/{MODULE.generation_id}"


class Issuer:
    """Notes what it is asked for."""

    ca_pem = "-----BEGIN CERTIFICATE-----\n"

    def __init__(self) -> None:
        self.issued: list[tuple[Sequence[str], str, datetime]] = []

    def issue(self, names: Sequence[str], common_name: str, not_after: datetime) -> IssuedCertificate:
        """Nothing of worth."""
        self.issued.append((names, common_name, not_after))
        return IssuedCertificate("KEY", "CHAIN")


ISSUER = Issuer()


def ask(
    method: str, path: str, body: object = None, query: str = "api-version=2022-08-03", issuer: Issuer = ISSUER
) -> WorkloadAnswer:
    assert MODULE is not None
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    modules = [ModuleOfDevice("scorer", "image:1", "running")]
    return answer(WorkloadRequest(method, path, query, content), Daemon(MODULE, issuer, modules, NOW))


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_trust_bundles_are_pem() -> None:
    for path in ("/trust-bundle", "/manifest-trust-bundle"):
        assert ask("GET", path) == (200, {"certificate": ISSUER.ca_pem})


def test_signs_with_the_primary_key() -> None:
    assert MODULE is not None
    expected = hmac.new(MODULE.primary_key, b"text", hashlib.sha256).digest()
    body = {"keyId": "primary", "algo": "HMACSHA256", "data": text(b"text")}
    assert ask("POST", f"{OWN}/sign", body) == (200, {"digest": text(expected)})


def test_encrypts_and_decrypts_with_the_same_vector_only() -> None:
    sealed = ask("POST", f"{OWN}/encrypt", {"plaintext": text(b"secret"), "initializationVector": text(b"iv")})
    assert sealed.status == 200
    request = {**sealed.document, "initializationVector": text(b"iv")}
    assert ask("POST", f"{OWN}/decrypt", request) == (200, {"plaintext": text(b"secret")})
    assert ask("POST", f"{OWN}/decrypt", {**request, "initializationVector": text(b"other")}).status == 400
    assert ask("POST", f"{OWN}/decrypt", {**request, "ciphertext": text(b"x")}).status == 400


def test_server_certificates_are_for_the_name_and_the_module() -> None:
    issuer = Issuer()
    later = NOW + timedelta(days=1)
    body = {"commonName": "Edge.example.COM", "expiration": later.isoformat()}
    found = ask("POST", f"{OWN}/certificate/server", body, issuer=issuer)
    assert found.status == 201
    assert found.document == {
        "privateKey": {"type": "key", "bytes": "KEY"},
        "certificate": "CHAIN",
        "expiration": later.isoformat(),
    }
    assert issuer.issued == [(["edge.example.com", "scorer"], "Edge.example.COM", later)]


def test_certificates_end_within_ninety_days() -> None:
    issuer = Issuer()
    assert ask("POST", "/modules/scorer/certificate/identity", {}, issuer=issuer).status == 201
    body = {"commonName": "scorer", "expiration": "2099-01-01T00:00:00Z"}
    assert ask("POST", f"{OWN}/certificate/server", body, issuer=issuer).status == 201
    latest = NOW + timedelta(days=90)
    assert issuer.issued == [(["scorer"], f"{DEVICE}/scorer", latest), (["scorer"], "scorer", latest)]


def test_modules_are_listed() -> None:
    (listed,) = ask("GET", "/modules").document["modules"]
    assert (listed["name"], listed["status"]) == ("scorer", {"runtimeStatus": {"status": "running"}})


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "status"),
    [
        ("GET", "/trust-bundle", None, "", 400),
        ("GET", "/trust-bundle", None, "api-version=1.0", 400),
        ("POST", "/trust-bundle", None, "api-version=2019-01-30", 405),
        ("GET", "/nothing", None, "api-version=2019-01-30", 404),
        ("POST", f"{OWN}/nothing", None, "api-version=2019-01-30", 404),
        ("GET", f"{OWN}/sign", None, "api-version=2019-01-30", 405),
        ("POST", "/modules/other/genid/1/sign", {"data": ""}, "api-version=2019-01-30", 403),
        ("POST", "/modules/other/certificate/identity", {}, "api-version=2019-01-30", 403),
        ("POST", "/modules/scorer/genid/other/sign", {"data": ""}, "api-version=2019-01-30", 404),
        ("POST", f"{OWN}/sign", b"{", "api-version=2019-01-30", 400),
        ("POST", f"{OWN}/sign", [], "api-version=2019-01-30", 400),
        ("POST", f"{OWN}/sign", {}, "api-version=2019-01-30", 400),
        ("POST", f"{OWN}/sign", {"data": "?"}, "api-version=2019-01-30", 400),
        ("POST", f"{OWN}/certificate/server", {"commonName": " "}, "api-version=2019-01-30", 400),
        ("POST", f"{OWN}/certificate/server", {"commonName": "x", "expiration": "soon"}, "api-version=2019-01-30", 400),
        ("POST", f"{OWN}/certificate/server", {"commonName": "x", "expiration": "2020"}, "api-version=2019-01-30", 400),
        (
            "POST",
            f"{OWN}/certificate/server",
            {"commonName": "x", "expiration": "2020-01-01"},
            "api-version=2019-01-30",
            400,
        ),
    ],
)
def test_refusals_have_a_message(method: str, path: str, body: Any, query: str, status: int) -> None:
    found = ask(method, path, body, query)
    assert found.status == status
    assert found.document.keys() == {"message"}
    assert found.document["message"]


def test_names_of_modules_as_host_names() -> None:
    assert dns_label("My_Module-1") == "mymodule-1"
    assert dns_label("-" * 3 + "a" * 80) == ("a" * 60)
