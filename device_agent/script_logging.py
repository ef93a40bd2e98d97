"""Where the output of a script goes: its streams, its `print()`, and a logging configuration of its own.

Without a file `logging.json` all records become log lines of the agent (log_lines). With one, in the app root or
else in the script's folder, `logging.config.dictConfig` decides instead: what its handlers write to standard output
or error comes out unchanged, and records that none of its handlers sees come out as before.
"""

import builtins
import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device_agent.errors import ScriptStartError
from device_agent.scorer import ScriptSource

FILE_NAME = "logging.json"
_OWN = ("azmlinfsrv", "edgepack")
_LOG = logging.getLogger("azmlinfsrv")


def prepare_streams() -> None:
    """Standard output and error arrive at the agent line by line; `print()` becomes one log record a call."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    printed = logging.getLogger("azmlinfsrv.print")
    plain_print = builtins.print
    standard_output = sys.stdout

    def print_record(
        *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
    ) -> None:
        if (sys.stdout if file is None else file) is standard_output:
            printed.info("%s", (" " if sep is None else sep).join(map(str, values)))
        else:
            plain_print(*values, sep=sep, end=end, file=file, flush=flush)

    builtins.print = print_record


_PLAIN_HANDLERS = {
    "logging.StreamHandler",
    "logging.FileHandler",
    "logging.NullHandler",
    "logging.handlers.WatchedFileHandler",
    "logging.handlers.RotatingFileHandler",
    "logging.handlers.TimedRotatingFileHandler",
}
_PLAIN_CLASSES = ("logging.", "azmlinfsrv", "azureml_inference_server_http.log_config.")


def has_plain_logging_file(source: ScriptSource) -> bool:
    """Whether the script has a logging.json that names nothing but formatters, filters and file handlers of the
    standard library: nothing that could hold up, or end, the process that applies it.
    """
    path = _find_file(source)
    return path is not None and _is_plain(_read(path))


def _is_plain(configuration: dict[str, Any]) -> bool:
    stack: list[Any] = [configuration]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            made = part.get("()", part.get("class"))
            known = _PLAIN_HANDLERS if "stream" in part or "filename" in part or "level" in part else ()
            if made is not None and not (
                made in _PLAIN_HANDLERS or (not known and str(made).startswith(_PLAIN_CLASSES))
            ):
                return False
            stack += part.values()
        elif isinstance(part, list):
            stack += part
        elif (
            isinstance(part, str) and part.startswith("ext://") and part not in ("ext://sys.stdout", "ext://sys.stderr")
        ):
            return False
    return True


def apply_logging_file(source: ScriptSource, log_descriptor: int) -> bool:
    """Apply the script's logging.json; whether there is one. Raises ScriptStartError with stage "import".

    The file may name classes of the script: its folders must be importable where it counts.
    """
    path = _find_file(source)
    if path is None:
        return False
    configuration = _read(path)
    from logging.config import dictConfig  # costs memory that scripts without a file need not spend

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        with _streams_on(log_descriptor):
            dictConfig(configuration)
    except BaseException as error:  # noqa: BLE001 - the file may name classes of the script, which may do anything
        _undo(handlers, level)
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise ScriptStartError("import", f"{path} cannot be applied: {reason}") from None
    for handler in root.handlers:
        if handler in handlers:
            handler.addFilter(_is_left_over)
    for logger in _own_loggers():
        logger.disabled = False
    _LOG.info("Loaded logging config from %s", path)
    return True


def _find_file(source: ScriptSource) -> Path | None:
    folders = [Path(source.app_root)]
    if source.entry_script:
        folders.append(Path(source.app_root, source.entry_script).resolve().parent)
    return next((folder / FILE_NAME for folder in folders if (folder / FILE_NAME).is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        configuration = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ScriptStartError("import", f"{path}, {place}: not JSON: {error.msg}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ScriptStartError("import", f"{path} cannot be read: {error}") from None
    if not isinstance(configuration, dict):
        raise ScriptStartError("import", f"{path}, line 1, column 1: not a JSON object")
    return configuration


@contextlib.contextmanager
def _streams_on(descriptor: int) -> Iterator[None]:
    """Handlers made meanwhile for standard output or error write to `descriptor`."""
    stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = stream
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _is_left_over(record: logging.LogRecord) -> bool:
    """Whether no logger below the root has a handler for the record."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger.parent is not None:
        if logger.handlers:
            return False
        logger = logger.parent
    return True


def _own_loggers() -> list[logging.Logger]:
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _OWN]
    return [logging.getLogger(name) for name in names]


def _undo(handlers: list[logging.Handler], level: int) -> None:
    """Log as before a configuration that failed half-way, so that the failure is seen."""
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger in _own_loggers():
        logger.handlers.clear()
        logger.disabled, logger.propagate = False, True
        logger.setLevel(logging.NOTSET)
