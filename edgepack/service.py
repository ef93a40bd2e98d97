"""Local services: deploy, look at, reload, update, delete, call. The verbs; their parts are in `edgepack.services`.

`workspace` is the folder of registered models and caches; a service is the folder `services/NAME` in it and what runs
for it. Two commands on one service take turns. What `find` and `list_services` say is asked of the world (processes,
engine, the service itself), never read from a file alone.
"""

import http.client
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError, RemoteError
from edgepack.services import lifecycle, waiting
from edgepack.services.access import renewed
from edgepack.services.changing import absolute_config, altered
from edgepack.services.health import call
from edgepack.services.observe import describe_damaged, observe
from edgepack.services.record import (
    DEPLOYING,
    LOG_LINES,
    READY_WITHIN_S,
    SILENT,
    AccessKeys,
    Answer,
    Service,
    ServiceChange,
    ServiceRequest,
    Voice,
    request_problems,
)
from edgepack.services.runner import Life
from edgepack.services.stored import StoredService
from edgepack.services.workshop import Workshop, workshop_of

_PROBES_AT_ONCE = 16


def deploy(
    workspace: Path,
    request: ServiceRequest,
    *,
    overwrite: bool = False,
    wait: bool = True,
    ready_s: float = READY_WITHIN_S,
    voice: Voice = SILENT,
    shop: Workshop | None = None,
) -> Service:
    """Build the image of a service, start it, and (`wait`) see that it is ready within `ready_s` seconds.

    Without `wait` the process or container has been started, and may be loading its model (`wait_until_ready`).
    `overwrite`: a service of that name is replaced; one that never served is replaced in any case.

    Raises:
        InputError: all that is wrong with the request; a service of that name is there; its `init()` failed (with the
            script's traceback; the service is left in state `failed`, its log readable); the port is in use.
        RemoteError: packages cannot be had, no engine answers, or the service is not ready in time.
    """
    shop = shop or workshop_of(workspace)
    problems = list(request_problems(request))
    models = request.models
    try:
        from edgepack.services.service_image import exact_models  # with all that builds

        models = exact_models(shop.workspace, request.models)
    except InputError as error:
        problems += error.problems
    InputError.raise_if_any(problems)
    whole = replace(request, models=models, folder=request.folder.absolute(), inference_config=absolute_config(request))
    stored = lifecycle.deploy(shop, whole, voice, overwrite=overwrite, wait=wait, ready_s=ready_s)
    return _seen(shop, stored)


def wait_until_ready(
    workspace: Path, name: str, *, ready_s: float = READY_WITHIN_S, voice: Voice = SILENT, shop: Workshop | None = None
) -> Service:
    """Wait until a service is ready.

    Raises:
        InputError: there is none, or its `init()` failed.
        RemoteError: it is not ready within `ready_s` seconds.
    """
    shop = shop or workshop_of(workspace)
    stored = shop.store.read(name)
    life = _life(shop, stored)
    if life is None or (stored.failure and not shop.runner(stored).look(life.place, life.id).is_alive):
        raise InputError(stored.failure or f"service {name} has not been started: deploy it again")
    port = waiting.wait_until_ready(shop.runner(stored), life, ready_s, voice)
    with shop.store.locked(name):
        now = shop.store.read_if_there(name)
        if now is not None and now.instance == stored.instance:
            shop.store.write(replace(now, port=port, was_ready=True))
    return find(workspace, name, shop=shop)


def find(workspace: Path, name: str, *, shop: Workshop | None = None) -> Service:
    """The service `name` as it is now.

    Raises:
        InputError: there is none; the text names those there are.
    """
    shop = shop or workshop_of(workspace)
    try:
        return _seen(shop, shop.store.read(name))
    except DamagedDataError as error:
        return describe_damaged(name, error)


def list_services(workspace: Path, *, shop: Workshop | None = None) -> tuple[Service, ...]:
    """All services of the workspace as they are now, by name."""
    shop = shop or workshop_of(workspace)

    def look(name: str) -> Service | None:
        try:
            return find(workspace, name, shop=shop)
        except InputError:
            return None  # it was deleted just now

    with ThreadPoolExecutor(_PROBES_AT_ONCE) as pool:
        return tuple(service for service in pool.map(look, shop.store.names()) if service is not None)


def reload(
    workspace: Path,
    name: str,
    *,
    wait: bool = True,
    ready_s: float = READY_WITHIN_S,
    voice: Voice = SILENT,
    shop: Workshop | None = None,
) -> Service:
    """Start a service anew with a fresh copy of its script, its variables as they are now, and the packages it has.

    Its port stays.

    Where the service runs, the new one is tried beside it first: if it fails, the old one goes on.

    Raises:
        As `deploy`.
    """
    shop = shop or workshop_of(workspace)
    return _seen(shop, lifecycle.start_anew(shop, name, voice, wait=wait, ready_s=ready_s))


