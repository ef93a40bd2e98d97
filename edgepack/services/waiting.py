"""Waits until a life of a service is ready, shows how it goes, and says why it did not get there."""

import time

from edgepack.errors import InputError, RemoteError
from edgepack.services.health import probe
from edgepack.services.log_text import failure_text
from edgepack.services.record import RUNNING, Voice
from edgepack.services.runner import Life, Runner, Sight

_POLL_S = 0.02
_SLOWEST_POLL_S = 0.25
_LINES_OF_A_FAILURE = 400
_SHOWN_LINES = 20
_SCRIPT_FAILED = 3


def wait_until_ready(runner: Runner, life: Life, ready_s: float, voice: Voice) -> int:
    """Wait until it answers; returns its port.

    Raises:
        InputError: it has ended: the script, the port or a setting is wrong.
        RemoteError: it is not ready in time.
    """
    began_s = time.monotonic()
    pause_s = _POLL_S
    reason = "does not listen yet"
    while True:
        sight = runner.look(life.place, life.id)
        if not sight.is_alive:
            raise InputError(_failure(runner, life, sight))
        if sight.port is not None:
            health = probe(life.host, sight.port, life.keys.primary if life.keys else None)
            if health.state == RUNNING:
                return sight.port
            reason = health.reason
        spent_s = time.monotonic() - began_s
        if spent_s > ready_s:
            raise RemoteError(
                f"service {life.name} is not ready after {ready_s:.0f} s ({reason}); it goes on, and `edgepack service "
                f"logs {life.name}` shows what it does"
            )
        voice.show(f"{life.name}: {reason} ({spent_s:.0f} s)")
        time.sleep(pause_s)
        pause_s = min(_SLOWEST_POLL_S, pause_s * 1.2)


def _failure(runner: Runner, life: Life, sight: Sight) -> str:
    log = runner.log(life.place, life.id, _LINES_OF_A_FAILURE)
    told = failure_text(log)
    where = f"its log: `edgepack service logs {life.name}`"
    if life.is_trial:
        where = "the one that serves goes on"
    if sight.exit_code == _SCRIPT_FAILED and told:
        return f"service {life.name} did not start: {told}\n{where}"
    last = told or "\n".join(log.splitlines()[-_SHOWN_LINES:])
    return f"service {life.name} did not start: {sight.end}\n{last}\n{where}".replace("\n\n", "\n")
