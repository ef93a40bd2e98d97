"""A message road between a script and a buffer that do what the test says."""

import asyncio
from collections.abc import Callable

from device_agent.messages.buffer.interface import Reason, Refusal
from device_agent.messages.message import Message, Received, Stored, message_key
from device_agent.messages.message_ids import MessageIds
from device_agent.messages.message_road import MessageRoad
from device_agent.messages.settings import MessageSettings
from device_agent.scorer import ScoringRequest, ScoringResult, ScriptDescription

EACH = MessageSettings(transport="mqtt", list_output="each")


def on_a_loop(test: Callable[[], None]) -> None:
    """Run a test on a running event loop."""

    async def run() -> None:
        test()

    asyncio.run(run())


class Ticket:
    """A request that the script has."""

    def __init__(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> None:
        self.request = request
        self._answer = answer
        self.is_withdrawn = False

    def withdraw(self) -> None:
        """See scorer.Ticket."""
        self.is_withdrawn = True

    def answer(self, result: ScoringResult) -> None:
        """The script is done."""
        if not self.is_withdrawn:
            self._answer(result)


class HeldScorer:
    """Implements Scorer: the test answers."""

    def __init__(self) -> None:
        self.not_ready_reason = ""
        self.has_been_ready = True
        self.description = ScriptDescription()
        self.tickets: list[Ticket] = []
        self.answers_at_once: ScoringResult | None = None

    async def start(self) -> None:
        """See Scorer."""

    async def close(self, grace_s: float = 0.0) -> None:
        """See Scorer."""

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Ticket:
        """See Scorer."""
        ticket = Ticket(request, answer)
        self.tickets.append(ticket)
        if self.answers_at_once is not None:
            ticket.answer(self.answers_at_once)
        return ticket

    def answer(self, body: bytes = b"{}", **fields: object) -> None:
        """Answer the oldest request that is not answered."""
        self.tickets.pop(0).answer(ScoringResult(body, **fields))  # type: ignore[arg-type]


class HeldStore:
    """Implements message_road.Store: the test says when a commit is done, and how much fits."""

    largest_bytes = 100_000

    def __init__(self) -> None:
        self.asked: list[tuple[Message, Callable[[Stored | Refusal], None], int]] = []
        self.kept: list[Message] = []
        self._refused_turn = 0

    def append(self, message: Message, done: Callable[[Stored | Refusal], None], *, turn: int = 0) -> None:
        """See BufferThread.append."""
        self.asked.append((message, done, turn))

    def commit(self, room: int = 1000) -> None:
        """Everything asked for so far is stored, as far as there is room, by the rules of turns."""
        asked, self.asked = self.asked, []
        for message, done, turn in asked:
            if room <= 0 or (turn and turn == self._refused_turn):
                self._refused_turn = turn
                done(Refusal(Reason.FULL, "full"))
            else:
                room -= 1
                self.kept.append(message)
                done(Stored(message_key(message.priority, len(self.kept)), 0.0, message))


class World:
    """A road, and what came out of it."""

    def __init__(
        self, settings: MessageSettings | None = None, origins: dict[bytes, str] | None = None, identity: str = "a"
    ) -> None:
        self.settings = settings or MessageSettings(transport="mqtt")
        self.scorer = HeldScorer()
        self.store = HeldStore()
        self.acknowledged: list[object] = []
        self.observed: list[int] = []
        self.refused: list[Refusal] = []
        self.refusals: dict[bytes, str] = {}
        self.road = MessageRoad(
            self.scorer,
            self.store,
            settings=lambda: self.settings,
            acknowledge=self.acknowledged.append,
            refusal=lambda message: self.refusals.get(message.body, ""),
            observe=lambda result, _: self.observed.append(result.status),
            refused=self.refused.append,
            ids=MessageIds(identity, origins or {}),
        )

    def receive(self, *bodies: bytes, **fields: object) -> None:
        """Inputs come; the receipt is the body, unless another is given."""
        for body in bodies:
            self.road.received(Received(body, "amlInput", **{"receipt": body, **fields}))  # type: ignore[arg-type]
