"""One connection to edgeHub or IoT Hub, from its CONNECT to its end.

    CONNECT -> SUBSCRIBE -> ready: inputs, twin, methods, publishing ... -> renewal -> ended

Rules:
- What arrives before the subscriptions are granted (a session from before may bring it) waits until `ready`.
- A token is renewed before it ends: new credentials first, then nothing more is sent until what was sent is confirmed
  (two seconds at most), then the connection ends as planned. MQTT knows no other way to give a new password.
- An input that is not ours is acknowledged: edgeHub sends one message at a time over all inputs of a module, so it
  would block them all.
"""

import asyncio
import hashlib
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from device_agent.messages.iothub import topics
from device_agent.messages.iothub.identity import Credentials, Identity
from device_agent.messages.iothub.sas_token import renewal_after_s
from device_agent.messages.iothub.twin_requests import TwinRequests
from device_agent.messages.iothub.unconfirmed import Unconfirmed
from device_agent.messages.iothub.workload import WorkloadFailure
from device_agent.messages.message import Message, MethodCall
from device_agent.messages.mqtt.connection import ConnectionOptions
from device_agent.messages.mqtt.paho_connection import PahoConnection
from device_agent.messages.transport import Loss, TransportEvents

_SUBSCRIBE_TIMEOUT_S = 20.0
_DRAIN_S = 2.0
_RENEWAL_RETRY_S = 10.0
_REFUSED_CREDENTIALS = (0x86, 0x87)
_REFUSED_FILTER = 0x80
_MOST_TOLD = 100
_log = logging.getLogger(__name__)


class LinkSettings(NamedTuple):
    """How connections are made. `input_name`: of a module, "*" for all. `confirmation_timeout_s`: see Unconfirmed."""

    identity: Identity
    input_name: str
    keep_alive_s: int
    window: int
    token_ttl_s: float
    confirmation_timeout_s: float = 60.0


class _Receipt(NamedTuple):
    link: "HubLink"
    mid: int
    qos: int


class _MethodReceipt(NamedTuple):
    link: "HubLink"
    request_id: str


