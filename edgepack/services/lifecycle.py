"""What is done to services: deploy, start anew, change, delete; in steps whose order survives a kill at any moment.

    record "at work" -> image -> [trial beside the old life] -> old life ends -> new life begins -> ready
      -> record "deployed"

Whoever holds the service's lock first removes all lives but the recorded one: what a killed command has left behind.
"""

import contextlib
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import DamagedDataError, EdgepackError, InputError
from edgepack.services.access import make_keys
from edgepack.services.ports import port_problem
from edgepack.services.record import DOCKER, PROCESS, AccessKeys, ServiceRequest, Voice
from edgepack.services.runner import Life, Runner
from edgepack.services.stored import (
    AT_WORK,
    DEPLOYED,
    LEAVING,
    Instance,
    StoredService,
    without_keys,
)
from edgepack.services.waiting import wait_until_ready
from edgepack.services.workshop import Sources, Workshop

if TYPE_CHECKING:
    from edgepack.script_folder import Script


def deploy(
    shop: Workshop, request: ServiceRequest, voice: Voice, *, overwrite: bool, wait: bool, ready_s: float
) -> StoredService:
    """A new service, or (`overwrite`, or one that never served) another in the place of one."""
    with _at_work(shop, request.name, voice, replaces=overwrite) as old:
        if old is not None and _has_served(shop, old) and not overwrite:
            raise InputError(
                f"there is a service {request.name} already: change it with `edgepack service update`, replace it with "
                "--overwrite, delete it, or choose another name"
            )
        if old is not None and old.phase == LEAVING:
            remove(shop, old.name, delete_image=False, delete_volume=True)
            old = None
        shop.runners[request.runner].check()
        if old is not None and old.request.runner != request.runner:
            voice.warn(f"{old.name} had the runner {old.request.runner}: its volume there is removed with all it holds")
            _leave(shop, old, image=True, volume=True)
            old = replace(old, instance=None, port=None)
        _check_port(shop, request, old)
        keys = (request.keys or _keys_of(shop, old) or make_keys()) if request.needs_key else None
        now = _now()
        stored = StoredService(
            without_keys(request),
            now if old is None else old.created_utc,
            now,
            instance=old.instance if old else None,
            port=request.port or (old.port if old else None),
            was_ready=bool(old and old.was_ready),
        )
        return _bring_up(shop, old, stored, keys, voice, _Wish(None, wait, ready_s))


def change(
    shop: Workshop,
    name: str,
    alter: Callable[[StoredService], ServiceRequest],
    voice: Voice,
    *,
    rebuilds: bool,
    wait: bool,
    ready_s: float,
) -> StoredService:
    """A service after `alter`: with a new image (`rebuilds`, or other variables), as `start_anew`, or only noted."""
    with _at_work(shop, name, voice) as found:
        old = found or shop.store.read(name)
        request = alter(old)
        rebuilds = rebuilds or request.variables != old.request.variables
        stored = replace(old, request=without_keys(request), updated_utc=_now())
        if not rebuilds and request.needs_key == old.request.needs_key:
            shop.store.write(stored)
            return stored
        keys = (_keys_of(shop, old) or make_keys()) if request.needs_key else None
        with tempfile.TemporaryDirectory() as copies:
            sources = None if rebuilds else shop.sources_for_keys(stored, voice, Path(copies))
            return _bring_up(shop, old, stored, keys, voice, _Wish(sources, wait, ready_s))


def start_anew(shop: Workshop, name: str, voice: Voice, *, wait: bool, ready_s: float) -> StoredService:
    """The same image with a fresh copy of the script, and the variables as they are now."""
    with _at_work(shop, name, voice) as found:
        old = found or shop.store.read(name)
        if old.instance is None or not (shop.store.place(name) / old.instance.layout / "index.json").is_file():
            raise InputError(f"service {name} was never built: deploy it again")
        stored, sources = replace(old, updated_utc=_now()), shop.fresh_sources(old, voice)
        return _bring_up(shop, old, stored, _keys_of(shop, old), voice, _Wish(sources, wait, ready_s))


def remove(shop: Workshop, name: str, *, delete_image: bool, delete_volume: bool) -> None:
    """All of a service, with the lock held."""
    place = shop.store.place(name)
    try:
        stored = shop.store.read(name)
    except DamagedDataError:
        runner = shop.runners[PROCESS if (place / "instances").exists() else DOCKER]
        runner.sweep(place, None)
        runner.forget(place, image=delete_image, volume=delete_volume)
    else:
        shop.store.write(replace(stored, phase=LEAVING))
        _leave(shop, stored, image=delete_image, volume=delete_volume)
    shop.store.remove(name)


@dataclass(frozen=True, slots=True)
class _Wish:
    """How a service is to be brought up: with fresh sources (None: a new image), waited for."""

    sources: Sources | None
    wait: bool
    ready_s: float


