"""What the delivery core is doing, and what it asks for. Whoever polls it carries that out in its order. Pure."""

import enum
from typing import NamedTuple

from device_agent.messages.message import Stored


class State(enum.Enum):
    """What it is doing about the connection."""

    IDLE = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    WAITING = enum.auto()
    CLOSED = enum.auto()


class Connect(NamedTuple):
    """Begin to connect."""


class Publish(NamedTuple):
    """Send this message."""

    stored: Stored


class Load(NamedTuple):
    """Read from the buffer, and tell `loaded` with this number."""

    number: int
    after: int
    until: int
    limit: int
    limit_bytes: int


class Remove(NamedTuple):
    """Remove these from the buffer, and tell `removed`. `expired`: because their time was over, not delivered."""

    keys: list[int]
    expired: bool = False


class SetAside(NamedTuple):
    """Keep this message out of the way, and tell `removed`."""

    key: int


Action = Connect | Publish | Load | Remove | SetAside
