"""The agent's settings: one frozen value, parsed from a mapping of environment variables and the command
line.

Pure, and imports only the standard library: the packager uses it too. It never looks at the file system, so
that a missing script is found where it is loaded (exit code 3), and a wrong setting here (exit code 2). The
names without the prefix EDGEPACK_ are the ones of Azure ML's inference server and keep their meaning.

    AML_APP_ROOT             root of the script (/var/azureml-app; with --entry-script: the current folder)
    AZUREML_ENTRY_SCRIPT     the script, relative to the app root; without it the module `main` is imported
    AZUREML_SOURCE_DIRECTORY folder below the app root that is importable as well
    AZUREML_MODEL_DIR        where the script finds its models; relative paths start at the working directory
    EDGEPACK_ENTRY_MODULE    an importable module to serve instead of a script file
    EDGEPACK_HTTP            host:port to listen on (127.0.0.1:5001); port 0: a free one; [::1]:5001: IPv6
    SCORING_TIMEOUT_MS       longest run() in milliseconds (3600000), at least 1
    EDGEPACK_MAX_BODY_BYTES  longest request body in bytes (104857600), at least 1
    EDGEPACK_DRAIN_S         after SIGTERM, seconds given to the requests in flight (8), 0 to 3600
    EDGEPACK_ONNX_THREADS    threads of the built-in ONNX scorer (1), 1 to 1024
    EDGEPACK_LOG             text or json (text)
    AZUREML_LOG_LEVEL        DEBUG, INFO, WARNING, ERROR or CRITICAL (INFO)
    SERVER_VERSION_LOG_RESPONSE_ENABLED  anything but true hides the response header x-ms-server-version
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from device_agent.errors import SettingsError

DEFAULT_APP_ROOT = "/var/azureml-app"
DEFAULT_HTTP = "127.0.0.1:5001"
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MODULE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class CommandLine:
    """What was given on the command line; None where it was not. It wins over the environment.

    `entry_script` is relative to `current_directory` (an absolute path), as a user of a command line expects.
    """

    entry_script: str | None = None
    model_dir: str | None = None
    port: int | None = None
    current_directory: str = "/"


@dataclass(frozen=True)
class Settings:
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
    scoring_timeout_ms: int = 3_600_000
    max_body_bytes: int = 100 * 1024 * 1024
    drain_s: float = 8.0
    onnx_threads: int = 1
    log_format: str = "text"
    log_level: str = "INFO"
    show_server_version: bool = True

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
    default_root = DEFAULT_APP_ROOT
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
    if line.port is not None:
        port = line.port
        if not 0 <= port <= 65535:
            problems.append(f"--port is {port}: expected 0 to 65535")
    settings = Settings(
        app_root=given.get("AML_APP_ROOT", default_root),
        entry_script=script,
        source_directory=given.get("AZUREML_SOURCE_DIRECTORY"),
        model_dir=line.model_dir if line.model_dir is not None else given.get("AZUREML_MODEL_DIR"),
        entry_module=module,
        http_host=host,
        http_port=port,
        scoring_timeout_ms=_parse_int(given, "SCORING_TIMEOUT_MS", 3_600_000, 1, 2**53, problems),
        max_body_bytes=_parse_int(given, "EDGEPACK_MAX_BODY_BYTES", 100 * 1024 * 1024, 1, 2**53, problems),
        drain_s=_parse_seconds(given, "EDGEPACK_DRAIN_S", 8.0, 3600.0, problems),
        onnx_threads=_parse_int(given, "EDGEPACK_ONNX_THREADS", 1, 1, 1024, problems),
        log_format=_parse_choice(given, "EDGEPACK_LOG", "text", LOG_FORMATS, problems),
        log_level=_parse_level(given, problems),
        show_server_version=given.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").strip().lower() == "true",
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


def _parse_int(given: Mapping[str, str], name: str, default: int, least: int, most: int, problems: list[str]) -> int:
    text = given.get(name)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,16}", text.strip()) and least <= int(text) <= most:
        return int(text)
    problems.append(f"{name} is {text!r}: expected a whole number of {least} to {most}")
    return default


def _parse_seconds(given: Mapping[str, str], name: str, default: float, most: float, problems: list[str]) -> float:
    text = given.get(name)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text.strip()) and float(text) <= most:
        return float(text)
    problems.append(f"{name} is {text!r}: expected seconds from 0 to {most:g}")
    return default


def _parse_choice(
    given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...], problems: list[str]
) -> str:
    text = given.get(name, default).strip().lower()
    if text not in choices:
        problems.append(f"{name} is {given[name]!r}: expected {' or '.join(choices)}")
        return default
    return text


def _parse_level(given: Mapping[str, str], problems: list[str]) -> str:
    text = given.get("AZUREML_LOG_LEVEL", "INFO").strip().upper()
    text = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text, text)
    if text not in LOG_LEVELS:
        problems.append(f"AZUREML_LOG_LEVEL is {given['AZUREML_LOG_LEVEL']!r}: expected {', '.join(LOG_LEVELS)}")
        return "INFO"
    return text