def _bring_up(
    shop: Workshop, old: StoredService | None, stored: StoredService, keys: AccessKeys | None, voice: Voice, wish: _Wish
) -> StoredService:
    """Build if need be, try beside an old life that serves, then take its place."""
    store, runner, place = shop.store, shop.runner(stored), shop.store.place(stored.name)
    stored = replace(stored, phase=AT_WORK, failure="")
    old_life = old.instance if old is not None else None
    serves = old_life is not None and runner.look(place, old_life.id).is_alive
    try:
        store.write(stored if old is None else replace(old, phase=AT_WORK))
        image, packages, script = stored.instance, stored.packages, None
        if wish.sources is None or image is None:
            made, packages = shop.make_image(shop.workspace, stored.request, store.new_image_folder(stored.name), voice)
            layout = made.layout.relative_to(place).as_posix()
            image = Instance("", made.digest, made.image_id, layout, made.variables, made.variables)
        else:
            image, script = replace(image, variables=wish.sources.variables), wish.sources.script
        begin = _beginning(stored, place, image, keys, script)
        if serves:
            _try_out(runner, begin(None, is_trial=True), voice, wish.ready_s)
    except BaseException:
        _restore(shop, old, stored)
        raise
    began_s = time.monotonic()
    if old_life is not None:
        runner.stop(place, old_life.id)
    store.write_keys(stored.name, keys)
    life = begin(stored.request.port or (stored.port if _is_free(stored, voice) else None), is_trial=False)
    stored = replace(stored, instance=replace(image, id=life.id), packages=packages)
    store.write(stored)
    try:
        runner.start(life)
        _sweep(shop, stored)
        if wish.wait:
            port = wait_until_ready(runner, life, wish.ready_s, voice)
            stored = replace(stored, port=port, was_ready=True)
    except EdgepackError as error:
        store.write(replace(stored, phase=DEPLOYED, failure=str(error)))
        raise
    stored = replace(stored, phase=DEPLOYED)
    store.write(stored)
    if serves and wish.wait:
        voice.say(f"{stored.name} did not answer for {time.monotonic() - began_s:.1f} s")
    return stored


def _beginning(
    stored: StoredService, place: Path, image: Instance, keys: AccessKeys | None, script: "Script | None"
) -> Callable[..., Life]:
    layout, host, variables = place / image.layout, stored.request.host, image.other_variables

    def begin(port: int | None, *, is_trial: bool) -> Life:
        name = uuid.uuid4().hex[:12]
        return Life(stored.name, place, name, layout, host, port, keys, script, variables, is_trial)

    return begin


def _try_out(runner: Runner, life: Life, voice: Voice, ready_s: float) -> None:
    """Raises what `deploy` raises when it does not become ready; the life has ended then, and in any case."""
    voice.say(f"trying the new {life.name} beside the one that serves ...")
    try:
        runner.start(life)
        wait_until_ready(runner, life, ready_s, voice)
    finally:
        runner.stop(life.place, life.id)


def _restore(shop: Workshop, old: StoredService | None, stored: StoredService) -> None:
    """Nothing was changed yet: as it was before, which for a new service is nothing at all."""
    if old is None:
        shop.store.remove(stored.name)
        return
    _sweep(shop, old)
    shop.store.write(replace(old, phase=DEPLOYED))


@contextlib.contextmanager
def _at_work(shop: Workshop, name: str, voice: Voice, *, replaces: bool = False) -> Iterator[StoredService | None]:
    """Hold the service's lock, with what killed commands have left removed; with `replaces` also a damaged record."""
    with shop.store.locked(name, lambda: voice.say(f"another command is at work on {name}; waiting for it ...")):
        try:
            stored = shop.store.read_if_there(name)
        except DamagedDataError as error:
            if not replaces:
                raise
            voice.warn(f"{error}; what is left of it is removed")
            remove(shop, name, delete_image=False, delete_volume=False)
            stored = None
        if stored is not None:
            _sweep(shop, stored)
        yield stored


def _sweep(shop: Workshop, stored: StoredService) -> None:
    """End and remove all lives and images but the recorded ones."""
    kept = stored.instance
    shop.runner(stored).sweep(shop.store.place(stored.name), kept.id if kept else None)
    shop.store.keep_image(stored.name, kept.layout if kept else None)


def _leave(shop: Workshop, stored: StoredService, *, image: bool, volume: bool) -> None:
    runner, place = shop.runner(stored), shop.store.place(stored.name)
    if stored.instance is not None:
        runner.stop(place, stored.instance.id)
    runner.sweep(place, None)
    runner.forget(place, image=image, volume=volume)


def _has_served(shop: Workshop, stored: StoredService) -> bool:
    """Whether it is a service to be careful with, as against what a deployment that came to nothing has left."""
    if stored.phase != DEPLOYED or stored.instance is None:
        return stored.was_ready and stored.phase != LEAVING
    return stored.was_ready or shop.runner(stored).look(shop.store.place(stored.name), stored.instance.id).is_alive


def _check_port(shop: Workshop, request: ServiceRequest, old: StoredService | None) -> None:
    """A chosen port that is in use is told before anything is built; the service's own is none."""
    if request.port is None:
        return
    if old is not None and old.instance is not None and old.port == request.port:
        sight = shop.runner(old).look(shop.store.place(old.name), old.instance.id)
        if sight.is_alive and sight.port == request.port:
            return
    problem = port_problem(request.host, request.port)
    if problem:
        own = next((name for name in shop.store.names() if _port_of(shop, name) == request.port), None)
        named = f" (service {own})" if own else ""
        raise InputError(f"{problem}{named}: choose another with --port, or leave it out for a free one")


def _port_of(shop: Workshop, name: str) -> int | None:
    try:
        return shop.store.read(name).port
    except EdgepackError:
        return None


def _is_free(stored: StoredService, voice: Voice) -> bool:
    """Whether the port that the service got by itself can be had again; it is not insisted on."""
    if stored.port is None:
        return False
    if problem := port_problem(stored.request.host, stored.port):
        voice.warn(f"{problem}: {stored.name} gets another one")
    return problem is None


def _keys_of(shop: Workshop, stored: StoredService | None) -> AccessKeys | None:
    return shop.store.read_keys(stored.name) if stored is not None and stored.request.needs_key else None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
