"""The agent's settings: one frozen value, parsed from a mapping of environment variables and the command
line.

Pure, and imports only the standard library: the packager uses it too. It never looks at the file system, so
that a missing script is found where it is loaded (exit code 3), and a wrong setting here (exit code 2). The
names without the prefix EDGEPACK_ are the ones of Azure ML's inference server and keep their meaning.

    AML_APP_ROOT             root of the script (/var/azureml-app; with arguments: the current folder)
    AZUREML_ENTRY_SCRIPT     the script, relative to the app root; without it the module `main` is imported
    AZUREML_SOURCE_DIRECTORY folder below the app root that is importable as well
    AZUREML_MODEL_DIR        where the script finds its models; relative paths start at the working directory
    AZUREML_CONFIG_FILE      JSON file with any of these variables (config.json in the app root, or beside the script)
    EDGEPACK_ENTRY_MODULE    an importable module to serve instead of a script file
    EDGEPACK_WORKERS         processes that run the script, each with its own models (1; also WORKER_COUNT), 1 to 64
    SCORING_TIMEOUT_MS       longest run() in milliseconds (3600000), at least 1
    EDGEPACK_JSON_NAN        NaN and infinities in results: null, or literal for bare NaN, which is no JSON (null)
    EDGEPACK_ONNX_THREADS    threads of the built-in ONNX scorer (1), 1 to 1024
    EDGEPACK_DRAIN_S         after SIGTERM, seconds given to the requests in flight (8), 0 to 3600
    EDGEPACK_LOG             text or json (text)
    AZUREML_LOG_LEVEL        DEBUG, INFO, WARNING, ERROR or CRITICAL (INFO)

    EDGEPACK_HTTP            host:port to listen on (127.0.0.1:5001); port 0: a free one; [::1]:5001: IPv6
    SEPERATE_HEALTH_ENDPOINT true: the same routes on a second port, 5000 or --health-port (false)
    EDGEPACK_HTTP_KEY_FILE   file with access keys, one a line: clients send Authorization: Bearer KEY
    AML_CORS_ORIGINS         origins whose pages may call, separated by commas, or *
    SERVICE_NAME, SERVICE_VERSION, SERVICE_PATH_PREFIX   how the API description calls the service (ML service, 1.0, "")
    SERVER_VERSION_LOG_RESPONSE_ENABLED  anything but true hides the response header x-ms-server-version
    EDGEPACK_MAX_BODY_BYTES      longest request body (104857600), at least 1
    EDGEPACK_MAX_HEADER_BYTES    longest request head (65536), 1024 to 16777216
    EDGEPACK_MAX_HELD_BYTES      bodies held at a time, all together (268435456); never less than the longest body
    EDGEPACK_MAX_CONNECTIONS     clients connected at a time (1024), 1 to 65536
    EDGEPACK_MAX_QUEUE           requests that wait or are scored at a time (1024), 1 to 65536; more get 503
    EDGEPACK_QUEUE_WAIT_MS       longest wait for its turn in milliseconds, then 503 (0: for ever)
    EDGEPACK_CLIENT_TIMEOUT_S    time for a request to arrive, one second more for each 16 KiB, and for the answer to be
                                 taken (30), 0.1 to 3600

    EDGEPACK_DATA_MAX_BYTES      bound of all collected data (67108864); never less than 65536
    EDGEPACK_DATA_MAX_AGE_DAYS   collected data that has not been written to for longer is removed (0: none)
    EDGEPACK_CAPTURE_PERCENT     share of requests that are kept with their answers for monitoring (0: none), 0 to 100
    EDGEPACK_CAPTURE_BODY_BYTES  longest body that is kept (65536), 0 to 1048576
    EDGEPACK_CAPTURE_FORMAT      jsonl, or parquet: finished files are turned into Parquet, by pyarrow (jsonl)
    EDGEPACK_DRIFT_BASELINE      files made by `edgepack drift baseline`, with commas between: at most one of requests
                                 and one of answers; relative paths start at the app root, the source directory, or
                                 AZUREML_MODEL_DIR
    EDGEPACK_DRIFT_WINDOW        rows that are judged together (1000), 100 to 1000000
    EDGEPACK_DRIFT_COST_PERCENT  share of the time spent in run() that watching drift may take (1), 1 to 100

The variables about messages are in messages.settings.
"""

