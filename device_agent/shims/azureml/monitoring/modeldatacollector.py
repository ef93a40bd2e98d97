"""Stand-in for `azureml.monitoring.modeldatacollector`: collected rows go to CSV files on the device.

Enabled by AML_MODEL_DC_STORAGE_ENABLED=true or AML_MDC_STORAGE_ENABLED=true; AML_MODEL_DC_DEBUG=true prints the
CSV instead (both: both). AML_MODEL_DC_BOUNDARY=hour: a folder an hour, and 60 instead of 1440 in the rows.
Where files go and how many stay: `device_agent.collected_data`.

A list is one row, a list of lists several. An array of one dimension is one row; of more, one row an item of
the first, flattened. Missing values are empty cells. Other types (Spark frames too) are not collected. The files
of a designation lie under the date of collecting. Nothing raises into the script, nothing installs a signal handler.
"""

import csv
import io
import json
import logging
import math
import os
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_agent.collected_data import data_folder, warn_once
from device_agent.collected_place import Place, csv_place

_DESIGNATIONS = ("inputs", "predictions", "labels", "signals", "general")
_NO_WORKSPACE = "default/default/default"
_NO_REQUEST = "00000000-0000-0000-0000-000000000000"
_LOG = logging.getLogger("azmlinfsrv")


class ModelDataCollector:
    """Collects the rows of one model and one designation."""

    AML_DC_CORRELATION_HEADER = "$aml_dc_correlation_id"
    AML_DC_SCORING_TIMESTAMP_HEADER = "$aml_dc_scoring_timestamp"
    AML_DC_BOUNDARY_HEADER = "$aml_dc_boundary"
    AML_WORKSPACE_HEADER = "$aml_workspace"
    AML_SERVICE_NAME_HEADER = "$aml_service_name"
    AML_MODEL_NAME_HEADER = "$aml_model_name"
    AML_MODEL_VERSION_HEADER = "$aml_model_version"
    AML_REQUEST_ID_HEADER = "$aml_request_id"

    def __init__(
        self,
        model_name: str,
        designation: str = "default",
        feature_names: Sequence[str] | None = None,
        workspace: str = _NO_WORKSPACE,
        webservice_name: str = "default",
        model_version: str = "default",
        collection_name: str = "default",
    ) -> None:
        """`workspace` is subscription/group/name. `collection_name` names the files of signals and general only;
        the others have the name of their designation. An unknown designation disables the object.
        """
        self._store = _is_true("AML_MODEL_DC_STORAGE_ENABLED") or _is_true("AML_MDC_STORAGE_ENABLED")
        self._debug = _is_true("AML_MODEL_DC_DEBUG")
        self._place: Place | None = None
        self._designation = ""
        self._feature_names: list[str] | None = None
        self._correlated = False
        if not (self._store or self._debug):
            _LOG.info("Data collection is off; AML_MODEL_DC_STORAGE_ENABLED=true turns it on")
            return
        if not isinstance(designation, str) or designation not in ("default", *_DESIGNATIONS):
            warn_once(f"Data is not collected: the designation is none of {', '.join(_DESIGNATIONS)}, default")
            return
        try:
            self._folder = data_folder(os.environ)
            self._designation = "general" if designation == "default" else designation
            self._hourly = os.environ.get("AML_MODEL_DC_BOUNDARY") == "hour"
            self._names_of_model(str(model_name), str(workspace).lower(), str(webservice_name), str(model_version))
            if feature_names is not None:
                names = [feature_names] if isinstance(feature_names, str) else feature_names
                self._feature_names = [str(name) for name in names]
            by_name = self._designation in ("signals", "general")
            self._place = csv_place(
                workspace=self.workspace,
                parts=(self.service_name, self.model_name, self.model_version, self._designation),
                name=collection_name if by_name else self._designation,
                hourly=self._hourly,
            )
        except Exception as error:  # noqa: BLE001 - collection never stops a script
            warn_once(f"Data is not collected: {type(error).__name__} at the start of ModelDataCollector")

    def _names_of_model(self, model: str, workspace: str, service: str, version: str) -> None:
        """What was given; what was not comes from model_config_map.json and SERVICE_NAME."""
        versions, account = _config_map(model)
        if version == "default" and versions:
            version = max(versions, key=lambda text: (text.isdecimal() and int(text), text))
        keys = ("subscriptionId", "resourceGroupName", "accountName")
        if workspace == _NO_WORKSPACE and all(key in account for key in keys):
            workspace = "/".join(str(account[key]) for key in keys).lower()
        if service == "default":
            service = os.environ.get("SERVICE_NAME") or service
        self.model_name, self.workspace, self.service_name, self.model_version = model, workspace, service, version

    def collect(self, input_data: Any, user_correlation_id: str = "") -> dict[str, Any] | None:
        """Collect a list, an array or a pandas frame. For `inputs` the result is what correlates other data with
        these rows, which have it too; otherwise None, as when collection is off.
        """
        if self._place is None:
            return None
        correlations = self._new_correlations(user_correlation_id) if self._designation == "inputs" else None
        try:
            self._keep(self._place, input_data, list((correlations or {}).values()))
        except Exception as error:  # noqa: BLE001 - collection never stops a script
            warn_once(f"Data of type {type(input_data).__name__} was not collected: {type(error).__name__}")
        return correlations

    def add_correlations(self, input_data: Any, correlations: dict[str, Any] | None) -> Any:
        """`input_data` and in every row the eight values of `correlations`, as a new object of the same kind.

        Returns `input_data` itself when `correlations` is None (collection is off) or nothing can be added.
        """
        if correlations is None:
            return input_data
        try:
            added = _with_columns(input_data, {name: correlations.get(name, "") for name in _CORRELATIONS})
        except Exception as error:  # noqa: BLE001 - collection never stops a script
            name = type(input_data).__name__
            warn_once(f"Correlations were not added to data of type {name}: {type(error).__name__}")
            return input_data
        self._correlated = True
        return added

    def _new_correlations(self, user_correlation_id: object) -> dict[str, Any]:
        try:
            given = "" if user_correlation_id is None else str(user_correlation_id)
        except Exception:  # noqa: BLE001 - collection never stops a script
            given = ""
        now = datetime.fromtimestamp(self._folder.now_s, UTC).replace(tzinfo=None)
        own = str(uuid.uuid4())
        values = (
            f"{given}-{own}" if given else own,
            now.isoformat(timespec="microseconds"),
            60 if self._hourly else 1440,
            self.workspace,
            self.service_name,
            self.model_name,
            self.model_version,
            _NO_REQUEST,
        )
        return dict(zip(_CORRELATIONS, values, strict=True))

    def _keep(self, place: Place, data: Any, extra: list[Any]) -> None:
        if _size(data) > self._folder.most_append_bytes:  # a cell is a byte at least
            self._folder.drop_too_large()
            return
        columns, rows = _table(data)
        lines = io.StringIO()
        writer = csv.writer(lines)
        width = 0
        for row in rows:
            cells = [*map(_cell, row), *extra]
            width = width or len(cells)
            if cells:
                writer.writerow(cells)
            if lines.tell() > self._folder.most_append_bytes:
                self._folder.drop_too_large()
                return
        header = io.StringIO()
        if columns is not None:
            csv.writer(header).writerow([*columns, *(_CORRELATIONS if extra else ())])
        elif self._feature_names is not None:
            full = len(self._feature_names) + len(_CORRELATIONS)
            has_more = extra or (self._correlated and width == full)
            csv.writer(header).writerow([*self._feature_names, *(_CORRELATIONS if has_more else ())])
        if self._debug:
            print(header.getvalue() + lines.getvalue())
        if self._store and width:
            self._folder.append(place, _bytes(lines.getvalue()), _bytes(header.getvalue()))


