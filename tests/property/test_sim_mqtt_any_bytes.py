"""MQTT packets: what is encoded is read again, however it is cut; any bytes are packets or malformed, no error."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.hub.connection import Connection
from simulator.mqtt.encoding import encode, encode_all
from simulator.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Malformed,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    QosTwo,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    matches,
)
from simulator.mqtt.reading import PacketReader
from tests.examples import examples
from tests.unit.simulator.hub.hub_world import HubWorld, Peer, Wire

_TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40)
_TOPIC = _TEXT.map(lambda text: text.replace("+", "p").replace("#", "h") or "t")
_FILTER = st.one_of(_TOPIC, _TOPIC.map(lambda topic: f"{topic}/#"), st.sampled_from(["#", "+", "a/+/b", "+/#"]))
_MID = st.integers(1, 65_535)
_BODY = st.binary(max_size=300)


def _publishes() -> st.SearchStrategy[Publish]:
    with_mid = st.builds(Publish, _TOPIC, _BODY, st.sampled_from([1, 2]), _MID, st.booleans(), st.booleans())
    return st.one_of(with_mid, st.builds(Publish, _TOPIC, _BODY, st.just(0), st.just(0), st.booleans(), st.just(False)))


def _connects() -> st.SearchStrategy[Connect]:
    will = st.none() | st.builds(Will, _TEXT, _BODY, st.integers(0, 2), st.booleans())
    keep_alive_s = st.integers(0, 65_535)
    with_user = st.builds(Connect, _TEXT, _TEXT, st.none() | _BODY, keep_alive_s, st.booleans(), will, st.just(4))
    return st.one_of(
        with_user, st.builds(Connect, _TEXT, st.none(), st.none(), keep_alive_s, st.booleans(), will, st.just(4))
    )


PACKETS: st.SearchStrategy[Packet] = st.one_of(
    _publishes(),
    _connects(),
    st.builds(Connack, st.integers(0, 5), st.booleans()),
    st.builds(Puback, _MID),
    st.builds(Subscribe, _MID, st.lists(st.tuples(_FILTER, st.integers(0, 2)), min_size=1, max_size=5).map(tuple)),
    st.builds(Suback, _MID, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=5).map(tuple)),
    st.builds(Unsubscribe, _MID, st.lists(_FILTER, min_size=1, max_size=5).map(tuple)),
    st.builds(Unsuback, _MID),
    st.builds(QosTwo, st.sampled_from([5, 6, 7]), _MID),
    st.sampled_from([Pingreq(), Pingresp(), Disconnect()]),
)


@settings(max_examples=examples(150))
@given(st.lists(PACKETS, max_size=6), st.lists(st.integers(0, 2000), max_size=6))
def test_what_is_encoded_is_read_again_however_it_is_cut(packets: list[Packet], cuts: list[int]) -> None:
    data = encode_all(packets)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = PacketReader()
    found = [packet for low, high in itertools.pairwise(places) for packet in reader.feed(data[low:high])]
    assert found == packets


@settings(max_examples=examples(150))
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_give_packets_and_at_most_one_end(pieces: list[bytes]) -> None:
    reader = PacketReader(limit_bytes=1000)
    found = [packet for piece in pieces for packet in reader.feed(piece)]
    assert all(not isinstance(packet, Malformed) for packet in found[:-1])
    for packet in found:
        if not isinstance(packet, Malformed) and not (isinstance(packet, Connect) and packet.level != 4):
            assert PacketReader().feed(encode(packet)) == [packet]


@settings(max_examples=examples(100))
@given(st.lists(st.one_of(PACKETS.map(encode), st.binary(max_size=30)), max_size=8), st.booleans())
def test_a_connection_takes_any_bytes(pieces: list[bytes], signs_in: bool) -> None:
    world = HubWorld({"up": "FROM /messages/* INTO $upstream"})
    peer = world.signed_in("leaf") if signs_in else Peer(world, "leaf")
    for piece in pieces:
        peer.send_bytes(piece)
    assert peer.is_closed or peer.connection.is_open
    assert not world.registry.is_connected("leaf") or not peer.is_closed


def test_a_packet_is_refused_by_its_announced_length_before_its_bytes_come() -> None:
    reader = PacketReader(limit_bytes=1000)
    assert reader.feed(b"\x30\xe8\x07") == []
    [packet] = PacketReader(limit_bytes=1000).feed(b"\x30\xe9\x07")
    assert isinstance(packet, Malformed)
    assert "1001" in packet.reason


def test_a_connection_that_is_cut_off_writes_nothing_more() -> None:
    world, wire = HubWorld(), Wire()
    connection = Connection(world.front, wire, 0.0)
    connection.received(b"\x00", 0.0)
    connection.send(Pingresp())
    assert (wire.is_closed, wire.packets) == (True, [])


def _naive_matches(name: list[str], topic: list[str]) -> bool:
    """The rules of MQTT 3.1.1, section 4.7, one level after the other."""
    if not name:
        return not topic
    if name[0] == "#":
        return True
    return bool(topic) and name[0] in ("+", topic[0]) and _naive_matches(name[1:], topic[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "", "+", "$x"]), min_size=1, max_size=5),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "", "$x"]), min_size=1, max_size=5),
)
def test_filters_match_as_the_specification_says(levels: list[str], is_open: bool, topic: list[str]) -> None:
    name = [*levels, "#"] if is_open else levels
    if not "/".join(name) or not "/".join(topic):
        return
    hidden = topic[0].startswith("$") and name[0] in ("+", "#")
    assert matches("/".join(name), "/".join(topic)) == (_naive_matches(name, topic) and not hidden)
