"""Messages from the cloud to devices: IoT Hub keeps them until the device has acknowledged them. Pure.

A device has at most 50 of them. Devices of a gateway get theirs through its edgeHub, while that is online; edgeHub
keeps none. Not here: their expiry, and the feedback that a sender may ask for.
"""

from collections import deque
from collections.abc import Callable

from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import Identity
from simulator.hub.broker import Broker
from simulator.hub.client import Client
from simulator.message import Pairs

MOST_WAITING = 50
LARGEST_TO_DEVICE_BYTES = 65_536


class ToDevices:
    """See the module. `broker_of`: who serves a device."""

    def __init__(self, broker_of: Callable[[Identity], Broker]) -> None:
        self.broker_of = broker_of
        self._waiting: dict[str, deque[tuple[Pairs, bytes]]] = {}

    def put(self, identity: Identity, properties: Pairs, body: bytes) -> None:
        """Keep a message, and send it if the device is there.

        Raises:
            HubError: 413 it is too large, 403 the device has 50 waiting.
        """
        if len(body) > LARGEST_TO_DEVICE_BYTES:
            raise HubError(413, f"a message to a device has at most {LARGEST_TO_DEVICE_BYTES} bytes, not {len(body)}")
        broker = self.broker_of(identity)
        client = broker.client(identity)
        waiting = self._waiting.setdefault(identity.client_id, deque())
        if len(waiting) + len(client.in_flight) >= MOST_WAITING:
            raise HubError(
                403, f"{identity.device_id} has {MOST_WAITING} messages waiting", "DeviceMaximumQueueDepthExceeded"
            )
        waiting.append((properties, body))
        broker.role.ready(client)

    def send(self, client: Client) -> None:
        """Send all that waits for a client, if it is there and listens."""
        waiting = self._waiting.get(client.identity.client_id)
        while waiting:
            properties, body = waiting[0]
            if client.send(client.topics.devicebound_topic(properties), body, waiting[0]) is None:
                return
            waiting.popleft()

    def reset(self, client: Client) -> None:
        """The client has thrown its session away: what it has not acknowledged waits again."""
        self.put_back(client, [sent.token for sent in client.in_flight.values()])

    def put_back(self, client: Client, unfinished: list[tuple[Pairs, bytes]]) -> None:
        """These wait again, before all others."""
        if unfinished:
            self._waiting.setdefault(client.identity.client_id, deque()).extendleft(reversed(unfinished))

    def forget(self, client_id: str) -> None:
        """The device is gone."""
        self._waiting.pop(client_id, None)
