"""What a message looks like in MQTT: our own encoding against paho's, topic filters against paho's matcher."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from device_agent.messages.message import Message
from device_agent.messages.mqtt.mqtt_message import message_problem, message_properties, received_message
from device_agent.messages.mqtt.publish_properties import (
    PublishProperties,
    decode_properties,
    encode_properties,
    read_length,
    text_problem,
)
from device_agent.messages.mqtt.topic_filter import filter_problem, matches, topic_problem

TEXTS = st.text(max_size=40).filter(lambda text: not text_problem(text))
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=5)
LEVELS = st.sampled_from(["", "a", "b", "$x", "+", "#"])
NAMES = st.sampled_from(["", "a", "b", "$x"])


def paho_properties() -> Properties:
    """Of a PUBLISH packet."""
    return Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]


@given(content_type=TEXTS, pairs=PAIRS, correlation=st.binary(max_size=300), expiry_s=st.integers(0, 2**33))
def test_paho_reads_what_we_write(
    content_type: str, pairs: list[tuple[str, str]], correlation: bytes, expiry_s: int
) -> None:
    encoded = encode_properties(content_type, pairs, correlation, expiry_s)
    properties, length = paho_properties().unpack(encoded)  # type: ignore[no-untyped-call]
    assert length == len(encoded)
    assert getattr(properties, "ContentType", "") == content_type
    assert getattr(properties, "UserProperty", []) == pairs
    assert getattr(properties, "CorrelationData", b"") == correlation
    assert getattr(properties, "MessageExpiryInterval", 0) == min(expiry_s, 0xFFFFFFFF)


@given(
    content_type=TEXTS,
    pairs=PAIRS,
    correlation=st.binary(min_size=1, max_size=300),
    topic=TEXTS,
    identifiers=st.lists(st.integers(1, 268_435_455), max_size=3),
)
def test_we_read_what_paho_writes(
    content_type: str, pairs: list[tuple[str, str]], correlation: bytes, topic: str, identifiers: list[int]
) -> None:
    properties = paho_properties()
    fields = {
        "PayloadFormatIndicator": 1,
        "MessageExpiryInterval": 7,
        "ContentType": content_type,
        "ResponseTopic": topic,
        "CorrelationData": correlation,
        "SubscriptionIdentifier": identifiers,
        "TopicAlias": 3,
        "UserProperty": pairs,
    }
    for name, value in fields.items():
        setattr(properties, name, value)
    packed = bytes(properties.pack())  # type: ignore[no-untyped-call]
    length, start = read_length(packed, 0)
    assert length == len(packed) - start
    assert decode_properties(packed[start:]) == PublishProperties(content_type, True, correlation, tuple(pairs))


@given(block=st.binary(max_size=60))
@example(block=b"\x26\x00\x01a")
@example(block=b"\x02\x00")
@example(block=b"\x01")
@example(block=b"\x0b\xff\xff\xff\xff\x01")
@example(block=b"\x11\x00\x00\x00\x00")
@example(block=b"\x03\x00\x01\xff")
def test_any_bytes_are_properties_or_a_value_error(block: bytes) -> None:
    try:
        found = decode_properties(block)
    except ValueError:
        return
    assert isinstance(found, PublishProperties)


@given(levels=st.lists(LEVELS, min_size=1, max_size=4), names=st.lists(NAMES, min_size=1, max_size=4))
def test_filters_match_as_in_paho(levels: list[str], names: list[str]) -> None:
    topic_filter, topic = "/".join(levels), "/".join(names)
    if filter_problem(topic_filter) or not topic:
        return
    expected = topic_matches_sub(topic_filter, topic)
    assert matches(topic_filter, topic) == expected
    assert matches(f"$share/group/{topic_filter}", topic) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a/#/b",
        "#/a",
        "a#",
        "a+/b",
        "a/b+",
        "a\x00",
        "$share/g/",
        "$share/g",
        "$share//a",
        "$share/+/a",
        "x" * 65536,
    ],
)
def test_these_are_no_filters(text: str) -> None:
    assert filter_problem(text)


@pytest.mark.parametrize("text", ["$share/g", "$share/g/", "$share//a", "$share/"])
def test_a_shared_subscription_that_is_none_is_told_what_one_looks_like(text: str) -> None:
    assert "looks like $share/GROUP/FILTER" in filter_problem(text)


@pytest.mark.parametrize(
    "text", ["a", "/", "+", "#", "+/a/#", "$share/g/a", "$share/g/#", "$SYS/x", "é/日本", "x" * 65535]
)
def test_these_are_filters(text: str) -> None:
    assert filter_problem(text) == ""


@pytest.mark.parametrize("text", ["", "+", "a/#", "a\n", "\ud800", "x" * 65536, "é" * 32768])
def test_these_are_no_topics(text: str) -> None:
    assert topic_problem(text)


@given(
    body=st.binary(max_size=300),
    output=st.text(min_size=1, max_size=300),
    correlation_id=TEXTS,
    pairs=PAIRS,
    content_type=TEXTS,
)
def test_a_message_is_never_larger_than_it_was_said_to_be(
    body: bytes, output: str, correlation_id: str, pairs: list[tuple[str, str]], content_type: str
) -> None:
    message = Message(body, output, "id", correlation_id, tuple(pairs), content_type, ttl_s=5)
    if topic_problem(output):
        return
    properties = message_properties(message)
    payload_bytes = 2 + len(output.encode()) + 2 + len(properties) + len(body)
    packet_bytes = 1 + (1 if payload_bytes < 128 else 2) + payload_bytes
    if not message_problem(message, packet_bytes - 1):
        pytest.fail(f"{packet_bytes} bytes passed as one fewer")
    assert message_problem(message, packet_bytes + 40) == ""


def test_what_goes_out_of_one_agent_comes_into_the_next_with_its_id() -> None:
    message = Message(b"body", "out", "id-1", "was-1", (("a", "1"),), "application/json")
    packed = message_properties(message)
    _, start = read_length(packed, 0)
    received = received_message("out", b"body", packed[start:], mid=1, redelivered=False, receipt=None)
    assert received.message_id == "id-1"
    assert received.properties == (("a", "1"),)
    assert received.content_type == "application/json"


def test_the_origin_tells_messages_apart_and_redeliveries_not() -> None:
    def origin(topic: str, payload: bytes, mid: int, redelivered: bool = False) -> bytes:
        return received_message(topic, payload, b"", mid=mid, redelivered=redelivered, receipt=None).origin

    assert origin("in", b"1", 1) == origin("in", b"1", 1, redelivered=True)
    different = {origin("in", b"1", 1), origin("in", b"1", 2), origin("in", b"2", 1), origin("in/2", b"1", 1)}
    assert len(different) == 4
    assert all(0 < len(one) <= 64 for one in different)
    assert origin("in", b"1", 0) == b"", "QoS 0 has no mid"
