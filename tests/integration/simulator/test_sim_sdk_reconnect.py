"""The unmodified SDK comes back: after cuts, restarts of the hub, renewals of its token; nothing is forgotten."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import MethodResponse
from azure.iot.device.exceptions import ConnectionDroppedError, ConnectionFailedError, CredentialError

from simulator.hub.broker import Broker
from simulator.message import HubMessage
from tests.integration.simulator.paho_peer import paho_peer, password
from tests.integration.simulator.sdk_world import (
    DEADLINE_S,
    DEVICE,
    GATEWAY,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SimulationUnderTest,
    running_simulation,
    until,
)

pytestmark = SDK_WARNINGS
LINKS = {DEVICE: "upstream", LEAF: "devices", SCORER: "modules"}
ALL = pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])
RENEWED_AFTER_S = 2
TTL_S = 120 + RENEWED_AFTER_S
"""The SDK renews a token 120 s before its end."""


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path, {"up": "FROM /messages/* INTO $upstream"}) as running:
        yield running


class Listener:
    """All subscriptions that a client can have, made once, and whether they are in force."""

    def __init__(self, sim: SimulationUnderTest, client_id: str, client: Any) -> None:
        self._sim = sim
        self._client_id = client_id
        self._client = client
        self._bodies: list[bytes] = []
        self._patches: list[dict[str, Any]] = []
        self._number = 0
        client.on_method_request_received = self._answer
        client.on_message_received = lambda message: self._bodies.append(message.data)
        client.on_twin_desired_properties_patch_received = self._patches.append
        client.get_twin()

    def check(self) -> None:
        """A method, a change of the twin, and a message come through."""
        self._number += 1
        number = self._number
        assert self._sim.invoke(self._client_id, "echo", number) == (200, number)
        self._sim.set_desired(self._client_id, {"n": number})
        until(lambda: any(patch.get("n") == number for patch in self._patches), f"change {number}")
        if self._client_id == SCORER:
            self._sim.put_input("scorer", "in", b"%d" % number, {})
        else:
            self._sim.do("send", id=self._client_id, body=number)
        until(lambda: b"%d" % number in self._bodies, f"message {number}")

    def _answer(self, request: Any) -> None:
        response = MethodResponse.create_from_method_request(request, 200, request.payload)
        self._client.send_method_response(response)


def broker(sim: SimulationUnderTest, client_id: str) -> Broker:
    """Who serves a client."""
    return sim.call(lambda: sim.world.front.place(sim.world.identity(client_id)).broker)


def until_connection_other_than(sim: SimulationUnderTest, client_id: str, older: Any) -> None:
    """Wait until the client has another connection."""
    clients = broker(sim, client_id).clients
    until(lambda: clients[client_id].connection not in (None, older), "another connection")


def connection(sim: SimulationUnderTest, client_id: str) -> Any:
    """The connection of a client now."""
    return broker(sim, client_id).clients[client_id].connection


@ALL
def test_after_a_cut_everything_is_in_force_again(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        listener = Listener(sim, client_id, client)
        listener.check()
        for number in range(2):
            older = connection(sim, client_id)
            sim.do("offline", link=LINKS[client_id])
            until(lambda: not sim.is_connected(client_id), "the cut")
            sim.do("online", link=LINKS[client_id])
            until_connection_other_than(sim, client_id, older)
            listener.check()
            client.send_message(str(number))
        assert [message.body for message in sim.until_arrived(2)] == [b"0", b"1"]


def test_after_a_restart_of_the_hub_everything_is_in_force_again(sim: SimulationUnderTest) -> None:
    with sim.client(DEVICE) as device, sim.client(LEAF) as leaf, sim.client(SCORER) as scorer:
        clients = {DEVICE: device, LEAF: leaf, SCORER: scorer}
        listeners = [Listener(sim, client_id, client) for client_id, client in clients.items()]
        older = {client_id: connection(sim, client_id) for client_id in clients}
        sim.do("restart_hub", for_s=0.5)
        for client_id in clients:
            until_connection_other_than(sim, client_id, older[client_id])
        for listener in listeners:
            listener.check()
        for client in clients.values():
            client.send_message("1")
        sim.until_arrived(3)


def holds_bytes(sim: SimulationUnderTest) -> bool:
    """Whether a half-open link has taken bytes that it does not deliver."""
    return any(not each._inward.is_empty for each in sim.world.server.sockets)


@ALL
def test_a_message_on_a_link_that_dies_silently_is_sent_again(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client, ThreadPoolExecutor(1) as pool:
        older = connection(sim, client_id)
        sim.do("half_open", link=LINKS[client_id])
        sending = pool.submit(client.send_message, "1")
        until(lambda: sim.call(holds_bytes, sim), "the message on the link")
        sim.do("offline", link=LINKS[client_id])
        sim.do("online", link=LINKS[client_id])
        until_connection_other_than(sim, client_id, older)
        sending.result(DEADLINE_S)
        sim.until_arrived(1)


def test_a_silent_link_is_noticed_by_the_keep_alive(sim: SimulationUnderTest) -> None:
    with sim.client(DEVICE, keep_alive=2) as client:
        older = connection(sim, DEVICE)
        sim.do("half_open")
        until(lambda: not client.connected, "the client has given the connection up")
        sim.do("online")
        until_connection_other_than(sim, DEVICE, older)
        client.send_message("1")
        sim.until_arrived(1)


def test_the_hub_ends_the_connection_of_a_client_that_is_silent(sim: SimulationUnderTest) -> None:
    with paho_peer(sim, DEVICE, keep_alive_s=1) as peer:
        peer.client.loop_stop()  # so it sends no pings
        until(lambda: not sim.is_connected(DEVICE), "the end")


@pytest.mark.parametrize("client_id", [DEVICE, LEAF])
def test_a_message_whose_confirmation_is_lost_arrives_twice(sim: SimulationUnderTest, client_id: str) -> None:
    """At least once: the sender cannot know that it has arrived, and says `dup`."""
    link = LINKS[client_id]

    def cut_before_the_confirmation(*_: HubMessage) -> None:
        sim.world.network.change(link, half_open=True)

    def back_to_normal(*_: HubMessage) -> None:
        """Nothing."""

    def watch(what: Callable[..., None]) -> None:
        if client_id == DEVICE:
            sim.arrived.on_arrival = what
        else:
            sim.world.gateways[GATEWAY].edge_hub.on_upstream = what

    with sim.client(client_id) as client, ThreadPoolExecutor(1) as pool:
        older = connection(sim, client_id)
        wake = sim.world.gateways[GATEWAY].edge_hub.on_upstream
        sim.call(watch, cut_before_the_confirmation)
        sending = pool.submit(client.send_message, "1")
        until(lambda: sim.call(sim.world.network.condition, link).half_open, "the hub has it")
        sim.call(watch, back_to_normal if client_id == DEVICE else wake)
        sim.do("offline", link=link)
        sim.do("online", link=link)
        until_connection_other_than(sim, client_id, older)
        sending.result(DEADLINE_S)
        sim.call(wake)
        assert [message.body for message in sim.until_arrived(2)] == [b"1", b"1"]


def test_tokens_are_renewed_during_traffic_and_nothing_is_lost(sim: SimulationUnderTest) -> None:
    """Renewal is a connection anew: what is under way then is sent again."""
    passwords = sim.world.front._passwords

    def renewals(client_id: str, seen: set[bytes]) -> int:
        seen.add(sim.call(lambda: passwords[client_id]))
        return len(seen) - 1

    def send(client: Any, client_id: str) -> int:
        count, seen = 0, set[bytes]()
        deadline_s = time.monotonic() + DEADLINE_S
        while renewals(client_id, seen) < 2:
            assert time.monotonic() < deadline_s, f"{client_id} has renewed its token {len(seen) - 1} times"
            client.send_message(f'"{client_id} {count}"')
            count += 1
        return count

    clients = (DEVICE, LEAF, SCORER)
    with (
        sim.client(DEVICE, sastoken_ttl=TTL_S) as device,
        sim.client(LEAF, sastoken_ttl=TTL_S) as leaf,
        sim.client(SCORER, sastoken_ttl=TTL_S) as scorer,
        ThreadPoolExecutor(3) as pool,
    ):
        listener = Listener(sim, SCORER, scorer)
        counts = list(pool.map(send, (device, leaf, scorer), clients))
        until(lambda: len(set(sim.bodies())) == sum(counts), "all that was sent")
        listener.check()
        for client_id, count in zip(clients, counts, strict=True):
            numbers = [int(body.split()[1]) for body in dict.fromkeys(sim.bodies()) if body.startswith(f"{client_id} ")]
            assert numbers == list(range(count)), "in order, but for repetitions"
    assert sim.world.refusals == []


@pytest.mark.parametrize("client_id", [DEVICE, SCORER])
def test_an_expired_token_keeps_a_client_out_until_it_has_another(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id, sastoken_ttl=120 + 5) as client:
        errors: list[Exception] = []
        client.on_background_exception = errors.append
        sim.do("expire_token", id=client_id)
        until(lambda: not client.connected, "the hub has ended the connection")
        until(
            lambda: any("not authorised" in str(error) for error in list(errors)), "a refusal, when it tries it again"
        )

        def sent() -> bool:
            try:
                client.send_message("1")
            except (CredentialError, ConnectionFailedError, ConnectionDroppedError):
                time.sleep(0.05)
                return False
            return True

        until(sent, "its next token")
        sim.until_arrived(1)


def test_a_second_connection_of_an_identity_ends_the_first(sim: SimulationUnderTest) -> None:
    with sim.client(DEVICE, connection_retry=False) as first:
        ended = threading.Event()
        first.on_connection_state_change = lambda: ended.set() if not first.connected else None
        with sim.client(DEVICE, connection_retry=False) as second:
            assert ended.wait(DEADLINE_S)
            second.send_message("1")
            sim.until_arrived(1)
            assert sim.is_connected(DEVICE)


@ALL
def test_a_session_outlives_its_connection_unless_it_is_clean(sim: SimulationUnderTest, client_id: str) -> None:
    methods = "$iothub/methods/POST/#"
    with paho_peer(sim, client_id) as peer:
        assert not peer.has_session
        peer.subscribe(methods)
    with paho_peer(sim, client_id) as peer:
        assert peer.has_session
        assert methods in filters(sim, client_id)
    with paho_peer(sim, client_id, clean=True) as peer:
        assert not peer.has_session
        assert filters(sim, client_id) == set()
        peer.subscribe(methods)
    until(lambda: not sim.is_connected(client_id), "gone")
    with paho_peer(sim, client_id) as peer:
        assert not peer.has_session, "a clean session ends with its connection"
        assert filters(sim, client_id) == set()


def filters(sim: SimulationUnderTest, client_id: str) -> set[str]:
    """What a client has subscribed to."""
    clients = broker(sim, client_id).clients
    return sim.call(lambda: set(clients[client_id].filters))


@pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])
def test_a_will_becomes_telemetry_when_the_connection_ends_without_a_word(
    sim: SimulationUnderTest, client_id: str
) -> None:
    device, _, module = client_id.partition("/")
    root = f"devices/{device}/modules/{module}" if module else f"devices/{device}"
    will = (f"{root}/messages/events/a=b", b'"last words"', 1)
    with paho_peer(sim, client_id, will=will) as peer:
        peer.tear()
        (message,) = sim.until_arrived(1)
    assert message.body == b'"last words"'
    assert message.properties == (("a", "b"), ("iothub-MessageType", "Will"))
    with paho_peer(sim, client_id, will=will):
        pass  # it says goodbye
    with paho_peer(sim, client_id, will=will), paho_peer(sim, client_id):
        sim.until_arrived(2)  # the newer one has ended it
    assert len(sim.arrived.messages) == 2


def test_a_token_signed_with_the_second_key_is_good(sim: SimulationUnderTest) -> None:
    identity = sim.call(sim.world.identity, DEVICE)
    secret = password(sim, DEVICE, key=identity.secondary_key)
    with paho_peer(sim, DEVICE, password=secret) as peer:
        assert peer.connack == 0
