"""What a service is now: its record, what runs for it, and what it answers -> `Service`."""

from edgepack.errors import DamagedDataError, RemoteError
from edgepack.services.health import Health, probe
from edgepack.services.record import DEPLOYING, FAILED, LOOPBACK, PROCESS, RUNNING, UNKNOWN, Service
from edgepack.services.runner import Runner, Sight
from edgepack.services.store import ServiceStore
from edgepack.services.stored import AT_WORK, LEAVING, StoredService

_RELOAD = "`edgepack service reload {name}` starts it again"


def observe(store: ServiceStore, stored: StoredService, runner: Runner) -> Service:
    """Look at what runs, ask it how it is, and say what that comes to."""
    sight, health = Sight(False), None
    if stored.instance is not None:
        try:
            sight = runner.look(store.place(stored.name), stored.instance.id)
        except RemoteError as error:
            health = Health(UNKNOWN, str(error))
    if sight.is_alive:
        keys = store.read_keys(stored.name) if stored.request.needs_key else None
        port = sight.port
        health = (
            Health(DEPLOYING, "does not listen yet")
            if port is None
            else probe(stored.request.host, port, keys.primary if keys else None)
        )
    chosen = choose_state(stored, sight, health, is_at_work=store.is_at_work(stored.name))
    return describe(stored, sight, chosen)


def choose_state(stored: StoredService, sight: Sight, health: Health | None, *, is_at_work: bool) -> Health:
    """State and reason. `health` is what a living service answered; None where there is none to ask."""
    if stored.phase == LEAVING:
        text = "is being deleted" if is_at_work else "its deletion was cut short: delete it again"
        return Health(UNKNOWN if sight.is_alive else FAILED, text)
    if health is not None:
        more = "; a command is at work on it" if is_at_work and health.state != RUNNING else ""
        return Health(health.state, health.reason + more)
    if is_at_work:
        return Health(DEPLOYING, "is being built and started")
    if stored.phase == AT_WORK and not stored.was_ready:
        return Health(FAILED, "the command that deployed it was ended before it was done: deploy it again")
    reason = stored.failure or sight.end or "it has not been started"
    if not stored.failure and stored.instance is not None:
        reason = f"{reason}; {_RELOAD.format(name=stored.name)}"
    return Health(FAILED, reason)


def describe(stored: StoredService, sight: Sight, health: Health) -> Service:
    """Record and state as the value for users."""
    request = stored.request
    port = sight.port or stored.port
    # v1's host name, which clients on this machine use; another address is named as it was chosen
    host = "localhost" if request.host in (LOOPBACK, "0.0.0.0", "::") else request.host  # noqa: S104 - a comparison
    shown = f"[{host}]" if ":" in host else host
    base = None if port is None else f"http://{shown}:{port}"
    return Service(
        name=request.name,
        state=health.state,
        reason=health.reason if health.state != RUNNING else "",
        runner=request.runner,
        models=tuple(str(model) for model in request.models),
        scoring_uri=base and f"{base}/score",
        swagger_uri=base and f"{base}/swagger.json",
        port=port,
        host=request.host,
        needs_key=request.needs_key,
        description=request.description,
        tags=request.tags,
        properties=request.properties,
        created_utc=stored.created_utc,
        updated_utc=stored.updated_utc,
        image=stored.instance.image if stored.instance else None,
        process_id=sight.process_id,
        container=sight.container,
    )


def describe_damaged(name: str, error: DamagedDataError) -> Service:
    """A service whose record cannot be read."""
    return Service(
        name=name,
        state=UNKNOWN,
        reason=str(error),
        runner=PROCESS,
        models=(),
        scoring_uri=None,
        swagger_uri=None,
        port=None,
        host=LOOPBACK,
        needs_key=False,
        description=None,
        tags={},
        properties={},
        created_utc="",
        updated_utc="",
        image=None,
        process_id=None,
        container=None,
    )
