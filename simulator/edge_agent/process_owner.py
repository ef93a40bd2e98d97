"""Names a process so that nobody else is ever mistaken for it: its id, and when it was started."""

import os
from pathlib import Path


def own_name() -> str:
    """This process."""
    return _name_of(os.getpid())


def is_alive(name: str) -> bool:
    """Whether the process of this name is still there; what is no such name is nobody's."""
    pid = name.partition("-")[0]
    try:
        return pid.isdigit() and _name_of(int(pid)) == name
    except OSError:
        return False


def _name_of(pid: int) -> str:
    """The id, and the start in ticks since the machine's boot (the 22nd field, and the 20th after the name)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{pid}-{fields[19]}"
