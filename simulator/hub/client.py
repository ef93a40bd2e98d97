"""The session of one client: what it subscribes to, and what it has not acknowledged. Sans-IO."""

from typing import Any, NamedTuple

from simulator.cloud.identity import Identity
from simulator.hub.client_topics import ClientTopics
from simulator.hub.connection import Connection
from simulator.mqtt.packets import Publish, matches


class Sent(NamedTuple):
    """A message that a client has to acknowledge. `token` is its role's."""

    publish: Publish
    token: Any


class Client:
    """See the module. It outlives connections."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.topics = ClientTopics(identity.device_id, identity.module_id)
        self.filters: dict[str, int] = {}
        self.in_flight: dict[int, Sent] = {}
        self.connection: Connection | None = None
        self.is_new = True
        self.is_clean = False
        self._mid = 0

    def subscribes_to(self, topic: str) -> bool:
        """Whether it asks for what comes under this topic."""
        return any(matches(name, topic) for name in self.filters)

    def send(self, topic: str, payload: bytes, token: Any) -> int | None:
        """Send a message if the client is there and subscribes to it.

        Returns the quality of service with which it was sent (1: it will be acknowledged), None if it was not.
        """
        granted = [qos for name, qos in self.filters.items() if matches(name, topic)]
        if self.connection is None or not granted:
            return None
        if not any(granted):
            self.connection.send(Publish(topic, payload))
            return 0
        mid = self._mid % 65_535 + 1
        while mid in self.in_flight:
            mid = mid % 65_535 + 1
        self._mid = mid
        sent = Sent(Publish(topic, payload, 1, mid), token)
        self.in_flight[mid] = sent
        self.connection.send(sent.publish)
        return 1

    def tell(self, topic: str, payload: bytes) -> bool:
        """Send what is not kept, if the client is there and subscribes to it."""
        if self.connection is None or not self.subscribes_to(topic):
            return False
        self.connection.send(Publish(topic, payload))
        return True

    def send_again(self) -> list[Any]:
        """Send all that is not acknowledged, marked as a repetition.

        What the client does not subscribe to any longer is no longer under way: its tokens, in order.
        """
        connection, withdrawn = self.connection, []
        if connection is not None:
            for mid, sent in list(self.in_flight.items()):
                if self.subscribes_to(sent.publish.topic):
                    connection.send(sent.publish._replace(dup=True))
                else:
                    withdrawn.append(sent.token)
                    del self.in_flight[mid]
        return withdrawn

    def drop(self, token: Any) -> None:
        """Do not wait for the acknowledgement of what was sent with this token."""
        for mid, sent in list(self.in_flight.items()):
            if sent.token is token:
                del self.in_flight[mid]
