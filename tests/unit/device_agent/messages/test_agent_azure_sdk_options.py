"""The variables of the Azure SDK's transport, and whose account they make."""

import base64
import sys
from typing import Any

import pytest

from device_agent.errors import SettingsError
from device_agent.messages.iothub.azure_account import find_account, import_sdk
from device_agent.messages.iothub.azure_options import (
    VARIABLES,
    AzureOptions,
    CertificateFiles,
    Provisioning,
    Proxy,
    parse_azure_options,
)
from device_agent.messages.settings import VARIABLES as MESSAGE_VARIABLES
from device_agent.messages.settings import MessageSettings

KEY = base64.b64encode(b"key").decode()


def parse(**variables: str) -> AzureOptions:
    problems: list[str] = []
    options = parse_azure_options({f"EDGEPACK_{name}": value for name, value in variables.items()}, problems)
    assert problems == []
    return options


def test_nothing_is_set() -> None:
    assert parse() == AzureOptions()
    assert VARIABLES <= MESSAGE_VARIABLES


def test_everything_is_set() -> None:
    proxy = parse(AZURE_WEBSOCKETS="1", AZURE_PROXY="socks5://us%20er:p%40ss@proxy:1080")
    assert proxy == AzureOptions(True, Proxy("SOCKS5", "proxy", 1080, "us er", "p@ss"))
    assert parse(X509_CERT_FILE="c.pem").certificate == CertificateFiles("c.pem", "c.pem")
    certificate = parse(X509_CERT_FILE="c", X509_KEY_FILE="k", X509_PASS_FILE="p").certificate
    assert certificate == CertificateFiles("c", "k", "p")
    provisioning = parse(DPS_ID_SCOPE="0ne1", DPS_REGISTRATION_ID="r", DPS_KEY=KEY).provisioning
    assert provisioning == Provisioning("global.azure-devices-provisioning.net", "0ne1", "r", KEY)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AZURE_PROXY": "proxy:1080"}, ["AZURE_PROXY"]),
        ({"AZURE_PROXY": "http://user:secret@proxy"}, ["AZURE_PROXY"]),
        ({"AZURE_PROXY": "http://user:secret@proxy:99999"}, ["AZURE_PROXY"]),
        ({"X509_KEY_FILE": "k", "X509_PASS_FILE": "p"}, ["KEY_FILE is set", "PASS_FILE is set"]),
        ({"DPS_REGISTRATION_ID": "r"}, ["DPS_ID_SCOPE is not"]),
        ({"DPS_HOST": "h"}, ["DPS_ID_SCOPE is not", "DPS_REGISTRATION_ID is not"]),
        ({"DPS_ID_SCOPE": "s", "DPS_REGISTRATION_ID": "r"}, ["needs EDGEPACK_DPS_KEY, or a certificate"]),
        (
            {"DPS_ID_SCOPE": "s", "DPS_REGISTRATION_ID": "r", "DPS_KEY": "k", "DPS_KEY_FILE": "f"},
            ["EDGEPACK_DPS_KEY and EDGEPACK_DPS_KEY_FILE"],
        ),
        ({"AZURE_WEBSOCKETS": "yes"}, ["AZURE_WEBSOCKETS"]),
    ],
)
def test_everything_wrong_is_told(variables: dict[str, str], words: list[str]) -> None:
    problems: list[str] = []
    parse_azure_options({f"EDGEPACK_{name}": value for name, value in variables.items()}, problems)
    assert len(problems) == len(words), problems
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
        assert "secret" not in problem


def test_accounts() -> None:
    x509 = MessageSettings(connection_string="HostName=h;DeviceId=d;x509=true")
    account = find_account(x509, {"EDGEPACK_X509_CERT_FILE": "c.pem"})
    assert account.identity is not None
    assert account.identity.client_id == "d"
    provisioned = {"EDGEPACK_DPS_ID_SCOPE": "s", "EDGEPACK_DPS_REGISTRATION_ID": "r", "EDGEPACK_DPS_KEY": KEY}
    assert find_account(MessageSettings(), provisioned).identity is None
    for settings, environment, words in (
        (x509, provisioned, "and a connection string too"),
        (x509, {}, "x509=true"),
        (MessageSettings(), {}, "Nothing says which device"),
        (MessageSettings(connection_string=f"HostName=h:1;DeviceId=d;SharedAccessKey={KEY}"), {}, "8883 or 443 only"),
    ):
        with pytest.raises(SettingsError, match=words):
            find_account(settings, environment)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("azure")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(), *sys.meta_path])
    with pytest.raises(SettingsError, match=r"pip install edgepack\[azure\]"):
        import_sdk()


class _Missing:
    """Finds nothing of azure."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name.partition(".")[0] == "azure":
            raise ModuleNotFoundError(f"No module named {name!r}")
