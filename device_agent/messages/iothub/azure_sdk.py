"""The transport over azure-iot-device (extra `azure`): for websockets, proxies, certificates and provisioning.

What is weaker than in `edgehub`, and why that one is the default:
- The SDK acknowledges an input before anybody has seen it: a crash loses those that were not yet scored and stored.
- It never says that an input is a redelivery, and its twin errors have no status: a refused report is tried again.
- Its state is in its own threads, one set for the whole process, and a call to it can hang: every call has a time limit
  here, and each connection gets a client of its own, so that nothing of a broken one is sent later.
- It sends to the ports 8883 and 443 only, with Nagle's algorithm on.

Sends are handed to the SDK in order, by one thread, and go out in that order. Variables: see azure_options.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from device_agent.messages.iothub import topics
from device_agent.messages.iothub.azure_account import (
    explain,
    failures,
    find_account,
    import_sdk,
    make_client,
    provision,
)
from device_agent.messages.iothub.azure_link import AzureLink, AzureLinkSettings, SdkCalls, encode_message
from device_agent.messages.iothub.identity import Credentials, Identity, fetch_credentials
from device_agent.messages.iothub.sas_token import TTL_S, renewal_after_s
from device_agent.messages.iothub.twin import json_copy
from device_agent.messages.message import Message, MethodCall
from device_agent.messages.settings import MessageSettings
from device_agent.messages.transport import Capabilities, Loss, TransportEvents

_CLOSE_S = 0.9
_PROVISIONING_TIMEOUT_S = 120.0


class AzureSdkTransport:
    """See the module, and Transport. Raises SettingsError: without the SDK, or with all that is wrong.

    `token_ttl_s` is how long a token lives; `confirmation_timeout_s` how long the oldest publish may wait until the hub
    counts as silent.
    """

    capabilities = Capabilities(acknowledges_by_hand=False, has_twin=True)

    def __init__(
        self,
        settings: MessageSettings,
        environment: Mapping[str, str],
        token_ttl_s: float = TTL_S,
        confirmation_timeout_s: float = 60.0,
    ) -> None:
        self._sdk = import_sdk()
        self._account = find_account(settings, environment)
        self._input_name = settings.input_name
        self._keep_alive_s = settings.keep_alive_s
        self._token_ttl_s = token_ttl_s
        self._confirmation_timeout_s = confirmation_timeout_s
        self._calls: SdkCalls | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._link: AzureLink | None = None
        self._events: TransportEvents | None = None
        self._provisioned: Identity | None = None
        self._wanted: Mapping[str, Any] | None = None
        self._told: set[str] = set()

    @property
    def address(self) -> str:
        """See Transport. Before the provisioning service has named a hub, there is no host."""
        identity = self._account.identity or self._provisioned
        return f"{identity.server.host if identity is not None else 'IoT Hub'}, by the Azure SDK"

    def connect(self, events: TransportEvents) -> None:
        """See Transport."""
        self._events = events
        if self._calls is None:
            self._calls = SdkCalls()
        self._attempt = asyncio.get_running_loop().create_task(self._begin(self._calls, events))

    def disconnect(self, loss: Loss, reason: str) -> None:
        """See Transport."""
        if self._link is not None:
            self._link.end(loss, reason)
        elif self._attempt is not None:
            self._attempt.cancel()
            self._attempt.get_loop().call_soon(self._end, loss, reason)

    def refusal(self, message: Message) -> str:
        """See Transport. The SDK's own limit is a little lower than the hub's."""
        account = self._account.identity
        module_id = "" if account is None else account.module_id
        refusal = topics.refusal("" if account is None else account.device_id, module_id, message)
        if refusal:
            return refusal
        size_bytes = encode_message(self._sdk, message).get_size()
        if size_bytes > topics.LARGEST_PACKET_BYTES:
            return f"the Azure SDK counts {size_bytes} bytes: it takes {topics.LARGEST_PACKET_BYTES}"
        return ""

    def publish(self, key: int, message: Message) -> None:
        """See Transport."""
        if self._link is not None:
            self._link.publish(key, message)

    def acknowledge(self, receipt: object) -> None:
        """See Transport: the SDK has done it."""

    def report(self, properties: Mapping[str, Any]) -> None:
        """See Transport. Raises ValueError or TypeError for what is no JSON."""
        self._wanted = json_copy(properties)
        if self._link is not None:
            self._link.report(self._wanted)

    def answer_method(self, call: MethodCall, status: int, payload: object) -> None:
        """See Transport. Nothing over a later connection."""
        if self._link is not None:
            self._link.answer_method(call.receipt, status, payload)

    async def close(self) -> None:
        """See Transport."""
        self._events = None
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait({self._attempt})
        if self._link is not None:
            await self._link.shut(_CLOSE_S)
        if self._calls is not None:
            self._calls.stop()
        self._attempt = self._link = self._calls = None

    async def _begin(self, calls: SdkCalls, events: TransportEvents) -> None:
        """Find out who we are, make a client, and give it to a link."""
        try:
            identity = self._account.identity or self._provisioned or await self._provision(calls)
            expiry_s = math.ceil(time.time() + self._token_ttl_s)
            if self._account.options.certificate is None:
                credentials = await fetch_credentials(identity, expiry_s)
            else:
                credentials = Credentials("", await identity.signer.authorities())
            client = await asyncio.to_thread(
                make_client, self._sdk, self._account, identity, credentials, self._keep_alive_s
            )
        except failures(self._sdk) as error:
            self._end(*explain(self._sdk, error))
            return
        settings = AzureLinkSettings(
            identity,
            self._input_name,
            self._confirmation_timeout_s,
            renewal_after_s(self._token_ttl_s) if credentials.password else None,
        )
        self._link = AzureLink(self._sdk, calls, client, settings, events, self._end, self._told)
        if self._wanted is not None:
            self._link.report(self._wanted)

    async def _provision(self, calls: SdkCalls) -> Identity:
        assigned = provision(self._sdk, self._account)
        identity: Identity = await calls.run(assigned, _PROVISIONING_TIMEOUT_S)
        self._provisioned = identity
        return identity

    def _end(self, loss: Loss, reason: str) -> None:
        self._link = self._attempt = None
        if loss is Loss.REFUSED:
            self._provisioned = None
        if self._events is not None:
            self._events.disconnected(loss, reason)
