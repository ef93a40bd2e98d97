"""The one interface between what receives requests (HTTP, messages) and what runs the entry script.

Values: a ScoringRequest goes in, a ScoringResult comes out; both are complete, so that they can cross a
process boundary. A Scorer never raises for anything that a script does: it answers with the status the caller
should see. Implementations: `child_process.ChildScorer` (the script in a process of its own) and
`in_process.InProcessScorer`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

SCRIPT_ERROR_TEXT = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR_TEXT = "An unexpected internal error occurred. Check the logs for more info."
JSON_TYPE = "application/json"
RETRY_AFTER = (("retry-after", "1"),)
"""Headers of an answer with which the agent, not the script, refuses a request for now."""


@dataclass(frozen=True)
class ScriptSource:
    """Where the script is. Without `entry_script` and `entry_module`, the module `main` is served.

    `entry_script` and `source_directory` are relative to `app_root`, or absolute.
    """

    app_root: str
    entry_script: str | None = None
    source_directory: str | None = None
    entry_module: str | None = None


class ScoringRequest(NamedTuple):
    """One call of `run()`.

    `method` is GET or POST, for a raw script also OPTIONS or HEAD; `path` is as requested, decoded; `query` is
    the raw query string without "?"; `content_type` is as received, "" when absent; `client` is the caller's
    address, "" when unknown; `headers` are name and value pairs in the order received, names in lower case, and
    empty unless the script wants them; `request_id` is the one that the answer will carry, for log lines. Text
    holds header bytes as Latin-1.
    """

    body: bytes
    method: str = "POST"
    path: str = "/score"
    query: str = ""
    content_type: str = ""
    client: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    request_id: str = ""


class ScoringResult(NamedTuple):
    """The answer to one request.

    `content_type` "" sends none. `script_failed` says that the script, not the request or the agent, is at
    fault (`x-ms-run-function-failed`); None leaves the header out. `exec_ms` is the time spent in `run()` in
    milliseconds, None unless `run()` returned a usable value. `headers` are further headers, of a script that
    returned a response of its own: name and value pairs, valid by RFC 9110, Latin-1, none of them about the
    connection or the length.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    script_failed: bool | None = False
    exec_ms: float | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ScriptDescription:
    """What a script that has been loaded says about itself.

    `wants_headers`: `run()` uses the request's headers; otherwise requests need none. `raw_http`: `run()` is
    decorated with @rawhttp, takes the whole request and is also called for OPTIONS and HEAD.
    `swagger_versions`: those of "2", "3" and "3.1" that can describe it. `input_schema` and `output_schema`
    are its ServiceInput and ServiceOutput there (JSON schemas); `required_inputs` names the members of the input
    that every request must have.
    """

    wants_headers: bool = False
    raw_http: bool = False
    swagger_versions: tuple[str, ...] = ("2", "3", "3.1")
    input_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "example": {}})
    output_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "example": {}})
    required_inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A description that came as JSON equals the one that was sent."""
        object.__setattr__(self, "swagger_versions", tuple(self.swagger_versions))
        object.__setattr__(self, "required_inputs", tuple(self.required_inputs))


def message_result(status: int, text: str, *, script_failed: bool = False) -> ScoringResult:
    """A result with the body `{"message": text}`, the form of all errors."""
    return ScoringResult(json.dumps({"message": text}).encode(), status, script_failed=script_failed)


def refuse(text: str) -> ScoringResult:
    """A result that says that the request may be tried again."""
    return message_result(503, text)._replace(headers=RETRY_AFTER)


def is_refusal(result: ScoringResult) -> bool:
    """Whether `refuse` made it: the script has not seen the request, or lost it."""
    return result.headers is RETRY_AFTER


class Ticket(Protocol):
    """A request on its way."""

    def withdraw(self) -> None:
        """Nobody waits any more: a request that has not begun is dropped, and no answer is given."""
        ...


class Scorer(Protocol):
    """Runs one entry script, each copy of it one request at a time, in the order of `submit` calls."""

    @property
    def not_ready_reason(self) -> str:
        """Why requests are not being scored right now, as one sentence; "" when they are."""
        ...

    @property
    def has_been_ready(self) -> bool:
        """True once `init()` has returned for the first time."""
        ...

    @property
    def description(self) -> ScriptDescription:
        """What the script says about itself; the default until it is loaded."""
        ...

    async def start(self) -> None:
        """Load the script and run `init()`. Raises ScriptStartError; returns once requests can be scored."""
        ...

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Ticket:
        """Score `request` and call `answer` once, at once or later, on the event loop.

        Never raises; the answer is 503 when no script can be reached.
        """
        ...

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop the script: answer 503 to what still waits, give the script `grace_s` to end, then end it by
        force.

        May be called more than once, also while `start` is under way.
        """
        ...


async def score(scorer: Scorer, request: ScoringRequest) -> ScoringResult:
    """Submit `request` and wait for the answer; cancelling withdraws it."""
    import asyncio  # not for the script's process, which imports this module too

    answer: asyncio.Future[ScoringResult] = asyncio.get_running_loop().create_future()
    ticket = scorer.submit(request, lambda result: None if answer.done() else answer.set_result(result))
    try:
        return await answer
    except asyncio.CancelledError:
        ticket.withdraw()
        raise
