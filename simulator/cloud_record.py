"""What has arrived in the cloud: a file of JSON lines, one a message, in order of arrival.

`{"at", "device", "module", "output", "id", "correlation_id", "properties", "body"}`: `at` in simulated seconds since
1970; the body as JSON where it is JSON, as text where it is UTF-8, else `body_base64`. Written in pieces; whole after
`close`.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path

from simulator.message import CORRELATION_ID, MESSAGE_ID, OUTPUT, HubMessage

_PIECE_BYTES = 256 * 1024


class CloudRecord:
    """See the module. `wall_s`: simulated seconds since 1970."""

    def __init__(self, path: Path, wall_s: Callable[[], float]) -> None:
        self.path = path
        self._file = path.open("wb", buffering=_PIECE_BYTES)
        self._wall_s = wall_s

    def received(self, message: HubMessage) -> None:
        """See Cloud."""
        self._file.write(_line(message, self._wall_s()))

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest. May be called again."""
        self._file.close()


def _line(message: HubMessage, at_s: float) -> bytes:
    head = {
        "at": round(at_s, 3),
        "device": message.device_id,
        "module": message.module_id,
        "output": message.value(OUTPUT),
        "id": message.value(MESSAGE_ID),
        "correlation_id": message.value(CORRELATION_ID),
        "properties": {name: value for name, value in message.properties if not name.startswith("$.")},
    }
    text = json.dumps(head)[:-1].encode()
    return text + b", " + _body(message.body) + b"}\n"


def _body(body: bytes) -> bytes:
    try:
        decoded = body.decode()
        json.loads(decoded, parse_constant=_refuse)
    except UnicodeDecodeError:
        return b'"body_base64": "' + base64.b64encode(body) + b'"'
    except (ValueError, RecursionError):
        return b'"body": ' + json.dumps(decoded).encode()
    if "\n" in decoded or "\r" in decoded:
        return b'"body": ' + json.dumps(json.loads(decoded)).encode()
    return b'"body": ' + body


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
