"""What a source of messages gives, and what every source can be told. Pure."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

Pairs = tuple[tuple[str, str], ...]
JSON, UTF_8 = "application/json", "utf-8"


class Reading(NamedTuple):
    """One message's content.

    `values` are what a view may show of it. `interval_s`: seconds until the next one where the source itself knows
    (a recording with times), else None: then the device's rate decides.
    """

    body: bytes
    properties: Pairs = ()
    values: Mapping[str, object] = {}
    interval_s: float | None = None
    content_type: str = JSON
    content_encoding: str = UTF_8


class SourceEnded(Exception):
    """A source has nothing more. `problem` is one sentence when that was not meant to be, "" at its normal end."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        super().__init__(problem or "the source has ended")


class Source(Protocol):
    """What one device sends."""

    def measure(self, sequence: int, now_s: float) -> Reading | None:
        """The content of message `sequence` (from 1), by the device's clock (seconds since 1970).

        None: nothing this time; the same sequence number is asked for again. Raises SourceEnded.
        """
        ...

    def reset(self) -> None:
        """Begin again, as when it was made."""
        ...
