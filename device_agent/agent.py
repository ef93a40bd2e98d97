"""The beginning of the agent's life: take the port, read keys and descriptions, start the script, then serve.

The port is taken first, and the buffer opened, so that what is wrong with them is told before a model is loaded. The
script's processes are started next, before the event loop and the HTTP server are imported (serving): on two cores both
go on at the same time, which takes a third off the time to the first answer. Writes no file but the buffer.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from device_agent import __version__
from device_agent.access_keys import AccessKeys
from device_agent.errors import SettingsError
from device_agent.listening import describe_address, is_loopback, listen
from device_agent.log_lines import LineLog, configure_logging
from device_agent.script_process import ScriptProcess, start_process, worker_environment
from device_agent.settings import VARIABLES, Settings

if TYPE_CHECKING:
    from device_agent.drift_sketch import Baseline
    from device_agent.messages.start import MessageSide

OF_THE_AGENT_ONLY = frozenset(
    {"EDGEPACK_MQTT_URL", "EDGEPACK_CONNECTION_STRING", "EDGEPACK_AZURE_PROXY", "EDGEPACK_DPS_KEY"}
)
"""Variables that hold secrets, and that a script has no use for."""
_LOG = logging.getLogger("edgepack.agent")


def run_agent(settings: Settings, environment: Mapping[str, str], notes: Sequence[str] = ()) -> int:
    """Serve until a signal comes; return the exit code. `environment` is handed on to the script's process.

    `notes` are logged first. Raises SettingsError when an address cannot be listened on, or a file not be read.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_early)
    log_descriptor = os.dup(1)  # in the script's process, descriptor 1 is a pipe to here
    lines = LineLog(log_descriptor, settings.log_format)
    configure_logging(lines, settings.log_level)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, log_descriptor)
        stack.callback(lines.flush)
        listeners = [stack.enter_context(listen(settings.http_host, settings.http_port))]
        if settings.health_port is not None:
            listeners.append(stack.enter_context(listen(settings.http_host, settings.health_port)))
        keys = AccessKeys(settings.key_file) if settings.key_file else None
        user_swagger = read_user_swagger(settings.app_root)
        baselines = open_baselines(settings)
        for note in notes:
            _LOG.info("%s", note)
        _LOG.info("Agent %s takes HTTP on %s", __version__, " and ".join(map(describe_address, listeners)))
        if keys is None and not is_loopback(listeners[0]):
            _LOG.warning("Anyone who reaches this address can call it: EDGEPACK_HTTP_KEY_FILE is not set")
        for warning in misspelt_variables(environment):
            _LOG.warning("%s", warning)
        if settings.capture_percent and settings.capture_format == "parquet":
            from device_agent.piece_conversion import require_pyarrow

            require_pyarrow()
        messages = open_messages(settings, environment)
        environment = child_environment(settings, environment)
        processes = start_processes(settings.workers, environment, log_descriptor)

        from device_agent.serving import Start, serve  # imports the event loop, which takes its time

        start = Start(
            settings, environment, listeners, processes, lines, log_descriptor, keys, user_swagger, messages, baselines
        )
        return serve(start)


def _end_early(*_: object) -> NoReturn:
    """Until the event loop takes the signals, there is nothing to finish; the script's processes end with this one."""
    os._exit(0)


def open_baselines(settings: Settings) -> "Sequence[Baseline]":
    """What is watched for drift. Raises SettingsError."""
    if settings.drift_baseline is None:
        return ()
    from device_agent.drift_baselines import read_baselines

    folders = [settings.app_root]
    if settings.source_directory is not None:
        folders.append(os.path.join(settings.app_root, settings.source_directory))  # noqa: PTH118 - as the script does
    if settings.model_dir is not None:
        folders.append(settings.model_dir)
    return read_baselines(settings.drift_baseline, folders)


def open_messages(settings: Settings, environment: Mapping[str, str]) -> "MessageSide | None":
    """The buffer and the transport, where there is anything upstream. Raises SettingsError."""
    if settings.messages.transport == "none":
        return None
    from device_agent.messages.start import MessageSide

    return MessageSide(settings.messages, environment, settings.app_root)


def start_processes(count: int, environment: Mapping[str, str], log_descriptor: int) -> list[ScriptProcess]:
    """The script's first processes; fewer when one cannot be started, which its worker will find out and tell."""
    processes: list[ScriptProcess] = []
    with contextlib.suppress(OSError):
        for number in range(count):
            processes.append(start_process(worker_environment(environment, number), log_descriptor))
    return processes


def read_user_swagger(app_root: str) -> dict[str, bytes]:
    """The author's own API descriptions in the app root, by version. Raises SettingsError for one that is no JSON."""
    import json
    from pathlib import Path

    from device_agent.swagger import VERSIONS, user_file_names

    found: dict[str, bytes] = {}
    for version in VERSIONS:
        for name in user_file_names(version):
            path = Path(app_root, name)
            try:
                text = path.read_text("utf-8-sig")
                found.setdefault(version, json.dumps(json.loads(text)).encode())
            except OSError:
                continue
            except (ValueError, RecursionError) as error:
                raise SettingsError(f"{path} is no JSON: {error}") from None
    return found


def misspelt_variables(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that is nearly one of the agent's."""
    unknown = sorted(name for name in environment if name.startswith("EDGEPACK_") and name not in VARIABLES)
    if not unknown:
        return []
    import difflib  # takes its time, and is seldom needed

    nearest = ((name, near) for name in unknown for near in difflib.get_close_matches(name, VARIABLES, 1, 0.85))
    return [f"{name} is not known, and changes nothing: did you mean {near}?" for name, near in nearest]


def child_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the script's process: the agent's own, with the settings in force written back."""
    child = {name: value for name, value in environment.items() if name not in OF_THE_AGENT_ONLY}
    child["AML_APP_ROOT"] = settings.app_root
    child["EDGEPACK_ONNX_THREADS"] = str(settings.onnx_threads)
    child["EDGEPACK_JSON_NAN"] = settings.json_nan
    if "PYTHONPYCACHEPREFIX" not in child:
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
