"""The agent's life once its script is starting: serve, and stop in time.

    script starts (answers: 503) --> serving --SIGTERM or SIGINT--> draining --> exit 0
       | fails: exit 3                             second signal: at once

A signal stops the listening; requests that were received are answered, for at most `drain_s`; what is left then gets
503 and the script's process is killed, so a hung `run()` does not delay the end. Works as process 1 of a container.
"""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from device_agent import __version__
from device_agent.access_keys import AccessKeys
from device_agent.child_process import ChildScorer
from device_agent.cors import CorsPolicy
from device_agent.errors import ScriptStartError
from device_agent.http import HttpApplication
from device_agent.http_message import Limits
from device_agent.http_routes import HttpOptions
from device_agent.http_server import HttpServer
from device_agent.listening import describe_address
from device_agent.log_lines import LineLog
from device_agent.metrics import Metrics
from device_agent.monitoring import Monitoring
from device_agent.scorer import Scorer, ScriptSource
from device_agent.script_process import ScriptProcess
from device_agent.settings import Settings

if TYPE_CHECKING:
    from device_agent.drift_sketch import Baseline
    from device_agent.messages.start import MessageSide
    from device_agent.telemetry import Telemetry

SCRIPT_GRACE_S = 0.8
_LAST_ANSWERS_S = 0.6
_GOODBYE_S = 1.5
_POLL_S = 0.02
_REAP_EVERY_S = 5.0
_OWN_FILES = 64
_LOG = logging.getLogger("edgepack.agent")


class Start(NamedTuple):
    """What the beginning hands over. `environment` is that of the script's processes."""

    settings: Settings
    environment: Mapping[str, str]
    listeners: Sequence[socket.socket]
    processes: Sequence[ScriptProcess]
    lines: LineLog
    log_descriptor: int
    keys: AccessKeys | None
    user_swagger: Mapping[str, bytes]
    messages: "MessageSide | None"
    baselines: "Sequence[Baseline]" = ()


def serve(start: Start) -> int:
    """Serve until a signal comes; return the exit code."""
    return _run(_serve(start))


