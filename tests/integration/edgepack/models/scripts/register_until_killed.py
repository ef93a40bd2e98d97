"""Kill a change of the registry at every system call that Python reports, and check what is left each time.

    register_until_killed.py WORKSPACE MODEL register|delete

For k = 1, 2, 3 ... a child process makes one change and is killed (SIGKILL) at its k-th audit event, until a child
lives to its end. After each death the registry must be consistent, and after one more change nothing of the dead may be
left. Prints the number of kills.
"""

import os
import signal
import sys
from pathlib import Path

from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest

EVENTS = ("open", "os.", "fcntl.", "tempfile.", "shutil.")


def main() -> None:
    workspace, model, change = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    registry = ModelRegistry(workspace)
    (model / "weights").write_bytes(b"first")
    registry.register(RegisterRequest("stays", model))
    registry.register(RegisterRequest("stays", model))
    kills = 0
    while True:
        (model / "weights").write_bytes(str(kills).encode() * 1000)
        (model / "other").write_bytes(b"other" + str(kills).encode())
        before = registry.versions("changes")
        if change == "delete":
            before = (*before, registry.register(RegisterRequest("changes", model)).version)
        died = _change_killed_at(kills + 1, registry, model, change)
        _check(registry, model, before, change, died)
        registry.delete("changes")
        if not died:
            break
        kills += 1
    print(kills)


def _change_killed_at(moment: int, registry: ModelRegistry, model: Path, change: str) -> bool:
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, _: object) -> None:
            nonlocal seen
            if event.startswith(EVENTS):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        if change == "register":
            registry.register(RegisterRequest("changes", model))
        else:
            registry.delete("changes", registry.versions("changes")[-1])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def _check(registry: ModelRegistry, model: Path, before: tuple[int, ...], change: str, died: bool) -> None:
    after = registry.versions("changes")
    if change == "register":
        complete = (*before, after[-1] if after else 0)
        assert after in ((before, complete) if died else (complete,)), (before, after)
    else:
        assert after in ((before, before[:-1]) if died else (before[:-1],)), (before, after)
    assert registry.verify().problems == ()
    highest = max((*before, *after, 0))
    (model / "weights").write_bytes(b"other contents than those of the killed")
    (model / "other").unlink()
    new = registry.register(RegisterRequest("changes", model))
    assert new.version > highest, (new.version, highest)
    assert registry.verify().problems == ()
    _check_nothing_left(registry)


def _check_nothing_left(registry: ModelRegistry) -> None:
    models = registry.workspace / "models"
    assert list((models / "staging").iterdir()) == []
    assert list(models.rglob("*.part")) == []
    needed = {file.sha256 for record in registry.list() for file in record.stored_files}
    assert {blob.name for blob in (models / "blobs/sha256").iterdir()} == needed


if __name__ == "__main__":
    main()
