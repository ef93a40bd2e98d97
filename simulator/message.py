"""A message on its way through the hub. Pure."""

from typing import NamedTuple

Pairs = tuple[tuple[str, str], ...]

OUTPUT, MESSAGE_ID, CORRELATION_ID = "$.on", "$.mid", "$.cid"


class HubMessage(NamedTuple):
    """A message as its sender published it.

    `properties` are all of its topic, decoded and in order: the system's (names begin with `$.`) and the application's.
    `module_id` is "" for a device. `enqueued_s` is the simulated time at which the hub or edgeHub took it; `trace` is
    the name under which the ledger keeps the account of it ("": none).
    """

    device_id: str
    module_id: str
    properties: Pairs
    body: bytes
    enqueued_s: float = 0.0
    trace: str = ""

    def value(self, name: str) -> str:
        """The first property of this name, "" when there is none."""
        for key, value in self.properties:
            if key == name:
                return value
        return ""

    @property
    def source(self) -> str:
        """Where it comes from, as routes name it: `/messages[/modules/M[/outputs/O]]`."""
        if not self.module_id:
            return "/messages"
        output = self.value(OUTPUT)
        return f"/messages/modules/{self.module_id}" + (f"/outputs/{output}" if output else "")
