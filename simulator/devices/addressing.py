"""Where a device's messages go: the topics of IoT Hub and edgeHub, or a template for any broker. Pure."""

import re
from typing import Protocol
from urllib.parse import quote

from device_agent.messages.iothub.topics import encode_properties, root_topic
from simulator.devices.reading import Reading

_FIELDS = ("device_id", "sequence", "message_id")


class Addressing(Protocol):
    """How one device names its messages, and where it sends them."""

    def message_id(self, sequence: int) -> str:
        """The id of message `sequence`: the same however often it is sent."""
        ...

    def topic(self, sequence: int, reading: Reading) -> str:
        """The topic of message `sequence`."""
        ...


class HubAddressing:
    """Topics of a device (`module_id` "") or module. Message ids are `PREFIX-SEQUENCE`, with nine digits."""

    def __init__(self, device_id: str, module_id: str = "", output: str = "", prefix: str = "") -> None:
        self._prefix = prefix or device_id
        system = f"%24.on={quote(output, safe='')}&" if module_id else ""
        self._head = (
            f"{root_topic(device_id, module_id)}/messages/events/{system}%24.mid={quote(self._prefix, safe='')}-"
        )
        self._tails: dict[tuple[str, str], str] = {}

    def message_id(self, sequence: int) -> str:
        """See Addressing."""
        return f"{self._prefix}-{sequence:09d}"

    def topic(self, sequence: int, reading: Reading) -> str:
        """See Addressing."""
        content = reading.content_type, reading.content_encoding
        tail = self._tails.get(content)
        if tail is None:
            pairs = [pair for pair in zip(("$.ct", "$.ce"), content, strict=True) if pair[1]]
            tail = self._tails[content] = "".join(f"&{encode_properties([pair])}" for pair in pairs)
        if not reading.properties:
            return f"{self._head}{sequence:09d}{tail}"
        return f"{self._head}{sequence:09d}{tail}&{encode_properties(reading.properties)}"


class TemplateAddressing:
    """A topic such as `factory/{device_id}/telemetry` for any broker; also {sequence} and {message_id}."""

    def __init__(self, template: str, device_id: str) -> None:
        self._template = template
        self._device_id = device_id

    def message_id(self, sequence: int) -> str:
        """See Addressing."""
        return f"{self._device_id}-{sequence:09d}"

    def topic(self, sequence: int, reading: Reading) -> str:
        """See Addressing."""
        values = {"device_id": self._device_id, "sequence": sequence, "message_id": self.message_id(sequence)}
        return self._template.format(**values)


def check_template(template: str, name: str, problems: list[str]) -> None:
    """Add a sentence to `problems` for each thing that is wrong with a template, called `name`."""
    for field in re.findall(r"\{(.*?)\}", template):
        if field not in _FIELDS:
            problems.append(f"{name} has {{{field}}}: expected {', '.join('{' + known + '}' for known in _FIELDS)}")
    rest = re.sub(r"\{.*?\}", "", template)
    if not template or any(character in rest for character in "+#\0{}"):
        problems.append(f"{name} is {template[:80]!r}: expected a topic, without +, # and single braces")
