"""Which process it is: a process id alone may be another program's tomorrow, so its start and the boot count too.

Reads /proc. Processes of a service carry a mark in their environment, so that those of a command that was killed
before it could write down what it had started are found as well.
"""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MARK = "EDGEPACK_SERVICE"
_PROC = Path("/proc")
_DEAD = "ZX"


class ProcessIdentity(NamedTuple):
    """A process of one boot of this machine. `start_ticks` is the moment of its start in clock ticks since the boot."""

    pid: int
    start_ticks: int
    boot_id: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict()


def read_identity(document: Any) -> ProcessIdentity | None:
    """What `document` wrote; None for anything else."""
    match document:
        case {"pid": int(pid), "start_ticks": int(ticks), "boot_id": str(boot)}:
            return ProcessIdentity(pid, ticks, boot)
    return None


def identify(pid: int) -> ProcessIdentity | None:
    """The process that has the id now, or None."""
    start = _start_ticks(pid)
    return None if start is None else ProcessIdentity(pid, start, boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether this very process runs. One that has ended and was not waited for does not."""
    return identity.boot_id == boot_id() and _start_ticks(identity.pid) == identity.start_ticks


def boot_id() -> str:
    """Of this boot of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def marked(mark: str) -> Iterator[tuple[ProcessIdentity, str]]:
    """The living processes whose mark begins with `mark`, and the rest of their marks; those that may be seen."""
    wanted = f"{MARK}={mark}".encode()
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            rest = next((each.removeprefix(wanted) for each in variables if each.startswith(wanted)), None)
            found = identify(int(folder.name)) if rest is not None else None
            if found is not None and rest is not None:
                yield found, rest.decode(errors="replace")


def send_signal(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to this very process and no other; whether it was there."""
    with _opened(identity) as descriptor:
        if descriptor is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
            return True
    return False


def wait_for_end(identity: ProcessIdentity, seconds: float) -> bool:
    """Wait until the process has ended, at most so long; whether it has."""
    with _opened(identity) as descriptor:
        if descriptor is None:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0, seconds) * 1000))


@contextlib.contextmanager
def _opened(identity: ProcessIdentity) -> Iterator[int | None]:
    """A descriptor of the process, None when it is gone; what has its id later is never meant."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if is_alive(identity) else None
    finally:
        os.close(descriptor)


def _start_ticks(pid: int) -> int | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()
    return None if fields[0] in _DEAD else int(fields[19])
