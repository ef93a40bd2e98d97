"""Clients of the Azure SDK for the account that the settings name: with a token, a certificate, or provisioned first.

Tokens are made by `identity`, not by the SDK: it asks the security daemon without a time limit. Everything here blocks,
or runs on the SDK's loop.
"""

import asyncio
import base64
import functools
import importlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from device_agent.errors import SettingsError
from device_agent.messages.iothub.azure_options import AzureOptions, parse_azure_options
from device_agent.messages.iothub.connection_string import MQTT_TLS_PORT, Endpoint
from device_agent.messages.iothub.identity import Credentials, Identity, KeySigner, find_identity
from device_agent.messages.iothub.workload import WorkloadFailure
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Loss


class ProvisioningFailure(Exception):
    """The provisioning service assigned no hub. `loss` and one sentence."""

    def __init__(self, loss: Loss, reason: str) -> None:
        self.loss = loss
        super().__init__(reason)


class AzureAccount(NamedTuple):
    """Who we are, and how to get there. `identity` None: the provisioning service says."""

    identity: Identity | None
    options: AzureOptions = AzureOptions()
    ca_file: str = ""


def find_account(settings: MessageSettings, environment: Mapping[str, str]) -> AzureAccount:
    """The account, from the settings and the environment. Raises SettingsError with everything that is wrong."""
    problems: list[str] = []
    options = parse_azure_options(environment, problems)
    identity: Identity | None = None
    has_string = bool(settings.connection_string or settings.connection_string_file)
    if options.provisioning and has_string:
        problems.append("EDGEPACK_DPS_ID_SCOPE is set, and a connection string too: set one")
    elif options.provisioning is None:
        try:
            identity = find_identity(settings, environment, has_certificate=options.certificate is not None)
        except SettingsError as error:
            problems += error.problems
    if identity is not None and identity.server.port != MQTT_TLS_PORT:
        problems.append(f"The Azure SDK connects to port {MQTT_TLS_PORT} or 443 only: leave the port of the host out")
    if problems:
        raise SettingsError(*problems)
    return AzureAccount(identity, options, settings.edge_ca_file or "")


def import_sdk() -> Any:
    """The package azure.iot.device. Raises SettingsError when it is not installed."""
    try:
        importlib.import_module("azure.iot.device.aio")
        return importlib.import_module("azure.iot.device")
    except ImportError as error:
        raise SettingsError(
            f"EDGEPACK_TRANSPORT is azure-sdk, which needs: pip install edgepack[azure] ({error})"
        ) from error


def make_client(
    sdk: Any, account: AzureAccount, identity: Identity, credentials: Credentials, keep_alive_s: int
) -> Any:
    """An unconnected client, which does not reconnect. Raises OSError or ValueError for what cannot be used."""
    kinds = sdk.aio.IoTHubModuleClient if identity.module_id else sdk.aio.IoTHubDeviceClient
    more = _route(sdk, account.options)
    more |= {"keep_alive": keep_alive_s, "product_info": "edgepack"}
    more |= {"auto_connect": False, "connection_retry": False, "ensure_desired_properties": False}
    if identity.server.host != identity.hub:
        more["gateway_hostname"] = identity.server.host
    if credentials.authorities:
        more["server_verification_cert"] = credentials.authorities
    if account.options.certificate is None:
        return kinds.create_from_sastoken(credentials.password, **more)
    if identity.module_id:
        more["module_id"] = identity.module_id
    return kinds.create_from_x509_certificate(
        _certificate(sdk, account.options), identity.hub, identity.device_id, **more
    )


async def provision(sdk: Any, account: AzureAccount) -> Identity:
    """Register, and be told the hub and the id. Raises what `failures` names."""
    provisioning = account.options.provisioning
    if provisioning is None:
        raise ValueError("There is neither an identity nor a provisioning service")
    clients = sdk.aio.ProvisioningDeviceClient
    more = {**_route(sdk, account.options), "provisioning_host": provisioning.host, "id_scope": provisioning.id_scope}
    more["registration_id"] = provisioning.registration_id
    if account.ca_file:
        more["server_verification_cert"] = Path(account.ca_file).read_text()
    key = provisioning.key or (Path(provisioning.key_file).read_text().strip() if provisioning.key_file else "")
    if key:
        client = clients.create_from_symmetric_key(symmetric_key=key, **more)
    else:
        client = clients.create_from_x509_certificate(x509=_certificate(sdk, account.options), **more)
    result = None
    try:
        result = await client.register()
    finally:
        if result is None or result.status != "assigned":  # it keeps its connection, and has no public way to end it
            shutdown = functools.partial(client._pipeline.shutdown, callback=lambda **_: None)
            await asyncio.get_running_loop().run_in_executor(None, shutdown)
    if result is None or result.status != "assigned":
        status = "nothing" if result is None else result.status
        raise ProvisioningFailure(Loss.REFUSED, f"{provisioning.host} assigned no hub to this device: {status}")
    hub = result.registration_state.assigned_hub
    signer = KeySigner(base64.b64decode(key), account.ca_file)
    return Identity(hub, Endpoint(hub), result.registration_state.device_id, "", signer)


def failures(sdk: Any) -> tuple[type[Exception], ...]:
    """What may be raised on the way to a connection. TimeoutError is an OSError."""
    errors = sdk.exceptions
    return (
        WorkloadFailure,
        ProvisioningFailure,
        errors.ClientError,
        errors.ServiceError,
        errors.OperationTimeout,
        errors.OperationCancelled,
        OSError,
        ValueError,
    )


def explain(sdk: Any, error: Exception) -> tuple[Loss, str]:
    """What such an error means: the SDK says it in general, its cause in particular."""
    if isinstance(error, WorkloadFailure | ProvisioningFailure):
        return error.loss, str(error)
    causes = [error]
    while isinstance(causes[-1].__cause__, Exception):
        causes.append(causes[-1].__cause__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Loss.REFUSED, f"The certificate of the hub is not trusted: {causes[-1]}"
    reason = f"The Azure SDK says: {'; '.join(dict.fromkeys(str(cause) for cause in causes if str(cause)))}"
    errors = sdk.exceptions
    if any(isinstance(cause, errors.ServiceError) for cause in causes):
        return Loss.REFUSED, reason
    for kinds, loss in (
        (errors.CredentialError, Loss.REFUSED),
        ((errors.ConnectionDroppedError, errors.OperationCancelled), Loss.CLOSED),
        (errors.ConnectionFailedError, Loss.UNREACHABLE),
        ((errors.OperationTimeout, TimeoutError), Loss.SILENT),
        ((OSError, ValueError), Loss.REFUSED),
    ):
        if isinstance(error, kinds):
            return loss, reason
    return Loss.UNREACHABLE, reason


def _route(sdk: Any, options: AzureOptions) -> dict[str, Any]:
    route: dict[str, Any] = {"websockets": options.websockets}
    if options.proxy is not None:
        proxy = options.proxy
        route["proxy_options"] = sdk.ProxyOptions(proxy.kind, proxy.host, proxy.port, proxy.user, proxy.password)
    return route


def _certificate(sdk: Any, options: AzureOptions) -> Any:
    if options.certificate is None:
        raise ValueError("There is neither a key nor a certificate to sign in with")
    files = options.certificate
    pass_phrase = Path(files.pass_file).read_text().strip() if files.pass_file else None
    return sdk.X509(files.cert_file, files.key_file, pass_phrase)
