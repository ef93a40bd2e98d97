"""The transport `mqtt`: any broker that speaks MQTT 5 or 3.1.1.

Inputs are subscribed to with QoS 1, as part of connecting, in a session that the broker keeps while the agent is away,
and acknowledged by hand. Shared subscriptions (`$share/GROUP/FILTER`) spread inputs over agents, but end with the
connection on most brokers. Results are published with QoS 1 under their output's name as the topic.

    MQTT 5             in                                   out
    message id         user property message-id             the same
    correlation id     -                                    user property correlation-id, and Correlation Data
    properties         all other user properties            user properties
    content type       Content Type                         Content Type
    time to live       the broker's affair                  Message Expiry Interval (of the whole ttl)

With 3.1.1 a message is its body: it has no properties, no ids and no content type, in both directions.

The status topic has a retained `{"state": "online", ...}` with what `report` was given; the last will, and an orderly
end, make it `{"state": "offline"}`. When the broker refuses it, the next connection goes without: mosquitto 2.0 with
max_queued_messages 0 ends a connection after each refusal.

- A topic outside the subscription: the session still has one from an earlier EDGEPACK_INPUT. Such messages are
  acknowledged and dropped, with a warning for each topic. Another client id ends it.
- Retained inputs: with MQTT 5 they come with a new subscription only; with 3.1.1 also after a restart of the agent.
- Files: passwords and client certificates are read again for every connection, the authorities once.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from paho.mqtt.packettypes import PacketTypes

from device_agent.errors import SettingsError
from device_agent.messages.message import Message, MethodCall, Received
from device_agent.messages.mqtt.connection import LARGEST_PACKET_BYTES, ConnectionOptions
from device_agent.messages.mqtt.dialing import broker_url
from device_agent.messages.mqtt.mqtt_files import MqttFiles
from device_agent.messages.mqtt.mqtt_message import message_problem, message_properties, received_message
from device_agent.messages.mqtt.paho_connection import PahoConnection
from device_agent.messages.mqtt.paho_pipe import name_code
from device_agent.messages.mqtt.topic_filter import filter_problem, matches, topic_problem
from device_agent.messages.mqtt.version_choice import VersionChoice
from device_agent.messages.settings import MqttSettings
from device_agent.messages.transport import Capabilities, Loss, TransportEvents

_TOPICS_REMEMBERED = 1000
_PASSING = (0x88, 0x89, 0x97)
"""Reasons to refuse a message that are not about this message: server unavailable, server busy, quota exceeded."""
_LOG = logging.getLogger("edgepack.agent")


class _Receipt(NamedTuple):
    """Which message of which connection."""

    connection: int
    mid: int
    qos: int


class MqttTransport:
    """See the module, and transport.Transport.

    `client_id` is not empty. `input_name` is a topic filter. `window`: messages that are unacknowledged at a time, in
    each direction. Raises SettingsError with everything that is wrong.
    """

    capabilities = Capabilities(acknowledges_by_hand=True, has_twin=False)

    def __init__(
        self, settings: MqttSettings, client_id: str, input_name: str, *, keep_alive_s: int, window: int
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._input = input_name
        self._keep_alive_s = keep_alive_s
        self._window = window
        self._status_topic = settings.status_topic or f"edgepack/{client_id}/status"
        problems: list[str] = []
        self._files = MqttFiles(settings, problems)
        if problem := filter_problem(input_name):
            problems.append(f"EDGEPACK_INPUT is {input_name[:80]!r}, which {problem}")
        elif matches(input_name, self._status_topic):
            problems.append(
                f"EDGEPACK_INPUT {input_name[:80]!r} covers the agent's own status topic {self._status_topic[:80]!r}: "
                "name the inputs more closely"
            )
        if problem := topic_problem(self._status_topic):
            problems.append(
                f"The status topic is {self._status_topic[:80]!r}, which {problem}: "
                "set EDGEPACK_MQTT_STATUS_TOPIC or EDGEPACK_MQTT_CLIENT_ID"
            )
        if problems:
            raise SettingsError(*problems)
        self._url = broker_url(settings.host, settings.port, uses_tls=settings.uses_tls)
        self._choice = VersionChoice(settings.version)
        self._largest_bytes = LARGEST_PACKET_BYTES
        self._status: Mapping[str, Any] = {}
        self._has_subscribed = False
        self._is_input: dict[str, bool] = {}
        # of this connection, or attempt
        self._events: TransportEvents | None = None
        self._connection: PahoConnection | None = None
        self._number = 0
        self._is_connected = False
        self._status_is_refused = False
        self._goes_without_status = False
        self._early: list[Received] = []
        self._keys: dict[int, int] = {}

    @property
    def address(self) -> str:
        """The broker, and the version that is spoken, or tried."""
        return f"{self._url}, MQTT {self._choice.version}" if self._choice.version else self._url

    def connect(self, events: TransportEvents) -> None:
        """Begin to connect."""
        self._events = events
        self._choice.begin()
        self._open()

    def _open(self) -> None:
        self._number += 1
        self._is_connected = False
        self._early.clear()
        self._keys.clear()
        self._connection = None
        loop = asyncio.get_running_loop()
        try:
            user, password = self._files.read_credentials()
        except OSError as error:
            loop.call_soon(self.closed, Loss.REFUSED, str(error), None)
            return
        options = ConnectionOptions(
            self._settings.host,
            self._settings.port,
            self._client_id,
            user=user,
            password=password,
            tls=self._files.tls,
            version=self._choice.version,
            keep_alive_s=self._keep_alive_s,
            will=(self._status_topic, b'{"state": "offline"}', 1, True),
            receive_maximum=self._window,
            window=self._window,
        )
        self._connection = PahoConnection(options, self, loop)
        self._connection.open()

    def disconnect(self, loss: Loss, reason: str) -> None:
        """End the connection, or the attempt."""
        if self._connection is not None:
            self._choice.given_up()
            self._connection.close(loss, reason)

    def refusal(self, message: Message) -> str:
        """Why this message can never be sent."""
        return message_problem(message, self._largest_bytes)

    def publish(self, key: int, message: Message) -> None:
        """Send this."""
        if self._connection is None:
            return
        properties = message_properties(message) if self._choice.version == "5" else b""
        self._keys[self._connection.publish(message.output, message.body, properties=properties)] = key

    def acknowledge(self, receipt: object) -> None:
        """What was received is safe."""
        if isinstance(receipt, _Receipt) and receipt.connection == self._number and self._connection is not None:
            self._connection.acknowledge(receipt.mid, receipt.qos)

    def report(self, properties: Mapping[str, Any]) -> None:
        """Publish the retained status."""
        self._status = dict(properties)
        if self._is_connected:
            self._publish_status()

    def _publish_status(self) -> None:
        if self._connection is None or self._goes_without_status:
            return
        status = json.dumps({**self._status, "state": "online"}).encode()
        if problem := self.refusal(Message(status, self._status_topic, "")):
            self._tell_refused_status(problem)
        else:
            self._connection.publish(self._status_topic, status, retain=True)

    def _tell_refused_status(self, reason: str) -> None:
        if not self._status_is_refused:
            self._status_is_refused = True
            _LOG.warning("%s refused the status, topic %s: %s", self._url, self._status_topic, reason)

    def answer_method(self, call: MethodCall, status: int, payload: object) -> None:
        """Never called: there are no methods without a twin."""

    async def close(self) -> None:
        """Publish that we are offline, and disconnect."""
        connection, self._connection, self._events = self._connection, None, None
        if connection is not None:
            if self._is_connected:
                connection.publish(self._status_topic, b'{"state": "offline"}', qos=0, retain=True)
            self._is_connected = False
            await connection.shut()

    # The connection calls these.

    def opened(self, session_present: bool) -> None:
        """The broker has accepted the connection: subscribe."""
        if self._connection is None:
            return
        self._goes_without_status, self._status_is_refused = self._status_is_refused, False
        if self._choice.accepted():
            _LOG.warning("%s is spoken to in MQTT 3.1.1: it carries no message ids and no properties", self._url)
        self._largest_bytes = self._connection.broker_limits.packet_bytes
        if session_present and self._has_subscribed and self._choice.version != "5":
            self._report_connected()  # to subscribe again would bring all retained messages again
        else:
            self._connection.subscribe([(self._input, 1)])

    def subscribed(self, mid: int, codes: list[int]) -> None:
        """The broker's answer to the subscription: it is part of connecting."""
        if self._is_connected:
            return
        code = codes[0] if codes else 0x80
        if code >= 0x80:
            reason = f"{self._settings.host} refused the subscription to {self._input}: "
            self.disconnect(Loss.REFUSED, reason + name_code(PacketTypes.SUBACK, code))
            return
        if code == 0:
            _LOG.warning("%s delivers %s with QoS 0 only: inputs can be lost", self._settings.host, self._input)
        self._has_subscribed = True
        self._report_connected()

    def _report_connected(self) -> None:
        if self._events is None:
            return
        self._is_connected = True
        self._publish_status()
        self._events.connected()
        early, self._early = self._early, []
        for received in early:
            if self._is_connected:
                self._events.received(received)

    def closed(self, loss: Loss, reason: str, code: int | None) -> None:
        """It failed, or is gone. Another version may be worth a try at once."""
        self._connection = None
        self._is_connected = False
        if self._events is None:
            return
        if self._choice.failed(loss, code):
            self._open()
        else:
            self._events.disconnected(loss, reason)

    def confirmed(self, mid: int) -> None:
        """The broker has a message."""
        key = self._keys.pop(mid, None)
        if key is not None and self._events is not None:
            self._events.published(key)

    def refused(self, number: int, reason: str, code: int) -> None:
        """The broker does not take a message: it would not take it the next time either, or nothing at the moment."""
        key = self._keys.pop(number, None)
        if key is None:
            self._tell_refused_status(reason)
        elif code in _PASSING:
            self.disconnect(Loss.REFUSED, f"{self._url} refused a message: {reason}")
        elif self._events is not None:
            self._events.refused(key, f"the broker refused it: {reason}")

    def message(
        self, topic: str, payload: bytes, mid: int, qos: int, dup: bool, retain: bool, properties: bytes
    ) -> None:
        """An input has come."""
        if self._connection is None or self._events is None:
            return
        if not self._is_wanted(topic):
            self._connection.acknowledge(mid, qos)
            return
        receipt = _Receipt(self._number, mid, qos) if qos else None
        try:
            received = received_message(topic, payload, properties, mid=mid, redelivered=dup, receipt=receipt)
        except ValueError as error:
            self._connection.close(Loss.CLOSED, f"{self._settings.host} sent a message that is malformed: {error}")
            return
        if self._is_connected:
            self._events.received(received)
        else:
            self._early.append(received)

    def _is_wanted(self, topic: str) -> bool:
        """Whether this topic is subscribed to by these settings."""
        is_wanted = self._is_input.get(topic)
        if is_wanted is None:
            if len(self._is_input) >= _TOPICS_REMEMBERED:
                self._is_input.clear()
            is_wanted = self._is_input[topic] = matches(self._input, topic)
            if not is_wanted:
                _LOG.warning(
                    "Messages of %s are dropped: EDGEPACK_INPUT is %s; the broker still has an older subscription",
                    topic,
                    self._input,
                )
        return is_wanted
