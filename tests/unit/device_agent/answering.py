"""A scorer for tests of what stands around a scorer."""

from collections.abc import Callable

from device_agent.scorer import ScoringRequest, ScoringResult, ScriptDescription, Ticket


class Done:
    """A ticket of a request that is answered."""

    def withdraw(self) -> None:
        """Too late."""


class Answering:
    """A scorer that gives one answer at once."""

    not_ready_reason = ""
    has_been_ready = True
    description = ScriptDescription()

    def __init__(self, result: ScoringResult) -> None:
        self.result = result

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self, grace_s: float = 0.0) -> None:
        """Nothing to end."""

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Ticket:
        """See Scorer."""
        answer(self.result)
        return Done()