class HubLink:
    """See the module. Made on the loop, it begins to connect at once.

    `events.connected` is called when it is ready, `ended` once at the end, with credentials for the next link if there
    are any. `fetch` makes new ones. `told` are names that the log has spoken of.
    """

    def __init__(
        self,
        settings: LinkSettings,
        credentials: Credentials,
        tls: ssl.SSLContext,
        events: TransportEvents,
        ended: Callable[[Loss, str, Credentials | None], None],
        fetch: Callable[[], Awaitable[Credentials]],
        told: set[str],
    ) -> None:
        self._settings = settings
        self._identity = settings.identity
        self._events = events
        self._ended = ended
        self._fetch = fetch
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._is_ready = False
        self._early: list[tuple[str, bytes, int, int, bool]] = []
        self._unconfirmed = Unconfirmed(self._loop, settings.confirmation_timeout_s, self._on_silence)
        self._timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._is_draining = False
        self._renewed: Credentials | None = None
        self._twin = TwinRequests(self._ask_twin, events.desired, self._loop.call_later)
        self._connection = PahoConnection(_options(settings, credentials.password, tls), self, self._loop)
        self._connection.open()

    def publish(self, key: int, message: Message) -> None:
        """Send this message; `published` follows unless the link ends."""
        if not self._is_draining:
            identity = self._identity
            self._send(topics.events_topic(identity.device_id, identity.module_id, message), message.body, key)

    def acknowledge(self, receipt: object) -> None:
        """Acknowledge an input that came over this link."""
        if isinstance(receipt, _Receipt) and receipt.link is self:
            self._connection.acknowledge(receipt.mid, receipt.qos)

    def report(self, properties: Mapping[str, Any]) -> None:
        """Make these the reported properties."""
        self._twin.report(properties)

    def answer_method(self, receipt: object, status: int, payload: object) -> None:
        """Answer a method that was called over this link."""
        if isinstance(receipt, _MethodReceipt) and receipt.link is self and self._is_ready:
            text = json.dumps(payload).encode()
            self._send(topics.method_answer_topic(status, receipt.request_id), text)

    def end(self, loss: Loss, reason: str) -> None:
        """End it; `ended` follows."""
        self._connection.close(loss, reason)

    async def shut(self) -> None:
        """End it, and wait until it is gone. Nothing is called any more."""
        self._stop()
        await self._connection.shut()

    # What the connection tells.

    def opened(self, session_present: bool) -> None:
        """See ConnectionEvents: subscribe, though a session from before may know it all."""
        self._set_timer(_SUBSCRIBE_TIMEOUT_S, self._on_no_subscription)
        self._connection.subscribe([(topic, 1) for topic in self._filters()])

    def subscribed(self, mid: int, codes: list[int]) -> None:
        """See ConnectionEvents."""
        refused = [topic for topic, code in zip(self._filters(), codes, strict=False) if code >= _REFUSED_FILTER]
        if refused:
            self._connection.close(Loss.REFUSED, f"The hub refused to subscribe us to {', '.join(refused)}")
            return
        self._set_timer(renewal_after_s(self._settings.token_ttl_s), self._begin_renewal)
        self._is_ready = True
        self._events.connected()
        for message in self._early:
            self._take(*message)
        self._early.clear()
        self._twin.begin()

    def closed(self, loss: Loss, reason: str, code: int | None) -> None:
        """See ConnectionEvents."""
        if code in _REFUSED_CREDENTIALS:
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            who = f"it is {self._identity.client_id} of {self._identity.hub}, and the clock here says {now} UTC"
            what = reason.rpartition(": ")[0] or reason  # the rest speaks of a user, and the password is our token
            reason = (
                f"{what}: it does not accept the token; {who}: check that this identity is there and enabled, that the "
                "key is its own, and the clock"
            )
        self._stop()
        self._ended(loss, reason, self._renewed)

    def confirmed(self, mid: int) -> None:
        """See ConnectionEvents."""
        key = self._unconfirmed.confirm(mid)
        if key is not None:
            self._events.published(key)

    def refused(self, number: int, reason: str, code: int) -> None:
        """See ConnectionEvents."""
        key = self._unconfirmed.confirm(number)
        if key is not None:
            self._events.refused(key, f"the hub refused it: {reason}")

    def message(
        self, topic: str, payload: bytes, mid: int, qos: int, dup: bool, retain: bool, properties: object
    ) -> None:
        """See ConnectionEvents."""
        if self._is_ready:
            self._take(topic, payload, mid, qos, dup)
        else:
            self._early.append((topic, payload, mid, qos, dup))

    # The rest is its own business.

    def _filters(self) -> tuple[str, ...]:
        inputs = topics.inputs_filter(self._identity.device_id, self._identity.module_id)
        return topics.TWIN_ANSWERS, topics.DESIRED_PATCHES, topics.METHODS, inputs

    def _take(self, topic: str, payload: bytes, mid: int, qos: int, dup: bool) -> None:
        parsed = topics.parse_topic(self._identity.device_id, self._identity.module_id, topic)
        receipt = _Receipt(self, mid, qos)
        if isinstance(parsed, topics.InputTopic) and self._wants(parsed.input_name):
            origin = b""
            if qos and not parsed.system("$.mid"):
                origin = mid.to_bytes(2) + hashlib.blake2b(topic.encode() + payload, digest_size=8).digest()
            self._events.received(parsed.received(payload, dup, receipt, origin))
            return
        self.acknowledge(receipt)
        if isinstance(parsed, topics.TwinAnswer):
            self._twin.answered(parsed.request_id, parsed.status, _parse_json(payload))
        elif isinstance(parsed, topics.DesiredPatch):
            self._twin.patched(_parse_json(payload))
        elif isinstance(parsed, topics.MethodTopic):
            self._take_method(parsed, payload)
        elif parsed is None:
            self._tell_once("Ignored what came under the unknown topic %r", topic[:200])

    def _wants(self, input_name: str) -> bool:
        wanted = self._settings.input_name
        if not self._identity.module_id or wanted in ("*", input_name):
            return True
        self._tell_once("Messages to the input %r are ignored: EDGEPACK_INPUT names another", input_name[:200])
        return False

    def _tell_once(self, text: str, name: str) -> None:
        if name not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(name)
            _log.warning(text, name)

    def _take_method(self, method: topics.MethodTopic, payload: bytes) -> None:
        receipt = _MethodReceipt(self, method.request_id)
        try:
            arguments = json.loads(payload) if payload.strip() else None
        except (ValueError, RecursionError):
            self.answer_method(receipt, 400, {"message": "the payload is no JSON"})
            return
        self._events.method_called(MethodCall(method.name, arguments, receipt))

    def _ask_twin(self, request_id: str, patch: Mapping[str, Any] | None) -> None:
        if patch is None:
            self._send(topics.twin_get_topic(request_id), b" ")
        else:
            self._send(topics.twin_report_topic(request_id), json.dumps(patch).encode())

    def _send(self, topic: str, payload: bytes, key: int | None = None) -> None:
        self._unconfirmed.add(self._connection.publish(topic, payload), key)

    def _on_silence(self) -> None:
        limit_s = self._settings.confirmation_timeout_s
        self._connection.close(Loss.SILENT, f"The hub has not confirmed a message for {limit_s:g} s")

    def _on_no_subscription(self) -> None:
        reason = f"The hub did not answer the subscriptions within {_SUBSCRIBE_TIMEOUT_S:g} s"
        self._connection.close(Loss.SILENT, reason)

    def _begin_renewal(self) -> None:
        self._renewal = self._loop.create_task(self._renew())

    async def _renew(self) -> None:
        while self._renewed is None:
            try:
                self._renewed = await self._fetch()
            except (WorkloadFailure, OSError) as error:
                _log.warning("The token cannot be renewed yet: %s; again in %g s", error, _RENEWAL_RETRY_S)
                await asyncio.sleep(_RENEWAL_RETRY_S)
        self._is_draining = True
        await self._unconfirmed.none_left(_DRAIN_S)
        self._connection.close(Loss.PLANNED, "The token is renewed")

    def _set_timer(self, delay_s: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, then)

    def _stop(self) -> None:
        self._is_ready = False
        self._twin.end()
        self._unconfirmed.end()
        for step in (self._timer, self._renewal):
            if step is not None:
                step.cancel()


def _options(settings: LinkSettings, password: str, tls: ssl.SSLContext) -> ConnectionOptions:
    identity = settings.identity
    return ConnectionOptions(
        identity.server.host,
        identity.server.port,
        identity.client_id,
        user=identity.user_name,
        password=password,
        tls=tls,
        keep_alive_s=settings.keep_alive_s,
        window=settings.window,
    )


def _parse_json(payload: bytes) -> object:
    """What the payload says; None when it is no JSON."""
    try:
        document: object = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return document
