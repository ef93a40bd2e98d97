"""Topics of the hub, both ways, and what it would refuse."""

import pytest

from device_agent.messages.iothub import topics
from device_agent.messages.message import Message

MODULE = ("edge-1", "scorer")
DEVICE = ("edge-1", "")


@pytest.mark.parametrize(
    ("identity", "topic", "expected"),
    [
        (MODULE, "devices/edge-1/modules/scorer/inputs/in", topics.InputTopic("in", ())),
        (MODULE, "devices/edge-1/modules/scorer/inputs/in%201/", topics.InputTopic("in 1", ())),
        (
            MODULE,
            "devices/edge-1/modules/scorer/inputs/in/a=b%26c&%24.mid=m%2F1&flag&x=1=2&plus=1+1/rest",
            topics.InputTopic("in", (("a", "b&c"), ("$.mid", "m/1"), ("flag", ""), ("x", "1=2"), ("plus", "1+1"))),
        ),
        (MODULE, "devices/edge-1/modules/scorer2/inputs/in", None),
        (MODULE, "devices/edge-1/messages/devicebound/a=b", None),
        (DEVICE, "devices/edge-1/messages/devicebound/a=b", topics.InputTopic("", (("a", "b"),))),
        (DEVICE, "devices/edge-1/messages/devicebound/", topics.InputTopic("", ())),
        (DEVICE, "$iothub/twin/res/204/?$rid=7&$version=12", topics.TwinAnswer(204, "7")),
        (DEVICE, "$iothub/twin/res/200", None),
        (DEVICE, "$iothub/twin/res/20x/?$rid=7", None),
        (DEVICE, "$iothub/twin/PATCH/properties/desired/?$version=4", topics.DesiredPatch()),
        (DEVICE, "$iothub/methods/POST/say%20hi/?$rid=a%2Fb", topics.MethodTopic("say hi", "a/b")),
        (DEVICE, "$iothub/methods/POST/ping", None),
        (DEVICE, "$iothub/else", None),
    ],
)
def test_parse_topic(identity: tuple[str, str], topic: str, expected: object) -> None:
    assert topics.parse_topic(*identity, topic) == expected


def test_an_input_says_who_sent_it_and_keeps_the_system_apart() -> None:
    topic = topics.parse_topic(
        *MODULE,
        "devices/edge-1/modules/scorer/inputs/in/%24.cdid=leaf&%24.cmid=m&%24.ct=text%2Fplain&a=1&iothub-ack=full",
    )
    assert isinstance(topic, topics.InputTopic)
    received = topic.received(b"body", True, None, b"o")
    assert (received.sender, received.properties, received.content_type) == ("leaf/m", (("a", "1"),), "text/plain")
    assert (received.redelivered, received.origin, received.message_id) == (True, b"o", "")


def test_events_topic_of_a_module_and_of_a_device() -> None:
    message = Message(b"", "out 1", "id/1", "c", (("z", "ü"), ("a", "")), content_encoding="")
    properties = "%24.mid=id%2F1&%24.cid=c&%24.ct=application%2Fjson&z=%C3%BC&a="
    assert topics.events_topic(*MODULE, message) == (
        f"devices/edge-1/modules/scorer/messages/events/%24.on=out%201&{properties}"
    )
    assert topics.events_topic(*DEVICE, message) == f"devices/edge-1/messages/events/{properties}"


def test_what_fits_exactly_is_not_refused() -> None:
    message = Message(b"", "out", "1")
    room_bytes = topics.LARGEST_PACKET_BYTES - 4 - len(topics.events_topic(*MODULE, message))
    assert topics.refusal(*MODULE, message._replace(body=bytes(room_bytes))) == ""
    assert "262145 bytes" in topics.refusal(*MODULE, message._replace(body=bytes(room_bytes + 1)))


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ((("$.to", "x"),), "'$.to'"),
        ((("a", "\ud800"),), "no text"),
        ((("a", "ü" * 11_000),), "MQTT allows 65535"),
    ],
)
def test_properties_that_cannot_be_sent(properties: tuple[tuple[str, str], ...], word: str) -> None:
    assert word in topics.refusal(*MODULE, Message(b"", "out", "1", properties=properties))


def test_topics_that_are_sent() -> None:
    assert topics.twin_get_topic("1") == "$iothub/twin/GET/?$rid=1"
    assert topics.twin_report_topic("1") == "$iothub/twin/PATCH/properties/reported/?$rid=1"
    assert topics.method_answer_topic(200, "a/b") == "$iothub/methods/res/200/?$rid=a%2Fb"
    assert topics.inputs_filter(*MODULE) == "devices/edge-1/modules/scorer/inputs/#"
    assert topics.inputs_filter(*DEVICE) == "devices/edge-1/messages/devicebound/#"
