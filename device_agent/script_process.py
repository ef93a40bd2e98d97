"""Starts the process that runs the script. Light on purpose: the first ones start before the event loop is imported.

The process leads a session of its own: a Ctrl-C in the agent's terminal does not reach it, and killing its group
takes along the processes that the script has started.
"""

import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_START = (
    "import sys; folder = sys.argv.pop(); folder in sys.path or sys.path.append(folder); "
    "from device_agent.child import main; main()"
)
_PACKAGE_FOLDER = str(Path(__file__).parent.parent)


class ScriptProcess(NamedTuple):
    """A process that has been started, and this side's ends: who takes it closes them and waits for it."""

    process: "subprocess.Popen[bytes]"
    end: socket.socket
    output: int
    errors: int
    begun: mmap.mmap
    """Shared with it: the number of the request that it has begun, as frames.NUMBER."""

    @property
    def pid(self) -> int:
        """Process id, and id of its group."""
        return self.process.pid


def start_process(environment: Mapping[str, str], log_descriptor: int) -> ScriptProcess:
    """Start it with this environment; its log lines go straight to `log_descriptor`. Raises OSError.

    Call it from the main thread only: the process is killed when the thread that started it ends.
    """
    ours, theirs = socket.socketpair()
    shared = os.memfd_create("edgepack-begun")
    os.ftruncate(shared, mmap.PAGESIZE)
    begun = mmap.mmap(shared, mmap.PAGESIZE)
    with theirs:
        descriptors = (theirs.fileno(), log_descriptor, shared)
        arguments = [*map(str, descriptors), str(os.getpid()), _PACKAGE_FOLDER]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *arguments],
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                pass_fds=descriptors,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            begun.close()
            raise
        finally:
            os.close(shared)
    output, errors = (pipe.fileno() for pipe in (process.stdout, process.stderr) if pipe is not None)
    for descriptor in (output, errors):
        os.set_blocking(descriptor, False)
    return ScriptProcess(process, ours, output, errors, begun)


def worker_environment(environment: Mapping[str, str], number: int) -> dict[str, str]:
    """The environment of the copy of the script with this number, from 0."""
    return {**environment, "EDGEPACK_WORKER": str(number)}


def describe_exit(exit_code: int) -> str:
    """`ended with exit code 1` or `was killed by signal 11 (SIGSEGV)`."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = "unknown"
    return f"was killed by signal {-exit_code} ({name})"
