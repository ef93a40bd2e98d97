"""The transport to edgeHub, for a module of IoT Edge, and to IoT Hub, for its modules and devices.

MQTT 3.1.1 over TLS with a session that the hub keeps. Inputs are acknowledged by hand, when their result is on disk.

- A module has named inputs and outputs. A device has neither: its inputs are the messages from the cloud to it, and the
  output of what it sends is not told to anybody.
- Credentials are made anew for every connection, by the security daemon or with the key of a connection string. A token
  lives an hour, and is renewed by a planned reconnect two minutes before its end.
- The twin is fetched after every connect. What is reported is sent as the difference from what the hub has.
- A publish is confirmed when edgeHub has stored it for all its routes, or IoT Hub has accepted it.

Limits: no websockets, no proxy, no certificates instead of keys, no provisioning service (azure_sdk has them). One
connection an identity: a second client with the same one and this one end each other's connections.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from device_agent.messages.iothub import topics
from device_agent.messages.iothub.hub_link import HubLink, LinkSettings
from device_agent.messages.iothub.identity import Credentials, Identity, fetch_credentials, trust
from device_agent.messages.iothub.sas_token import TTL_S
from device_agent.messages.iothub.twin import json_copy
from device_agent.messages.iothub.workload import WorkloadFailure
from device_agent.messages.message import Message, MethodCall
from device_agent.messages.mqtt.dialing import broker_url
from device_agent.messages.transport import Capabilities, Loss, TransportEvents


class EdgeHubTransport:
    """See the module, and Transport. `input_name`: the input of a module, "*" for all; of no matter for a device.

    `keep_alive_s` is 1 to 1740; `window` the most messages that are published and not confirmed; `token_ttl_s` how long
    a token lives; `confirmation_timeout_s` how long the oldest publish may wait until the hub counts as silent.
    """

    capabilities = Capabilities(acknowledges_by_hand=True, has_twin=True)

    def __init__(
        self,
        identity: Identity,
        input_name: str,
        keep_alive_s: int = 60,
        window: int = 100,
        token_ttl_s: float = TTL_S,
        confirmation_timeout_s: float = 60.0,
    ) -> None:
        self._identity = identity
        self._settings = LinkSettings(identity, input_name, keep_alive_s, window, token_ttl_s, confirmation_timeout_s)
        self._events: TransportEvents | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._link: HubLink | None = None
        self._ended_link: HubLink | None = None  # it may still be saying goodbye
        self._renewed: Credentials | None = None
        self._wanted: Mapping[str, Any] | None = None
        self._told: set[str] = set()

    @property
    def address(self) -> str:
        """See Transport."""
        return broker_url(*self._identity.server, uses_tls=True)

    def connect(self, events: TransportEvents) -> None:
        """See Transport."""
        self._events = events
        self._attempt = asyncio.get_running_loop().create_task(self._begin(events))

    def disconnect(self, loss: Loss, reason: str) -> None:
        """See Transport."""
        if self._link is not None:
            self._link.end(loss, reason)
        elif self._attempt is not None:
            self._attempt.cancel()
            self._attempt.get_loop().call_soon(self._end, loss, reason)

    def refusal(self, message: Message) -> str:
        """See Transport."""
        return topics.refusal(self._identity.device_id, self._identity.module_id, message)

    def publish(self, key: int, message: Message) -> None:
        """See Transport."""
        if self._link is not None:
            self._link.publish(key, message)

    def acknowledge(self, receipt: object) -> None:
        """See Transport."""
        if self._link is not None:
            self._link.acknowledge(receipt)

    def report(self, properties: Mapping[str, Any]) -> None:
        """See Transport. Raises ValueError or TypeError for what is no JSON."""
        self._wanted = json_copy(properties)
        if self._link is not None:
            self._link.report(self._wanted)

    def answer_method(self, call: MethodCall, status: int, payload: object) -> None:
        """See Transport. Raises ValueError or TypeError for what is no JSON. Nothing over a later connection."""
        if self._link is not None:
            self._link.answer_method(call.receipt, status, payload)

    async def close(self) -> None:
        """See Transport."""
        self._events = None
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait({self._attempt})
        for link in (self._link, self._ended_link):
            if link is not None:
                await link.shut()
        self._attempt = self._link = self._ended_link = None

    async def _begin(self, events: TransportEvents) -> None:
        renewed, self._renewed = self._renewed, None
        try:
            credentials = renewed or await self._fetch()
            tls = await asyncio.to_thread(trust, credentials.authorities)
        except WorkloadFailure as failure:
            self._end(failure.loss, str(failure))
        except OSError as error:
            self._end(Loss.REFUSED, f"The authorities for {self._identity.server.host} cannot be used: {error}")
        else:
            self._link = HubLink(self._settings, credentials, tls, events, self._on_link_ended, self._fetch, self._told)
            if self._wanted is not None:
                self._link.report(self._wanted)

    def _on_link_ended(self, loss: Loss, reason: str, renewed: Credentials | None) -> None:
        if loss is Loss.PLANNED:
            self._renewed = renewed
        self._ended_link = self._link
        self._end(loss, reason)

    def _end(self, loss: Loss, reason: str) -> None:
        self._link = self._attempt = None
        if self._events is not None:
            self._events.disconnected(loss, reason)

    async def _fetch(self) -> Credentials:
        return await fetch_credentials(self._identity, math.ceil(time.time() + self._settings.token_ttl_s))
