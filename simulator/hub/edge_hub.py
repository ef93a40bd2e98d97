"""edgeHub: routes, store and forward, inputs of modules. Sans-IO.

A message is acknowledged when it is stored for every endpoint that a route gives; without one it is dropped, and
acknowledged all the same. A module gets one input at a time, over all its inputs; after 30 s without an acknowledgement
it is sent again. What waits upstream is taken by `upstream.py`; what IoT Hub has for leaf devices passes while it is
online. A restart ends connections, and keeps the store and the sessions. A change of reported properties is a message,
too, from `/twinChangeNotifications`. Source: edgeHub of IoT Edge 1.5.

An input has its properties percent-encoded, whatever its sender did. Where that makes its topic too long for MQTT, it
cannot be sent: that route does not count.

Where it is simpler: no limit on what is stored; a new set of routes does not delete the queue of an endpoint that it no
longer names.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from edgepack.deployment.route_message import RoutedMessage
from edgepack.deployment.route_tree import ModuleInput, Route
from edgepack.deployment.router import DEFAULT_PRIORITY, Destination, Router
from simulator.cloud.hub_error import HubError
from simulator.hub.account import UPSTREAM, Account
from simulator.hub.broker import Broker, Twins
from simulator.hub.client import Client
from simulator.hub.client_topics import input_topic_fits, system_names
from simulator.hub.edge_configuration import KEEP_MESSAGES_S, Configuration, read_configuration
from simulator.hub.queues import EndpointQueue, Waiting
from simulator.hub.to_devices import ToDevices
from simulator.message import HubMessage

ACKNOWLEDGED_WITHIN_S = 30.0
_TWIN_CHANGES = "/twinChangeNotifications"
_TOO_LONG = "its properties make a topic of more than 65,535 bytes"


class UnderWay(NamedTuple):
    """An input that a module has not acknowledged. `since_s`: real seconds."""

    waiting: Waiting
    since_s: float


class EdgeHub:
    """One gateway's. `now_s`: simulated seconds, `real_s`: the machine's monotonic ones."""

    is_strict = False

    def __init__(
        self,
        device_id: str,
        twins: Twins,
        account: Account,
        *,
        now_s: Callable[[], float],
        real_s: Callable[[], float],
        on_presence: Callable[[str, bool], None],
        to_devices: ToDevices | None = None,
        is_online: Callable[[], bool] = lambda: True,
    ) -> None:
        self.device_id = device_id
        self.broker = Broker(self, twins, now_s, on_presence)
        self.upstream = EndpointQueue()
        self.on_upstream: Callable[[], None] = lambda: None
        """Called when something waits upstream."""
        self.inputs: dict[str, EndpointQueue] = {}
        self.peak = 0
        """The most messages that have waited upstream."""
        self._to_devices = to_devices
        self._is_online = is_online
        self._account = account
        self._now_s = now_s
        self._real_s = real_s
        self._router = Router.compile({})
        self._keep_s = KEEP_MESSAGES_S
        self._under_way: dict[str, UnderWay] = {}
        self._reaching: dict[str, bool] = {}

    def configure(self, desired: dict[str, Any]) -> Configuration:
        """Take the desired properties of `$edgeHub`; when they are wrong, the old ones stay in force."""
        settings = read_configuration(desired)
        if isinstance(settings, Configuration):
            return settings
        self._router, self._keep_s = settings
        self._reaching.clear()
        return Configuration(200, "")

    def put(self, module_id: str, input_name: str, message: HubMessage) -> None:
        """Put a message on a module's input, past the routes. Raises HubError 413: no topic can hold its properties."""
        if not input_topic_fits(self.device_id, module_id, input_name, message):
            raise HubError(413, f"{_TOO_LONG} for the input {input_name} of {module_id}")
        trace = self._account.accepted(message, (f"{module_id}/{input_name}",))
        sink = ModuleInput(module_id, input_name)
        self._store(message._replace(trace=trace), Destination(sink, DEFAULT_PRIORITY, 0, ""))

    def reaches_cloud(self, module_id: str) -> bool:
        """Whether a route, or several after each other, can carry what comes from this module upstream."""
        found = self._reaching.get(module_id)
        if found is None:
            found = self._reaching[module_id] = self._finds_a_way(module_id)
        return found

    def input_client(self, module_id: str) -> Client | None:
        """The session of a module of this gateway."""
        return self.broker.clients.get(f"{self.device_id}/{module_id}")

    # --- Role

    def took(self, client: Client, message: HubMessage) -> str:
        """See Role."""
        system, application = system_names(message.properties)
        system["connectionDeviceId"] = message.device_id
        if message.module_id:
            system["connectionModuleId"] = message.module_id
        system["edgeHubOriginInterface"] = "internal" if message.module_id else "downstream"
        found = self._destinations(message, RoutedMessage(message.source, application, system, message.body))
        self._take(message, found)
        return ""

    def reported(self, client: Client, patch: bytes) -> None:
        """See Role. The change is a message of `$edgeHub`; it is accounted for only where a route takes it."""
        device_id, module_id = client.identity.device_id, client.identity.module_id
        sender = {"rpSenderDeviceId": device_id, **({"rpSenderModuleId": module_id} if module_id else {})}
        message = HubMessage(self.device_id, "$edgeHub", tuple(sender.items()), patch, self._now_s())
        system = {"connectionDeviceId": self.device_id, "connectionModuleId": "$edgeHub", **sender}
        found = self._destinations(message, RoutedMessage(_TWIN_CHANGES, {}, system, patch))
        if found:
            self._take(message, found)

    def ready(self, client: Client) -> None:
        """See Role."""
        module_id = client.identity.module_id
        if not module_id:
            if self._to_devices is not None and self._is_online():
                self._to_devices.send(client)
            return
        queue = self.inputs.get(module_id)
        while queue is not None and module_id not in self._under_way:
            expired: list[Waiting] = []
            head = queue.head(self._now_s(), expired)
            self._tell_expired(expired)
            if head is None:
                return
            qos = client.send(client.topics.input_topic(head.input_name, head.message), head.message.body, head)
            if qos is None:
                return
            self._under_way[module_id] = UnderWay(head, self._real_s())
            if qos == 0:
                self.settled(client, head)

    def settled(self, client: Client, token: Waiting) -> None:
        """See Role."""
        module_id = client.identity.module_id
        if not module_id:
            return  # IoT Hub's own message
        self._under_way.pop(module_id, None)
        if self.inputs[module_id].remove(token):
            self._account.taken(token.message, module_id)

    def reset(self, client: Client) -> None:
        """See Role."""
        if client.identity.module_id:
            self._under_way.pop(client.identity.module_id, None)
        elif self._to_devices is not None:
            self._to_devices.reset(client)

    def sent_again(self, client: Client) -> None:
        """See Role."""
        under_way = self._under_way.get(client.identity.module_id)
        if under_way is not None:
            self._under_way[client.identity.module_id] = under_way._replace(since_s=self._real_s())

    def withdrawn(self, client: Client, tokens: list[Any]) -> None:
        """See Role."""
        if client.identity.module_id:
            self._under_way.pop(client.identity.module_id, None)
        elif self._to_devices is not None:
            self._to_devices.put_back(client, tokens)

    def forgotten(self, client: Client) -> None:
        """See Role."""
        if client.identity.module_id:
            self._under_way.pop(client.identity.module_id, None)
        elif self._to_devices is not None:
            self._to_devices.forget(client.identity.client_id)

    def link_is_back(self) -> None:
        """IoT Hub can be reached again: what it has for leaf devices passes."""
        for client in self.broker.clients.values():
            if not client.identity.module_id:
                self.ready(client)

    # --- what time brings

    def send_late_again(self) -> None:
        """Send inputs again that have not been acknowledged in time."""
        late_s = self._real_s() - ACKNOWLEDGED_WITHIN_S
        for module_id, under_way in list(self._under_way.items()):
            client = self.input_client(module_id)
            if under_way.since_s < late_s and client is not None and client.connection is not None:
                self.broker.send_again(client)

    def expire(self) -> None:
        """Remove what has expired, wherever it waits; but for an input that is on its way to a module that is there."""
        now_s = self._now_s()
        self._tell_expired(self.upstream.expire(now_s))
        for module_id, queue in self.inputs.items():
            under_way, client = self._under_way.get(module_id), self.input_client(module_id)
            is_there = client is not None and client.connection is not None
            expired = queue.expire(now_s, under_way.waiting if under_way is not None and is_there else None)
            self._tell_expired(expired)
            if under_way is not None and any(waiting is under_way.waiting for waiting in expired):
                del self._under_way[module_id]
                if client is not None:
                    client.drop(under_way.waiting)

    def waiting(self) -> Iterator[tuple[str, int, int]]:
        """Endpoint, priority, number of messages: of all that waits."""
        for endpoint, queue in ((UPSTREAM, self.upstream), *self.inputs.items()):
            for priority, count in queue.depths():
                yield endpoint, priority, count

    def next_upstream(self, most: int) -> list[Waiting]:
        """The messages that go upstream next; they stay until `sent_upstream`."""
        expired: list[Waiting] = []
        found = self.upstream.batch(self._now_s(), most, expired)
        self._tell_expired(expired)
        return found

    def _finds_a_way(self, module_id: str) -> bool:
        seen, waiting = set(), [module_id]
        while waiting:
            name = waiting.pop()
            seen.add(name)
            for route in self._router.routes.values():
                if not _may_come_from(route, name):
                    continue
                if not isinstance(route.sink, ModuleInput):
                    return True
                if route.sink.module not in seen:
                    waiting.append(route.sink.module)
        return False

    def _destinations(self, message: HubMessage, routed: RoutedMessage) -> list[Destination]:
        """Where routes lead a message. A module's input is no place for one whose topic would be too long for it."""
        return [each for each in self._router.destinations(routed) if self._fits(message, _input_of(each))]

    def _fits(self, message: HubMessage, sink: ModuleInput | None) -> bool:
        return sink is None or input_topic_fits(self.device_id, sink.module, sink.input_name, message)

    def _take(self, message: HubMessage, found: list[Destination]) -> None:
        endpoints = [f"{sink.module}/{sink.input_name}" if sink else UPSTREAM for sink in map(_input_of, found)]
        trace = self._account.accepted(message, endpoints, self._is_filtered(message, found))
        message = message._replace(trace=trace)
        for destination in found:
            self._store(message, destination)

    def _is_filtered(self, message: HubMessage, found: list[Destination]) -> bool:
        """Whether only its condition keeps a route from taking a module's output to the cloud.

        The route must name the module: one from `/messages/*` may be there for devices, and its condition say so.
        """
        if not message.module_id:
            return False
        taken = {destination.sink for destination in found}
        return any(
            route.condition is not None
            and (route.source_module or "").lower() == message.module_id.lower()
            and route.takes_from(message.source)
            and route.sink not in taken
            and (not isinstance(route.sink, ModuleInput) or self.reaches_cloud(route.sink.module))
            for route in self._router.routes.values()
        )

    def _store(self, message: HubMessage, destination: Destination) -> None:
        keep_s = destination.time_to_live_s or self._keep_s
        deadline_s = self._now_s() + keep_s if keep_s >= 0 else None
        sink = _input_of(destination)
        if sink is None:
            self.upstream.append(Waiting(message, "", destination.priority, deadline_s))
            self.peak = max(self.peak, len(self.upstream))
            self.on_upstream()
            return
        queue = self.inputs.setdefault(sink.module, EndpointQueue())
        queue.append(Waiting(message, sink.input_name, destination.priority, deadline_s))
        client = self.input_client(sink.module)
        if client is not None:
            self.ready(client)

    def _tell_expired(self, expired: list[Waiting]) -> None:
        for waiting in expired:
            self._account.expired(waiting.message)


def _input_of(destination: Destination) -> ModuleInput | None:
    """The input of a module that a destination is; None upstream."""
    return destination.sink if isinstance(destination.sink, ModuleInput) else None


def _may_come_from(route: Route, module_id: str) -> bool:
    """Whether a route takes messages of this module, of whatever output."""
    source = f"/messages/modules/{module_id}/".lower()
    return route.source_prefix.startswith(source) or source.startswith(route.source_prefix)
