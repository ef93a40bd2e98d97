"""How a message looks in MQTT: Message -> topic, body and properties; a delivery -> Received. Pure.

With MQTT 3.1.1 there are no properties: all that is left is topic and body.
"""

import hashlib

from device_agent.messages.message import Message, Received
from device_agent.messages.mqtt.publish_properties import decode_properties, encode_properties, text_problem
from device_agent.messages.mqtt.topic_filter import topic_problem

MESSAGE_ID = "message-id"
CORRELATION_ID = "correlation-id"
_OWN_NAMES = (MESSAGE_ID, CORRELATION_ID)
_FRAME_BYTES = 16
_PROPERTY_BYTES = 5


def message_properties(message: Message) -> bytes:
    """The properties (MQTT 5) of what is published, encoded."""
    return encode_properties(
        message.content_type, _user_properties(message), message.correlation_id.encode(), message.ttl_s
    )


def message_problem(message: Message, largest_bytes: int) -> str:
    """Why this can never be published, as one sentence, "" if it can. `largest_bytes`: of a packet."""
    if problem := topic_problem(message.output):
        return f"the topic {message.output[:80]!r} {problem}"
    size = len(message.body) + len(message.output.encode()) + len(message.correlation_id.encode()) + _FRAME_BYTES
    for name, value in (*_user_properties(message), ("content type", message.content_type)):
        if problem := text_problem(name) or text_problem(value):
            return f"the property {name[:80]!r} {problem}"
        size += len(name.encode()) + len(value.encode()) + _PROPERTY_BYTES
    if size > largest_bytes:
        return f"it takes {size} bytes, and the broker takes {largest_bytes}"
    return ""


def received_message(
    topic: str, payload: bytes, properties: bytes, *, mid: int, redelivered: bool, receipt: object
) -> Received:
    """An input. With QoS 0 (`mid` 0) it has no origin. Raises ValueError when the properties are malformed."""
    given = decode_properties(properties)
    return Received(
        payload,
        topic,
        message_id=next((value for name, value in given.user if name == MESSAGE_ID), ""),
        properties=tuple(pair for pair in given.user if pair[0] not in _OWN_NAMES),
        content_type=given.content_type,
        content_encoding="utf-8" if given.is_utf8 else "",
        redelivered=redelivered,
        receipt=receipt,
        origin=_origin(topic, payload, mid) if mid else b"",
    )


def _user_properties(message: Message) -> tuple[tuple[str, str], ...]:
    if message.correlation_id:
        return (MESSAGE_ID, message.message_id), (CORRELATION_ID, message.correlation_id), *message.properties
    return (MESSAGE_ID, message.message_id), *message.properties


def _origin(topic: str, payload: bytes, mid: int) -> bytes:
    """Equal for two deliveries of one message: its mid stays the same until it is acknowledged."""
    digest = hashlib.blake2b(topic.encode(), digest_size=8)
    digest.update(payload)
    return mid.to_bytes(2, "big") + digest.digest()
