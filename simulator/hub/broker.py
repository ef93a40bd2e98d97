"""What IoT Hub and edgeHub have in common: sessions that outlive connections, twins, direct methods. Sans-IO.

An identity has one session and at most one connection: a newer one ends the older. The session keeps subscriptions and
what the client has not acknowledged, which is sent again, marked `dup`, when it is back (CleanSession 0). Twin answers,
patches and method calls go to those connected and subscribed only. What becomes of telemetry, and what is sent with
QoS 1, is the `Role`'s affair. A clean session (CleanSession 1) ends with its connection.

Where the services differ: IoT Hub ends the connection of a client that publishes to a topic it does not know, or too
much; edgeHub ignores the message, and acknowledges it. A message that is too large ends the connection at both: IoT Hub
counts its body and properties, edgeHub the whole packet. Subscriptions to what is not the client's own are refused.
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from simulator.cloud.identity import Identity
from simulator.cloud.twin import TwinError
from simulator.hub.client import Client
from simulator.hub.client_topics import (
    MethodAnswer,
    Telemetry,
    TwinGet,
    TwinReport,
    desired_patch_topic,
    method_topic,
    twin_answer_topic,
)
from simulator.hub.connection import LARGEST_MESSAGE_BYTES, Connection
from simulator.message import HubMessage, Pairs
from simulator.mqtt.encoding import LONGEST_TEXT_BYTES
from simulator.mqtt.packets import Puback, Publish, Suback, Subscribe, Unsuback, Unsubscribe, Will

_RETAINED = ("mqtt-retain", "true")
_WILL = ("iothub-MessageType", "Will")


class Twins(Protocol):
    """Where a broker has its twins from."""

    def document(self, client_id: str) -> dict[str, Any]:
        """Both halves, each with its `$version`."""
        ...

    def report(self, client_id: str, patch: Any) -> int | None:
        """Merge into the reported properties; the new version where it is told. Raises TwinError."""
        ...


class Role(Protocol):
    """What differs between IoT Hub and edgeHub."""

    is_strict: bool
    """Unknown topics and excess end the connection."""

    def took(self, client: Client, message: HubMessage) -> str:
        """A message of this client; it is acknowledged on return of "", else the text says why it is not taken."""
        ...

    def ready(self, client: Client) -> None:
        """The client can take more: it is connected, has subscribed, or has acknowledged."""
        ...

    def settled(self, client: Client, token: Any) -> None:
        """The client has acknowledged what was sent with this token."""
        ...

    def reset(self, client: Client) -> None:
        """The client has thrown its session away: what was under way to it has to be sent anew."""
        ...

    def sent_again(self, client: Client) -> None:
        """All that was under way to the client was sent again."""
        ...

    def withdrawn(self, client: Client, tokens: list[Any]) -> None:
        """The client has not subscribed to these any longer: they are not under way, and have to be sent anew."""
        ...

    def reported(self, client: Client, patch: bytes) -> None:
        """The client has changed its reported properties."""
        ...

    def forgotten(self, client: Client) -> None:
        """The identity is gone."""
        ...


class Broker:
    """Serves the clients of one IoT Hub or edgeHub. `now_s`: simulated seconds since the start."""

    def __init__(
        self, role: Role, twins: Twins, now_s: Callable[[], float], on_presence: Callable[[str, bool], None]
    ) -> None:
        self.clients: dict[str, Client] = {}
        self.answers: dict[str, tuple[str, Callable[[int, Any], None]]] = {}
        """Whose answer to a direct method is waited for (a client id), and by whom; by the request id."""
        self.on_fault: Callable[[str], None] = lambda _: None
        """Called with a sentence for each message that a client should not have sent."""
        self.role = role
        self._twins = twins
        self._now_s = now_s
        self._on_presence = on_presence

    def enter(self, connection: Connection, identity: Identity, clean: bool) -> None:
        """Let an admitted client in: its CONNACK, then what it has not acknowledged."""
        client = self.clients.get(identity.client_id)
        is_known = client is not None and not client.is_new and not clean and not client.is_clean
        if client is None or clean or client.is_clean:
            older = client
            client = self.clients[identity.client_id] = Client(identity)
            if older is not None:
                client.connection = older.connection
                self.role.reset(older)
        client.identity, client.is_new, client.is_clean = identity, False, clean
        older_connection, client.connection = client.connection, connection
        if older_connection is not None:
            older_connection.end()
        connection.accept(self, identity.client_id, is_known)
        self._on_presence(identity.client_id, True)
        self.send_again(client)
        self.role.ready(client)

    def send_again(self, client: Client) -> None:
        """Send a client again what it has not acknowledged, as far as it still subscribes to it."""
        if withdrawn := client.send_again():
            self.role.withdrawn(client, withdrawn)
        self.role.sent_again(client)

    def client(self, identity: Identity) -> Client:
        """The session of an identity, a new one if it has none."""
        found = self.clients.get(identity.client_id)
        if found is None:
            found = self.clients[identity.client_id] = Client(identity)
        return found

    def forget(self, client_id: str) -> None:
        """The identity is gone, and its session with it."""
        client = self.clients.pop(client_id, None)
        if client is None:
            return
        if client.connection is not None:
            client.connection.end()
        self.role.forgotten(client)

    def tell_desired(self, client_id: str, patch: dict[str, Any], version: int) -> None:
        """Tell a client of a change of its desired properties."""
        client = self.clients.get(client_id)
        if client is not None:
            client.tell(desired_patch_topic(version), json.dumps({**patch, "$version": version}).encode())

    def call(
        self, client_id: str, name: str, payload: Any, request_id: str, answer: Callable[[int, Any], None]
    ) -> bool:
        """Call a direct method.

        False if the client is not there, has not subscribed to methods, or no topic can hold the name.
        """
        client, topic = self.clients.get(client_id), method_topic(name, request_id)
        body = b"" if payload is None else json.dumps(payload).encode()
        if client is None or len(topic) > LONGEST_TEXT_BYTES or not client.tell(topic, body):
            return False
        self.answers[request_id] = (client_id, answer)
        return True

    # --- Service, for connections

    def published(self, connection: Connection, packet: Publish) -> str:
        """See Service."""
        client = self.clients[connection.client_id]
        if not self.role.is_strict and (size_bytes := _packet_bytes(packet)) > LARGEST_MESSAGE_BYTES:
            reason = f"a packet of {size_bytes} bytes: edgeHub takes {LARGEST_MESSAGE_BYTES}"
            self.on_fault(f"{connection.client_id} sends {reason}; its connection ends")
            return reason
        reason = self._take(client, packet)
        if reason:
            what = "its connection ends" if self.role.is_strict else "edgeHub acknowledges it, and does nothing else"
            self.on_fault(f"{connection.client_id} sends what is not taken: {reason}; {what}")
        if reason and self.role.is_strict:
            return reason
        if packet.qos:
            connection.send(Puback(packet.mid))
        return ""

    def subscribed(self, connection: Connection, packet: Subscribe) -> None:
        """See Service."""
        client = self.clients[connection.client_id]
        codes = tuple(min(qos, 1) if client.topics.may_subscribe(name) else 0x80 for name, qos in packet.filters)
        for (name, _), code in zip(packet.filters, codes, strict=True):
            if code < 0x80:
                client.filters[name] = code
        connection.send(Suback(packet.mid, codes))
        self.role.ready(client)

    def unsubscribed(self, connection: Connection, packet: Unsubscribe) -> None:
        """See Service."""
        for name in packet.filters:
            self.clients[connection.client_id].filters.pop(name, None)
        connection.send(Unsuback(packet.mid))

    def acknowledged(self, connection: Connection, mid: int) -> None:
        """See Service."""
        client = self.clients[connection.client_id]
        sent = client.in_flight.pop(mid, None)
        if sent is not None:
            self.role.settled(client, sent.token)
            self.role.ready(client)

    def left(self, connection: Connection, will: Will | None) -> None:
        """See Service."""
        client = self.clients.get(connection.client_id)
        if client is None:
            return
        if client.connection is connection:
            client.connection = None
            self._on_presence(connection.client_id, False)
            if client.is_clean:
                self.role.reset(client)
                del self.clients[connection.client_id]
        if will is not None:
            said = client.topics.read(will.topic)
            if isinstance(said, Telemetry):
                self._hand_over(client, (*said.properties, _WILL), will.payload)

    def _take(self, client: Client, packet: Publish) -> str:
        """Do what a packet says; why it cannot be, else ""."""
        said = client.topics.read(packet.topic)
        if type(said) is Telemetry:
            size_bytes = len(packet.payload) + said.properties_bytes
            if size_bytes > LARGEST_MESSAGE_BYTES:
                return f"a message of {size_bytes} bytes: the hub takes {LARGEST_MESSAGE_BYTES}"
            properties = (*said.properties, _RETAINED) if packet.retain else said.properties
            return self._hand_over(client, properties, packet.payload)
        match said:
            case TwinGet(request_id):
                document = json.dumps(self._twins.document(client.identity.client_id)).encode()
                client.tell(twin_answer_topic(200, request_id), document)
            case TwinReport(request_id):
                self._report(client, request_id, packet.payload)
            case MethodAnswer(status, request_id):
                self._method_answered(client, status, request_id, packet.payload)
            case _:
                return f"{packet.topic[:200]!r} is no topic of this client"
        return ""

    def _hand_over(self, client: Client, properties: Pairs, body: bytes) -> str:
        identity = client.identity
        return self.role.took(
            client, HubMessage(identity.device_id, identity.module_id, properties, body, self._now_s())
        )

    def _report(self, client: Client, request_id: str, payload: bytes) -> None:
        try:
            version = self._twins.report(client.identity.client_id, json.loads(payload))
        except (ValueError, RecursionError):
            client.tell(twin_answer_topic(400, request_id), b"")
        except TwinError as error:
            client.tell(twin_answer_topic(error.status, request_id), b"")
        else:
            client.tell(twin_answer_topic(204, request_id, version), b"")
            self.role.reported(client, payload)

    def _method_answered(self, client: Client, status: int, request_id: str, payload: bytes) -> None:
        asked, answer = self.answers.get(request_id, ("", None))
        if answer is None or asked != client.identity.client_id:
            return
        del self.answers[request_id]
        try:
            document = json.loads(payload) if payload.strip() else None
        except (ValueError, RecursionError):
            document = payload.decode(errors="replace")
        answer(status, document)


def _packet_bytes(packet: Publish) -> int:
    """The bytes behind the packet's length: topic, id and body. Of a small one only that it is small."""
    body_bytes = len(packet.payload)
    if body_bytes < LARGEST_MESSAGE_BYTES // 2:
        return 0  # the topic has 65,535 bytes at most
    return body_bytes + 2 + len(packet.topic.encode()) + (2 if packet.qos else 0)
