"""A million malformed packets and requests: nothing crashes, nothing is kept.

Packets are good ones with bytes changed, cut off, put in or repeated, and noise, on connections that have signed in and
on new ones. Requests are calls of the service interface with parts replaced. What is kept is counted from a tenth of
each on.
"""

import gc
import json
import random
import tracemalloc

import pytest

from simulator.cloud.service_request import Request
from simulator.cloud.service_rules import answer
from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import Connect, Disconnect, Pingreq, Puback, Publish, Subscribe, Unsubscribe, Will
from tests.fakes.service_world import NOW_S, OWNER_KEY, VERSION, ServiceWorld
from tests.fakes.service_world import token as service_token
from tests.unit.simulator.hub.hub_world import HOST, HubWorld, Peer, token

PACKETS, REQUESTS = 850_000, 150_000
SEED = 20_261_125
GROWTH_BYTES = 2_000_000

GOOD = [
    encode(packet)
    for packet in (
        Connect("leaf", f"{HOST}/leaf/?api-version=2019-10-01", token("leaf"), 60, False, Will("a", b"b", 1, True)),
        Publish("devices/leaf/messages/events/%24.mid=1&a=b", b'{"x": 1}', 1, 7),
        Publish("$iothub/twin/GET/?$rid=1", b""),
        Publish("$iothub/twin/PATCH/properties/reported/?$rid=2", b'{"a": {"b": 1}}', 1, 9),
        Publish("$iothub/methods/res/200/?$rid=3", b"{}"),
        Subscribe(1, (("$iothub/twin/res/#", 1), ("devices/leaf/messages/devicebound/#", 0))),
        Unsubscribe(2, ("a/+/b", "#")),
        Puback(3),
        Pingreq(),
        Disconnect(),
    )
]


def spoilt(chance: random.Random, good: bytes) -> bytes:
    """The same bytes with something wrong."""
    data = bytearray(good)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if data:
                data[place % len(data)] = chance.randrange(256)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = chance.randbytes(chance.randint(1, 6))
            case 3:
                data += data[:place]
            case _:
                data = bytearray(chance.randbytes(chance.randint(0, 20)))
    return bytes(data)


@pytest.mark.timeout(300)
def test_malformed_packets_crash_nothing_and_are_not_kept() -> None:
    chance = random.Random(SEED)  # noqa: S311
    world = HubWorld({"up": "FROM /messages/* INTO $upstream"})
    peer, ended = world.signed_in("leaf"), 0
    for number in range(PACKETS):
        if peer.is_closed:
            ended += 1
            peer = Peer(world, "leaf") if number % 4 else world.signed_in("leaf", clean=True)
        peer.send_bytes(spoilt(chance, GOOD[number % len(GOOD)]))
        if not number % 1000:  # what was taken in good order is no leak
            for waiting in world.edge.next_upstream(1000):
                world.edge.upstream.remove(waiting)
            world.account.accepted_at.clear()
            world.refusals.clear()
            world.registry.replace_desired("leaf", {})
            world.registry.patch_reported("leaf", dict.fromkeys(world.registry.twin("leaf").reported))
        if number == PACKETS // 10:
            gc.collect()
            tracemalloc.start()
    grown_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert ended > 10_000
    assert grown_bytes < GROWTH_BYTES
    assert world.signed_in("leaf", clean=True).publish("messages/events/", b"still here")


@pytest.mark.timeout(300)
def test_malformed_requests_crash_nothing_and_are_not_kept() -> None:
    chance = random.Random(SEED)  # noqa: S311
    world = ServiceWorld()
    owner = service_token("localhost", OWNER_KEY, "iothubowner")
    parts = (
        "devices",
        "twins",
        "modules",
        "configurations",
        "methods",
        "query",
        "edge-1",
        "leaf",
        "$edgeHub",
        "%",
        "é",
        "",
    )
    bodies = (
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"deviceId": 1}',
        b'{"tags": {"a.b": 1}}',
        b'{"query": "SELECT * FROM"}',
        b"\xff",
    )
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        body = chance.choice(bodies)
        request = Request(
            chance.choice(("GET", "PUT", "POST", "PATCH", "DELETE", "BREW")),
            tuple(chance.choice(parts) for _ in range(chance.randrange(6))),
            chance.choice(({"api-version": VERSION}, {}, {"api-version": "1", "top": "-1"})),
            chance.choice(
                ({"authorization": owner}, {}, {"authorization": spoilt(chance, owner.encode()).decode("latin-1")})
            )
            | chance.choice(({}, {"if-match": '"*"'}, {"if-match": "\0"}, {"x-ms-max-item-count": "many"})),
            spoilt(chance, body) if number % 3 else body,
            NOW_S,
        )
        status = getattr(answer(world.hub, request), "status", 200)
        statuses[status] = statuses.get(status, 0) + 1
        if number == REQUESTS // 10:
            gc.collect()
            tracemalloc.start()
    grown_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert set(statuses) <= {200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 413}, json.dumps(statuses)
    assert statuses[401] > 1000
    assert grown_bytes < GROWTH_BYTES
