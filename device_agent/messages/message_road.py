"""From an input message to its acknowledgement: score, keep on disk, acknowledge. In order of arrival.

    received -> waits for the script -> scored -> waits for those before it -> being stored -> acknowledged

Inputs are acknowledged in the order in which they came, each when all that was made from it is durable. When the
buffer refuses, they wait here, unacknowledged, in their order; how many that can be is bounded by what the other side
sends without an acknowledgement. A lost connection makes everything void that is not being stored yet: it will be
delivered again. An input that is delivered again gives messages with the ids of the first time.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from device_agent.messages.buffer.buffer_space import message_bytes
from device_agent.messages.buffer.interface import Refusal
from device_agent.messages.message import Message, Received, Stored
from device_agent.messages.message_ids import MessageIds
from device_agent.messages.results import error_message, input_properties, result_messages
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import Scorer, ScoringRequest, ScoringResult, Ticket, is_refusal

SCORED_AHEAD = 128
"""Inputs that are with the script at a time; more wait here."""
TRY_AGAIN_S = 0.5
_INPUT_BYTES = 1024
_LOG = logging.getLogger("edgepack.agent")


class Store(Protocol):
    """What the road needs of the buffer."""

    @property
    def largest_bytes(self) -> int:
        """Most that one result may take, by buffer_space.message_bytes."""
        ...

    def append(self, message: Message, done: Callable[[Stored | Refusal], None], *, turn: int = 0) -> None:
        """See buffer_thread."""
        ...


class _Input:
    """One delivery, on its way."""

    __slots__ = (
        "is_answered",
        "is_void",
        "message_id",
        "messages",
        "number",
        "received",
        "submitted_s",
        "ticket",
        "to_store",
    )

    def __init__(self, received: Received, message_id: str, number: int) -> None:
        self.received = received
        self.number = number
        self.message_id = message_id
        self.ticket: Ticket | None = None
        """While the script has it."""
        self.is_answered = False
        self.messages: list[Message] | None = None
        """What was made from it and is not durable; None before it is scored."""
        self.submitted_s = 0.0
        self.to_store = 0
        self.is_void = False


class MessageRoad:
    """See the module. `settings` gives those in force. `refusal` says why a message could never be sent. `observe` gets
    every result with the seconds that it took, `refused` the first refusal of the buffer in a row.
    """

    def __init__(
        self,
        scorer: Scorer,
        store: Store,
        *,
        settings: Callable[[], MessageSettings],
        acknowledge: Callable[[object], None],
        refusal: Callable[[Message], str],
        observe: Callable[[ScoringResult, float], None],
        refused: Callable[[Refusal], None],
        ids: MessageIds,
    ) -> None:
        self._scorer = scorer
        self._store = store
        self._settings = settings
        self._acknowledge = acknowledge
        self._refusal = refusal
        self._observe = observe
        self._refused = refused
        self._ids = ids
        self._unscored: deque[_Input] = deque()
        self._returned: deque[_Input] = deque()  # by the script, to be tried again
        self._is_submitting = False
        self._order: deque[_Input] = deque()
        self._storing: deque[_Input] = deque()
        self._with_script = 0
        self._outstanding = 0
        self._turn = 1
        self._is_refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_draining = False
        self.received_count = 0
        self.failed_count = 0
        self.waiting_bytes = 0
        """Of inputs that are not acknowledged, about."""

    @property
    def under_way(self) -> int:
        """Inputs with the script or on their way to the disk, or that are still to be scored at the end."""
        return self._with_script + len(self._storing) + (len(self._unscored) if self._is_draining else 0)

    @property
    def waiting(self) -> int:
        """Inputs that are not acknowledged yet."""
        return len(self._order) + len(self._storing)

    def received(self, received: Received) -> None:
        """An input has come."""
        self.received_count += 1
        if self._is_draining and received.receipt is not None:
            return  # not acknowledged: it is delivered again
        self.waiting_bytes += _size_bytes(received)
        entry = _Input(received, self._ids.of(received), self.received_count)
        self._order.append(entry)
        self._unscored.append(entry)
        self._submit()

    def lost_connection(self) -> None:
        """The receipts of all inputs are worth nothing any more; those that are not being stored come again.

        But not those without a receipt, which the other side has forgotten: they go on.
        """
        self._drop([entry for entry in self._order if entry.received.receipt is not None])
        for entry in self._storing:
            entry.is_void = entry.received.receipt is not None

    def drain(self) -> None:
        """Take no more. What the script has is finished, up to the first input that it does not have; the rest is
        delivered again. Inputs without a receipt are scored all.
        """
        self._is_draining = True
        waiting = {*self._unscored, *self._returned}
        order = list(self._order)
        first = next((place for place, entry in enumerate(order) if entry in waiting), len(order))
        self._drop([entry for entry in order[first:] if entry.received.receipt is not None])

    def go_on(self) -> None:
        """There may be room in the buffer again, or a script that takes requests."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unscored.extendleft(sorted(self._returned, key=lambda entry: entry.number, reverse=True))
        self._returned.clear()
        self._submit()
        self._keep()

    # --- inside

    def _drop(self, entries: list[_Input]) -> None:
        """Forget these, which are not being stored."""
        for entry in entries:
            entry.is_void = True
            self.waiting_bytes -= _size_bytes(entry.received)
            if entry.ticket is not None:
                entry.ticket.withdraw()
                self._with_script -= 1
        dropped = set(entries)
        for held in (self._order, self._unscored, self._returned):
            kept = [entry for entry in held if entry not in dropped]
            held.clear()
            held.extend(kept)

    def _submit(self) -> None:
        """Give the script what waits for it."""
        if self._is_submitting:
            return  # it has answered at once: whoever called goes on
        self._is_submitting = True
        while self._unscored and self._with_script < SCORED_AHEAD and self._timer is None:
            if self._scorer.not_ready_reason:
                self._try_again()
                break
            entry = self._unscored.popleft()
            self._with_script += 1
            received = entry.received
            request = ScoringRequest(received.body, content_type=received.content_type, request_id=entry.message_id)
            entry.submitted_s = time.perf_counter()
            ticket = self._scorer.submit(request, lambda result, entry=entry: self._scored(entry, result))  # type: ignore[misc]
            entry.ticket = None if entry.is_answered else ticket
        self._is_submitting = False

    def _scored(self, entry: _Input, result: ScoringResult) -> None:
        if entry.is_void:
            return
        entry.ticket = None
        self._with_script -= 1
        if is_refusal(result):
            self._returned.append(entry)
            self._try_again()
            return
        entry.is_answered = True
        self._observe(result, time.perf_counter() - entry.submitted_s)
        entry.messages = self._messages(entry, result)
        self._keep()
        self._submit()

    def _messages(self, entry: _Input, result: ScoringResult) -> list[Message]:
        settings, received = self._settings(), entry.received
        properties = input_properties(received, settings)
        origin = b"" if received.message_id else received.origin
        messages = result_messages(
            result,
            settings,
            entry.message_id,
            input_name=received.input_name,
            correlation_id=received.message_id,
            properties=properties,
            origin=origin,
        )
        if result.status >= 400:
            self.failed_count += 1
            told = received.message_id or entry.message_id
            _LOG.warning("The input %s of %s gave an error message (%d)", told, received.input_name, result.status)
        reason = never(messages, self._store, self._refusal)
        if not reason:
            return messages
        self.failed_count += 1
        _LOG.error("The result of an input of %s cannot be sent: %s", received.input_name, reason)
        short = error_message(
            500,
            f"The result cannot be sent: {reason}",
            settings,
            entry.message_id,
            input_name=received.input_name[:1024],
            correlation_id=received.message_id[:128],
            properties=properties,
            origin=origin,
        )
        return [short._replace(properties=()) if never([short], self._store, self._refusal) else short]

    def _keep(self) -> None:
        """Hand to the buffer what is scored, up to the first that is not."""
        while self._order and self._order[0].messages is not None and not self._is_refused and self._timer is None:
            entry = self._order.popleft()
            self._storing.append(entry)
            messages = entry.messages or []
            entry.to_store = len(messages)
            self._outstanding += len(messages)
            for message in messages:
                self._store.append(
                    message,
                    lambda outcome, entry=entry: self._kept(entry, outcome),  # type: ignore[misc]
                    turn=self._turn,
                )
        self._acknowledge_kept()

    def _kept(self, entry: _Input, outcome: Stored | Refusal) -> None:
        self._outstanding -= 1
        if isinstance(outcome, Refusal):
            if not self._is_refused:
                self._refused(outcome)
            self._is_refused = True
        else:
            entry.to_store -= 1
            self._acknowledge_kept()
        if self._is_refused and not self._outstanding:
            self._take_back()

    def _acknowledge_kept(self) -> None:
        while self._storing and not self._storing[0].to_store:
            entry = self._storing.popleft()
            self.waiting_bytes -= _size_bytes(entry.received)
            if not entry.is_void:
                self._acknowledge(entry.received.receipt)

    def _take_back(self) -> None:
        """What was refused waits here, in its order, for the next turn."""
        while self._storing:
            entry = self._storing.pop()
            if entry.messages is None or entry.is_void:
                self.waiting_bytes -= _size_bytes(entry.received)
                continue
            entry.messages = entry.messages[len(entry.messages) - entry.to_store :]
            self._order.appendleft(entry)
        self._turn += 1
        self._is_refused = False
        self._try_again()

    def _try_again(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TRY_AGAIN_S, self.go_on)


def never(messages: Sequence[Message], store: Store, refusal: Callable[[Message], str]) -> str:
    """Why the messages of one result can never be kept, or sent; "" if they can."""
    size_bytes = sum(map(message_bytes, messages))
    if size_bytes > store.largest_bytes:
        most = f"EDGEPACK_BUFFER_MAX_BYTES, and its volume, allow {store.largest_bytes} for one result"
        return f"its {len(messages)} message(s) take {size_bytes} bytes, and {most}"
    return next(filter(None, map(refusal, messages)), "")


def _size_bytes(received: Received) -> int:
    return len(received.body) + _INPUT_BYTES
