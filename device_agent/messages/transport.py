"""The one interface between the road of messages and what is upstream: a broker, edgeHub, IoT Hub.

A transport lives on one event loop and never blocks it. It has one connection at a time, and does not reconnect by
itself: when to do that is decided in delivery. It keeps no message: what is not confirmed when a connection ends is
published again by its owner. Inputs are subscribed to whenever it is connected.
"""

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from device_agent.messages.message import Message, MethodCall, Received


class Loss(enum.Enum):
    """Why there is no connection (any more). It decides when the next attempt is due, and who is blamed."""

    CLOSED = "closed by the other side"
    SILENT = "no answer from the other side"
    REFUSED = "refused by the other side"
    UNREACHABLE = "cannot be reached"
    OVERLOADED = "too much at a time"
    PLANNED = "renewed"


class Capabilities(NamedTuple):
    """What a transport can do.

    `acknowledges_by_hand`: an input is acknowledged when `acknowledge` is called; otherwise the library does it when
    the input arrives, and a crash may lose it. `has_twin`: desired properties and direct methods come over it.
    """

    acknowledges_by_hand: bool = True
    has_twin: bool = False


class TransportEvents(Protocol):
    """Who uses a transport: called on the event loop, never from inside a call to the transport."""

    def connected(self) -> None:
        """It can publish now. Inputs follow, those not acknowledged before among them."""
        ...

    def disconnected(self, loss: Loss, reason: str) -> None:
        """The attempt failed, or the connection is gone, with all receipts of it. `reason` is one sentence."""
        ...

    def received(self, message: Received) -> None:
        """An input message has come."""
        ...

    def published(self, key: int) -> None:
        """The other side has what was published under this key."""
        ...

    def refused(self, key: int, reason: str) -> None:
        """The other side will not take what was published under this key."""
        ...

    def desired(self, properties: Mapping[str, Any]) -> None:
        """The twin's desired properties, whole: after every connect, and after every change."""
        ...

    def method_called(self, call: MethodCall) -> None:
        """A direct method was called; it waits for `answer_method`."""
        ...


class Transport(Protocol):
    """See the module."""

    capabilities: Capabilities

    @property
    def address(self) -> str:
        """Where it connects to, and how, for the log; no secrets."""
        ...

    def connect(self, events: TransportEvents) -> None:
        """Begin to connect; `connected` or `disconnected` follows. Once a connection at a time."""
        ...

    def disconnect(self, loss: Loss, reason: str) -> None:
        """End the connection, or the attempt; `disconnected` follows with these."""
        ...

    def refusal(self, message: Message) -> str:
        """Why this message can never be sent, as one sentence; "" if it can."""
        ...

    def publish(self, key: int, message: Message) -> None:
        """Send this; `published` follows, or `refused`, or `disconnected`. While connected only."""
        ...

    def acknowledge(self, receipt: object) -> None:
        """What was received is safe. Nothing when it came over an earlier connection.

        Call it in the order in which messages were received, and before `publish` of what was made from it.
        """
        ...

    def report(self, properties: Mapping[str, Any]) -> None:
        """Publish the module's own state (reported properties, or a retained status): the newest replaces older."""
        ...

    def answer_method(self, call: MethodCall, status: int, payload: object) -> None:
        """Answer a direct method."""
        ...

    async def close(self) -> None:
        """Say goodbye and disconnect, within a second. No event follows. May be called more than once."""
        ...
