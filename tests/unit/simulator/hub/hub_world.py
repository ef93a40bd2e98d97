"""IoT Hub and one gateway without sockets: clients whose bytes go to connections and come back as packets."""

import base64
import hashlib
import hmac
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from simulator.cloud.registry import Registry
from simulator.hub.broker import Broker
from simulator.hub.connection import Connection
from simulator.hub.edge_hub import EdgeHub
from simulator.hub.edge_twins import EdgeTwins
from simulator.hub.front import Front
from simulator.hub.iot_hub import IotHub
from simulator.hub.links import Network
from simulator.message import HubMessage
from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import Connack, Connect, Packet, Puback, Publish, Subscribe
from simulator.mqtt.reading import PacketReader
from simulator.world import HubTwins

HOST = "hub.example.net"
NOW_S = 1_800_000_000.0
KEYS = (b"primary key", b"secondary key")


class Wire:
    """What a connection writes, as packets."""

    def __init__(self) -> None:
        self.reader = PacketReader()
        self.packets: list[Packet] = []
        self.is_closed = False

    def write(self, sent: bytes) -> None:
        """See Wire of the connection."""
        assert not self.is_closed
        self.packets += self.reader.feed(sent)

    def close(self) -> None:
        """See Wire of the connection."""
        self.is_closed = True


class Account:
    """Writes down what the hubs tell."""

    def __init__(self) -> None:
        self.filtered: list[bool] = []
        self.accepted_at: list[tuple[bytes, tuple[str, ...]]] = []
        self.taken_by: list[tuple[bytes, str]] = []
        self.arrivals: list[HubMessage] = []
        self.expirations: list[bytes] = []

    def accepted(self, message: HubMessage, endpoints: Sequence[str], is_filtered: bool = False) -> str:
        """See Account."""
        self.accepted_at.append((message.body, tuple(endpoints)))
        self.filtered.append(is_filtered)
        return f"trace {len(self.accepted_at)}"

    def taken(self, message: HubMessage, module_id: str) -> None:
        """See Account."""
        self.taken_by.append((message.body, module_id))

    def arrived(self, message: HubMessage) -> None:
        """See Account."""
        self.arrivals.append(message)

    def expired(self, message: HubMessage) -> None:
        """See Account."""
        self.expirations.append(message.body)


class Cloud:
    """Keeps nothing: the account has it."""

    def received(self, message: HubMessage) -> None:
        """See Cloud."""


class Peer:
    """A client: sends packets, and has what came back."""

    def __init__(self, world: "HubWorld", client_id: str) -> None:
        self.client_id = client_id
        self.wire = Wire()
        self.connection = Connection(world.front, self.wire, world.real_s)
        self._world = world

    @property
    def is_closed(self) -> bool:
        """Whether the hub has ended the connection."""
        return self.wire.is_closed

    def send(self, *packets: Packet) -> list[Packet]:
        """Send packets in one piece; what came back since the last time."""
        return self.send_bytes(b"".join(map(encode, packets)))

    def send_bytes(self, data: bytes) -> list[Packet]:
        """Send bytes; what came back since the last time."""
        self.connection.received(data, self._world.real_s)
        return self.received()

    def received(self) -> list[Packet]:
        """What came back since the last time."""
        packets, self.wire.packets = self.wire.packets, []
        return packets

    def publish(self, topic: str, body: bytes = b"{}", qos: int = 1, mid: int = 1) -> list[Packet]:
        """Publish below the client's own root: `messages/events/...`."""
        return self.send(Publish(f"{self.root}/{topic}", body, qos, mid if qos else 0))

    def subscribe(self, *filters: str, qos: int = 1) -> list[Packet]:
        """Subscribe."""
        return self.send(Subscribe(1, tuple((name, qos) for name in filters)))

    @property
    def root(self) -> str:
        """What the client's topics begin with."""
        device, _, module = self.client_id.partition("/")
        return f"devices/{device}/modules/{module}" if module else f"devices/{device}"


