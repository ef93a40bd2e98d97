"""What can go wrong, split by who has to act; the command line turns each branch into an exit code.

    EdgepackError
     +-- InputError        exit 2  what the user gave is wrong: all problems of one input are reported together
     +-- RemoteError       exit 3  another side failed (network, mirror, index, engine, a full disk)
     +-- DamagedDataError  exit 4  stored bytes are not what they were when they were written

Anything else that reaches the command line is a bug: traceback, exit 70. A message says what, where and what to do.
"""

from collections.abc import Iterable


class EdgepackError(Exception):
    """Root of all errors that edgepack raises on purpose."""

    exit_code = 70


class InputError(EdgepackError):
    """The input cannot be used. `problems` holds one sentence each, never empty."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("\n".join(problems))

    @classmethod
    def raise_if_any(cls, problems: Iterable[str]) -> None:
        """Raise one error for all `problems`; do nothing when there are none."""
        found = tuple(problems)
        if found:
            raise cls(*found)


class RemoteError(EdgepackError):
    """Another side failed. `retryable` says whether the same call may succeed later."""

    exit_code = 3

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        self.retryable = retryable
        super().__init__(message)


class DamagedDataError(EdgepackError):
    """Stored data does not match its recorded digest or cannot be read."""

    exit_code = 4
