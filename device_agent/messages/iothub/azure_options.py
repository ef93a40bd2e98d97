"""What the Azure SDK can do and the edgeHub transport cannot: websockets, proxies, certificates, provisioning.

Pure; files that are named here are read where they are needed.

    EDGEPACK_AZURE_WEBSOCKETS     1: MQTT over websockets, port 443 (0)
    EDGEPACK_AZURE_PROXY          http://[user[:password]@]host:port, or socks5:// or socks4://
    EDGEPACK_X509_CERT_FILE       certificate that signs in, PEM, instead of a shared access key; the connection string
                                  says x509=true
    EDGEPACK_X509_KEY_FILE        its key (the same file)
    EDGEPACK_X509_PASS_FILE       file with the pass phrase of the key
    EDGEPACK_DPS_ID_SCOPE         provisioning service that assigns a hub to the device, instead of a connection string
    EDGEPACK_DPS_REGISTRATION_ID  as whom the device registers there
    EDGEPACK_DPS_HOST             where the service is (global.azure-devices-provisioning.net)
    EDGEPACK_DPS_KEY              key of the registration, base64; or in the file EDGEPACK_DPS_KEY_FILE. Without: the
                                  certificate
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from device_agent.setting_values import parse_choice

VARIABLES = frozenset(
    """
    EDGEPACK_AZURE_WEBSOCKETS EDGEPACK_AZURE_PROXY
    EDGEPACK_X509_CERT_FILE EDGEPACK_X509_KEY_FILE EDGEPACK_X509_PASS_FILE
    EDGEPACK_DPS_ID_SCOPE EDGEPACK_DPS_REGISTRATION_ID EDGEPACK_DPS_HOST EDGEPACK_DPS_KEY EDGEPACK_DPS_KEY_FILE
    """.split()
)
_DPS_HOST = "global.azure-devices-provisioning.net"
_PROXY_KINDS = {"http": "HTTP", "socks4": "SOCKS4", "socks5": "SOCKS5"}


class Proxy(NamedTuple):
    """A proxy; `kind` as the SDK calls it."""

    kind: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None


class CertificateFiles(NamedTuple):
    """Paths of a client certificate and its key, PEM. `pass_file` "" for a key without a pass phrase."""

    cert_file: str
    key_file: str
    pass_file: str = ""


class Provisioning(NamedTuple):
    """A registration at the provisioning service. Without `key` and `key_file` a certificate signs in."""

    host: str
    id_scope: str
    registration_id: str
    key: str = ""
    key_file: str = ""


class AzureOptions(NamedTuple):
    """What this module parses. Without `provisioning` a connection string, or IoT Edge, says who we are."""

    websockets: bool = False
    proxy: Proxy | None = None
    certificate: CertificateFiles | None = None
    provisioning: Provisioning | None = None


def parse_azure_options(environment: Mapping[str, str], problems: list[str]) -> AzureOptions:
    """Parse what is not empty; add a sentence to `problems` for everything that is wrong."""
    given = {name: value.strip() for name, value in environment.items() if name in VARIABLES and value.strip()}
    options = AzureOptions(
        parse_choice(given, "EDGEPACK_AZURE_WEBSOCKETS", "0", ("0", "1"), problems) == "1",
        _parse_proxy(given.get("EDGEPACK_AZURE_PROXY", ""), problems),
        _parse_certificate(given, problems),
        _parse_provisioning(given, problems),
    )
    provisioning = options.provisioning
    if provisioning and not (provisioning.key or provisioning.key_file or options.certificate):
        problems.append("EDGEPACK_DPS_ID_SCOPE is set: the registration needs EDGEPACK_DPS_KEY, or a certificate")
    return options


def _parse_proxy(url: str, problems: list[str]) -> Proxy | None:
    """It may hold a password: no sentence shows it."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        if parts.scheme in _PROXY_KINDS and parts.hostname and parts.port and parts.path in ("", "/"):
            user = None if parts.username is None else unquote(parts.username)
            password = None if parts.password is None else unquote(parts.password)
            return Proxy(_PROXY_KINDS[parts.scheme], parts.hostname, parts.port, user, password)
    except ValueError:
        pass
    problems.append("EDGEPACK_AZURE_PROXY is not http://[user[:password]@]host:port, nor socks5:// or socks4://")
    return None


def _parse_certificate(given: Mapping[str, str], problems: list[str]) -> CertificateFiles | None:
    cert_file = given.get("EDGEPACK_X509_CERT_FILE", "")
    if cert_file:
        key_file = given.get("EDGEPACK_X509_KEY_FILE", cert_file)
        return CertificateFiles(cert_file, key_file, given.get("EDGEPACK_X509_PASS_FILE", ""))
    for name in ("EDGEPACK_X509_KEY_FILE", "EDGEPACK_X509_PASS_FILE"):
        if name in given:
            problems.append(f"{name} is set, but EDGEPACK_X509_CERT_FILE is not")
    return None


def _parse_provisioning(given: Mapping[str, str], problems: list[str]) -> Provisioning | None:
    needed = ("EDGEPACK_DPS_ID_SCOPE", "EDGEPACK_DPS_REGISTRATION_ID")
    used = sorted(name for name in given if name.startswith("EDGEPACK_DPS_"))
    missing = [name for name in needed if name not in given]
    if "EDGEPACK_DPS_KEY" in given and "EDGEPACK_DPS_KEY_FILE" in given:
        problems.append("EDGEPACK_DPS_KEY and EDGEPACK_DPS_KEY_FILE are both set: set one")
    if not used or missing:
        problems += [f"{used[0]} is set, but {name} is not" for name in missing if used]
        return None
    return Provisioning(
        given.get("EDGEPACK_DPS_HOST", _DPS_HOST),
        given["EDGEPACK_DPS_ID_SCOPE"],
        given["EDGEPACK_DPS_REGISTRATION_ID"],
        given.get("EDGEPACK_DPS_KEY", ""),
        given.get("EDGEPACK_DPS_KEY_FILE", ""),
    )
