"""The buffer: messages that are kept until the other side has them. The interface; sqlite_buffer keeps them on disk.

A buffer belongs to one thread (buffer_thread gives it one) and blocks. Keys come from message.message_key; numbers
grow with every message that is stored, over all lanes.

DO: return from `apply` only when what was appended is on disk. DON'T: acknowledge anything before that.
"""

import enum
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from device_agent.messages.message import Message, Stored


class BufferFailure(Exception):
    """The disk does not keep what it is told: full, or failing. Nothing that the call was given is stored."""


class Applied(NamedTuple):
    """What became of one `apply`.

    `stored` are the appended messages that are durable now: the first so many of those given, in their order. The
    rest did not fit. `dropped` are keys that were discarded to make room (`drop_oldest`); in a very small buffer some
    of those just stored are among them.
    """

    stored: list[Stored]
    dropped: list[int]


class Figures(NamedTuple):
    """`messages` to be sent, `set_aside` kept besides, `size_bytes` on disk, `oldest_s`: age of the oldest of all.

    `damaged` counts messages that were lost to damage of the disk since the buffer was opened.
    """

    messages: int
    set_aside: int
    size_bytes: int
    oldest_s: float
    damaged: int = 0


class Reason(enum.Enum):
    """Why the buffer does not take a message."""

    FULL = "the buffer is full"
    FAILED = "the disk fails"


class Refusal(NamedTuple):
    """The message was not stored. `text` is one sentence."""

    reason: Reason
    text: str


class Buffer(Protocol):
    """See the module. Every method raises BufferFailure when the disk fails; the call can be tried again."""

    @property
    def largest_bytes(self) -> int:
        """The longest message (body and all the rest) that it can take now. Any thread may ask."""
        ...

    def is_half_free(self, messages: Sequence[Message]) -> bool:
        """Whether at least half of its room is left when these are stored, too."""
        ...

    def now_s(self) -> float:
        """Its clock: seconds that only ever grow, over restarts too, and never jump. Any thread may ask."""
        ...

    def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
        """Remove these keys (unknown ones are ignored), then append these messages.

        Durable on return: what is stored. A removal survives a crash of the process on return, and a power cut with
        the next append. What does not fit into one transaction of the file is split: messages are stored in their
        order, and when the disk fails in between, those stored so far are returned and the next call raises.
        """
        ...

    def read(self, after: int, until: int, limit: int, limit_bytes: int) -> list[Stored]:
        """Messages with `after` < key <= `until`, by key: at most `limit`, and about `limit_bytes` of bodies.

        At least one, if there is one. Those that are damaged are left out.
        """
        ...

    def expire(self) -> list[int]:
        """Remove messages whose deadline has passed from the front of each lane; return their keys."""
        ...

    def set_aside(self, key: int) -> list[int]:
        """Keep this message out of the way: `read` of its lane does not give it any more. Returns the key that is gone
        from there.
        """
        ...

    def restore(self) -> int:
        """Put the messages that were set aside back into the lane of their priority; return how many."""
        ...

    def origins(self, limit: int) -> list[tuple[bytes, str]]:
        """Origin and message id of those of the newest `limit` messages (set aside ones too) that have an origin."""
        ...

    def figures(self) -> Figures:
        """How much it holds."""
        ...

    def known_figures(self) -> Figures:
        """The same without asking the disk, so it never raises: size and age are those of the last `figures`."""
        ...

    def change_policy(self, policy: str) -> None:
        """What to do when it is full: "refuse" or "drop_oldest", which takes those set aside first."""
        ...

    def meta_get(self, name: str) -> str | None:
        """A small text that was kept beside the messages."""
        ...

    def meta_set(self, name: str, value: str) -> None:
        """Keep a small text under this name; durable on return."""
        ...

    def tidy(self) -> bool:
        """A little upkeep, for idle moments; whether there is more to do."""
        ...

    def probe(self) -> None:
        """Write something small, durably: raises BufferFailure while the disk does not work."""
        ...

    def close(self) -> None:
        """Close it in order. May be called more than once."""
        ...