def _run(serving: Coroutine[Any, Any, int]) -> int:
    """On libuv's loop where it is installed: it has no build for 32-bit ARM."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(serving)
    return uvloop.run(serving)


async def _serve(start: Start) -> int:
    settings, listeners = start.settings, start.listeners
    side = start.messages
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _on_signal, stop, number)
    source = ScriptSource(settings.app_root, settings.entry_script, settings.source_directory, settings.entry_module)
    scorer = ChildScorer(
        source,
        environment=start.environment,
        workers=settings.workers,
        timeout_ms=settings.scoring_timeout_ms,
        queue_requests=settings.max_queue,
        queue_wait_s=settings.queue_wait_ms / 1000.0,
        log_descriptor=start.log_descriptor,
        log_format=settings.log_format,
        log_level=settings.log_level,
    )
    reaping = asyncio.create_task(_reap_orphans(scorer)) if os.getpid() == 1 else None
    starting = asyncio.create_task(scorer.start(start.processes))
    telemetry = _start_telemetry(settings, start.environment)
    metrics = Metrics(__version__)
    monitoring = Monitoring(scorer, settings, start.environment, start.baselines, metrics)
    module = side.join(scorer, monitoring, metrics) if side is not None else None
    application, server = _http_server(
        start,
        metrics,
        scorer,
        module.forwarding() if module is not None else monitoring.way,
        telemetry,
        _request_log(source, start.log_descriptor),
    )
    if module is not None:
        scorer.has_lone_caller = lambda: server.connection_count == 1 and not module.road.waiting
    await server.start(listeners)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            try:
                starting.result()
            except ScriptStartError as error:
                _LOG.error("Ending with exit code %d: %s", error.exit_code, error)
                return error.exit_code
            _warn_of_costs(settings)
            _LOG.info("Ready: POST /score on %s", describe_address(listeners[0]))
            await stopping
            goodbye_s = min(settings.drain_s, _GOODBYE_S)
            draining = asyncio.create_task(side.drain(settings.drain_s - goodbye_s)) if side is not None else None
            await _drain(application, server, settings.drain_s, stop)
            if draining is not None:
                if stop.is_set():
                    draining.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await draining
        return 0
    finally:
        await asyncio.to_thread(monitoring.close)  # first: records may go through the buffer
        if side is not None:
            await side.close()
        await scorer.close(SCRIPT_GRACE_S if application.requests_under_way == 0 else 0.0)
        await server.close(_LAST_ANSWERS_S)
        if telemetry is not None:
            telemetry.close()
        for task in (starting, stopping, reaping):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ScriptStartError):
                    await task


def _request_log(source: ScriptSource, log_descriptor: int) -> logging.Logger | None:
    """The logger of request lines when the script has a logging.json; None to write them in the agent's format.

    What is wrong with the file is the script's process's affair; here, it may name classes that only that has.
    """
    from device_agent.script_logging import apply_logging_file, has_plain_logging_file
    from device_agent.shims import install_shims

    try:
        if not has_plain_logging_file(source):
            return None
        install_shims()
        return logging.getLogger("azmlinfsrv") if apply_logging_file(source, log_descriptor) else None
    except ScriptStartError as error:
        _LOG.info("The agent's own lines keep their format: %s", error)
        return None


def _start_telemetry(settings: Settings, environment: Mapping[str, str]) -> "Telemetry | None":
    if not any(name.startswith("OTEL_") for name in environment):
        return None
    from device_agent.telemetry import start_telemetry

    return start_telemetry(environment, settings.service_name, settings.service_version)


def _http_server(
    start: Start,
    metrics: Metrics,
    child: ChildScorer,
    scorer: Scorer,
    telemetry: "Telemetry | None",
    request_log: logging.Logger | None,
) -> tuple[HttpApplication, HttpServer]:
    settings = start.settings
    options = HttpOptions(
        service_name=settings.service_name,
        service_version=settings.service_version,
        path_prefix=settings.service_path_prefix,
        show_server_version=settings.show_server_version,
        logs_requests=settings.log_level in ("DEBUG", "INFO"),
        user_swagger=start.user_swagger,
    )
    cors = CorsPolicy(settings.cors_origins) if settings.cors_origins else None
    application = HttpApplication(
        scorer,
        log=start.lines,
        metrics=metrics,
        options=options,
        keys=start.keys,
        cors=cors,
        observe=telemetry.observe if telemetry is not None else None,
        request_log=request_log,
        passes_ids=scorer is not child,
    )
    limits = Limits(
        head_bytes=settings.max_header_bytes,
        body_bytes=settings.max_body_bytes,
        held_bytes=settings.max_held_bytes,
        connections=min(settings.max_connections, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OWN_FILES)),
        client_timeout_s=settings.client_timeout_s,
    )
    server = HttpServer(application, limits)
    child.has_lone_caller = lambda: server.connection_count == 1
    for name, text, read in (
        ("edgepack_requests_under_way", "Requests received and not answered.", lambda: application.requests_under_way),
        ("edgepack_http_connections", "Clients connected.", lambda: server.connection_count),
        ("edgepack_http_held_bytes", "Bytes of request bodies held.", lambda: server.held_bytes),
        ("edgepack_script_ready", "1 while requests are scored.", lambda: float(not scorer.not_ready_reason)),
    ):
        metrics.watch(name, text, read)
    metrics.watch(
        "edgepack_script_restarts_total", "Restarts of the script's processes.", lambda: child.restarts, counts=True
    )
    return application, server


async def _drain(application: HttpApplication, server: HttpServer, drain_s: float, stop: asyncio.Event) -> None:
    """Stop listening and wait until every request is answered, `drain_s` have passed, or a second signal
    comes.
    """
    application.is_draining = True
    server.drain()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + drain_s
    waiting = application.requests_under_way
    if waiting:
        _LOG.info("Draining: %d requests under way, at most %g s", waiting, drain_s)
    stop.clear()
    while server.answering_count and loop.time() < deadline_s and not stop.is_set():
        await asyncio.sleep(_POLL_S)
    if application.requests_under_way:
        _LOG.warning("Ending with %d requests under way", application.requests_under_way)


def _on_signal(stop: asyncio.Event, number: signal.Signals) -> None:
    _LOG.info("Stopping on %s", number.name)
    stop.set()


def _warn_of_costs(settings: Settings) -> None:
    """Log what the script's source shows to be wasteful."""
    if settings.script_path is None:
        return
    from pathlib import Path

    from device_agent.script_check import script_warnings

    with contextlib.suppress(OSError, UnicodeDecodeError):
        for warning in script_warnings(Path(settings.script_path).read_text(encoding="utf-8")):
            _LOG.warning("%s, %s", settings.script_path, warning)


async def _reap_orphans(scorer: ChildScorer) -> None:
    """As process 1, collect processes of the script's that outlived it; the script's own is collected
    elsewhere.
    """
    while True:
        await asyncio.sleep(_REAP_EVERY_S)
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in scorer.process_ids:
                    break
                os.waitpid(ended.si_pid, os.WNOHANG)
