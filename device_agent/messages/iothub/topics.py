"""Topics of IoT Hub and edgeHub: what they say, in both directions.

    devices/D[/modules/M]/messages/events/PROPERTIES        sent: a message ($.on: the output, of modules)
    devices/D/modules/M/inputs/INPUT/PROPERTIES             received by a module
    devices/D/messages/devicebound/PROPERTIES               received by a device: cloud to device
    $iothub/twin/GET/?$rid=R                                sent; answered by $iothub/twin/res/STATUS/?$rid=R
    $iothub/twin/PATCH/properties/reported/?$rid=R          sent; answered in the same way
    $iothub/twin/PATCH/properties/desired/?$version=N       received
    $iothub/methods/POST/NAME/?$rid=R                       received; answered by $iothub/methods/res/STATUS/?$rid=R

PROPERTIES are NAME=VALUE pairs joined by &, percent-encoded without exception; a plus sign is a plus sign. Names that
begin with `$.` are the system's. Ids of devices and modules stand in topics as they are.

Pure. Whatever a topic holds, parsing gives a value or None.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from device_agent.messages.message import Message, Received

SYSTEM_PREFIX = "$."
LARGEST_PACKET_BYTES = 262_144
_LONGEST_TOPIC_BYTES = 65_535
_NOT_APPLICATION = ("$.", "iothub-ack")

TWIN_ANSWERS = "$iothub/twin/res/#"
DESIRED_PATCHES = "$iothub/twin/PATCH/properties/desired/#"
METHODS = "$iothub/methods/POST/#"

Properties = tuple[tuple[str, str], ...]


class InputTopic(NamedTuple):
    """The topic of an input message, or of one from the cloud to a device (input name "")."""

    input_name: str
    properties: Properties

    def system(self, name: str) -> str:
        """The system property of this name (`$.mid`), "" when it is not there."""
        return next((value for key, value in self.properties if key == name), "")

    def application(self) -> Properties:
        """The properties that are not the system's."""
        return tuple(pair for pair in self.properties if not pair[0].startswith(_NOT_APPLICATION))

    def received(self, body: bytes, redelivered: bool, receipt: object, origin: bytes) -> Received:
        """The delivery of a message with this topic."""
        device_id, module_id = self.system("$.cdid"), self.system("$.cmid")
        return Received(
            body=body,
            input_name=self.input_name,
            message_id=self.system("$.mid"),
            properties=self.application(),
            content_type=self.system("$.ct"),
            content_encoding=self.system("$.ce"),
            sender=f"{device_id}/{module_id}" if module_id else device_id,
            redelivered=redelivered,
            receipt=receipt,
            origin=origin,
        )


class TwinAnswer(NamedTuple):
    """The topic of the answer to a request about the twin; `status` as in HTTP."""

    status: int
    request_id: str


class DesiredPatch(NamedTuple):
    """The topic of a change of the desired properties."""


class MethodTopic(NamedTuple):
    """The topic of a call of a direct method."""

    name: str
    request_id: str


def root_topic(device_id: str, module_id: str) -> str:
    """What the topics of a device (`module_id` "") or module begin with."""
    return f"devices/{device_id}/modules/{module_id}" if module_id else f"devices/{device_id}"


def inputs_filter(device_id: str, module_id: str) -> str:
    """The filter to subscribe to for messages."""
    return root_topic(device_id, module_id) + ("/inputs/#" if module_id else "/messages/devicebound/#")


def events_topic(device_id: str, module_id: str, message: Message) -> str:
    """The topic to publish this message to. A device has no outputs. Raises UnicodeEncodeError for lone surrogates."""
    system = (
        ("$.on", message.output if module_id else ""),
        ("$.mid", message.message_id),
        ("$.cid", message.correlation_id),
        ("$.ct", message.content_type),
        ("$.ce", message.content_encoding),
    )
    pairs = [pair for pair in system if pair[1]]
    return f"{root_topic(device_id, module_id)}/messages/events/{encode_properties([*pairs, *message.properties])}"


