"""What scorers around a scorer have in common (capture, messages.forwarding): all but what they do with a request."""

from device_agent.scorer import Scorer, ScriptDescription


class AroundScorer:
    """A Scorer but for `submit`. The script belongs to whoever made `scorer`: it is neither started nor closed here."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    @property
    def not_ready_reason(self) -> str:
        """See Scorer."""
        return self._scorer.not_ready_reason

    @property
    def has_been_ready(self) -> bool:
        """See Scorer."""
        return self._scorer.has_been_ready

    @property
    def description(self) -> ScriptDescription:
        """See Scorer."""
        return self._scorer.description

    async def start(self) -> None:
        """See Scorer."""
        await self._scorer.start()

    async def close(self, grace_s: float = 0.0) -> None:
        """See Scorer."""
        await self._scorer.close(grace_s)
