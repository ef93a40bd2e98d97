"""The built-in entry module for a registered ONNX model without a script (EDGEPACK_ENTRY_MODULE names it).

`init()` opens the one `.onnx` file below AZUREML_MODEL_DIR on the CPU. `run(data)` takes a JSON object that
maps every input's name to a number or nested lists; a model with one input also takes the bare lists. The
answer maps every output's name to nested lists; the maps and sequences of converted scikit-learn models
become JSON objects and lists. Whatever does not fit the model is a BadInput that names all problems at once
and says what the model expects; numbers are never truncated, wrapped around or made infinite.
EDGEPACK_ONNX_THREADS sets the threads (1); they never spin, since a spinning thread burns a core of the
device while the model idles.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnxruntime as ort

from device_agent import BadInput
from device_agent.array_input import JSON_NAMES, ModelInput, Unfit, to_array
from device_agent.onnx_faults import refusal_of_run

_ORT = ort.capi.onnxruntime_pybind11_state
_TYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
}


@dataclass(frozen=True)
class _Loaded:
    session: Any
    inputs: tuple[ModelInput, ...]
    outputs: tuple[str, ...]


_loaded: _Loaded | None = None


def init() -> None:
    """Open the model. Raises RuntimeError when there is not exactly one, or JSON cannot carry an input."""
    global _loaded
    path = find_model(os.environ.get("AZUREML_MODEL_DIR", ""))
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("EDGEPACK_ONNX_THREADS", "1"))
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    nodes = session.get_inputs()
    unusable = [f"{node.name!r} is a {node.type}" for node in nodes if node.type not in _TYPES]
    if unusable:
        raise RuntimeError(
            f"{path}: inputs that JSON cannot carry: {'; '.join(unusable)}. Write an entry script for it."
        )
    inputs = tuple(ModelInput(node.name, _TYPES[node.type], _dimensions(node.shape)) for node in nodes)
    _loaded = _Loaded(session, inputs, tuple(node.name for node in session.get_outputs()))
    print(f"Serving {path}; inputs: {'; '.join(map(str, inputs))}; outputs: {', '.join(_loaded.outputs)}")


def run(data: str) -> dict[str, Any]:
    """Score one request. Raises BadInput when `data` does not fit the model."""
    if _loaded is None:
        raise RuntimeError("init() has not been called")
    feeds = parse_feeds(data, _loaded.inputs)
    try:
        results = _loaded.session.run(None, feeds)
    except _ORT.InvalidArgument as error:
        raise BadInput(f"The model refuses the input: {error}. {_expectation(_loaded.inputs)}") from None
    except (_ORT.Fail, _ORT.RuntimeException) as error:
        shapes = {name: array.shape for name, array in feeds.items()}
        refusal = refusal_of_run(str(error), shapes, _loaded.inputs)
        if refusal is None:
            raise
        raise BadInput(f"{refusal} {_expectation(_loaded.inputs)}") from None
    return {name: _plain(value) for name, value in zip(_loaded.outputs, results, strict=True)}


def find_model(folder: str) -> Path:
    """The one `.onnx` file below `folder`. Raises RuntimeError."""
    if not folder:
        raise RuntimeError("AZUREML_MODEL_DIR is not set: set it to the folder that holds the .onnx file")
    if not Path(folder).is_dir():
        raise RuntimeError(f"AZUREML_MODEL_DIR is {folder!r}, which is no folder")
    found = sorted(path for path in Path(folder).rglob("*.onnx") if path.is_file())
    if len(found) != 1:
        names = f": {', '.join(str(path.relative_to(folder)) for path in found[:10])}" if found else ""
        raise RuntimeError(f"expected exactly one .onnx file below {folder!r}, found {len(found)}{names}")
    return found[0]


def parse_feeds(text: str, inputs: tuple[ModelInput, ...]) -> dict[str, Any]:
    """From the text of a request to arrays by input name. Raises BadInput with all problems."""
    given, problems = _given_values(_parse_json(text, inputs), inputs)
    feeds: dict[str, Any] = {}
    for spec in inputs:
        if spec.name in given:
            try:
                feeds[spec.name] = to_array(given[spec.name], spec)
            except Unfit as error:
                problems.append(f"Input {spec.name!r}: {error}.")
    problems += _disagreements(feeds, inputs)
    if problems:
        raise BadInput(f"{' '.join(problems)} {_expectation(inputs)}")
    return feeds


def _parse_json(text: str, inputs: tuple[ModelInput, ...]) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise BadInput(f"The request is not JSON: {reason}. {_expectation(inputs)}")


def _given_values(value: Any, inputs: tuple[ModelInput, ...]) -> tuple[dict[str, Any], list[str]]:
    """The values by input name, and what is wrong with the names."""
    names = [spec.name for spec in inputs]
    if not isinstance(value, dict):
        if len(inputs) == 1:
            return {names[0]: value}, []
        return {}, [f"Expected a JSON object with the inputs' names, found {JSON_NAMES[type(value)]}."]
    problems = [f"Input {name!r} is missing." for name in names if name not in value]
    problems += [f"Unknown input {name!r}." for name in value if name not in names]
    return value, problems


def _disagreements(feeds: dict[str, Any], inputs: tuple[ModelInput, ...]) -> list[str]:
    """Dimensions with one symbol that have different sizes in these arrays."""
    seen: dict[str, tuple[int, str]] = {}
    problems = []
    for spec in inputs:
        if spec.name not in feeds:
            continue
        for symbol, size in zip(spec.shape, feeds[spec.name].shape, strict=False):
            if isinstance(symbol, str):
                first_size, first_name = seen.setdefault(symbol, (size, spec.name))
                if size != first_size:
                    problems.append(
                        f"Dimension {symbol} is {first_size} in {first_name!r} and {size} in {spec.name!r}."
                    )
    return problems


def _dimensions(shape: Any) -> tuple[int | str | None, ...]:
    return tuple(
        size if isinstance(size, str) or (isinstance(size, int) and size >= 0) else None for size in shape or ()
    )


def _expectation(inputs: tuple[ModelInput, ...]) -> str:
    return f"The model expects: {'; '.join(map(str, inputs)) or 'an empty object'}."


def _plain(value: Any) -> Any:
    """An output as lists, dicts and scalars."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value