import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

from device_agent.errors import SettingsError
from device_agent.messages.settings import VARIABLES as MESSAGE_VARIABLES
from device_agent.messages.settings import MessageSettings, parse_message_settings
from device_agent.setting_values import parse_choice, parse_int, parse_seconds

DEFAULT_APP_ROOT = "/var/azureml-app"
DEFAULT_HTTP = "127.0.0.1:5001"
LOG_FORMATS = ("text", "json")
CAPTURE_FORMATS = ("jsonl", "parquet")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
VARIABLES = frozenset(
    """
    AML_APP_ROOT AZUREML_ENTRY_SCRIPT AZUREML_SOURCE_DIRECTORY AZUREML_MODEL_DIR EDGEPACK_ENTRY_MODULE
    EDGEPACK_WORKERS WORKER_COUNT SCORING_TIMEOUT_MS EDGEPACK_JSON_NAN EDGEPACK_ONNX_THREADS EDGEPACK_DRAIN_S
    EDGEPACK_LOG AZUREML_LOG_LEVEL EDGEPACK_HTTP SEPERATE_HEALTH_ENDPOINT EDGEPACK_HTTP_KEY_FILE AML_CORS_ORIGINS
    SERVICE_NAME SERVICE_VERSION SERVICE_PATH_PREFIX SERVER_VERSION_LOG_RESPONSE_ENABLED EDGEPACK_MAX_BODY_BYTES
    EDGEPACK_MAX_HEADER_BYTES EDGEPACK_MAX_HELD_BYTES EDGEPACK_MAX_CONNECTIONS EDGEPACK_MAX_QUEUE
    EDGEPACK_QUEUE_WAIT_MS EDGEPACK_CLIENT_TIMEOUT_S
    EDGEPACK_CAPTURE_PERCENT EDGEPACK_CAPTURE_BODY_BYTES EDGEPACK_CAPTURE_FORMAT EDGEPACK_DATA_MAX_AGE_DAYS
    EDGEPACK_DRIFT_BASELINE EDGEPACK_DRIFT_WINDOW EDGEPACK_DRIFT_COST_PERCENT
    EDGEPACK_DATA_PATH EDGEPACK_DATA_MAX_BYTES AML_MODEL_DC_STORAGE_ENABLED AML_MDC_STORAGE_ENABLED AML_MODEL_DC_DEBUG
    AML_MODEL_DC_BOUNDARY WORKSPACE_NAME HOSTNAME
    AML_APP_INSIGHTS_ENABLED AML_APP_INSIGHTS_KEY APP_INSIGHTS_LOG_RESPONSE_ENABLED WORKER_TIMEOUT WORKER_PRELOAD
    AZUREML_DEBUG_PORT
    """.split()
).union(MESSAGE_VARIABLES)
"""Every variable that a configuration file may hold; those of the last two lines are accepted and change nothing."""
_MODULE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class CommandLine(NamedTuple):
    """What was given on the command line; None where it was not. It wins over the environment.

    `entry_script` is relative to `current_directory` (an absolute path), as a user of a command line expects.
    """

    entry_script: str | None = None
    model_dir: str | None = None
    port: int | None = None
    health_port: int | None = None
    workers: int | None = None
    cors_origins: str | None = None
    config_file: str | None = None
    current_directory: str = "/"