class HubWorld:
    """`edge` is a gateway with modules `filter` and `scorer` and the leaf `leaf`; `direct` is a device of the hub.

    The hubs tell `account`, or else what `ledger` makes.
    """

    def __init__(
        self, routes: Mapping[str, Any] | None = None, units: int = 0, ledger: Callable[["HubWorld"], Any] | None = None
    ) -> None:
        self.now_s = 0.0
        self.real_s = 0.0
        self.wall_s = NOW_S
        ids = itertools.count(1)
        self.registry = Registry(lambda: self.wall_s, lambda: b"made", lambda: f"id{next(ids)}")
        self.account = Account()
        told = self.account if ledger is None else ledger(self)
        self.network = Network()
        self.refusals: list[str] = []
        self.hub = IotHub(
            HubTwins(self.registry),
            told,
            Cloud(),
            units=units,
            now_s=lambda: self.now_s,
            on_presence=self._presence,
        )
        self.twins = EdgeTwins(self.registry, lambda *change: self.edge.broker.tell_desired(*change))
        self.edge = EdgeHub(
            "edge",
            self.twins,
            told,
            now_s=lambda: self.now_s,
            real_s=lambda: self.real_s,
            on_presence=self._presence,
        )
        gateways: dict[str, Broker] = {"edge": self.edge.broker}
        self.front = Front(
            self.registry,
            self.hub.broker,
            gateways,
            (HOST,),
            wall_s=lambda: self.wall_s,
            network=self.network,
            on_refusal=self.refusals.append,
        )
        self.registry.add_device("edge", is_edge=True, keys=KEYS)
        self.registry.add_device("leaf", parent="edge", keys=KEYS)
        self.registry.add_device("direct", keys=KEYS)
        for module in ("filter", "scorer"):
            self.registry.add_module("edge", module, keys=KEYS)
        if routes is not None:
            assert self.configure(routes) == (200, "")

    def configure(self, routes: Mapping[str, Any], keep_s: int = 7200) -> tuple[int, str]:
        """Give edgeHub routes."""
        store = {"timeToLiveSecs": keep_s}
        desired = {"schemaVersion": "1.1", "routes": routes, "storeAndForwardConfiguration": store}
        return self.edge.configure(desired)

    def connect(self, client_id: str, /, *, clean: bool = False, **changes: Any) -> Peer:
        """A client that has sent its CONNECT; `changes` of the packet."""
        peer = Peer(self, client_id)
        packet = Connect(client_id, f"{HOST}/{client_id}/?api-version=2019-10-01", token(client_id), 60, clean)
        peer.connection.received(encode(packet._replace(**changes)), self.real_s)
        return peer

    def signed_in(self, client_id: str, *filters: str, clean: bool = False) -> Peer:
        """A client that is in, with these subscriptions; nothing is left in what it received but messages."""
        peer = self.connect(client_id, clean=clean)
        first = peer.wire.packets.pop(0)
        assert isinstance(first, Connack)
        assert first.code == 0
        if filters:
            peer.wire.packets[:0] = [packet for packet in peer.subscribe(*filters) if isinstance(packet, Publish)]
        return peer

    def _presence(self, client_id: str, is_there: bool) -> None:
        self.registry.set_connected(client_id, is_there, self.wall_s)


def token(client_id: str, key: bytes = KEYS[0], expiry_s: float = NOW_S + 3600, host: str = HOST) -> bytes:
    """A token, made without the project's own code."""
    device, _, module = client_id.partition("/")
    path = f"{host}/devices/{device}" + (f"/modules/{module}" if module else "")
    audience, expiry = quote(path, safe=""), str(int(expiry_s))
    digest = hmac.new(key, f"{audience}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={audience}&sig={signature}&se={expiry}".encode()


def messages(packets: list[Packet]) -> list[Publish]:
    """Only the messages."""
    return [packet for packet in packets if isinstance(packet, Publish)]


def acks(packets: list[Packet]) -> list[int]:
    """The ids of the acknowledgements."""
    return [packet.mid for packet in packets if isinstance(packet, Puback)]
