"""A scorer without a process: the entry script in a thread of this one. For tests and tools on a desk.

Keeps the order and the answers of the real one; it has no time limit, and a script that crashes takes it
along.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from device_agent import entry_script
from device_agent.errors import ScriptStartError
from device_agent.scorer import ScoringRequest, ScoringResult, ScriptDescription, ScriptSource, message_result


class InProcessScorer:
    """Implements Scorer. The script's module stays in `sys.modules` after `close`."""

    def __init__(self, source: ScriptSource, *, json_nan: str = "null") -> None:
        self._load = partial(entry_script.load_script, source, json_nan=json_nan)
        self._script: entry_script.EntryScript | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="entry-script")
        self._reason = "the entry script is not loaded yet"
        self._is_closed = False
        self.has_been_ready = False
        self.description = ScriptDescription()

    @property
    def not_ready_reason(self) -> str:
        """See Scorer."""
        return self._reason

    async def start(self) -> None:
        """See Scorer."""
        loop = asyncio.get_running_loop()
        script = await loop.run_in_executor(self._thread, self._load)
        try:
            await loop.run_in_executor(self._thread, entry_script.call_init, script)
        except ScriptStartError as error:
            self._reason = str(error)
            raise
        self._script = script
        self._reason = ""
        self.description = script.description
        self.has_been_ready = True

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> "_Ticket":
        """See Scorer."""
        ticket = _Ticket(answer)
        if self._script is None or self._reason:
            ticket.give(message_result(503, f"The request cannot be scored now: {self._reason}"))
            return ticket
        loop = asyncio.get_running_loop()
        scoring = loop.run_in_executor(self._thread, entry_script.score, self._script, request)
        ticket.scoring = scoring
        scoring.add_done_callback(lambda done: None if done.cancelled() else ticket.give(done.result()))
        return ticket

    async def close(self, grace_s: float = 0.0) -> None:
        """See Scorer. What has begun runs to its end: a thread cannot be stopped."""
        self._reason = "the agent is stopping"
        self._thread.submit(entry_script.close_loop) if not self._is_closed else None
        self._is_closed = True
        self._thread.shutdown(wait=grace_s > 0, cancel_futures=False)


class _Ticket:
    def __init__(self, answer: Callable[[ScoringResult], None]) -> None:
        self._answer: Callable[[ScoringResult], None] | None = answer
        self.scoring: asyncio.Future[ScoringResult] | None = None

    def give(self, result: ScoringResult) -> None:
        if self._answer is not None:
            self._answer(result)

    def withdraw(self) -> None:
        self._answer = None
        if self.scoring is not None:
            self.scoring.cancel()
