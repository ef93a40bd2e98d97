"""Who gets in, and to whom: the one MQTT endpoint in front of IoT Hub and the edgeHubs. Sans-IO.

Modules of an edge device, and devices whose parent is one, speak to that gateway's edgeHub; all others to IoT Hub. The
client id has to be `DEVICE` or `DEVICE/MODULE`, the user name `HOST/CLIENT_ID/?api-version=...`, the password a token
that a key of the identity signed, for one of the `hosts`. A connection lives as long as its token. Refusals: 2 for an
empty client id, 5 for everything else, so that nobody learns which identities there are. A CONNECT that comes over a
half-open link is answered when the link is open again, if the client is still there.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from simulator.cloud.identity import Identity
from simulator.cloud.registry import Registry
from simulator.cloud.tokens import SKEW_S, Refusal, verify_token
from simulator.hub.broker import Broker
from simulator.hub.connection import Connection
from simulator.hub.links import DEVICES_LINK, MODULES_LINK, UPSTREAM_LINK, LinkCondition, Network
from simulator.mqtt.packets import Connect


class Place(NamedTuple):
    """Where a client belongs: who serves it, and over which link it comes."""

    broker: Broker
    link: str


class Front:
    """See the module. `wall_s`: the hub's clock, seconds since 1970.

    `may_enter` has the last word about a client whose token is good, by its client id and user name: on False its
    connection ends without an answer.
    """

    def __init__(
        self,
        registry: Registry,
        hub: Broker,
        gateways: Mapping[str, Broker],
        hosts: Collection[str],
        *,
        wall_s: Callable[[], float],
        network: Network,
        on_refusal: Callable[[str], None],
        may_enter: Callable[[str, str], bool] = lambda _client_id, _user: True,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._gateways = gateways
        self._hosts = hosts
        self._wall_s = wall_s
        self._network = network
        self._on_refusal = on_refusal
        self._may_enter = may_enter
        self._spent: set[bytes] = set()
        self._passwords: dict[str, bytes] = {}
        self._held: dict[str, tuple[Connection, Connect]] = {}
        network.watch(self._link_changed)

    def place(self, identity: Identity) -> Place:
        """Who serves an identity."""
        if identity.module_id and identity.device_id in self._gateways:
            return Place(self._gateways[identity.device_id], MODULES_LINK)
        if not identity.module_id and identity.parent in self._gateways:
            return Place(self._gateways[identity.parent], DEVICES_LINK)
        return Place(self._hub, UPSTREAM_LINK)

    def expire_token(self, client_id: str) -> bool:
        """The token that this client signed in with is good no longer; False if it is not connected."""
        identity = self._registry.identity(client_id)
        client = self.place(identity).broker.clients.get(client_id) if identity is not None else None
        if client is None or client.connection is None:
            return False
        self._spent.add(self._passwords.get(client_id, b""))
        client.connection.end()
        return True

    def admit(self, connection: Connection, connect: Connect) -> None:
        """See Gate."""
        identity = self._registry.identity(connect.client_id)
        if identity is not None:
            connection.link = self.place(identity).link
            condition = self._network.condition(connection.link)
            if not condition.up:
                connection.end()
                return
            if condition.half_open:
                self._hold(connection, connect)
                return
        code, reason, expiry_s = self._judge(connect, identity)
        if code or identity is None:
            if connect.password not in self._spent:  # that was asked for
                self._on_refusal(f"{connect.client_id[:140]!r} is refused: {reason}")
            connection.refuse(code)
            return
        if not self._may_enter(identity.client_id, connect.user or ""):
            connection.end()
            return
        connection.ends_at_s = expiry_s
        self._passwords[identity.client_id] = connect.password or b""
        self.place(identity).broker.enter(connection, identity, connect.clean)

    def _hold(self, connection: Connection, connect: Connect) -> None:
        """Nobody answers now. A client's newer connection ends its older one, here too."""
        older = self._held.get(connect.client_id)
        self._held[connect.client_id] = (connection, connect)
        if older is not None:
            older[0].end()

    def _link_changed(self, link: str, condition: LinkCondition) -> None:
        if condition.half_open and condition.up:
            return
        for client_id, (connection, connect) in list(self._held.items()):
            if connection.link != link:
                continue
            del self._held[client_id]
            if connection.is_open:
                self.admit(connection, connect)
                connection.take_early()

    def _judge(self, connect: Connect, identity: Identity | None) -> tuple[int, str, float]:
        """The code of the answer, why, and until when the token is good (seconds since 1970, skew included)."""
        if not connect.client_id:
            return 2, "it has no client id", 0
        if not _is_user_of(connect.user or "", connect.client_id):
            return 5, f"its user name is {(connect.user or '')[:200]!r}: expected HOST/CLIENT_ID/?api-version=...", 0
        if identity is None:
            return 5, "there is no such device or module", 0
        if not identity.enabled:
            return 5, "it is disabled", 0
        if not connect.password or connect.password in self._spent:
            return 5, "its token has expired" if connect.password else "it has no password", 0
        now_s = self._wall_s()
        verdict = verify_token(
            connect.password.decode(errors="replace"),
            hosts=self._hosts,
            client_id=identity.client_id,
            keys=identity.keys,
            now_s=now_s,
        )
        if isinstance(verdict, Refusal):
            return 5, f"its token is refused: {verdict.reason}", 0
        return 0, "", verdict.expiry_s + SKEW_S


def _is_user_of(user: str, client_id: str) -> bool:
    """Whether a user name is HOST/CLIENT_ID/?api-version=..., with no more parts; the question mark may be missing."""
    host, _, rest = user.partition("/")
    options = rest.removeprefix(f"{client_id}/")
    is_last = options.startswith("?") or "/" not in options
    return bool(host) and options != rest and is_last and "api-version=" in options
