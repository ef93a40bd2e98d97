"""What scripts with `@rawhttp` import: `rawhttp`, `AMLRequest` and `AMLResponse`, under the names of the shims.

Both classes are Flask's where Flask is installed, otherwise Werkzeug's, which have the same methods. Imported by
scripts that use it and by nobody else: the others do not pay for it.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from device_agent.result_json import encode_result, encode_result_literal

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response
else:
    try:
        from flask import Request, Response
    except ImportError:
        from werkzeug.wrappers import Request, Response

_Function = TypeVar("_Function", bound=Callable[..., Any])
_encode_json = encode_result_literal if os.environ.get("EDGEPACK_JSON_NAN") == "literal" else encode_result

DECORATED: list[Callable[..., Any]] = []
"""The functions that carry @rawhttp. One is enough: `run()` then gets the HTTP request, whichever it is."""


def rawhttp(function: _Function) -> _Function:
    """Decorator: `run()` takes the HTTP request instead of text, and may answer with an AMLResponse."""
    DECORATED.append(function)
    return function


class AMLRequest(Request):
    """The HTTP request that a `run()` decorated with @rawhttp gets."""


class AMLResponse(Response):
    """An HTTP response of the script's own.

    `message` is the body: None is `{}` as JSON, with `json_str` it is written as JSON, otherwise it is sent as it
    is, as HTML unless `response_headers` says another Content-Type. Values in `response_headers` are split at
    commas into repeated headers; what is set on `headers` afterwards stays whole. `run_function_failed` becomes the
    header x-ms-run-function-failed.
    """

    default_mimetype = "text/html"

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Mapping[str, str] | None = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        if message is None or json_str:
            super().__init__(_encode_json(message), status=status_code, mimetype="application/json")
        else:
            super().__init__(message, status=status_code)
        self.headers["x-ms-run-function-failed"] = str(run_function_failed)
        for name, value in (response_headers or {}).items():
            if name.lower() == "content-type":
                self.headers["Content-Type"] = value.strip()
                continue
            for part in value.split(","):
                self.headers.add(name, part.strip())
