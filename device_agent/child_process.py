"""The scorer of the product: the entry script in a process of its own, watched, killed and restarted from
here.

Why a process: a hung `run()` cannot be stopped inside a thread, a native crash must not take the agent down,
and a script's own `except Exception` must not swallow the time limit.

    starting --ready--> ready --process died--> restarting --ready--> ready
       |                                            |
     failed: start() raises                      failed: what waits gets 503, and so does what comes, until
                                                 a later attempt succeeds (back-off up to 30 s)

A crash costs the request that was running (500); those behind it are scored by the next process. A `run()`
that exceeds the limit is killed the same way. The limit counts from the moment when the script could begin
the request.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Mapping

from device_agent.backoff import delay_s
from device_agent.child_link import ChildLink
from device_agent.errors import ScriptStartError
from device_agent.frames import Frame, Header, decode_result, encode_frame, load_frame, request_header
from device_agent.scorer import (
    SCRIPT_ERROR_TEXT,
    ScoringRequest,
    ScoringResult,
    ScriptSource,
    message_result,
)
from device_agent.scoring_queue import ScoringQueue

STOPPING = "the agent is stopping"
_KILL_WAIT_S = 0.5
_RESTARTING = "the script's process is being restarted"
_LOG = logging.getLogger("edgepack.agent")


class _Ticket:
    """A request and the future of its answer."""

    __slots__ = ("answer", "request")

    def __init__(self, request: ScoringRequest, answer: "asyncio.Future[ScoringResult]") -> None:
        self.request = request
        self.answer = answer

    @property
    def size_bytes(self) -> int:
        return len(self.request.body)

    @property
    def is_withdrawn(self) -> bool:
        return self.answer.done()

    def resolve(self, result: ScoringResult) -> None:
        if not self.answer.done():
            self.answer.set_result(result)


class ChildScorer:
    """Implements Scorer. Use it on one event loop, `start` first.

    `environment` is the whole environment of the script's process. `log_descriptor` is where its log lines
    go.
    """

    def __init__(
        self,
        source: ScriptSource,
        *,
        environment: Mapping[str, str],
        timeout_ms: int = 3_600_000,
        log_descriptor: int = 1,
        log_format: str = "text",
        log_level: str = "INFO",
    ) -> None:
        self._first_frame = load_frame(source, log_format, log_level)
        self._environment = environment
        self._timeout_ms = timeout_ms
        self._log_descriptor = log_descriptor
        self._queue: ScoringQueue[_Ticket] = ScoringQueue()
        self._link: ChildLink | None = None
        self._started: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._spawning: asyncio.Task[None] | None = None
        self._reason = "the entry script is not loaded yet"
        self._refuses = False
        self._is_closing = False
        self._is_serving = False
        self._start_failure: Header = {}
        self._crashes = 0
        self._failed_starts = 0
        self.restarts = 0
        """How often the process has been started again."""
        self.has_been_ready = False
        self.wants_headers = False

    @property
    def not_ready_reason(self) -> str:
        """See Scorer."""
        return self._reason

    @property
    def process_id(self) -> int:
        """Process id of the script's process, 0 while there is none."""
        return self._link.pid if self._link else 0

    async def start(self) -> None:
        """See Scorer. Raises also when the process cannot be started at all."""
        self._started = asyncio.get_running_loop().create_future()
        self._spawn_after(0.0)
        await self._started

    async def score(self, request: ScoringRequest) -> ScoringResult:
        """See Scorer. Before `init()` has returned for the first time: 503."""
        if self._refuses or self._is_closing or not self.has_been_ready:
            return self._refusal()
        loop = asyncio.get_running_loop()
        ticket = _Ticket(request, loop.create_future())
        self._queue.add(ticket)
        self._send_waiting()
        return await ticket.answer

    async def close(self, grace_s: float = 0.0) -> None:
        """See Scorer."""
        self._is_closing = True
        self._reason = STOPPING
        for ticket in self._queue.take_all():
            ticket.resolve(self._refusal())
        if self._timer is not None:
            self._timer.cancel()
        if self._spawning is not None:
            self._spawning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._spawning
        if self._link is not None:
            self._link.hang_up()
            if grace_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), grace_s)
            if self._link is not None:
                self._link.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _KILL_WAIT_S)
        if self._started is not None and not self._started.done():
            self._started.set_exception(ScriptStartError("init", STOPPING))

    def _refusal(self) -> ScoringResult:
        return message_result(503, f"The request cannot be scored now: {self._reason}")

    def _spawn_after(self, pause_s: float) -> None:
        self._spawning = asyncio.get_running_loop().create_task(self._spawn(pause_s))

    async def _spawn(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        self._ended.clear()
        self._start_failure = {}
        self._is_serving = False
        link = ChildLink(self._on_frames, self._on_end)
        try:
            await link.open(self._environment, self._log_descriptor)
        except OSError as error:
            self._on_failed_start({"stage": "import", "message": f"its process cannot be started: {error}"})
            return
        finally:
            self._link = link if link.pid else None
        self._reason = "the entry script is being imported"
        link.send(self._first_frame)

    def _send_waiting(self) -> None:
        if not self._is_serving or self._link is None:
            return
        for number, ticket in self._queue.take_sendable(asyncio.get_running_loop().time()):
            self._link.send(encode_frame(request_header(number, ticket.request), ticket.request.body))
        if self._timer is None and self._queue.running_since_s is not None:
            self._arm_timer(self._timeout_ms / 1000.0)

    def _on_frames(self, frames: list[Frame]) -> None:
        for header, body in frames:
            if "id" not in header:
                self._on_event(header)
            elif self._is_serving:
                self._on_answer(header, body)
        self._send_waiting()

    def _on_answer(self, header: Header, body: bytes) -> None:
        ticket = self._queue.answered(header["id"], asyncio.get_running_loop().time())
        if ticket is not None:
            self._crashes = 0
            ticket.resolve(decode_result(header, body))

    def _on_event(self, header: Header) -> None:
        match header["event"]:
            case "loaded":
                self._reason = "init() of the entry script has not returned yet"
            case "failed":
                self._start_failure = header
            case "ready" if not self._is_closing:
                self._reason = ""
                self._is_serving = True
                self._refuses = False
                self._failed_starts = 0
                self.has_been_ready = True
                self.wants_headers = header["wants_headers"]
                if self._started is not None and not self._started.done():
                    self._started.set_result(None)

    def _on_end(self, exit_code: int) -> None:
        self._link = None
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closing:
            return
        if self._reason and self._reason != _RESTARTING:  # it has not become ready
            ending = {
                "stage": "init",
                "message": f"the script's process {describe_exit(exit_code)} while starting",
            }
            self._on_failed_start(self._start_failure or ending)
            return
        if self._is_serving:
            running = self._stop_serving()
            during = "while it was idle"
            if running is not None:
                running.resolve(message_result(500, SCRIPT_ERROR_TEXT, script_failed=True))
                during = "while run() was scoring a request"
            _LOG.error("The script's process %s %s; starting it again", describe_exit(exit_code), during)
        self._crashes += 1
        self.restarts += 1
        self._spawn_after(delay_s(self._crashes - 1, first_s=0.1, limit_s=2.0))

    def _stop_serving(self) -> _Ticket | None:
        """This process will answer no more. Returns the request that was running."""
        self._is_serving = False
        self._reason = _RESTARTING
        return self._queue.process_died()

    def _on_failed_start(self, failure: Header) -> None:
        if self._started is not None and not self._started.done():
            self._is_closing = True
            self._started.set_exception(ScriptStartError(failure["stage"], failure["message"]))
            return
        self._failed_starts += 1
        self.restarts += 1
        pause_s = delay_s(self._failed_starts, first_s=0.5, limit_s=30.0)
        self._reason = f"the entry script did not start again: {failure['message']}"
        self._refuses = True
        for ticket in self._queue.take_all():
            ticket.resolve(self._refusal())
        _LOG.error("The entry script did not start again, next attempt in %g s: %s", pause_s, failure["message"])
        self._spawn_after(pause_s)

    def _arm_timer(self, wait_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._check_time_limit)

    def _check_time_limit(self) -> None:
        """One timer serves all requests: it looks at the running one, and sleeps for the rest of its time."""
        self._timer = None
        since_s = self._queue.running_since_s
        if since_s is None:
            return
        left_s = since_s + self._timeout_ms / 1000.0 - asyncio.get_running_loop().time()
        if left_s > 0:
            self._arm_timer(left_s)
        elif self._link is not None:
            _LOG.error("Scoring timeout after %d ms: the script's process is killed and restarted", self._timeout_ms)
            running = self._stop_serving()
            if running is not None:
                text = f"Scoring timeout after {self._timeout_ms} ms"
                running.resolve(message_result(500, text, script_failed=True))
            self._link.kill()


def describe_exit(exit_code: int) -> str:
    """`ended with exit code 1` or `was killed by signal 11 (SIGSEGV)`."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = "unknown"
    return f"was killed by signal {-exit_code} ({name})"