def update(
    workspace: Path,
    name: str,
    change: ServiceChange,
    *,
    wait: bool = True,
    ready_s: float = READY_WITHIN_S,
    voice: Voice = SILENT,
    shop: Workshop | None = None,
) -> Service:
    """Change a service. New models or a new inference configuration make a new image, tried first as in `reload`.

    Raises:
        As `deploy`; also a property that the service has, or another port.
    """
    shop = shop or workshop_of(workspace)
    models = change.models
    if models is not None:
        from edgepack.services.service_image import exact_models

        models = exact_models(shop.workspace, models)
    changed = replace(change, models=models)

    def alter(stored: StoredService) -> ServiceRequest:
        for key in sorted(set(change.remove_tags) - stored.request.tags.keys()):
            voice.warn(f"{name} has no tag {key}")
        if change.port is not None and change.port != (port := stored.port or _seen(shop, stored).port):
            raise InputError(f"port {change.port}: a service keeps its port ({port}); to move it, deploy --overwrite")
        return altered(stored.request, changed)

    return _seen(
        shop, lifecycle.change(shop, name, alter, voice, rebuilds=change.makes_an_image, wait=wait, ready_s=ready_s)
    )


def delete(
    workspace: Path,
    name: str,
    *,
    delete_image: bool = False,
    delete_volume: bool = True,
    voice: Voice = SILENT,
    shop: Workshop | None = None,
) -> None:
    """End a service and remove all that is there for it; `delete_image`: its image in the engine, too.

    Raises:
        InputError: there is none.
        RemoteError: the engine that has it does not answer, or a process does not end.
    """
    shop = shop or workshop_of(workspace)
    if name not in shop.store.names():
        shop.store.read(name)
    with shop.store.locked(name, lambda: voice.say(f"another command is at work on {name}; waiting for it ...")):
        lifecycle.remove(shop, name, delete_image=delete_image, delete_volume=delete_volume)


def run(
    workspace: Path,
    name: str,
    body: bytes,
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    while_deploying: Callable[[], object] | None = None,
    shop: Workshop | None = None,
) -> Answer:
    """Send a request to a service, with its key where it needs one. What it answers is given back, errors too.

    Where it is still deploying, `while_deploying` is called before (it waits, or raises).

    Raises:
        InputError: there is none.
        RemoteError: it does not answer.
    """
    shop = shop or workshop_of(workspace)
    stored = shop.store.read(name)
    seen = _seen(shop, stored)
    if seen.state == DEPLOYING and while_deploying is not None:
        while_deploying()
        stored = shop.store.read(name)
        seen = _seen(shop, stored)
    keys = shop.store.read_keys(name) if stored.request.needs_key else None
    if seen.port is None or (seen.process_id is None and seen.container is None):
        raise RemoteError(f"service {name} is {seen.state}: {seen.reason}", retryable=False)
    try:
        return call(
            stored.request.host,
            seen.port,
            "POST",
            "/score",
            body,
            key=keys.primary if keys else None,
            content_type=content_type,
            headers=headers,
        )
    except (OSError, http.client.HTTPException) as error:
        raise RemoteError(
            f"service {name} at {seen.scoring_uri} does not answer ({error}); it is {seen.state}"
        ) from error


def logs(workspace: Path, name: str, *, lines: int = LOG_LINES, shop: Workshop | None = None) -> str:
    """The last lines of a service's log, also of one that failed.

    Raises:
        InputError: there is none.
    """
    shop = shop or workshop_of(workspace)
    stored = shop.store.read(name)
    if stored.instance is None:
        return f"{stored.failure}\n" if stored.failure else ""
    return shop.runner(stored).log(shop.store.place(name), stored.instance.id, lines)


def follow_logs(workspace: Path, name: str, *, lines: int = LOG_LINES, shop: Workshop | None = None) -> Iterator[str]:
    """The last lines, then each new one, until the service ends, is reloaded or deleted, or the caller stops."""
    shop = shop or workshop_of(workspace)
    stored = shop.store.read(name)
    if stored.instance is not None:
        yield from shop.runner(stored).follow(shop.store.place(name), stored.instance.id, lines)


def keys(workspace: Path, name: str, *, shop: Workshop | None = None) -> AccessKeys:
    """The keys of a service.

    Raises:
        InputError: there is none, or it takes requests without a key.
    """
    shop = shop or workshop_of(workspace)
    stored = shop.store.read(name)
    found = shop.store.read_keys(name) if stored.request.needs_key else None
    if found is None:
        raise InputError(
            f"service {name} has no keys: it takes requests without; `edgepack service update {name} --key`"
        )
    return found


def renew_key(
    workspace: Path, name: str, which: str, key: str | None = None, *, shop: Workshop | None = None
) -> AccessKeys:
    """Make the `primary` or `secondary` key anew, or set it; the old one is refused within a second or two.

    Raises:
        InputError: as `keys`, or `which` is neither, or `key` cannot be one.
    """
    shop = shop or workshop_of(workspace)
    shop.store.read(name)
    with shop.store.locked(name):
        stored = shop.store.read(name)
        new = renewed(keys(workspace, name, shop=shop), which, key)
        shop.store.write_keys(name, new)
        life = _life(shop, stored)
        if life is not None and shop.runner(stored).look(life.place, life.id).is_alive:
            shop.runner(stored).put_keys(life.place, life.id, new)
    return new


def _life(shop: Workshop, stored: StoredService) -> Life | None:
    if stored.instance is None:
        return None
    place = shop.store.place(stored.name)
    found = shop.store.read_keys(stored.name) if stored.request.needs_key else None
    layout = place / stored.instance.layout
    return Life(stored.name, place, stored.instance.id, layout, stored.request.host, stored.port, found)


def _seen(shop: Workshop, stored: StoredService) -> Service:
    return observe(shop.store, stored, shop.runner(stored))