def refusal(device_id: str, module_id: str, message: Message) -> str:
    """Why the hub would never take this message, as one sentence; "" if it would.

    The hub allows 262,144 bytes for the body and its properties, and edgeHub for the whole MQTT packet: this is the
    stricter rule, by the length of the topic.
    """
    if not message.properties and len(message.body) < LARGEST_PACKET_BYTES // 2 and _has_short_names(message):
        return ""
    for name, _ in message.properties:
        if name.startswith(SYSTEM_PREFIX):
            return f"its property {name[:80]!r} has a name of the system's: those begin with {SYSTEM_PREFIX}"
    try:
        topic_bytes = len(events_topic(device_id, module_id, message).encode("ascii", "replace"))
    except UnicodeEncodeError:
        return "one of its properties holds what is no text"
    if topic_bytes > _LONGEST_TOPIC_BYTES:
        return f"its properties take {topic_bytes} bytes in the topic: MQTT allows {_LONGEST_TOPIC_BYTES}"
    packet_bytes = 4 + topic_bytes + len(message.body)
    if packet_bytes > LARGEST_PACKET_BYTES:
        return f"with its properties it has {packet_bytes} bytes: the hub takes {LARGEST_PACKET_BYTES}"
    return ""


def _has_short_names(message: Message) -> bool:
    """Whether the topic is surely short and plain, without building it."""
    texts = message.output + message.message_id + message.correlation_id + message.content_type
    return len(texts) < 4096 and texts.isascii()


def encode_properties(pairs: Iterable[tuple[str, str]]) -> str:
    """The text of these properties. Raises UnicodeEncodeError for lone surrogates."""
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in pairs])


def _quoted(text: str) -> str:
    return text if text.isalnum() and text.isascii() else _percent_encoded(text)


@lru_cache(maxsize=256)  # names, and values such as content types, come again and again
def _percent_encoded(text: str) -> str:
    return quote(text, safe="")


def parse_properties(text: str) -> Properties:
    """The properties in this text; "" is the value of a name without one. An unescaped = belongs to the value."""
    pairs = (part.partition("=") for part in text.split("&") if part)
    return tuple((unquote(name), unquote(value)) for name, _, value in pairs)


def twin_get_topic(request_id: str) -> str:
    """The topic that asks for the twin."""
    return f"$iothub/twin/GET/?$rid={request_id}"


def twin_report_topic(request_id: str) -> str:
    """The topic for a change of the reported properties."""
    return f"$iothub/twin/PATCH/properties/reported/?$rid={request_id}"


def method_answer_topic(status: int, request_id: str) -> str:
    """The topic for the answer to a direct method."""
    return f"$iothub/methods/res/{status}/?$rid={quote(request_id, safe='')}"


def parse_topic(
    device_id: str, module_id: str, topic: str
) -> InputTopic | TwinAnswer | DesiredPatch | MethodTopic | None:
    """What a received topic says; None when it is none of these."""
    if topic.startswith("$iothub/"):
        return _parse_service_topic(topic)
    inputs = inputs_filter(device_id, module_id).removesuffix("#")
    if not topic.startswith(inputs):
        return None
    levels = topic[len(inputs) :].split("/")
    if not module_id:
        return InputTopic("", parse_properties(levels[0]))
    return InputTopic(unquote(levels[0]), parse_properties(levels[1]) if len(levels) > 1 else ())


def _parse_service_topic(topic: str) -> TwinAnswer | DesiredPatch | MethodTopic | None:
    path, _, query = topic.partition("?")
    request_id = dict(parse_properties(query)).get("$rid", "")
    if path.startswith("$iothub/twin/PATCH/properties/desired"):
        return DesiredPatch()
    if (found := re.fullmatch(r"\$iothub/twin/res/([0-9]{3})/?", path)) and request_id:
        return TwinAnswer(int(found[1]), request_id)
    if (found := re.fullmatch(r"\$iothub/methods/POST/([^/]+)/?", path)) and request_id:
        return MethodTopic(unquote(found[1]), request_id)
    return None