class Settings(NamedTuple):
    """Everything the agent was told. Paths are as given, joined where this module says so; nothing is checked
    on disk.
    """

    app_root: str = DEFAULT_APP_ROOT
    entry_script: str | None = None
    source_directory: str | None = None
    model_dir: str | None = None
    entry_module: str | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 5001
    health_port: int | None = None
    key_file: str | None = None
    cors_origins: str | None = None
    service_name: str = "ML service"
    service_version: str = "1.0"
    service_path_prefix: str = ""
    show_server_version: bool = True
    workers: int = 1
    scoring_timeout_ms: int = 3_600_000
    max_body_bytes: int = 100 * 1024 * 1024
    max_header_bytes: int = 64 * 1024
    max_held_bytes: int = 256 * 1024 * 1024
    max_connections: int = 1024
    max_queue: int = 1024
    queue_wait_ms: int = 0
    client_timeout_s: float = 30.0
    drain_s: float = 8.0
    json_nan: str = "null"
    onnx_threads: int = 1
    log_format: str = "text"
    log_level: str = "INFO"
    capture_percent: int = 0
    capture_body_bytes: int = 65536
    capture_format: str = "jsonl"
    drift_baseline: str | None = None
    drift_window: int = 1000
    drift_cost_percent: int = 1
    messages: MessageSettings = MessageSettings()

    @property
    def script_path(self) -> str | None:
        """Path of the script file, or None when a module is served."""
        return None if self.entry_script is None else posixpath.join(self.app_root, self.entry_script)


