"""A call of the service interface and its answer, as values. Pure: the shell turns them from and into HTTP."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simulator.cloud.configurations import Configurations
from simulator.cloud.hub_error import HubError
from simulator.cloud.registry import Registry
from simulator.cloud.throttle import Throttle

LARGEST_BODY_BYTES = 1_048_576
DEEPEST = 64


class Request(NamedTuple):
    """`path` holds the decoded parts of the path, `headers` have lower-case names; it came at `now_s` (since 1970)."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now_s: float


class Reply(NamedTuple):
    """`document` is the JSON of the body; no body at all where it is None."""

    status: int
    document: Any = None
    headers: Mapping[str, str] = {}


class MethodCall(NamedTuple):
    """A direct method is to be called; the answer is the client's. `client_id` is `device` or `device/module`."""

    client_id: str
    name: str
    payload: Any
    response_timeout_s: int
    connect_timeout_s: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A shared access policy: its keys and what they allow."""

    keys: tuple[bytes, bytes]
    rights: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hub:
    """What calls are answered from. `hosts` are the names by which tokens may call the hub."""

    registry: Registry
    configurations: Configurations
    policies: Mapping[str, Policy]
    hosts: tuple[str, ...] = ("localhost",)
    throttle: Throttle | None = field(default=None)


def read_json(body: bytes) -> Any:
    """The value of a body, nested at most DEEPEST levels. Raises HubError 400."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError as error:
        raise HubError(400, f"the body is no JSON: {str(error)[:200]}") from error
    except RecursionError as error:
        raise HubError(400, f"the body is nested deeper than {DEEPEST} levels") from error
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _members(outer)]
    if level:
        raise HubError(400, f"the body is nested deeper than {DEEPEST} levels")
    return value


def read_object(request: Request) -> dict[str, Any]:
    """The JSON object of the body. Raises HubError 400."""
    value = read_json(request.body)
    if not isinstance(value, dict):
        raise HubError(400, "the body must be a JSON object")
    return value


def member(document: Mapping[str, Any], name: str, kind: type | tuple[type, ...], default: Any) -> Any:
    """A member of an object, `default` when it is missing or null. Raises HubError 400 when it is of another kind."""
    value = document.get(name)
    if value is None:
        return default
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise HubError(400, f"{name} must be of type {' or '.join(each.__name__ for each in kinds)}")
    return value


def texts(document: Mapping[str, Any], name: str) -> dict[str, str]:
    """A member that is an object of texts, {} when it is missing. Raises HubError 400."""
    found: dict[str, Any] = member(document, name, dict, {})
    wrong = [key for key, value in found.items() if not isinstance(value, str)]
    if wrong:
        raise HubError(400, f"{name}.{wrong[0][:80]} must be a text")
    return found


def whole_number(value: object, name: str, low: int, high: int) -> int:
    """A whole number in these bounds, also written as a text. Raises HubError 400."""
    if isinstance(value, str) and len(value) <= 12 and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise HubError(400, f"{name} must be a whole number from {low} to {high}")
    return value


def if_match(request: Request) -> str:
    """The etag of If-Match without quotes, `*` for any, "" without the header."""
    return request.headers.get("if-match", "").strip().removeprefix('"').removesuffix('"')


def check_etag(request: Request, etag: str) -> None:
    """Raise HubError 412 when If-Match is there and names another etag."""
    wanted = if_match(request)
    if wanted not in ("", "*", etag):
        raise HubError(412, f"If-Match is {wanted[:80]!r}, but the etag is {etag!r}: read it again")


def require_etag(request: Request, etag: str) -> None:
    """The same, and the header must be there."""
    if not if_match(request):
        raise HubError(412, 'If-Match is missing: give the etag, or "*" for any')
    check_etag(request, etag)


def etag_header(etag: str) -> dict[str, str]:
    """The header that tells an etag."""
    return {"ETag": f'"{etag}"'}


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number
