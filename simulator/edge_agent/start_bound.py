"""A script: `start_bound.py PARENT COMMAND...` becomes COMMAND, which the kernel kills when process PARENT has ended.

It stands alone (no imports of this project), so that it is there in some milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Bind this process to its parent's life and replace it by the command; returns only when that is impossible."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        print(f"cannot bind to process {parent}: {os.strerror(ctypes.get_errno())}", flush=True)
        return 126
    if os.getppid() != parent:
        return 128 + signal.SIGKILL  # it was faster
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is the module's
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", flush=True)
    return 127


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
