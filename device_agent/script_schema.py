"""What the package inference-schema knows about a `run()`: whether it is decorated, its schemas, failed conversions.

The package is never imported here: a script that uses it has imported it. Swagger documents are made of the
description elsewhere (swagger).
"""

import inspect
import logging
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from device_agent.result_json import plain_value
from device_agent.run_arguments import RunForm
from device_agent.scorer import ScriptDescription

_LOG = logging.getLogger("azmlinfsrv")
_PACKAGE = "inference_schema.schema_util"
_VERSIONS = {"2.0": "2", "3.0": "3"}


def takes_schema(run: Callable[..., Any]) -> bool:
    """Whether `run` carries @input_schema or @output_schema."""
    schemas = sys.modules.get(_PACKAGE)
    if schemas is None:
        return False
    try:
        return bool(schemas.is_schema_decorated(run))
    except (ValueError, IndexError):  # it looks into closures, and some have empty cells
        return False


def describe_script(run: Callable[..., Any], form: RunForm, *, wants_headers: bool) -> ScriptDescription:
    """The description of a script. Never raises: what cannot be described is described as any object."""
    plain = ScriptDescription(wants_headers, form.takes_request)
    if not form.takes_schema:
        return plain
    schemas: Any = sys.modules[_PACKAGE]
    try:
        versions = {_VERSIONS.get(version, version) for version in schemas.get_supported_versions(run)}
        return ScriptDescription(
            wants_headers,
            form.takes_request,
            tuple(sorted(versions)),
            plain_value(schemas.get_input_schema(run)),
            plain_value(schemas.get_output_schema(run)),
            tuple(name for name, default in form.defaults.items() if default is form.empty),
        )
    except Exception as error:  # noqa: BLE001 - samples and their classes are user code
        _LOG.warning("The API description does not tell what run() takes: %s: %s", type(error).__name__, error)
        return plain


def failed_conversion(run: Callable[..., Any], frames: TracebackType | None) -> str | None:
    """Name of the parameter whose conversion raised; None when the script's own run() did."""
    own_code = getattr(inspect.unwrap(run), "__code__", None)
    for frame, _ in traceback.walk_tb(frames):
        if frame.f_code is own_code:
            return None
        module = frame.f_globals.get("__name__", "")
        if module == "inference_schema.schema_decorators" and frame.f_code.co_name == "_deserialize_input_argument":
            return str(frame.f_locals.get("param_name"))
    return None
