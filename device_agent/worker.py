"""One copy of the entry script: its process through all its lives, watched, killed and started again from here.

    starting --ready--> ready --process died--> restarting --ready--> ready
       |                                            |
     failed: told, and tried again after a pause  <-+   (back-off up to 30 s)

A crash costs the request that was running (500); those behind it go back to the queue. A `run()` that exceeds
the limit is killed the same way; the limit counts from the moment when the script could begin the request.
"""

import asyncio
import contextlib
import enum
import logging
from collections import deque
from collections.abc import Callable, Mapping

from device_agent.backoff import delay_s
from device_agent.child_link import ChildLink
from device_agent.frames import EVENT, Event, Frame, decode_event, decode_result, encode_request
from device_agent.scorer import SCRIPT_ERROR_TEXT, ScoringRequest, ScoringResult, ScriptDescription, message_result
from device_agent.scoring_queue import ScoringQueue
from device_agent.script_process import ScriptProcess, describe_exit, start_process

_KILL_WAIT_S = 0.5
_LOOK_AGAIN_S = 0.01
_LOG = logging.getLogger("edgepack.agent")


class Pending:
    """A request and who waits for its answer; the ticket of `ChildScorer.submit`."""

    __slots__ = ("_answer", "_waiting", "arrived_s", "is_withdrawn", "request")

    def __init__(
        self,
        request: ScoringRequest,
        answer: Callable[[ScoringResult], None],
        arrived_s: float,
        waiting: "deque[Pending]",
    ) -> None:
        self.request = request
        self._waiting = waiting
        self._answer = answer
        self.arrived_s = arrived_s
        self.is_withdrawn = False

    @property
    def size_bytes(self) -> int:
        """Length of the body."""
        return len(self.request.body)

    def withdraw(self) -> None:
        """See scorer.Ticket. One that waits gives up its place and its body at once."""
        self.is_withdrawn = True
        with contextlib.suppress(ValueError):
            self._waiting.remove(self)

    def resolve(self, result: ScoringResult) -> None:
        """Give the answer, once."""
        if not self.is_withdrawn:
            self.is_withdrawn = True
            self._answer(result)


class State(enum.Enum):
    """What a worker is doing."""

    STARTING = enum.auto()
    READY = enum.auto()
    RESTARTING = enum.auto()
    FAILED = enum.auto()


