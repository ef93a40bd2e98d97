"""What the cloud can tell a device: whether and how often to send, and to begin again. Pure.

The names are those of the public temperature sensor, and every source obeys them: desired properties `SendData` (true
or false) and `SendInterval` (seconds), reported back after a change; the direct method `reset`; a message
`{"command": "reset"}`, alone or in an array (on the input `control`, or from the cloud to a device).
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_LONGEST_INTERVAL_S = 86_400 * 365


class Answer(NamedTuple):
    """The answer to a direct method."""

    status: int
    payload: object


class RemoteControl:
    """What was asked for so far. `interval_s` None: nobody has asked for another than the device's own."""

    def __init__(self) -> None:
        self.sends = True
        self.interval_s: float | None = None

    def desired(self, properties: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Obey desired properties (all of them, or a change), and return what to report; {} for nothing.

        What cannot be obeyed adds a sentence to `problems` and changes nothing.
        """
        report: dict[str, Any] = {}
        if (wanted := properties.get("SendData")) is not None:
            if isinstance(wanted, bool):
                self.sends = report["SendData"] = wanted
            else:
                problems.append(f"desired property SendData is {_shown(wanted)}: expected true or false")
        if (wanted := properties.get("SendInterval")) is not None:
            is_number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
            if is_number and 0 < wanted <= _LONGEST_INTERVAL_S:
                self.interval_s = float(wanted)
                report["SendInterval"] = wanted
            else:
                problems.append(f"desired property SendInterval is {_shown(wanted)}: expected seconds, more than 0")
        return report


def asks_for_reset(body: bytes) -> bool:
    """Whether a message is the command `reset`, alone or in an array."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    commands = document if isinstance(document, list) else [document]
    return any(isinstance(command, dict) and command.get("command") == "reset" for command in commands)


def _shown(value: object) -> str:
    return json.dumps(value)[:80]
