"""The scorer of the product: copies of the entry script, each in a process of its own, fed from one queue.

Why processes: a hung `run()` cannot be stopped inside a thread, a native crash must not take the agent down, and a
script's own `except Exception` must not swallow the time limit. What happens to one process is the worker's
affair; here requests are limited, handed to the worker with the least to do, and refused (503) when no worker
will come back soon: before the first `init()`, and while the script does not start any more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest

from device_agent.errors import ScriptStartError
from device_agent.frames import encode_event
from device_agent.scorer import ScoringRequest, ScoringResult, ScriptDescription, ScriptSource, refuse
from device_agent.script_process import ScriptProcess, worker_environment
from device_agent.worker import Pending, State, Worker

STOPPING = "the agent is stopping"
_LOG = logging.getLogger("edgepack.agent")


class ChildScorer:
    """Implements Scorer. Make and use it on one event loop, `start` first.

    `environment` is the whole environment of the script's processes. `log_descriptor` is where their log lines
    go. At most `queue_requests` wait or are scored at a time, each waits at most `queue_wait_s` (0: for ever).
    """

    def __init__(
        self,
        source: ScriptSource,
        *,
        environment: Mapping[str, str],
        workers: int = 1,
        timeout_ms: int = 3_600_000,
        queue_requests: int = 1024,
        queue_wait_s: float = 0.0,
        log_descriptor: int = 1,
        log_format: str = "text",
        log_level: str = "INFO",
    ) -> None:
        self._waiting: deque[Pending] = deque()
        first_frame = encode_event({"source": asdict(source), "log_format": log_format, "log_level": log_level})
        self._workers = [
            Worker(
                first_frame,
                self._waiting,
                self._on_change,
                environment=worker_environment(environment, number),
                timeout_ms=timeout_ms,
                log_descriptor=log_descriptor,
                # what is sent ahead can neither go to another process nor be refused for its wait
                window_requests=1 if queue_wait_s or workers > 1 else 32,
                has_lone_caller=lambda: self.has_lone_caller(),
            )
            for number in range(workers)
        ]
        self._queue_requests = queue_requests
        self._queue_wait_s = queue_wait_s
        self._expiry: asyncio.TimerHandle | None = None
        self._started: asyncio.Future[None] | None = None
        self._is_closing = False
        self._has_changed = asyncio.Event()
        self.has_lone_caller: Callable[[], bool] = lambda: False
        """Whether all requests come from one client, as far as is known."""
        self.when_changed: Callable[[], None] = lambda: None
        """Called after every change of what `not_ready_reason` says."""
        self.has_been_ready = False
        self.description = ScriptDescription()

    @property
    def not_ready_reason(self) -> str:
        """See Scorer."""
        if self._is_closing:
            return STOPPING
        if self.has_been_ready and any(worker.state is State.READY for worker in self._workers):
            return ""
        return next((worker.reason for worker in self._workers if worker.reason), "")

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the script's processes."""
        return [worker.process_id for worker in self._workers if worker.process_id]

    @property
    def restarts(self) -> int:
        """How often processes have been started again."""
        return sum(worker.restarts for worker in self._workers)

    @property
    def queued(self) -> int:
        """Requests that wait or are being scored."""
        return len(self._waiting) + sum(worker.load for worker in self._workers)

    async def start(self, processes: Sequence[ScriptProcess] = ()) -> None:
        """See Scorer. Raises also when a process cannot be started at all.

        `processes`: the first of them, started already with `worker_environment`.
        """
        self._started = asyncio.get_running_loop().create_future()
        for worker, process in zip_longest(self._workers, processes):
            worker.start(process)
        await self._started

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Pending:
        """See Scorer. Before `init()` has returned for the first time: 503."""
        now_s = asyncio.get_running_loop().time() if self._queue_wait_s else 0.0
        pending = Pending(request, answer, now_s, self._waiting)
        if self._is_closing or not self.has_been_ready or all(w.state is State.FAILED for w in self._workers):
            pending.resolve(self._refusal())
        elif self.queued >= self._queue_requests:
            text = f"The queue is full: {self._queue_requests} requests wait or are being scored."
            pending.resolve(refuse(text))
        else:
            self._waiting.append(pending)
            self._hand_out()
            if self._queue_wait_s and self._waiting and self._expiry is None:
                self._expiry = asyncio.get_running_loop().call_later(self._queue_wait_s, self._expire)
        return pending

    async def reload(self) -> None:
        """Start the processes again, one after the other, each when it has answered what it was given.

        Returns when the last one is ready or has failed; `not_ready_reason` tells. Requests wait meanwhile.
        """
        for worker in self._workers:
            worker.reload()
            while worker.is_reloading:
                self._has_changed.clear()
                await self._has_changed.wait()

    async def close(self, grace_s: float = 0.0) -> None:
        """See Scorer."""
        self._is_closing = True
        refusal = self._refusal()
        if self._expiry is not None:
            self._expiry.cancel()
        await asyncio.gather(*(worker.close(grace_s, refusal) for worker in self._workers))
        self._refuse_waiting()
        if self._started is not None and not self._started.done():
            self._started.set_exception(ScriptStartError("init", STOPPING))

    def _hand_out(self) -> None:
        """Give what waits to the worker that has the least to do."""
        if len(self._workers) == 1:
            self._workers[0].take()
            return
        while self._waiting:
            waiting = len(self._waiting)
            free = [worker for worker in self._workers if worker.has_room]
            if free:
                min(free, key=lambda worker: worker.load).take()
            if len(self._waiting) == waiting:
                return

    def _on_change(self, worker: Worker) -> None:
        self._has_changed.set()
        if worker.state is State.READY:
            self.description = worker.description
        if self._started is not None and not self._started.done():
            if worker.state is State.FAILED:
                for other in self._workers:
                    other.stop_trying()
                self._is_closing = True
                self._started.set_exception(ScriptStartError(worker.failure["stage"], worker.failure["message"]))
            elif all(other.state is State.READY for other in self._workers):
                self.has_been_ready = True
                self._started.set_result(None)
        elif all(other.state is State.FAILED for other in self._workers):
            self._refuse_waiting()
        self._hand_out()
        self.when_changed()

    def _refuse_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().resolve(self._refusal())

    def _refusal(self) -> ScoringResult:
        text = f"The request cannot be scored now: {self.not_ready_reason}"
        return refuse(text)

    def _expire(self) -> None:
        """Refuse what has waited too long; look again when the next one will have."""
        loop = asyncio.get_running_loop()
        self._expiry = None
        while self._waiting:
            first = self._waiting[0]
            left_s = first.arrived_s + self._queue_wait_s - loop.time()
            if left_s > 0 and not first.is_withdrawn:
                self._expiry = loop.call_later(left_s, self._expire)
                return
            self._waiting.popleft()
            text = f"The request waited longer than {self._queue_wait_s * 1000:.0f} ms for its turn."
            first.resolve(refuse(text))
