"""What is asked about the twin over one connection: the desired properties, and to keep the reported ones as wanted.

    begin -> GET -> desired, whole              a patch in order -> desired, whole       a gap -> GET
    report -> PATCH of what differs from what the hub has -> 2xx: the next          4xx: never this state again
    no answer, or 5xx: nobody knows what the hub has now -> GET after a pause       429: the same after a pause

One request is under way at a time; `_timer` is set while one is, or while it pauses. Nothing here knows MQTT or the
connection's life: `ask` asks, and each connection has its own, so that nothing is believed that was learned over
an earlier one.
"""

import itertools
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from device_agent.backoff import delay_s
from device_agent.messages.iothub.twin import (
    LARGEST_BYTES,
    Desired,
    difference,
    follow,
    merge,
    parse_desired,
    without_system,
)

ANSWER_TIMEOUT_S = 30.0
_LONGEST_PAUSE_S = 60.0
_log = logging.getLogger(__name__)


class Timer(Protocol):
    """What `call_later` gives."""

    def cancel(self) -> None:
        """Do not call."""
        ...


class TwinRequests:
    """See the module. `ask` gets the id of a request and the patch to report; None instead of it to get the twin.

    `changed` gets the desired properties, whole. `call_later` is that of an event loop. `end` it."""

    def __init__(
        self,
        ask: Callable[[str, Mapping[str, Any] | None], None],
        changed: Callable[[Mapping[str, Any]], None],
        call_later: Callable[[float, Callable[[], None]], Timer],
        *,
        first_pause_s: float = 1.0,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._ask_hub = ask
        self._changed = changed
        self._call_later = call_later
        self._first_pause_s = first_pause_s
        self._timeout_s = timeout_s
        self._desired: Desired | None = None
        self._reported: dict[str, Any] = {}
        self._wanted: Mapping[str, Any] | None = None
        self._newest_patch = 0
        self._must_get = True
        self._is_live = False
        self._request_id = ""
        self._patch: dict[str, Any] | None = None  # of the request under way; None: it is a GET
        self._failures = 0
        self._timer: Timer | None = None
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(4)

    def begin(self) -> None:
        """The connection is there, and subscribed."""
        self._is_live = True
        self._next()

    def end(self) -> None:
        """The connection is gone: ask nothing more."""
        self._is_live = False
        self._stop_timer()

    def report(self, properties: Mapping[str, Any]) -> None:
        """Make this the reported properties: a JSON document, which nobody changes any more."""
        size_bytes = len(json.dumps(properties))
        if size_bytes > LARGEST_BYTES:
            _log.warning("The module's state is not reported: it has %d bytes, of %d", size_bytes, LARGEST_BYTES)
            return
        self._wanted = properties
        self._next()

    def patched(self, document: object) -> None:
        """The desired properties were changed: the JSON of the patch."""
        patch = parse_desired(document)
        if patch is not None:
            self._newest_patch = max(self._newest_patch, patch.version)
        if self._desired is None:
            return  # the answer to GET is still to come
        after = follow(self._desired, patch) if patch is not None else None
        if after is None:
            self._must_get = True
            self._next()
        elif after is not self._desired:
            self._desired = after
            self._changed(after.properties)

    def answered(self, request_id: str, status: int, document: object) -> None:
        """The hub answered, with a status as in HTTP and JSON. An answer to an earlier request changes nothing."""
        if request_id != self._request_id:
            return
        patch, self._patch, self._request_id = self._patch, None, ""
        self._stop_timer()
        if patch is None:
            self._got(status, document)
        elif 200 <= status < 300:
            self._failures = 0
            self._reported = merge(self._reported, patch)
        elif 400 <= status < 500 and status != 429:
            _log.warning("The hub refused the reported properties: status %d", status)
            self._wanted = None
        else:
            self._must_get = status != 429
            self._pause(f"status {status}")
        self._next()

    def _got(self, status: int, document: object) -> None:
        twin: Mapping[str, Any] = document if isinstance(document, dict) else {}
        desired = parse_desired(twin.get("desired"))
        reported = twin.get("reported", {})
        if status != 200 or desired is None or not isinstance(reported, dict):
            self._pause(f"status {status}" if status != 200 else "no twin in its answer")
            return
        self._failures = 0
        self._reported = without_system(reported)
        self._must_get = desired.version < self._newest_patch
        self._newest_patch = desired.version
        if desired != self._desired:
            self._desired = desired
            self._changed(desired.properties)

    def _next(self) -> None:
        """Send the next request, if one is due and none is under way."""
        if self._timer is not None or not self._is_live:
            return
        if self._must_get:
            self._ask(None)
        elif self._wanted is not None and (patch := difference(self._reported, self._wanted)):
            self._ask(patch)

    def _ask(self, patch: dict[str, Any] | None) -> None:
        self._request_id = f"{self._prefix}-{next(self._numbers)}"
        self._patch = patch
        self._timer = self._call_later(self._timeout_s, self._give_up)
        self._ask_hub(self._request_id, patch)

    def _give_up(self) -> None:
        self._request_id, self._patch = "", None
        self._must_get = True
        self._pause("no answer")

    def _pause(self, why: str) -> None:
        self._failures += 1
        pause_s = delay_s(self._failures, first_s=self._first_pause_s, limit_s=_LONGEST_PAUSE_S)
        _log.warning("A request about the twin failed: %s; again in %g s", why, pause_s)
        self._timer = self._call_later(pause_s, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._next()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
