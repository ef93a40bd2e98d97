"""The buffer's thread: the only one that touches it. What arrives while a commit is under way shares the next one.

Everything is asked for, and answered, on the event loop. A commit is answered in one callback there: first what its
appends became, in their order, then what was removed, dropped and stored, then the answers of everything else that
was asked for. So an input is acknowledged before what was made from it is published.
An error of the agent itself ends the work: every append is refused from then on, and all else stays unanswered.

Nobody waits for more to come: a lone append is committed at once. While the disk fails, appends are refused at once,
removals are kept, and the disk is tried again after a pause; what can be read is read.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from queue import Empty, SimpleQueue

from device_agent.backoff import delay_s
from device_agent.messages.buffer.buffer_requests import Append, BufferEvents, Job, Remove, call_all
from device_agent.messages.buffer.interface import Buffer, BufferFailure, Figures, Reason, Refusal
from device_agent.messages.message import SPARE, Message, Stored

_LOG = logging.getLogger("edgepack.agent")
MOST_MESSAGES = 500
MOST_BYTES = 1024 * 1024
UPKEEP_S = 1.0
EMPTY_UPKEEP_S = 30.0
FIGURES_S = 0.25
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
CLOSE_S = 3.0
"""Longest that `close` waits: a call may hang in the disk for ever."""
_FULL = Refusal(Reason.FULL, "The buffer is full: EDGEPACK_BUFFER_MAX_BYTES, or the room of its volume, limits it")
_HALF_FULL = Refusal(Reason.FULL, "The buffer is half full: the rest is for results")
_ENDED = Refusal(
    Reason.FAILED, "The buffer's thread has ended by an error of the agent: nothing is stored until it is started anew"
)


class BufferThread:
    """See the module. It owns `buffer` from now on, and closes it."""

    def __init__(self, buffer: Buffer, loop: asyncio.AbstractEventLoop, events: BufferEvents) -> None:
        self._buffer = buffer
        self._loop = loop
        self._events = events
        self._requests: SimpleQueue[Append | Remove | Job | None] = SimpleQueue()  # None: close
        self._figures = buffer.figures()
        self._oldest_at_s = buffer.now_s() - self._figures.oldest_s
        self._appends: list[Append] = []
        self._removals: set[int] = set()
        self._late: deque[int] = deque()  # removals that wait for a commit
        self._jobs: deque[Job] = deque()
        self._are_jobs_stuck = False
        self._is_closing = False
        self._answers: list[Callable[[], None]] = []
        self._refused: tuple[int, Refusal] = 0, _FULL
        self._failure: Refusal | None = None
        self._failures = 0
        self._retry_at_s = 0.0
        self._upkeep_at_s = 0.0
        self._figures_at_s = 0.0
        self._are_figures_old = False
        self._thread = threading.Thread(target=self._run, name="buffer", daemon=True)
        self._thread.start()

    @property
    def figures(self) -> Figures:
        """How much the buffer held a moment ago; counts are those of the last commit, also while the disk fails."""
        return self._figures

    @property
    def largest_bytes(self) -> int:
        """See Buffer."""
        return self._buffer.largest_bytes

    def now_s(self) -> float:
        """The buffer's clock."""
        return self._buffer.now_s()

    def append(self, message: Message, done: Callable[[Stored | Refusal], None], *, turn: int = 0) -> None:
        """Store a message; `done` is called when it is durable, or will not be.

        Appends of one turn (> 0) keep their order: when one is refused, all later ones of this turn are refused too,
        whatever has changed meanwhile. To try again, take a higher turn. Turn 0 is for appends that stand alone.
        One of priority SPARE is refused unless half of the buffer is free with it. Any thread may append.
        """
        self._requests.put(Append(message, done, turn))

    def remove(self, keys: Collection[int]) -> None:
        """Remove messages; `removed` is called when they are gone, however long the disk fails."""
        self._requests.put(Remove(keys))

    def remove_soon(self, keys: Collection[int]) -> None:
        """The same with the next commit, or within about a second: it costs no writing of its own."""
        self._late.extend(keys)

    def read(self, after: int, until: int, limit: int, limit_bytes: int, done: Callable[[list[Stored]], None]) -> None:
        """See Buffer.read. It waits while the disk cannot be read."""
        self._ask(lambda: partial(done, self._buffer.read(after, until, limit, limit_bytes)))

    def set_aside(self, key: int) -> None:
        """See Buffer.set_aside; `removed` is called when it is done."""
        self._ask(lambda: partial(self._events.removed, self._buffer.set_aside(key)))

    def restore(self, done: Callable[[int], None]) -> None:
        """See Buffer.restore; `done` is told how many."""
        self._ask(lambda: partial(done, self._buffer.restore()))

    def change_policy(self, policy: str) -> None:
        """See Buffer.change_policy."""
        self._ask(lambda: self._buffer.change_policy(policy))

    async def close(self) -> None:
        """Do everything that was asked for, unless the disk fails, then close the buffer. The last call.

        It returns after CLOSE_S at the latest; what is on disk then stays there.
        """
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_S)
        if self._thread.is_alive():
            _LOG.error("The buffer was not closed within %.0f s: the disk hangs; what is not stored is lost", CLOSE_S)

    def _ask(self, work: Callable[[], Callable[[], None] | None]) -> None:
        self._requests.put(Job(work))

    # --- in the thread

    def _run(self) -> None:
        try:
            while not self._is_closing:
                self._take()
                self._try()
                self._recount()
                self._answer()
            self._buffer.close()
        except Exception:  # noqa: BLE001 - the outermost of the thread: nobody else would answer what is asked
            _LOG.critical("%s", _ENDED.text, exc_info=True)
            self._answers.append(partial(self._events.failed, _ENDED.text))
            self._refuse_all()

    def _refuse_all(self) -> None:
        """What the thread does after an error of the agent."""
        self._refuse(self._appends, _ENDED)
        self._answer()
        while not self._is_closing or not self._requests.empty():
            request = self._requests.get()
            if isinstance(request, Append):
                self._refuse([request], _ENDED)
            elif request is None:
                self._is_closing = True
            self._answer()

    def _take(self) -> None:
        """Wait until there is something to do; then take all that has come, as much as fits into a commit."""
        size_bytes = 0
        try:
            request = self._requests.get(timeout=self._pause_s())
            while True:
                if isinstance(request, Append):
                    self._appends.append(request)
                    size_bytes += len(request.message.body)
                    if len(self._appends) >= MOST_MESSAGES or size_bytes >= MOST_BYTES:
                        return
                elif isinstance(request, Remove):
                    self._removals.update(request.keys)
                elif isinstance(request, Job):
                    self._jobs.append(request)
                else:
                    self._is_closing = True
                request = self._requests.get_nowait()
        except Empty:
            pass
        finally:
            while self._late:
                self._removals.add(self._late.popleft())

    def _pause_s(self) -> float:
        """Seconds to wait for a request; a little upkeep is done first if there is none."""
        now_s = time.monotonic()
        if self._failure is not None:
            return 0.0 if self._jobs and not self._are_jobs_stuck else max(0.0, self._retry_at_s - now_s)
        try:
            if self._requests.empty() and self._buffer.tidy():
                return 0.0
        except BufferFailure as failure:
            self._fail(failure)
        due_s = min(self._upkeep_at_s, self._figures_at_s) if self._are_figures_old else self._upkeep_at_s
        return max(0.0, due_s - now_s)

    def _try(self) -> None:
        """One round: a commit, then everything else that was asked for."""
        may_commit = self._failure is None or self._is_closing or time.monotonic() >= self._retry_at_s
        try:
            if may_commit:
                if self._failure is not None:
                    self._buffer.probe()
                    self._failure = None
                    self._answers.append(self._events.recovered)
                self._are_jobs_stuck = False
                self._commit()
            elif self._failure is not None:
                self._refuse(self._admitted(), self._failure)
            self._do_jobs()
            if self._failure is None:
                self._look_after()
        except BufferFailure as failure:
            if may_commit:
                self._fail(failure)

    def _do_jobs(self) -> None:
        """Also while nothing can be written: what is there may still be read."""
        while self._jobs and not self._are_jobs_stuck:
            self._are_jobs_stuck = True
            answer = self._jobs[0].work()
            self._are_jobs_stuck = False
            self._jobs.popleft()
            if answer is not None:
                self._answers.append(answer)

    def _commit(self) -> None:
        appends = self._admitted()
        if not appends and not self._removals:
            return
        self._appends = appends  # until they are stored, so that a failure refuses them
        if any(append.message.priority == SPARE for append in appends):
            self._appends = appends = self._without_spare(appends)
        stored, dropped = self._buffer.apply([append.message for append in appends], self._removals)
        self._appends = []
        self._are_figures_old = True
        for append, entry in zip(appends, stored, strict=False):
            self._answers.append(partial(append.done, entry))
        self._refuse(appends[len(stored) :], _FULL)
        if self._removals:
            self._answers.append(partial(self._events.removed, self._removals))
            self._removals = set()
        if dropped:
            self._answers.append(partial(self._events.dropped, dropped))
            gone = set(dropped)
            stored = [entry for entry in stored if entry.key not in gone]
        if stored:
            self._failures = 0
            self._answers.append(partial(self._events.stored, stored))

    def _without_spare(self, appends: list[Append]) -> list[Append]:
        """Without those spare ones that are not to have the room: of many, about as many of the first as may stay."""
        spare = [append for append in appends if append.message.priority == SPARE]
        others = [append for append in appends if append.message.priority != SPARE]
        most = len(spare)
        while most and not self._buffer.is_half_free([append.message for append in (*others, *spare[:most])]):
            most //= 2
        self._refuse(spare[most:], _HALF_FULL)
        return others + spare[:most]

    def _admitted(self) -> list[Append]:
        """The appends that have come, without those whose turn is over."""
        turn, refusal = self._refused
        appends, self._appends = self._appends, []
        self._refuse([append for append in appends if 0 < append.turn <= turn], refusal)
        return [append for append in appends if not 0 < append.turn <= turn]

    def _refuse(self, appends: list[Append], refusal: Refusal) -> None:
        for append in appends:
            if append.turn > self._refused[0]:
                self._refused = append.turn, refusal
            self._answers.append(partial(append.done, refusal))

    def _fail(self, failure: BufferFailure) -> None:
        refusal = Refusal(Reason.FAILED, str(failure))
        if self._failure is None:
            self._answers.append(partial(self._events.failed, refusal.text))
        self._failure = refusal
        self._failures += 1
        self._retry_at_s = time.monotonic() + delay_s(self._failures, first_s=FIRST_PAUSE_S, limit_s=LONGEST_PAUSE_S)
        self._refuse(self._admitted(), refusal)

    def _look_after(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._upkeep_at_s:
            if expired := self._buffer.expire():
                self._answers.append(partial(self._events.expired, expired))
            self._upkeep_at_s = now_s + EMPTY_UPKEEP_S
            self._are_figures_old = True
            self._figures_at_s = now_s
        if self._are_figures_old and (now_s >= self._figures_at_s or self._is_closing):
            self._figures = self._buffer.figures()
            self._oldest_at_s = self._buffer.now_s() - self._figures.oldest_s
            self._are_figures_old = False
            self._figures_at_s = now_s + FIGURES_S
            if self._figures.messages + self._figures.set_aside:
                self._upkeep_at_s = min(self._upkeep_at_s, now_s + UPKEEP_S)

    def _recount(self) -> None:
        """Before answers go out: counts need no disk, so they are right while it fails, and the oldest grows older."""
        now_s = self._buffer.now_s()
        if self._figures.messages + self._figures.set_aside == 0:
            self._oldest_at_s = now_s
        figures = self._buffer.known_figures()
        is_empty = figures.messages + figures.set_aside == 0
        self._figures = figures._replace(oldest_s=0.0 if is_empty else max(0.0, now_s - self._oldest_at_s))

    def _answer(self) -> None:
        if self._answers:
            answers, self._answers = deque(self._answers), []
            try:
                self._loop.call_soon_threadsafe(call_all, answers, self._loop)
            except RuntimeError:  # it is closed: `close` did not wait for this any longer
                if not self._loop.is_closed():
                    raise
