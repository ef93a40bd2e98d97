"""Local services: deploy, look at, reload, update, delete, call. The verbs; their parts are in `edgepack.services`.

`workspace` is the folder of registered models and caches; a service is the folder `services/NAME` in it and what runs
for it. Two commands on one service take turns. What `find` and `list_services` say is asked of the world (processes,
engine, the service itself), never read from a file alone.
"""

from collections.abc import Iterator
from pathlib import Path

from edgepack.errors import RemoteError
from edgepack.services.record import (
    LOG_LINES,
    READY_WITHIN_S,
    SILENT,
    AccessKeys,
    Answer,
    Service,
    ServiceChange,
    ServiceRequest,
    Voice,
)


def deploy(
    workspace: Path, request: ServiceRequest, *, overwrite: bool = False, wait: bool = True, voice: Voice = SILENT
) -> Service:
    """Build the image of a service, start it, and (`wait`) see that it is ready.

    Without `wait` the process or container has been started, and may be loading its model (`wait_until_ready`).
    `overwrite`: a service of that name is replaced; one that was never ready is replaced in any case.

    Raises:
        InputError: all that is wrong with the request; a service of that name is there; its `init()` failed (with the
            script's traceback; the service is left in state `failed`, its log readable); the port is in use.
        RemoteError: packages cannot be had, no engine answers, or the service is not ready in time.
    """
    raise RemoteError("services are not there yet")


def wait_until_ready(workspace: Path, name: str, *, ready_s: float = READY_WITHIN_S, voice: Voice = SILENT) -> Service:
    """Wait until a service is ready.

    Raises:
        InputError: there is none, or its `init()` failed.
        RemoteError: it is not ready within `ready_s` seconds.
    """
    raise RemoteError("services are not there yet")


def find(workspace: Path, name: str) -> Service:
    """The service `name` as it is now.

    Raises:
        InputError: there is none; the text names those there are.
    """
    raise RemoteError("services are not there yet")


def list_services(workspace: Path) -> tuple[Service, ...]:
    """All services of the workspace as they are now, by name."""
    raise RemoteError("services are not there yet")


def reload(workspace: Path, name: str, *, wait: bool = True, voice: Voice = SILENT) -> Service:
    """Start a service anew with a fresh copy of its script and the packages it has; its port stays.

    Where the service runs, the new one is tried beside it first: if it fails, the old one goes on.

    Raises:
        As `deploy`.
    """
    raise RemoteError("services are not there yet")


def update(workspace: Path, name: str, change: ServiceChange, *, wait: bool = True, voice: Voice = SILENT) -> Service:
    """Change a service. New models or a new inference configuration make a new image, tried first as in `reload`.

    Raises:
        As `deploy`.
    """
    raise RemoteError("services are not there yet")


def delete(
    workspace: Path,
    name: str,
    *,
    delete_image: bool = False,
    delete_volume: bool = True,
    voice: Voice = SILENT,
) -> None:
    """End a service and remove all that is there for it; `delete_image`: its image in the engine, too.

    Raises:
        InputError: there is none.
        RemoteError: the engine that has it does not answer, or a process does not end.
    """
    raise RemoteError("services are not there yet")


def run(workspace: Path, name: str, body: bytes, *, content_type: str = "application/json") -> Answer:
    """Send a request to a service, with its key where it needs one. What it answers is given back, errors too.

    Raises:
        InputError: there is none.
        RemoteError: it does not answer.
    """
    raise RemoteError("services are not there yet")


def logs(workspace: Path, name: str, *, lines: int = LOG_LINES) -> str:
    """The last lines of a service's log, also of one that failed.

    Raises:
        InputError: there is none.
    """
    raise RemoteError("services are not there yet")


def follow_logs(workspace: Path, name: str, *, lines: int = LOG_LINES) -> Iterator[str]:
    """The last lines, then each new one, until the service is deleted or the caller stops."""
    raise RemoteError("services are not there yet")


def keys(workspace: Path, name: str) -> AccessKeys:
    """The keys of a service.

    Raises:
        InputError: there is none, or it takes requests without a key.
    """
    raise RemoteError("services are not there yet")


def renew_key(workspace: Path, name: str, which: str) -> AccessKeys:
    """Make the `primary` or `secondary` key anew; the old one is refused from then on (within a second or two).

    Raises:
        InputError: as `keys`, or `which` is neither.
    """
    raise RemoteError("services are not there yet")
