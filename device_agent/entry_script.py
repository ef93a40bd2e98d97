"""Loads an entry script and calls it: `init()` once, `run()` for every request. Runs in the script's process.

The contract is the one of Azure ML's inference server, with `BadInput` and `async def run` added. A script
file is loaded under the module name `entry_module`; app root, source directory and the script's own folder
are importable. Every fault of the script at start becomes one ScriptStartError, its cause attached; every
fault while scoring becomes a result with status 500, and the traceback goes to the log `azmlinfsrv`. What it
leaves to others: time limits and crashes (child_process), routes and headers (http).
"""

import importlib
import importlib.util
import inspect
import logging
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from device_agent import raw_http
from device_agent.errors import BadInput, ScriptStartError
from device_agent.result_json import NotSerialisable, encode_result, encode_result_literal
from device_agent.run_arguments import RefusedRequest, RunForm, run_arguments
from device_agent.scorer import (
    INTERNAL_ERROR_TEXT,
    SCRIPT_ERROR_TEXT,
    ScoringRequest,
    ScoringResult,
    ScriptDescription,
    ScriptSource,
    message_result,
)
from device_agent.script_check import (
    NO_DATA_BESIDE_HEADERS,
    NO_DATA_PARAMETER,
    RAW_WITH_SCHEMA,
    UNUSABLE_PARAMETERS,
    imports_package,
)
from device_agent.script_schema import describe_script, failed_conversion, takes_schema
from device_agent.shims.inference_schema_dates import accept_dates

MODULE_NAME = "entry_module"
_LOG = logging.getLogger("azmlinfsrv")
_NOT_THE_SCRIPTS = (__file__, raw_http.__file__, "<frozen importlib")
_NEVER_AWAITABLE = frozenset({dict, list, str, int, float, bool, tuple, type(None)})


@dataclass(frozen=True)
class EntryScript:
    """A loaded script: its two functions and how `run` wants to be called.

    `http_side` makes HTTP requests for a script that asks for them; `encode` writes what `run` returns.
    """

    init: Callable[[], Any]
    run: Callable[..., Any]
    form: RunForm
    place: str
    description: ScriptDescription = ScriptDescription()  # noqa: RUF009 - frozen
    http_side: raw_http.HttpSide | None = None
    encode: Callable[[object], bytes] = encode_result


def make_importable(source: ScriptSource) -> None:
    """Append the script's folders to the import path. May be called more than once."""
    folders = [source.app_root]
    if source.source_directory:
        folders.append(str(Path(source.app_root, source.source_directory)))
    if source.entry_script:
        folders.append(str(Path(source.app_root, source.entry_script).parent))
    sys.path.extend(path for path in (str(Path(folder).absolute()) for folder in folders) if path not in sys.path)


def load_script(source: ScriptSource, *, json_nan: str = "null") -> EntryScript:
    """Import the script and inspect `run`. Raises ScriptStartError with stage "import" or "signature".

    `json_nan` is "null" or "literal": how NaN and the infinities in results are written.
    """
    make_importable(source)
    raw_http.forget_raw_requests()
    try:
        module = _import_module(source)
    except ScriptStartError:
        raise
    except BaseException as error:
        raise ScriptStartError("import", f"the script cannot be imported: {_one_line(error)}") from error
    place = getattr(module, "__file__", None) or module.__name__
    missing = [name for name in ("init", "run") if not hasattr(module, name)]
    if missing:
        raise ScriptStartError("signature", f"{place} has no {' and no '.join(f'{name}()' for name in missing)}")
    # a driver module is a generated script that wraps the author's: serve the author's run
    driven = getattr(module, "driver_module", None)
    run = driven.run if isinstance(driven, ModuleType) and hasattr(driven, "run") else module.run
    accept_dates()
    form = inspect_run(run, takes_request=raw_http.raw_requested())
    _warn_of_stray_decorators()
    http_side = raw_http.http_side(str(Path(place).parent)) if form.takes_request or _imports_flask(module) else None
    description = describe_script(run, form, wants_headers=form.wants_headers or http_side is not None)
    encode = encode_result_literal if json_nan == "literal" else encode_result
    return EntryScript(module.init, run, form, place, description, http_side, encode)


