"""The agent's life: take the port, start the script, serve, and stop in time.

    listen --> script starts (answers: 503) --> serving --SIGTERM or SIGINT--> draining --> exit 0
                  | fails: exit 3                             second signal: at once

The port is taken first, so that a port in use is told before a model is loaded. A signal stops the listening;
requests that were received are answered, for at most `drain_s`; what is left then gets 503 and the script's
process is killed, so a hung `run()` does not delay the end. Works as process 1 of a container, and writes no
file.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from device_agent import __version__
from device_agent.child_process import ChildScorer
from device_agent.errors import ScriptStartError, SettingsError
from device_agent.log_lines import LineLog, configure_logging
from device_agent.scorer import ScriptSource
from device_agent.settings import Settings

if TYPE_CHECKING:
    import uvicorn

    from device_agent.http import Application

SCRIPT_GRACE_S = 0.8
_LAST_ANSWERS_S = 0.6
_KEEP_ALIVE_S = 65
_POLL_S = 0.02
_REAP_EVERY_S = 5.0
_LOG = logging.getLogger("edgepack.agent")


def run_agent(settings: Settings, environment: Mapping[str, str]) -> int:
    """Serve until a signal comes; return the exit code. `environment` is handed on to the script's process.

    Raises SettingsError when the address cannot be listened on.
    """
    import uvloop

    log_descriptor = os.dup(1)  # in the script's process, descriptor 1 is a pipe to here
    lines = LineLog(log_descriptor, settings.log_format)
    configure_logging(lines, settings.log_level)
    with listen(settings.http_host, settings.http_port) as listener:
        _LOG.info("Agent %s takes HTTP on %s", __version__, describe_address(listener))
        try:
            return uvloop.run(_serve(settings, environment, listener, lines, log_descriptor))
        finally:
            lines.flush()
            os.close(log_descriptor)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError that says what is wrong with the address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise SettingsError(f"cannot listen on {host}:{port}: {reason}") from None
    listener.setblocking(False)
    return listener


def describe_address(listener: socket.socket) -> str:
    """`127.0.0.1:5001`, or `[::1]:5001`."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def child_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the script's process: the agent's own, with the settings in force written back."""
    child = dict(environment)
    child["AML_APP_ROOT"] = settings.app_root
    child["EDGEPACK_ONNX_THREADS"] = str(settings.onnx_threads)
    child["PYTHONDONTWRITEBYTECODE"] = "1"
    child.setdefault("ORT_DISABLE_TELEMETRY", "1")
    for name, value in (
        ("AZUREML_MODEL_DIR", settings.model_dir),
        ("AZUREML_ENTRY_SCRIPT", settings.entry_script),
        ("AZUREML_SOURCE_DIRECTORY", settings.source_directory),
    ):
        if value is not None:
            child[name] = value
    return child


async def _serve(
    settings: Settings,
    environment: Mapping[str, str],
    listener: socket.socket,
    lines: LineLog,
    log_descriptor: int,
) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _on_signal, stop, number)
    source = ScriptSource(settings.app_root, settings.entry_script, settings.source_directory, settings.entry_module)
    scorer = ChildScorer(
        source,
        environment=child_environment(settings, environment),
        timeout_ms=settings.scoring_timeout_ms,
        log_descriptor=log_descriptor,
        log_format=settings.log_format,
        log_level=settings.log_level,
    )
    reaping = asyncio.create_task(_reap_orphans(scorer)) if os.getpid() == 1 else None
    starting = asyncio.create_task(scorer.start())
    await asyncio.sleep(0)  # the script's process starts while the HTTP server is being imported
    application, server = _http_server(settings, scorer, lines)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            try:
                starting.result()
            except ScriptStartError as error:
                _LOG.error("Ending with exit code %d: %s", error.exit_code, error)
                return error.exit_code
            _warn_of_costs(settings)
            _LOG.info("Ready: POST /score on %s", describe_address(listener))
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            await _drain(application, server, settings.drain_s, stop)
        return 0
    finally:
        server.should_exit = True
        await scorer.close(SCRIPT_GRACE_S if application.requests_under_way == 0 else 0.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serving, _LAST_ANSWERS_S)
        for task in (starting, stopping, reaping):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ScriptStartError):
                    await task


def _http_server(settings: Settings, scorer: ChildScorer, lines: LineLog) -> "tuple[Application, uvicorn.Server]":
    import uvicorn

    from device_agent.http import Application

    class Server(uvicorn.Server):
        """uvicorn's server without its signal handlers: it would end the process by the signal, not with code
        0.
        """

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    application = Application(
        scorer,
        max_body_bytes=settings.max_body_bytes,
        log=lines,
        logs_requests=settings.log_level in ("DEBUG", "INFO"),
        show_server_version=settings.show_server_version,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    return application, Server(config)


async def _drain(application: "Application", server: "uvicorn.Server", drain_s: float, stop: asyncio.Event) -> None:
    """Stop listening and wait until every request is answered, `drain_s` have passed, or a second signal
    comes.
    """
    application.is_draining = True
    server.should_exit = True  # closes the listener and idle connections, lets the others finish
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + drain_s
    waiting = application.requests_under_way
    if waiting:
        _LOG.info("Draining: %d requests under way, at most %g s", waiting, drain_s)
    stop.clear()
    while application.requests_under_way and loop.time() < deadline_s and not stop.is_set():
        await asyncio.sleep(_POLL_S)
    if application.requests_under_way:
        _LOG.warning("Ending with %d requests under way", application.requests_under_way)
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # their cancellation is no news


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
                if ended is None or ended.si_pid == scorer.process_id:
                    break
                os.waitpid(ended.si_pid, os.WNOHANG)
