"""IoT Hub: where messages arrive, from its own clients and from gateways. Sans-IO.

What goes to devices is in `to_devices.py`. With `units` the telemetry of all senders is throttled as in tier S1: the
higher of 100 a second and 12 a second for each unit, in bursts of at most ten seconds' worth; a client that sends more
is disconnected, a gateway waits. Source: IoT Hub's quotas, 2026.
"""

from collections.abc import Callable
from typing import Protocol

from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import Identity
from simulator.hub.account import UPSTREAM, Account
from simulator.hub.broker import Broker, Twins
from simulator.hub.client import Client
from simulator.hub.client_topics import ClientTopics
from simulator.hub.to_devices import ToDevices
from simulator.message import HubMessage, Pairs
from simulator.mqtt.encoding import LONGEST_TEXT_BYTES

_BURST_S = 10.0


class Cloud(Protocol):
    """Where messages that have arrived go."""

    def received(self, message: HubMessage) -> None:
        """Keep a message."""
        ...


class TelemetryLimit:
    """A token bucket over simulated seconds. `units` 0: no limit."""

    def __init__(self, units: int) -> None:
        self.rate_per_s = max(100.0, 12.0 * units) if units else float("inf")
        self._left = self.rate_per_s * _BURST_S
        self._at_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """0 when a message may pass, which is counted; else how long one has to wait."""
        if self.rate_per_s == float("inf"):
            return 0.0
        self._left = min(self._left + (now_s - self._at_s) * self.rate_per_s, self.rate_per_s * _BURST_S)
        self._at_s = now_s
        if self._left < 1:
            return (1 - self._left) / self.rate_per_s
        self._left -= 1
        return 0.0


class IotHub:
    """See the module."""

    is_strict = True

    def __init__(
        self,
        twins: Twins,
        account: Account,
        cloud: Cloud,
        *,
        units: int,
        now_s: Callable[[], float],
        on_presence: Callable[[str, bool], None],
    ) -> None:
        self.broker = Broker(self, twins, now_s, on_presence)
        self.limit = TelemetryLimit(units)
        self._account = account
        self._cloud = cloud
        self._now_s = now_s
        self.to_devices = ToDevices(lambda _: self.broker)

    def receive(self, message: HubMessage) -> None:
        """A message has arrived."""
        self._account.arrived(message)
        self._cloud.received(message)

    def send_to_device(self, identity: Identity, properties: Pairs, body: bytes) -> None:
        """Queue a message from the cloud.

        Raises:
            HubError: 400 or 413: no topic can hold its properties; or see ToDevices.put.
        """
        try:
            topic = ClientTopics(identity.device_id, identity.module_id).devicebound_topic(properties)
        except UnicodeEncodeError:
            raise HubError(400, "one of its properties is no Unicode text") from None
        if len(topic) > LONGEST_TEXT_BYTES:
            raise HubError(413, f"its properties make a topic of {len(topic)} bytes: MQTT takes {LONGEST_TEXT_BYTES}")
        self.to_devices.put(identity, properties, body)

    # --- Role

    def took(self, client: Client, message: HubMessage) -> str:
        """See Role."""
        if self.limit.wait_s(self._now_s()):
            return "throttled: more messages a second than the units of this hub allow"
        self.receive(message._replace(trace=self._account.accepted(message, (UPSTREAM,))))
        return ""

    def ready(self, client: Client) -> None:
        """See Role."""
        self.to_devices.send(client)

    def settled(self, client: Client, token: tuple[Pairs, bytes]) -> None:
        """See Role."""

    def reset(self, client: Client) -> None:
        """See Role."""
        self.to_devices.reset(client)

    def sent_again(self, client: Client) -> None:
        """See Role."""

    def withdrawn(self, client: Client, tokens: list[tuple[Pairs, bytes]]) -> None:
        """See Role."""
        self.to_devices.put_back(client, tokens)

    def reported(self, client: Client, patch: bytes) -> None:
        """See Role."""

    def forgotten(self, client: Client) -> None:
        """See Role."""
        self.to_devices.forget(client.identity.client_id)