_CORRELATIONS = (
    ModelDataCollector.AML_DC_CORRELATION_HEADER,
    ModelDataCollector.AML_DC_SCORING_TIMESTAMP_HEADER,
    ModelDataCollector.AML_DC_BOUNDARY_HEADER,
    ModelDataCollector.AML_WORKSPACE_HEADER,
    ModelDataCollector.AML_SERVICE_NAME_HEADER,
    ModelDataCollector.AML_MODEL_NAME_HEADER,
    ModelDataCollector.AML_MODEL_VERSION_HEADER,
    ModelDataCollector.AML_REQUEST_ID_HEADER,
)


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"


def _is(data: Any, module: str, name: str) -> bool:
    """Whether `data` is of the type `module.name`, without importing the module."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(data, kind)


def _table(data: Any) -> tuple[list[str] | None, Iterable[Iterable[Any]]]:
    """The names of the columns, if the data has them, and the rows. Raises TypeError for another type."""
    if isinstance(data, list):
        return None, (data if _is_nested(data) else [data])
    if _is(data, "numpy", "ndarray"):
        return None, _array_rows(data)
    if _is(data, "pandas", "DataFrame"):
        return [str(name) for name in data.columns], data.itertuples(index=False, name=None)
    raise TypeError("no list, array or pandas frame")


def _is_nested(data: list[Any]) -> bool:
    return bool(data) and all(isinstance(row, list | tuple) or _is(row, "numpy", "ndarray") for row in data)


def _size(data: Any) -> int:
    """The number of cells."""
    if isinstance(data, list):
        return sum(map(len, data)) if _is_nested(data) else len(data)
    return int(getattr(data, "size", 0))


def _array_rows(data: Any) -> Iterator[list[Any]]:
    values = sys.modules["numpy"].asarray(data)
    if values.dtype.kind in "mM":
        values = values.astype(str)  # dates as text, not as numbers
    for row in values if values.ndim > 1 else [values]:
        yield row.ravel().tolist()


def _cell(value: Any) -> Any:
    """`value` as the csv module writes it well: numpy's floats as numbers, missing values as nothing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return "" if value != value else float(value)
    text = str(value)
    return "" if text in ("nan", "NaT", "<NA>") else text


def _with_columns(data: Any, values: dict[str, Any]) -> Any:
    if isinstance(data, list):
        cells = list(values.values())
        return [[*row, *cells] for row in data] if _is_nested(data) else data + cells
    if _is(data, "numpy", "ndarray"):
        numpy = sys.modules["numpy"]
        data = numpy.asarray(data)
        rows = data.reshape(len(data), math.prod(data.shape[1:])) if data.ndim > 1 else data.reshape(1, -1)
        added = numpy.empty((rows.shape[0], rows.shape[1] + len(values)), dtype=object)
        added[:, : rows.shape[1]] = rows
        added[:, rows.shape[1] :] = list(values.values())
        return added
    if _is(data, "pandas", "DataFrame"):
        frame = data.copy(deep=False)
        for name, value in values.items():
            frame[name] = value
        return frame
    raise TypeError("no list, array or pandas frame")


def _config_map(model: str) -> tuple[list[str], Mapping[str, Any]]:
    """The versions of `model` and the account in model_config_map.json; nothing where there is none."""
    path = Path(os.environ.get("AML_APP_ROOT") or "/var/azureml-app", "model_config_map.json")
    try:
        found = json.loads(path.read_bytes())
        return list(found.get("modelsInfo", {}).get(model, {})), dict(found.get("accountContext", {}))
    except FileNotFoundError:
        return [], {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        warn_once(f"{path} is not used: {type(error).__name__}")
        return [], {}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
