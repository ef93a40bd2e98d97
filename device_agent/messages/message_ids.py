"""Where the message ids of results come from: the same for every delivery of one input (decision 10)."""

import os
from collections.abc import Mapping

from device_agent.messages.message import Received
from device_agent.messages.results import base_id

REMEMBERED = 4096
"""Origins of inputs that are remembered for a redelivery."""


class MessageIds:
    """Ids for inputs, and for what has no input.

    `identity` tells this agent from others that are given the same inputs; `origins` are those of messages that are
    still in the buffer, and their ids.
    """

    def __init__(self, identity: str, origins: Mapping[bytes, str]) -> None:
        self._identity = identity
        self._origins = dict(origins)
        self._prefix = os.urandom(8).hex()
        self._count = 0

    def new(self) -> str:
        """One that was never given before: 64 random bits of this process and a counter; 32 hexadecimal digits."""
        self._count += 1
        return f"{self._prefix}{self._count:016x}"

    def of(self, received: Received) -> str:
        """The one for what is made from this input."""
        if received.message_id:
            return base_id(received, self._identity)
        origin = received.origin
        known = self._origins.get(origin) if received.redelivered and origin else None
        message_id = known or self.new()
        if origin:
            self._origins.pop(origin, None)
            self._origins[origin] = message_id
            if len(self._origins) > REMEMBERED:
                del self._origins[next(iter(self._origins))]
        return message_id
