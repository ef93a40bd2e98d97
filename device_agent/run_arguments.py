"""From a request to the keyword arguments of `run()`. Pure; runs in the script's process.

An undecorated `run` takes one string: the body of a POST, or for a GET the query as the text of a JSON
object. A `run` decorated with `@input_schema` takes the members of a JSON object by name; unknown members are
ignored and defaults fill the gaps. A `run` decorated with `@rawhttp` takes the request itself, made by others
(raw_http). A request that does not fit raises RefusedRequest with the status and text that the caller gets.
"""

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from device_agent.scorer import JSON_TYPE, ScoringRequest


class RefusedRequest(Exception):
    """The request cannot become arguments of `run()`; `status` is 400 or 415."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


@dataclass(frozen=True)
class RunForm:
    """How `run()` wants to be called. `defaults` maps parameter names, in order, to defaults; required:
    `empty`.

    Without `takes_schema` only the first name is passed; with `takes_request` its value is the HTTP request.
    `request_headers` is never among the names; `wants_headers` says whether `run` has it.
    """

    defaults: Mapping[str, Any]
    takes_schema: bool = False
    wants_headers: bool = False
    takes_request: bool = False
    first_name: str = field(init=False)

    empty = inspect.Parameter.empty

    def __post_init__(self) -> None:
        """Find the first name once, not at every call."""
        object.__setattr__(self, "first_name", next(iter(self.defaults)))


def run_arguments(form: RunForm, request: ScoringRequest, http_request: object = None) -> dict[str, Any]:
    """Keyword arguments for `run()`, `http_request` for one that takes it. Raises RefusedRequest."""
    arguments: dict[str, Any]
    if form.takes_request:
        arguments = {form.first_name: http_request}
    elif form.takes_schema:
        given = _query_members(request.query) if request.method == "GET" else _json_members(request)
        arguments = {}
        for name, default in form.defaults.items():
            arguments[name] = given.get(name, default)
            if arguments[name] is form.empty:
                raise RefusedRequest(400, f"A value is not provided for the {name!r} parameter.")
    else:
        text = json.dumps(_query_members(request.query)) if request.method == "GET" else _body_text(request)
        arguments = {form.first_name: text}
    if form.wants_headers:
        arguments["request_headers"] = _title_case(request.headers)
    return arguments


def _body_text(request: ScoringRequest) -> str:
    kind = request.content_type[:200].lower()
    if kind.startswith("multipart/form-data") and "boundary=" in kind:
        return ""  # as the server that scripts were written for
    try:
        return request.body.decode()
    except UnicodeDecodeError as error:
        raise RefusedRequest(400, f"Input cannot be decoded as UTF-8: {error}") from None


def _json_members(request: ScoringRequest) -> dict[str, Any]:
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind != JSON_TYPE and not (kind.startswith("application/") and kind.endswith("+json")):
        raise RefusedRequest(415, f"Expects Content-Type to be {JSON_TYPE}")
    if not request.body:
        raise RefusedRequest(400, "POST body is empty. Expecting a JSON dictionary.")
    try:
        value = json.loads(request.body)
    except RecursionError:
        raise RefusedRequest(400, "POST body could not be decoded as JSON: nested too deeply") from None
    except ValueError as error:  # wrong JSON, or not UTF-8
        raise RefusedRequest(400, f"POST body could not be decoded as JSON: {error}") from None
    if not isinstance(value, dict):
        raise RefusedRequest(400, "POST body should be a JSON dictionary.")
    return value


def _query_members(query: str) -> dict[str, Any]:
    """`a=1&b=x&b=[2]` as `{"a": 1, "b": ["x", [2]]}`: values that are JSON are parsed, repeated keys make a
    list.
    """
    from urllib.parse import parse_qsl

    try:
        text = query.encode("latin-1").decode("utf-8", "surrogateescape")
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
    except ValueError as error:
        raise RefusedRequest(400, f"The query could not be decoded: {error}") from None
    collected: dict[str, list[Any]] = {}
    for name, value in pairs:
        collected.setdefault(_keep_encoded(name), []).append(_json_or_text(_keep_encoded(value)))
    return {name: values[0] if len(values) == 1 else values for name, values in collected.items()}


def _keep_encoded(text: str) -> str:
    """Bytes that are not UTF-8 stay percent-encoded."""
    return text if text.isascii() else re.sub("[\udc80-\udcff]", lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _title_case(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """`x-foo` as `X-Foo`; the values of a repeated header joined by a comma."""
    joined: dict[str, str] = {}
    for name, value in headers:
        name = name.title()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
