"""A script: reads `+GROUP` and `-GROUP` lines; when its input ends, kills every process group that is left.

Its input ends when the process at the other end does, however that happens. It stands alone (no imports of this
project), and in a session of its own, so that a Ctrl-C at the terminal does not reach it.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def main(lines: Iterable[str]) -> None:
    """Keep the books until the end."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.stdin)