class Worker:
    """Takes requests from `waiting` while it is ready. `on_change` is called after every change of state.

    `environment` is the whole environment of the script's process; `first_frame` tells it what to load. While
    `has_lone_caller`, there is nothing better to do than to wait for the answer to the only request.
    """

    def __init__(
        self,
        first_frame: bytes,
        waiting: deque[Pending],
        on_change: "Callable[[Worker], None]",
        *,
        environment: Mapping[str, str],
        timeout_ms: int,
        log_descriptor: int,
        window_requests: int,
        has_lone_caller: Callable[[], bool],
    ) -> None:
        self._first_frame = first_frame
        self._queue = ScoringQueue(waiting, window_requests=window_requests)
        self._on_change = on_change
        self._environment = environment
        self._timeout_ms = timeout_ms
        self._log_descriptor = log_descriptor
        self._has_lone_caller = has_lone_caller
        self._link: ChildLink | None = None
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._spawning: asyncio.Task[None] | None = None
        self._is_closing = False
        self._is_reloading = False
        self._exceeded_limit = False
        self._has_looked_again = False
        self._crashes = 0
        self._failed_starts = 0
        self.state = State.STARTING
        self.reason = "the entry script is not loaded yet"
        """Why it takes no requests; "" when it does."""
        self.failure: Event = {}
        """Why its last start failed."""
        self.restarts = 0
        self.description = ScriptDescription()

    @property
    def process_id(self) -> int:
        """Process id of the script's process, 0 while there is none."""
        return self._link.pid if self._link else 0

    @property
    def load(self) -> int:
        """Requests sent and not answered."""
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """True when it would take a request now."""
        return self.state is State.READY and not self._is_reloading and self._queue.has_room

    @property
    def is_reloading(self) -> bool:
        """True from `reload` until the new process is ready, or has failed to start."""
        return self._is_reloading or self.state is State.RESTARTING

    def reload(self) -> None:
        """Start the process again once what was sent to it is answered. Nothing unless it is ready."""
        if self.state is State.READY:
            self._is_reloading = True
            self._end_for_reload()

    def start(self, process: ScriptProcess | None = None) -> None:
        """Start the process, or take one that has been started."""
        if process is None:
            self._spawn_after(0.0)
        else:
            self._take_over(process)

    def take(self) -> None:
        """Take what waits, as far as there is room."""
        if self.state is not State.READY or self._link is None or self._is_reloading:
            return
        is_lone = not self._queue and self._has_lone_caller()
        for number, pending in self._queue.take_sendable(asyncio.get_running_loop().time()):
            self._link.send(encode_request(number, pending.request, is_lone=is_lone), pending.request.body)
        if is_lone and self._queue:
            self._link.hurry()
        if self._timer is None and self._queue.running_since_s is not None:
            self._arm_timer(self._timeout_ms / 1000.0)

    async def close(self, grace_s: float, refusal: ScoringResult) -> None:
        """Answer `refusal` to what was sent; let the process end within `grace_s`, then kill it. May be repeated."""
        self._is_closing = True
        for pending in self._queue.take_sent():
            pending.resolve(refusal)
        if self._timer is not None:
            self._timer.cancel()
        if self._spawning is not None:
            self._spawning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._spawning
        if self._link is None:
            return
        self._link.hang_up()
        if grace_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), grace_s)
        if self._link is not None:
            self._link.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _KILL_WAIT_S)

    def _spawn_after(self, pause_s: float) -> None:
        self._spawning = asyncio.get_running_loop().create_task(self._spawn(pause_s))

    async def _spawn(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        try:
            self._take_over(start_process(self._environment, self._log_descriptor))
        except OSError as error:
            self._on_failed_start({"stage": "import", "message": f"its process cannot be started: {error}"})

    def _take_over(self, process: ScriptProcess) -> None:
        self._ended.clear()
        self._has_looked_again = False
        self.failure = {}
        self.reason = "the entry script is being imported"
        self._link = ChildLink(process, self._on_frames, self._on_end)
        self._link.send(self._first_frame)

    def _on_frames(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == EVENT:
                self._on_event(decode_event(frame))
            elif self.state is State.READY:
                pending = self._queue.answered(frame.number, asyncio.get_running_loop().time())
                if pending is not None:
                    self._crashes = 0
                    pending.resolve(decode_result(frame))
        self.take()
        self._end_for_reload()

    def _end_for_reload(self) -> None:
        if self._is_reloading and self.state is State.READY and not self._queue and self._link is not None:
            self._change(State.RESTARTING, "the entry script is being reloaded")
            self._link.kill()

    def _on_event(self, event: Event) -> None:
        match event["event"]:
            case "loaded":
                self.reason = "init() of the entry script has not returned yet"
            case "failed":
                self.failure = event
            case "ready" if not self._is_closing:
                self._failed_starts = 0
                self.description = ScriptDescription(**event["description"])
                self._change(State.READY, "")

    def _change(self, state: State, reason: str) -> None:
        self.state = state
        self.reason = reason
        self._on_change(self)

    def _on_end(self, exit_code: int) -> None:
        begun = self._link.begun if self._link is not None else 0
        self._link = None
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closing:
            return
        exceeded_limit = self._exceeded_limit
        self._exceeded_limit = False
        reloads = self._is_reloading and self.state is State.RESTARTING
        self._is_reloading = False
        if reloads:
            self.restarts += 1
            self._spawn_after(0.0)
            return
        if self.state is not State.READY and not exceeded_limit:
            ending = f"the script's process {describe_exit(exit_code)} while starting"
            self._on_failed_start(self.failure or {"stage": "init", "message": ending})
            return
        if self.state is State.READY:
            running = self._queue.process_died(begun)
            during = "while it was idle" if running is None else "while run() was scoring a request"
            _LOG.error("The script's process %s %s; starting it again", describe_exit(exit_code), during)
            if running is not None:
                running.resolve(message_result(500, SCRIPT_ERROR_TEXT, script_failed=True))
        self._crashes += 1
        self.restarts += 1
        self._change(State.RESTARTING, "the script's process is being restarted")
        self._spawn_after(delay_s(self._crashes - 1, first_s=0.1, limit_s=2.0))

    def _on_failed_start(self, failure: Event) -> None:
        self.failure = failure
        self._failed_starts += 1
        self._change(State.FAILED, f"the entry script did not start: {failure['message']}")
        if self._is_closing:
            return
        self.restarts += 1
        pause_s = delay_s(self._failed_starts, first_s=0.5, limit_s=30.0)
        _LOG.error("The entry script did not start again, next attempt in %g s: %s", pause_s, failure["message"])
        self._spawn_after(pause_s)

    def stop_trying(self) -> None:
        """Do not start again after this failure."""
        self._is_closing = True

    def _arm_timer(self, wait_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._check_time_limit)

    def _check_time_limit(self) -> None:
        """One timer serves all requests: it looks at the running one, and sleeps for the rest of its time."""
        self._timer = None
        since_s = self._queue.running_since_s
        if since_s is None:
            self._has_looked_again = False
            return
        left_s = since_s + self._timeout_ms / 1000.0 - asyncio.get_running_loop().time()
        if left_s > 0:
            self._has_looked_again = False
            self._arm_timer(left_s)
        elif not self._has_looked_again:  # the answer may have come while this process was held up: read first
            self._has_looked_again = True
            self._arm_timer(_LOOK_AGAIN_S)
        elif self._link is not None and not self._link.has_exited:  # a crash is told by _on_end, however late that is
            _LOG.error("Scoring timeout after %d ms: the script's process is killed and restarted", self._timeout_ms)
            self._exceeded_limit = True
            running = self._queue.process_died(self._queue.oldest_number)
            self._change(State.RESTARTING, "the script's process is being restarted")
            self._link.kill()
            if running is not None:
                text = f"Scoring timeout after {self._timeout_ms} ms"
                running.resolve(message_result(500, text, script_failed=True))
