"""HTTP for scripts that ask for it: `run()` gets a request object, and may answer with a response object.

Who asks: scripts with `@rawhttp`, and scripts that import Flask (under Azure ML's inference server every `run()`
is called inside a Flask request, so `flask.request` works there). Where Flask is installed the request is Flask's
and its context surrounds the call; otherwise it is Werkzeug's, with the same attributes. Neither is imported for
any other script. Responses of both libraries are accepted from every script; what one sets about the connection,
the length and the agent's own headers is dropped, and a header that RFC 9110 does not allow is never sent.
"""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, NamedTuple

from device_agent.scorer import ScoringRequest, ScoringResult

Environ = dict[str, Any]

_SCORE_PATH = "/score"
_CLASSES = "device_agent.aml_classes"
_FLAGGED = ("azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request")
_FLAG = "_rawHttpRequested"
_FAILED = "x-ms-run-function-failed"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_DROPPED = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer trailers "
    "transfer-encoding upgrade content-length date server x-request-id x-ms-request-id x-ms-client-request-id "
    "x-ms-server-version x-ms-run-fn-exec-ms".split()
)


class UnsendableResponse(Exception):
    """A response cannot go on the wire: its status or one of its headers is none. The text says which."""


class Exchange(NamedTuple):
    """One request under way: what `run()` gets, its WSGI environment, and what is done to a response last.

    `has_afterwards` says whether JSON has to become a response too, because the script wants to change it.
    """

    request: Any
    environ: Environ
    finish: Callable[[Any], Any] = lambda response: response
    has_afterwards: Callable[[], bool] = lambda: False


HttpSide = Callable[[ScoringRequest], AbstractContextManager[Exchange]]


def raw_requested() -> bool:
    """Whether @rawhttp has been applied to any function since `forget_raw_requests`."""
    classes = sys.modules.get(_CLASSES)
    return bool(classes is not None and classes.DECORATED) or any(
        getattr(module, _FLAG, False) for module in _flagged_modules()
    )


def decorated_names() -> tuple[str, ...]:
    """Names of the functions that carry the @rawhttp of this package; those of an installed one are unknown."""
    classes = sys.modules.get(_CLASSES)
    found = classes.DECORATED if classes is not None else ()
    return tuple(getattr(function, "__name__", type(function).__name__) for function in found)


def forget_raw_requests() -> None:
    """Start anew: what scripts have decorated so far does not count for the next one."""
    classes = sys.modules.get(_CLASSES)
    if classes is not None:
        classes.DECORATED.clear()
    for module in _flagged_modules():
        setattr(module, _FLAG, False)


def http_side(script_folder: str) -> HttpSide:
    """What makes a request object for each call: Flask's, or Werkzeug's where Flask is not to be had."""
    try:
        import flask
    except ImportError:
        return _werkzeug_exchange
    app = flask.Flask("entry_script", root_path=script_folder, instance_path=script_folder, static_folder=None)
    methods = ("GET", "POST", "OPTIONS", "HEAD")
    app.add_url_rule(_SCORE_PATH, "main.handle_score", methods=methods, provide_automatic_options=False)

    @contextlib.contextmanager
    def flask_exchange(request: ScoringRequest) -> Iterator[Exchange]:
        environ = wsgi_environ(request)
        with app.request_context(environ) as context:
            yield Exchange(
                flask.request,
                environ,
                app.process_response,
                lambda: bool(getattr(context, "_after_request_functions", None)),
            )

    return flask_exchange


@contextlib.contextmanager
def _werkzeug_exchange(request: ScoringRequest) -> Iterator[Exchange]:
    from device_agent.aml_classes import AMLRequest

    environ = wsgi_environ(request)
    with AMLRequest(environ) as http_request:
        yield Exchange(http_request, environ)


def wsgi_environ(request: ScoringRequest) -> Environ:
    """The WSGI environment (PEP 3333) of a request. Header names with underscores are left out: they could pose
    as others.
    """
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "RAW_URI": f"{request.path}?{request.query}" if request.query else request.path,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "edgepack",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        if "_" in name:
            continue
        key = f"HTTP_{name.upper().replace('-', '_')}"
        separator = "; " if name == "cookie" else ","
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    length = environ.pop("HTTP_CONTENT_LENGTH", None)
    if request.body or length is not None:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    content_type = environ.pop("HTTP_CONTENT_TYPE", request.content_type)
    if content_type:
        environ["CONTENT_TYPE"] = content_type
    if request.client:
        environ["REMOTE_ADDR"] = request.client
    host = environ.get("HTTP_HOST") or "localhost"
    name, _, port = host.rpartition(":")
    environ["SERVER_NAME"], environ["SERVER_PORT"] = (name, port) if name and port.isdecimal() else (host, "80")
    return environ


def is_response(value: object) -> bool:
    """Whether `value` is a response of Werkzeug or Flask; AMLResponse is one."""
    module = sys.modules.get("werkzeug.wrappers.response")
    return module is not None and isinstance(value, module.Response)


def response_result(response: Any, environ: Environ, exec_ms: float) -> ScoringResult:
    """A response as a result, for HEAD with the body that GET would get: its length is told, and it is not sent.

    Raises UnsendableResponse, and whatever the script's own body generator raises.
    """
    method = environ["REQUEST_METHOD"]
    pieces, _, headers = response.get_wsgi_response(environ | {"REQUEST_METHOD": "GET" if method == "HEAD" else method})
    try:
        body = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    status = response.status_code
    if not 200 <= status <= 999:
        raise UnsendableResponse(f"its status is {status}")
    content_type = ""
    failed: bool | None = None
    kept = []
    for name, text in headers:
        value = text.strip(" \t")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise UnsendableResponse(f"its header {name!r} has characters that are not allowed: {value[:100]!r}")
        lower = name.lower()
        if lower == "content-type":
            content_type = value
        elif lower == _FAILED:
            failed = bool(failed) or value.lower() == "true"
        elif lower not in _DROPPED:
            kept.append((name, value))
    return ScoringResult(body, status, content_type, True if status >= 500 else failed, exec_ms, tuple(kept))


def json_response(body: bytes) -> Any:
    """A value that `run()` has returned, as a response of Flask: functions set by `after_this_request` see it."""
    import flask

    return flask.Response(body, mimetype="application/json", headers={_FAILED: "False"})


def _flagged_modules() -> list[ModuleType]:
    """The modules of installed packages that tell by a flag whether their own @rawhttp has been applied."""
    modules = (sys.modules.get(name) for name in _FLAGGED)
    return [module for module in modules if module is not None and hasattr(module, _FLAG)]
