"""Stand-in for `azureml.ai.monitoring.collector`: each collected pandas frame is one line of JSON on the device.

A line is the CloudEvent that Azure's service writes to blob storage; its `data` are the rows. Where files go and
how many stay: `device_agent.collected_data`. The environment, all names with AZUREML_MDC_ in front:

    CONFIG_PATH     JSON file: runMode `local` logs instead of writing; collections: enabled, sampleRatePercentage
    ENABLED         without CONFIG_PATH: true collects everything
    SAMPLE_RATE     without CONFIG_PATH: percent of the calls that are kept (100)
    LOCAL_CAPTURE   without CONFIG_PATH: true logs instead of writing
    FORMAT_COMPACT  without CONFIG_PATH: true keeps a frame as text instead of rows
    DEBUG           true: `collect` returns a context that tells what became of the data

HOST, PORT, QUEUE_CAPACITY, WORKER_COUNT and WORKER_DISABLED have no meaning here: a device has no collecting service
beside the script, so there is neither queue nor thread. IOTEDGE_DEVICEID and IOTEDGE_MODULEID are the endpoint and
the deployment in paths. Nothing raises into the script: what goes wrong is told to `on_error` if it was given, and
a warning otherwise.
"""

import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_agent import __version__
from device_agent.collected_data import data_folder, warn_once
from device_agent.collected_place import device_place

from .context import get_context, get_context_wrapper

_MODEL_VERSION = "default"
_LOG = logging.getLogger("azmlinfsrv")


@dataclass(frozen=True)
class _Collection:
    """What the environment says about one collection. `refusal` is empty when it is enabled."""

    refusal: str = ""
    percentage: float = 100.0
    only_logged: bool = False
    compact: bool = False


class Collector:
    """Collects frames under the name of a collection."""

    def __init__(self, *, name: str, on_error: Callable[[Exception], Any] | None = None) -> None:
        self._name = name
        self._on_error = on_error
        self._debug = _is_true("DEBUG")
        self._folder = data_folder(os.environ)
        try:
            self._collection = _collection(name)
            self._place = device_place(os.environ, str(name).lower())
        except Exception as error:  # noqa: BLE001 - collection never stops a script
            self._collection = _Collection(f"the settings of data collection are wrong: {type(error).__name__}")
        if self._collection.refusal:
            self._tell(RuntimeError(self._collection.refusal))

    def collect(self, data: Any, correlation_context: Any = None) -> Any:
        """Collect the pandas frame `data`; return the context, a new one unless given."""
        context = get_context() if correlation_context is None else correlation_context
        try:
            problem = self._keep(data, context)
        except Exception as error:  # noqa: BLE001 - collection never stops a script
            self._tell(error)
            problem = f"{type(error).__name__}, drop the data"
        return get_context_wrapper(context, not problem, problem or "accepted") if self._debug else context

    def _keep(self, data: Any, context: Any) -> str:
        """Keep `data`, or say why not. Raises what is worth telling."""
        if self._collection.refusal:
            raise RuntimeError(self._collection.refusal)
        if self._collection.percentage <= int.from_bytes(os.urandom(4), "big") * 100 / 2**32:
            return "dropped_sampling"
        frame_type = getattr(sys.modules.get("pandas"), "DataFrame", None)
        if frame_type is None or not isinstance(data, frame_type):
            raise TypeError(f"data type ({type(data).__name__}) not supported, supported types: pandas.DataFrame")
        if data.size > self._folder.most_append_bytes:  # a cell is a byte at least
            self._folder.drop_too_large()
            return "too much data in one call"
        content = data.to_string() if self._collection.compact else data.to_json(orient="records")
        if self._collection.only_logged:
            _LOG.info("%s | %s | %s", self._name, context.get_id(), content)
            return ""
        line = _event(self._name, data, context, content, self._collection.compact)
        return "" if self._folder.append(self._place, line) else "the data could not be written"

    def _tell(self, error: Exception) -> None:
        if self._on_error is None:
            warn_once(f"Collector: {error}"[:500])
            return
        try:
            self._on_error(error)
        except Exception as raised:  # noqa: BLE001 - collection never stops a script
            warn_once(f"Collector: on_error has raised {type(raised).__name__}")


def _is_true(variable: str) -> bool:
    return os.environ.get(f"AZUREML_MDC_{variable}", "").lower() == "true"


def _collection(name: object) -> _Collection:
    """What the environment says about the collection `name`. Raises for a configuration that cannot be read."""
    if not isinstance(name, str) or not name:
        return _Collection("collection name is not provided")
    path = os.environ.get("AZUREML_MDC_CONFIG_PATH")
    if not path:
        if not _is_true("ENABLED"):
            return _Collection("custom logging is not enabled, drop the data")
        rate = float(os.environ.get("AZUREML_MDC_SAMPLE_RATE") or 100)
        return _Collection("", rate, _is_true("LOCAL_CAPTURE"), _is_true("FORMAT_COMPACT"))
    config = json.loads(Path(path).read_bytes())
    collections = {key.lower(): value for key, value in config.get("collections", {}).items()}
    found = collections.get(name.lower(), {})
    if str(found.get("enabled", False)).lower() != "true":
        return _Collection(f"collection {name[:80]} is not enabled, drop the data")
    return _Collection("", float(found.get("sampleRatePercentage", 100)), config.get("runMode", "cloud") == "local")


def _event(name: str, data: Any, context: Any, content: str, compact: bool) -> bytes:
    """One line: a CloudEvent with the attributes that Azure's service stores."""
    identity = str(context.get_id())
    timestamp = context.get_timestamp()
    attributes = {str(key): str(value) for key, value in (context.get_headers() or {}).items()}
    device, module = os.environ.get("IOTEDGE_DEVICEID", ""), os.environ.get("IOTEDGE_MODULEID", "")
    length = len(content.encode("utf-8", "backslashreplace"))
    attributes |= {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/devices/{device}/modules/{module}" if device else "/devices/default",
        "type": f"azureml.inference.{name}",
        "datacontenttype": "application/octet-stream" if compact else "application/json",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if timestamp is None else timestamp)),
        "correlationid": identity,
        "xrequestid": identity,
        "modelversion": _MODEL_VERSION,
        "collectdatatype": f"{type(data).__module__}.{type(data).__qualname__}",
        "agent": f"edgepack/{__version__}",
        "contentrange": f"bytes 0-{length - 1}/{length}",
    }
    attributes.pop("data", None)
    text = json.dumps(content) if compact else content
    return f'{json.dumps(attributes)[:-1]}, "data": {text}}}\n'.encode("utf-8", "backslashreplace")