def inspect_run(run: object, *, takes_request: bool = False) -> RunForm:
    """How `run` wants to be called. Raises ScriptStartError with stage "signature" when it cannot be."""
    if not callable(run):
        raise ScriptStartError("signature", f"run is a {type(run).__name__}, not a function")
    try:
        parameters = inspect.signature(run).parameters
    except (TypeError, ValueError) as error:
        raise ScriptStartError("signature", f"the parameters of run() cannot be read: {error}") from None
    kinds = {parameter.kind for parameter in parameters.values()}
    if kinds - {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
        raise ScriptStartError("signature", UNUSABLE_PARAMETERS)
    defaults = {name: parameter.default for name, parameter in parameters.items() if name != "request_headers"}
    if not defaults:
        raise ScriptStartError("signature", NO_DATA_BESIDE_HEADERS if parameters else NO_DATA_PARAMETER)
    if takes_request and takes_schema(run):
        raise ScriptStartError("signature", RAW_WITH_SCHEMA)
    return RunForm(defaults, takes_schema(run), "request_headers" in parameters, takes_request)


def call_init(script: EntryScript) -> None:
    """Run `init()`. Raises ScriptStartError with stage "init", also for `sys.exit()`."""
    try:
        outcome = script.init()
        if inspect.isawaitable(outcome):
            _wait_for(outcome)
    except BaseException as error:
        raise ScriptStartError("init", f"init() failed: {_one_line(error)}") from error


def score(script: EntryScript, request: ScoringRequest) -> ScoringResult:
    """Call `run()` for one request. Never raises."""
    if script.http_side is None:
        return _score(script, request, None)
    result = None
    try:
        with script.http_side(request) as exchange:
            result = _score(script, request, exchange)
    except Exception:  # noqa: BLE001 - the end of the request runs functions that the script has registered
        _LOG.error("The HTTP request of run() did not end well: %s", traceback.format_exc())
    return result or message_result(500, INTERNAL_ERROR_TEXT)


def _score(script: EntryScript, request: ScoringRequest, exchange: raw_http.Exchange | None) -> ScoringResult:
    try:
        arguments = run_arguments(script.form, request, exchange and exchange.request)
    except RefusedRequest as refusal:
        return message_result(refusal.status, str(refusal))
    started_s = time.perf_counter()
    try:
        value = script.run(**arguments)
        if type(value) not in _NEVER_AWAITABLE and inspect.isawaitable(value):
            value = _wait_for(value, exchange)
        exec_ms = (time.perf_counter() - started_s) * 1000.0
    except BadInput as error:
        return message_result(400, _text_of(error))
    except BaseException as error:  # noqa: BLE001 - user code; SystemExit included
        return _failed_run(script, error)
    try:
        result = ScoringResult(script.encode(value), exec_ms=exec_ms)
    except NotSerialisable as error:
        problem = str(error)
    except Exception:  # noqa: BLE001 - user code: methods of the script's own classes
        problem = traceback.format_exc()
    else:
        if exchange is None or not exchange.has_afterwards():
            return result
        return _response_result(script, request, exchange, raw_http.json_response(result.body), exec_ms)
    if raw_http.is_response(value):
        return _response_result(script, request, exchange, value, exec_ms)
    _LOG.error("The value returned by run() cannot be sent: %s", problem)
    return message_result(500, INTERNAL_ERROR_TEXT)


def _response_result(
    script: EntryScript,
    request: ScoringRequest,
    exchange: raw_http.Exchange | None,
    response: object,
    exec_ms: float,
) -> ScoringResult:
    try:
        if exchange is not None:
            return raw_http.response_result(exchange.finish(response), exchange.environ, exec_ms)
        return raw_http.response_result(response, raw_http.wsgi_environ(request), exec_ms)
    except raw_http.UnsendableResponse as error:
        _LOG.error("The response returned by run() cannot be sent: %s", error)
        return message_result(500, INTERNAL_ERROR_TEXT)
    except BaseException as error:  # noqa: BLE001 - user code: the generator of a body
        return _failed_run(script, error)


def log_start_failure(error: ScriptStartError) -> None:
    """Log why a script did not start, with the traceback of its own code."""
    cause = error.__cause__
    if cause is None:
        _LOG.error("The entry script cannot be served: %s", error)
        return
    if error.stage == "init":
        _LOG.error("User's init function failed")
    text = "".join(traceback.format_exception(type(cause), cause, _own_frames(cause.__traceback__)))
    _LOG.error("Encountered Exception: %s", text.rstrip())


def _import_module(source: ScriptSource) -> ModuleType:
    if source.entry_module:
        return importlib.import_module(source.entry_module)
    if not source.entry_script:
        return _import_main(source)
    path = Path(source.app_root, source.entry_script).absolute()
    if not path.is_file():
        raise ScriptStartError("import", f"the entry script {path} does not exist or is no file")
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    if spec is None or spec.loader is None:
        raise ScriptStartError("import", f"the entry script {path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(MODULE_NAME, None)
        raise
    return module


def _import_main(source: ScriptSource) -> ModuleType:
    if importlib.util.find_spec("main") is None:
        root = Path(source.app_root)
        found = sorted(child.name for child in root.iterdir())[:50] if root.is_dir() else "no such folder"
        raise ScriptStartError(
            "import",
            f"no entry script is set (AZUREML_ENTRY_SCRIPT), and there is no main.py in {root} "
            f"(found: {found}) or elsewhere on the import path {sys.path}",
        )
    return importlib.import_module("main")


def _imports_flask(module: ModuleType) -> bool:
    """Whether the script has imported Flask, or will inside a function."""
    if sys.modules.get("flask") is not None:
        return True
    path = Path(getattr(module, "__file__", None) or "")
    return path.suffix == ".py" and imports_package(path.read_text(encoding="utf-8", errors="replace"), "flask")


def _warn_of_stray_decorators() -> None:
    names = raw_http.decorated_names()
    if names and "run" not in names:
        _LOG.warning("@rawhttp is on %s, not on run(): run() gets the HTTP request all the same", ", ".join(names))


def _failed_run(script: EntryScript, error: BaseException) -> ScoringResult:
    frames = _own_frames(error.__traceback__)
    if script.form.takes_schema:
        conversion = failed_conversion(script.run, frames)
        if conversion is not None:
            return message_result(400, f"The value of the {conversion!r} parameter is not valid: {_text_of(error)}")
    _LOG.error("Encountered Exception: %s", "".join(traceback.format_exception(type(error), error, frames)).rstrip())
    return message_result(500, SCRIPT_ERROR_TEXT, script_failed=True)


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is neither of the agent nor of the import machinery."""
    first = frames
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_NOT_THE_SCRIPTS):
        first = first.tb_next
    return first or frames


def _one_line(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()


def _text_of(error: BaseException) -> str:
    return str(error) or type(error).__name__


class _Loop:
    """The event loop of scripts with `async def`: made when first needed, kept, so that clients made in
    init() live on.
    """

    runner: Any = None


def _wait_for(awaitable: Awaitable[Any], exchange: raw_http.Exchange | None = None) -> Any:
    import asyncio

    async def wait() -> Any:
        return await awaitable

    if _Loop.runner is None:
        _Loop.runner = asyncio.Runner()
    # Flask keeps its request in a context variable; other scripts share one context from init() on
    return _Loop.runner.run(wait(), context=None if exchange is None else copy_context())


def close_loop() -> None:
    """Close the event loop of `async def` scripts, if there is one."""
    if _Loop.runner is not None:
        _Loop.runner.close()
        _Loop.runner = None
