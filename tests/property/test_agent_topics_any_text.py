"""Properties in topics: any text survives, our reading agrees with the service's own client, rubbish does no harm."""

from typing import Any

from azure.iot.device import Message as SdkMessage
from azure.iot.device.iothub.pipeline import mqtt_topic_iothub as sdk_topics
from hypothesis import given
from hypothesis import strategies as st

from device_agent.messages.iothub import topics
from device_agent.messages.message import Message

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = text.filter(lambda name: name and not name.startswith(("$.", "iothub-ack")))
pairs = st.lists(st.tuples(names, text), max_size=6, unique_by=lambda pair: pair[0]).map(tuple)


@given(pairs)
def test_any_properties_survive(properties: topics.Properties) -> None:
    encoded = topics.encode_properties(properties)
    assert topics.parse_properties(encoded) == properties
    assert not set(encoded) & set("/+# $")
    assert encoded.isascii()


@given(pairs, text, text, text)
def test_the_sdk_reads_what_we_write(properties: topics.Properties, mid: str, cid: str, kind: str) -> None:
    message = Message(b"", "out", mid, cid, properties, kind, "")
    topic = topics.events_topic("d", "m", message)
    tail = topic.removeprefix("devices/d/modules/m/messages/events/")
    read: Any = SdkMessage(b"")  # type: ignore[no-untyped-call]
    sdk_topics.extract_message_properties_from_topic(f"devices/d/modules/m/inputs/in/{tail}", read)  # type: ignore[no-untyped-call]
    assert (read.message_id or "", read.correlation_id or "", read.content_type or "") == (mid, cid, kind)
    assert read.custom_properties == {"$.on": "out", **dict(properties)}


@given(pairs, text, text)
def test_we_read_what_the_sdk_writes(properties: topics.Properties, mid: str, output: str) -> None:
    written: Any = SdkMessage(b"", message_id=mid, output_name=output)  # type: ignore[no-untyped-call]
    written.custom_properties = dict(properties)
    tail = sdk_topics.encode_message_properties_in_topic(written, "")  # type: ignore[no-untyped-call]
    topic = topics.parse_topic("d", "m", f"devices/d/modules/m/inputs/in/{tail}")
    assert isinstance(topic, topics.InputTopic)
    assert (topic.system("$.mid"), topic.system("$.on")) == (mid, output)
    assert dict(topic.application()) == dict(properties)


fragments = st.sampled_from(
    (
        "$iothub/ twin/ res/ 200 / ? $rid= & = % %2 %FF methods/POST/ devices/d/ modules/m/ inputs/ "
        "messages/devicebound/ x é PATCH/properties/desired/"
    ).split()
)


@given(st.one_of(st.text(), st.lists(fragments).map("".join)), st.sampled_from(["", "m"]))
def test_any_topic_gives_a_value_or_none(topic: str, module_id: str) -> None:
    parsed = topics.parse_topic("d", module_id, topic)
    if isinstance(parsed, topics.InputTopic):
        assert parsed.received(b"", False, None, b"").input_name == parsed.input_name
