"""The workload API of a device's security daemon: what it answers a module. Pure, but for the authority that signs.

    GET  /trust-bundle                                 the authorities of edgeHub's certificate, as PEM
    GET  /manifest-trust-bundle                        the same
    GET  /modules                                      the modules of the device
    POST /modules/M/genid/G/sign                       HMAC-SHA256 with the module's primary key
    POST /modules/M/genid/G/encrypt, /decrypt          AES-GCM with a key made from it
    POST /modules/M/genid/G/certificate/server         a server certificate for the common name and the module
    POST /modules/M/certificate/identity               a client certificate for the module

`?api-version=` is required. A module may only ask for itself: who asks is known by the socket. Errors are
`{"message": TEXT}`. The daemon's limit of ten requests at a time never shows here, since none takes any time.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from simulator.cloud.identity import Identity

API_VERSION = "2022-08-03"
API_VERSIONS = (
    *("2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05"),
    *("2020-07-07", "2020-10-10", "2021-12-07", API_VERSION),
)
LONGEST_CERTIFICATE = timedelta(days=90)


class IssuedCertificate(NamedTuple):
    """A private key, and a certificate with what leads to the authority, both as PEM."""

    key_pem: str
    chain_pem: str


class Authority(Protocol):
    """The certificate authority of the run."""

    @property
    def ca_pem(self) -> str:
        """Its own certificate."""
        ...

    def issue(self, names: Sequence[str], common_name: str, not_after: datetime) -> IssuedCertificate:
        """A certificate for DNS names, good until `not_after`."""
        ...


class WorkloadRequest(NamedTuple):
    """A request: `path` is decoded, `query` is not."""

    method: str
    path: str
    query: str
    body: bytes = b""


class WorkloadAnswer(NamedTuple):
    """A status and a JSON document."""

    status: int
    document: dict[str, Any]


class ModuleOfDevice(NamedTuple):
    """A module as `GET /modules` lists it."""

    name: str
    image: str
    status: str


class Daemon(NamedTuple):
    """What the daemon knows when it is asked: the module that asks, the authority, the others and the time (UTC)."""

    module: Identity
    authority: Authority
    modules: Sequence[ModuleOfDevice]
    now: datetime


class _Refusal(Exception):
    """An answer with an error."""

    def __init__(self, status: int, message: str) -> None:
        self.answer = WorkloadAnswer(status, {"message": message})
        super().__init__(message)


def answer(request: WorkloadRequest, daemon: Daemon) -> WorkloadAnswer:
    """Answer a request."""
    try:
        _check_version(request.query)
        return _answer(request, daemon)
    except _Refusal as refusal:
        return refusal.answer


def _answer(request: WorkloadRequest, daemon: Daemon) -> WorkloadAnswer:
    match request.path.strip("/").split("/"):
        case ["trust-bundle" | "manifest-trust-bundle"]:
            _check_method(request, "GET")
            return WorkloadAnswer(200, {"certificate": daemon.authority.ca_pem})
        case ["modules"]:
            _check_method(request, "GET")
            return WorkloadAnswer(200, {"modules": [_listed(module) for module in daemon.modules]})
        case ["modules", module_id, "genid", generation_id, *verb] if "/".join(verb) in _VERBS:
            _check_method(request, "POST")
            _check_module(module_id, daemon)
            if generation_id != daemon.module.generation_id:
                raise _Refusal(404, f"Module {module_id} has no generation {generation_id}")
            return _VERBS["/".join(verb)](_read_body(request.body), daemon)
        case ["modules", module_id, "certificate", "identity"]:
            _check_method(request, "POST")
            _check_module(module_id, daemon)
            return _certificate([], f"{daemon.module.device_id}/{module_id}", _read_body(request.body), daemon)
    raise _Refusal(404, f"There is nothing at {request.path}")


def _check_version(query: str) -> None:
    version = parse_qs(query).get("api-version", [""])[0]
    if version not in API_VERSIONS:
        known = ", ".join(API_VERSIONS)
        raise _Refusal(400, f"Unknown api-version {version}: known are {known}" if version else "No api-version given")


def _check_method(request: WorkloadRequest, method: str) -> None:
    if request.method != method:
        raise _Refusal(405, f"{request.method} is not allowed here, use {method}")


def _check_module(module_id: str, daemon: Daemon) -> None:
    if module_id != daemon.module.module_id:
        raise _Refusal(403, f"Forbidden: this is the socket of {daemon.module.module_id}, not of {module_id}")


def _sign(body: Mapping[str, Any], daemon: Daemon) -> WorkloadAnswer:
    digest = hmac.new(daemon.module.primary_key, _bytes_of(body, "data"), hashlib.sha256).digest()
    return WorkloadAnswer(200, {"digest": base64.b64encode(digest).decode()})


def _encrypt(body: Mapping[str, Any], daemon: Daemon) -> WorkloadAnswer:
    key, nonce = _secret(body, daemon)
    sealed = AESGCM(key).encrypt(nonce, _bytes_of(body, "plaintext"), None)
    return WorkloadAnswer(200, {"ciphertext": base64.b64encode(sealed).decode()})


def _decrypt(body: Mapping[str, Any], daemon: Daemon) -> WorkloadAnswer:
    key, nonce = _secret(body, daemon)
    try:
        opened = AESGCM(key).decrypt(nonce, _bytes_of(body, "ciphertext"), None)
    except (InvalidTag, ValueError):
        raise _Refusal(400, "ciphertext cannot be decrypted: it is another module's or vector's, or damaged") from None
    return WorkloadAnswer(200, {"plaintext": base64.b64encode(opened).decode()})


def _server_certificate(body: Mapping[str, Any], daemon: Daemon) -> WorkloadAnswer:
    name = body.get("commonName")
    if not isinstance(name, str) or not name.strip():
        raise _Refusal(400, "commonName must be a text")
    return _certificate([name], name, body, daemon)


def _certificate(names: Sequence[str], common_name: str, body: Mapping[str, Any], daemon: Daemon) -> WorkloadAnswer:
    """A certificate that is also for the module's name, as far as that makes a DNS name."""
    not_after = _expiration(body.get("expiration"), daemon.now)
    found = [name for name in (*map(_dns_name, names), dns_label(daemon.module.module_id)) if name]
    issued = daemon.authority.issue(list(dict.fromkeys(found)), common_name[:64], not_after)
    document = {
        "privateKey": {"type": "key", "bytes": issued.key_pem},
        "certificate": issued.chain_pem,
        "expiration": not_after.isoformat(),
    }
    return WorkloadAnswer(201, document)


