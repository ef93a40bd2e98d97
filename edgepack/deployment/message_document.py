"""A message written as a JSON document, to try routes on: `{"body", "properties", "system", "source"}`.

Pure. All members may be left out. A body that is no text is written as JSON; where it is an object, contentType is
application/json and contentEncoding utf-8 unless `system` says otherwise. The source, `/messages` by default, gives
connectionModuleId and outputName as edgeHub would set them.
"""

import json
import re
from typing import Any

from edgepack.deployment.problem import shown
from edgepack.deployment.route_message import ENCODINGS, RoutedMessage
from edgepack.errors import InputError

_MEMBERS = ("body", "properties", "system", "source")
_MODULE_SOURCE = re.compile(r"/messages/modules/([^/]+)(?:/outputs/([^/]+))?/?", re.IGNORECASE)


def parse_message(text: str, where: str) -> RoutedMessage:
    """Read a message's document; `where` begins each problem's text.

    Raises:
        InputError: it is no such document; all problems.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{where}: must be an object with {', '.join(_MEMBERS)}, not {shown(document)}")
    wrong = [f"{where}: unknown key {key!r}: use {', '.join(_MEMBERS)}" for key in document if key not in _MEMBERS]
    properties = _texts(document.get("properties", {}), f"{where}: properties", wrong)
    system = _texts(document.get("system", {}), f"{where}: system", wrong)
    source = document.get("source", "/messages")
    if not isinstance(source, str) or not source.startswith("/"):
        wrong.append(f"{where}: source must be a text such as /messages/modules/scorer, not {shown(source)}")
    InputError.raise_if_any(wrong)
    body = document.get("body", "")
    known = {name.lower() for name in system}
    for name, value in (*_defaults(body), *_origin(source)):
        if name.lower() not in known:
            system[name] = value
    encoding = next((value for name, value in system.items() if name.lower() == "contentencoding"), "utf-8")
    content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    data = content.encode(ENCODINGS.get(encoding.lower(), "utf-8"), "surrogatepass")
    return RoutedMessage(source, properties, system, data)


def _texts(value: Any, where: str, wrong: list[str]) -> dict[str, str]:
    if not isinstance(value, dict):
        wrong.append(f"{where} must be an object of texts, not {shown(value)}")
        return {}
    seen: set[str] = set()
    for name, text in value.items():
        if not isinstance(text, str):
            wrong.append(f"{where}: {name} must be a text, not {shown(text)}: put it in quotes")
        if name.lower() in seen:
            wrong.append(f"{where}: {name} is there twice: names are compared without regard to case")
        seen.add(name.lower())
    return dict(value)


def _defaults(body: Any) -> tuple[tuple[str, str], ...]:
    return (("contentType", "application/json"), ("contentEncoding", "utf-8")) if isinstance(body, dict) else ()


def _origin(source: str) -> tuple[tuple[str, str], ...]:
    match = _MODULE_SOURCE.fullmatch(source)
    if match is None:
        return ()
    module = (("connectionModuleId", match[1]),)
    return (*module, ("outputName", match[2])) if match[2] else module
