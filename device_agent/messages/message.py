"""The values on the road of a message. Pure; every field is complete, so that a value can go to disk and come back."""

from typing import NamedTuple

PRIORITIES = 10
"""Priorities are 0 (sent first) to 9."""
SPARE = PRIORITIES
"""The priority of what may be lost: sent when nothing else is left, and the first to go where room is needed."""
SET_ASIDE = 15
"""The lane of messages that are kept, but not sent any more."""
_NUMBER_BITS = 44


class Message(NamedTuple):
    """What goes upstream.

    `output` is the name of a module's output, or a topic. `message_id` stays the same however often it is sent.
    `correlation_id` is the message id (or request id) of what it answers, "" for none. `properties` are application
    properties: name and value pairs. `priority`: 0 (first) to 9. `ttl_s`: seconds from its arrival in the buffer
    after which it is of no use, 0 for ever. `origin` says which delivery it was made from, where that delivery
    carries no id of its own, so that a redelivery gets the same message id; at most 64 bytes.
    """

    body: bytes
    output: str
    message_id: str
    correlation_id: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    priority: int = 5
    ttl_s: int = 0
    origin: bytes = b""


class Stored(NamedTuple):
    """A message in the buffer. Keys sort by priority, then arrival; `deadline_s` is by the buffer's clock, 0: none."""

    key: int
    deadline_s: float
    message: Message


class Received(NamedTuple):
    """One delivery of an input message, not acknowledged yet.

    `input_name` is a module's input, or the topic. `message_id` is "" when the sender gave none. `sender` tells
    senders apart whose message ids may be equal, "" when unknown. `redelivered`: it was delivered before, as far as
    the other side knows. `receipt` is what the transport wants back to acknowledge it; `origin` is equal for two
    deliveries of one message, and different from that of any other message under way (at most 64 bytes, b"" when the
    transport cannot say).
    """

    body: bytes
    input_name: str
    message_id: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    content_encoding: str = ""
    sender: str = ""
    redelivered: bool = False
    receipt: object = None
    origin: bytes = b""


class MethodCall(NamedTuple):
    """A direct method called from the cloud. `payload` is what JSON gave, None when empty."""

    name: str
    payload: object
    receipt: object = None


def message_key(lane: int, number: int) -> int:
    """Key of the message with this number (from 1, in order of arrival) in a lane (a priority, or SET_ASIDE)."""
    return lane << _NUMBER_BITS | number


def key_lane(key: int) -> int:
    """The lane of a key."""
    return key >> _NUMBER_BITS


def key_number(key: int) -> int:
    """The number of a key: its place in the order of arrival."""
    return key & ((1 << _NUMBER_BITS) - 1)