def _expiration(text: Any, now: datetime) -> datetime:
    """The end that is asked for, but at most 90 days from now."""
    latest = now + LONGEST_CERTIFICATE
    if text is None:
        return latest
    try:
        asked = datetime.fromisoformat(str(text))
    except ValueError:
        raise _Refusal(400, f"expiration must be a time such as {latest.isoformat()}") from None
    asked = asked.replace(tzinfo=asked.tzinfo or UTC)
    if asked <= now:
        raise _Refusal(400, "expiration lies in the past")
    return min(asked, latest)


def dns_label(text: str) -> str:
    """A module's name as part of a host name: lower case letters, digits and hyphens, at most 63 characters."""
    return re.sub(r"[^a-z0-9-]", "", text.lower())[:63].strip("-")


def _dns_name(text: str) -> str:
    return ".".join(filter(None, (dns_label(part) for part in text.split("."))))


def _secret(body: Mapping[str, Any], daemon: Daemon) -> tuple[bytes, bytes]:
    """The module's key for encryption, and the nonce that comes of the caller's vector."""
    vector = hashlib.sha256(_bytes_of(body, "initializationVector")).digest()
    key = hmac.new(daemon.module.primary_key, b"encryption " + vector, hashlib.sha256).digest()
    return key, vector[:12]


def _read_body(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise _Refusal(400, "The body is no JSON") from None
    if not isinstance(document, dict):
        raise _Refusal(400, "The body must be a JSON object")
    return document


def _bytes_of(body: Mapping[str, Any], member: str) -> bytes:
    text = body.get(member)
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else _no_base64(member)
    except (binascii.Error, ValueError):
        return _no_base64(member)


def _no_base64(member: str) -> bytes:
    raise _Refusal(400, f"{member} must be base64 text")


def _listed(module: ModuleOfDevice) -> dict[str, Any]:
    return {
        "id": module.name,
        "name": module.name,
        "type": "docker",
        "config": {"settings": {"image": module.image}, "env": []},
        "status": {"runtimeStatus": {"status": module.status}},
    }


_VERBS: dict[str, Callable[[Mapping[str, Any], Daemon], WorkloadAnswer]] = {
    "sign": _sign,
    "encrypt": _encrypt,
    "decrypt": _decrypt,
    "certificate/server": _server_certificate,
}
