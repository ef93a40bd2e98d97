"""The packets of MQTT 3.1.1 as values, for both ends of a connection. Pure.

Source: OASIS MQTT 3.1.1, chapter 3. `reading.py` makes them of bytes, `encoding.py` bytes of them.
"""

from typing import NamedTuple

LONGEST_REMAINING = 268_435_455

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 3, 4, 5, 6, 7

LEVEL_3_1_1 = 4


class Will(NamedTuple):
    """What is published when the connection ends without a DISCONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(NamedTuple):
    """The first packet of a client. Of another `level` than 4 nothing else was read. None: not there."""

    client_id: str = ""
    user: str | None = None
    password: bytes | None = None
    keep_alive_s: int = 0
    clean: bool = True
    will: Will | None = None
    level: int = LEVEL_3_1_1


class Connack(NamedTuple):
    """The answer to CONNECT: code 0 accepted, 1 protocol level, 2 client id, 3 unavailable, 4 credentials, 5 rights."""

    code: int
    session_present: bool = False


class Publish(NamedTuple):
    """A message. `mid` (1..65535) counts with QoS 1 and 2 only."""

    topic: str
    payload: bytes
    qos: int = 0
    mid: int = 0
    retain: bool = False
    dup: bool = False


class Puback(NamedTuple):
    """A message with QoS 1 has arrived."""

    mid: int


class Subscribe(NamedTuple):
    """Filters with the quality of service asked for."""

    mid: int
    filters: tuple[tuple[str, int], ...]


class Suback(NamedTuple):
    """The quality granted for each filter, 0x80 for refused."""

    mid: int
    codes: tuple[int, ...]


class Unsubscribe(NamedTuple):
    """Filters to forget."""

    mid: int
    filters: tuple[str, ...]


class Unsuback(NamedTuple):
    """The filters are forgotten."""

    mid: int


class Pingreq(NamedTuple):
    """Are you there?"""


class Pingresp(NamedTuple):
    """Yes."""


class Disconnect(NamedTuple):
    """An orderly end."""


class QosTwo(NamedTuple):
    """PUBREC, PUBREL or PUBCOMP: parts of QoS 2, which the hub does not speak."""

    kind: int
    mid: int


class Malformed(NamedTuple):
    """The bytes are no MQTT 3.1.1: nothing after them can be read."""

    reason: str


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | QosTwo
    | Malformed
)


def matches(name: str, topic: str) -> bool:
    """Whether a filter covers a topic. A wildcard at the beginning does not cover topics that begin with `$`."""
    if name == topic:
        return True
    if name[0] in "+#" and topic[0] == "$":
        return False
    levels, wanted = topic.split("/"), name.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(levels) == len(wanted)
