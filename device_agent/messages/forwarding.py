"""Results of POST /score that also go upstream (EDGEPACK_HTTP_FORWARD=1): answered when they are durable.

A scorer around the scorer, so that HTTP does not know of it. A client that gets 200 knows that its result is on disk;
one whose result cannot be kept now gets 503 with Retry-After. Answers other than 200 are not forwarded.
"""

from collections.abc import Callable

from device_agent.around_scorer import AroundScorer
from device_agent.messages.buffer.interface import Refusal
from device_agent.messages.message import Message, Stored
from device_agent.messages.message_road import Store, never
from device_agent.messages.results import result_messages
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import Scorer, ScoringRequest, ScoringResult, Ticket, message_result, refuse


class ForwardingScorer(AroundScorer):
    """Implements Scorer."""

    def __init__(
        self,
        scorer: Scorer,
        store: Store,
        *,
        settings: Callable[[], MessageSettings],
        new_id: Callable[[], str],
        refusal: Callable[[Message], str],
        refused: Callable[[Refusal], None],
    ) -> None:
        super().__init__(scorer)
        self._store = store
        self._settings = settings
        self._new_id = new_id
        self._refusal = refusal
        self._refused = refused

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Ticket:
        """See Scorer."""
        if not self._settings().http_forward or request.method != "POST":
            return self._scorer.submit(request, answer)
        return self._scorer.submit(request, lambda result: self._forward(request, result, answer))

    def _forward(self, request: ScoringRequest, result: ScoringResult, answer: Callable[[ScoringResult], None]) -> None:
        if result.status != 200:
            answer(result)
            return
        messages = result_messages(
            result,
            self._settings(),
            self._new_id(),
            input_name="/score",
            correlation_id=request.request_id,
        )
        if reason := never(messages, self._store, self._refusal):
            answer(message_result(500, f"The result cannot be sent upstream: {reason}"))
            return
        if not messages:
            answer(result)
            return
        outcomes: list[Stored | Refusal] = []

        def kept(outcome: Stored | Refusal) -> None:
            outcomes.append(outcome)
            if len(outcomes) < len(messages):
                return
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
            if refused:
                self._refused(refused[0])
            answer(refuse(f"The result cannot be kept now: {refused[0].text}") if refused else result)

        for message in messages:
            self._store.append(message, kept)