def parse_settings(environment: Mapping[str, str], command_line: CommandLine | None = None) -> Settings:
    """Parse `environment` and `command_line`. An empty variable counts as unset. Raises SettingsError, all at
    once.
    """
    given = {name: value for name, value in environment.items() if value.strip()}
    line = command_line or CommandLine()
    problems: list[str] = []
    script = given.get("AZUREML_ENTRY_SCRIPT")
    module = given.get("EDGEPACK_ENTRY_MODULE")
    default_root = line.current_directory if line.config_file is not None else DEFAULT_APP_ROOT
    if line.entry_script is not None:
        if not line.entry_script.strip():
            problems.append("--entry-script is empty: give the path of a Python file")
        script = posixpath.join(line.current_directory, line.entry_script)
        module = None
        default_root = line.current_directory
    if module is not None and script is not None:
        problems.append("EDGEPACK_ENTRY_MODULE and AZUREML_ENTRY_SCRIPT are both set: set the one to be served")
    if module is not None and not _MODULE_NAME.fullmatch(module):
        problems.append(f"EDGEPACK_ENTRY_MODULE is {module!r}: expected a dotted module name such as package.module")
    host, port = _parse_address(given.get("EDGEPACK_HTTP", DEFAULT_HTTP), problems)
    has_health_port = given.get("SEPERATE_HEALTH_ENDPOINT", "").strip().lower() == "true"
    for name, number in (("--port", line.port), ("--health-port", line.health_port)):
        if number is not None and not 0 <= number <= 65535:
            problems.append(f"{name} is {number}: expected 0 to 65535")
    if line.workers is not None:
        given = {**given, "EDGEPACK_WORKERS": str(line.workers)}
    max_body_bytes = parse_int(given, "EDGEPACK_MAX_BODY_BYTES", 100 * 1024 * 1024, 1, 2**53, problems)
    for name in ("EDGEPACK_DATA_MAX_BYTES", "EDGEPACK_DATA_MAX_AGE_DAYS"):  # used by collected_data, also in the script
        parse_int(given, name, 0, 0, 2**53, problems)
    settings = Settings(
        app_root=given.get("AML_APP_ROOT", default_root),
        entry_script=script,
        source_directory=given.get("AZUREML_SOURCE_DIRECTORY"),
        model_dir=line.model_dir if line.model_dir is not None else given.get("AZUREML_MODEL_DIR"),
        entry_module=module,
        http_host=host,
        http_port=port if line.port is None else line.port,
        health_port=(5000 if line.health_port is None else line.health_port) if has_health_port else None,
        key_file=given.get("EDGEPACK_HTTP_KEY_FILE"),
        cors_origins=line.cors_origins or given.get("AML_CORS_ORIGINS"),
        service_name=given.get("SERVICE_NAME", "ML service"),
        service_version=given.get("SERVICE_VERSION", "1.0"),
        service_path_prefix=given.get("SERVICE_PATH_PREFIX", ""),
        show_server_version=given.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").strip().lower() == "true",
        workers=parse_int(
            given, "EDGEPACK_WORKERS" if "EDGEPACK_WORKERS" in given else "WORKER_COUNT", 1, 1, 64, problems
        ),
        scoring_timeout_ms=parse_int(given, "SCORING_TIMEOUT_MS", 3_600_000, 1, 2**53, problems),
        max_body_bytes=max_body_bytes,
        max_header_bytes=parse_int(given, "EDGEPACK_MAX_HEADER_BYTES", 64 * 1024, 1024, 2**24, problems),
        max_held_bytes=max(
            max_body_bytes, parse_int(given, "EDGEPACK_MAX_HELD_BYTES", 256 * 1024 * 1024, 1, 2**53, problems)
        ),
        max_connections=parse_int(given, "EDGEPACK_MAX_CONNECTIONS", 1024, 1, 65536, problems),
        max_queue=parse_int(given, "EDGEPACK_MAX_QUEUE", 1024, 1, 65536, problems),
        queue_wait_ms=parse_int(given, "EDGEPACK_QUEUE_WAIT_MS", 0, 0, 2**53, problems),
        client_timeout_s=parse_seconds(given, "EDGEPACK_CLIENT_TIMEOUT_S", 30.0, 3600.0, problems, least=0.1),
        drain_s=parse_seconds(given, "EDGEPACK_DRAIN_S", 8.0, 3600.0, problems),
        json_nan=parse_choice(given, "EDGEPACK_JSON_NAN", "null", ("null", "literal"), problems),
        onnx_threads=parse_int(given, "EDGEPACK_ONNX_THREADS", 1, 1, 1024, problems),
        log_format=parse_choice(given, "EDGEPACK_LOG", "text", LOG_FORMATS, problems),
        log_level=_parse_level(given, problems),
        capture_percent=parse_int(given, "EDGEPACK_CAPTURE_PERCENT", 0, 0, 100, problems),
        capture_body_bytes=parse_int(given, "EDGEPACK_CAPTURE_BODY_BYTES", 65536, 0, 2**20, problems),
        capture_format=parse_choice(given, "EDGEPACK_CAPTURE_FORMAT", "jsonl", CAPTURE_FORMATS, problems),
        drift_baseline=given.get("EDGEPACK_DRIFT_BASELINE"),
        drift_window=parse_int(given, "EDGEPACK_DRIFT_WINDOW", 1000, 100, 1_000_000, problems),
        drift_cost_percent=parse_int(given, "EDGEPACK_DRIFT_COST_PERCENT", 1, 1, 100, problems),
        messages=parse_message_settings(given, problems),
    )
    if problems:
        raise SettingsError(*problems)
    return settings


def _parse_address(text: str, problems: list[str]) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    fits = colon and host and (bracketed or ":" not in host)
    if not (fits and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535):
        problems.append(
            f"EDGEPACK_HTTP is {text!r}: expected host:port with a port of 0 to 65535, such as 0.0.0.0:5001"
        )
        return "127.0.0.1", 5001
    return host, int(port)


def _parse_level(given: Mapping[str, str], problems: list[str]) -> str:
    text = given.get("AZUREML_LOG_LEVEL", "INFO").strip().upper()
    text = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text, text)
    if text not in LOG_LEVELS:
        problems.append(f"AZUREML_LOG_LEVEL is {given['AZUREML_LOG_LEVEL']!r}: expected {', '.join(LOG_LEVELS)}")
        return "INFO"
    return text
