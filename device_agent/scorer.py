"""The one interface between what receives requests (HTTP, messages) and what runs the entry script.

Values: a ScoringRequest goes in, a ScoringResult comes out; both are complete, so that they can cross a
process boundary. A Scorer never raises for anything that a script does: it answers with the status the caller
should see. Implementations: `child_process.ChildScorer` (the script in a process of its own) and
`in_process.InProcessScorer`.
"""

import json
from dataclasses import dataclass
from typing import Protocol

SCRIPT_ERROR_TEXT = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR_TEXT = "An unexpected internal error occurred. Check the logs for more info."
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class ScriptSource:
    """Where the script is. Without `entry_script` and `entry_module`, the module `main` is served.

    `entry_script` and `source_directory` are relative to `app_root`, or absolute.
    """

    app_root: str
    entry_script: str | None = None
    source_directory: str | None = None
    entry_module: str | None = None


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One call of `run()`.

    `method` is GET or POST; `query` is the raw query string without "?"; `content_type` is as received, ""
    when absent; `headers` are name and value pairs in the order received, names in lower case.
    """

    body: bytes
    method: str = "POST"
    query: str = ""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ScoringResult:
    """The answer to one request.

    `script_failed` says that the script, not the request or the agent, is at fault
    (`x-ms-run-function-failed`). `exec_ms` is the time spent in `run()` in milliseconds, None unless `run()`
    returned a usable value.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    script_failed: bool = False
    exec_ms: float | None = None


def message_result(status: int, text: str, *, script_failed: bool = False) -> ScoringResult:
    """A result with the body `{"message": text}`, the form of all errors."""
    return ScoringResult(json.dumps({"message": text}).encode(), status, script_failed=script_failed)


class Scorer(Protocol):
    """Runs one entry script. One request is scored at a time, in the order of `score` calls."""

    @property
    def not_ready_reason(self) -> str:
        """Why requests are not being scored right now, as one sentence; "" when they are."""
        ...

    @property
    def has_been_ready(self) -> bool:
        """True once `init()` has returned for the first time."""
        ...

    @property
    def wants_headers(self) -> bool:
        """True when `run()` has a parameter `request_headers`; otherwise requests need no headers."""
        ...

    async def start(self) -> None:
        """Load the script and run `init()`. Raises ScriptStartError; returns once requests can be scored."""
        ...

    async def score(self, request: ScoringRequest) -> ScoringResult:
        """Score `request`. Cancelling withdraws a request that has not begun and drops the answer of one that
        has.

        Never raises but for cancellation; 503 when no script can be reached.
        """
        ...

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop the script: answer 503 to what still waits, give the script `grace_s` to end, then end it by
        force.

        May be called more than once, also while `start` is under way.
        """
        ...
