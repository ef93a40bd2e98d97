"""The description in an MLflow model folder, its file `MLmodel`, as a value. Pure; the library is not needed.

Source: MLflow's documentation of the model format, and folders of its versions 1 to 3.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.errors import InputError
from edgepack.yaml_text import parse_yaml

DESCRIPTION = "MLmodel"
REQUIREMENTS = ("requirements.txt", "conda.yaml", "python_env.yaml")  # of the same packages, the plainest first
EXAMPLES = ("serving_input_example.json", "input_example.json")
_SCALARS = frozenset("boolean integer long float double string binary datetime".split())


@dataclass(frozen=True, slots=True)
class MlflowColumn:
    """One input of a signature by columns: its name, MLflow's type, and whether it may be left out."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """What an `MLmodel` says. `columns` are empty where the signature is by tensors, of other inputs, or missing."""

    flavors: Mapping[str, Mapping[str, Any]]
    columns: tuple[MlflowColumn, ...] = ()
    version: str | None = None
    run_id: str | None = None
    example: str | None = None
    example_orient: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


def parse_mlmodel(text: str, where: str) -> MlflowModel:
    """Read the text of an `MLmodel`.

    Raises:
        InputError: it is none, or names no flavor that Python can serve; all problems, each starting with `where`.
    """
    document = parse_yaml(text, where)
    flavors = document.get("flavors") if isinstance(document, dict) else None
    if not isinstance(flavors, dict) or not flavors or not all(isinstance(each, dict) for each in flavors.values()):
        raise InputError(f"{where}: is no description of an MLflow model: it must have a mapping `flavors`")
    flavors = {str(name): each for name, each in flavors.items()}
    if "python_function" not in flavors and "sklearn" not in flavors and "onnx" not in flavors:
        raise InputError(
            f"{where}: has the flavors {', '.join(sorted(flavors))}, none of which Python can serve: log the model "
            "with a flavor that includes python_function"
        )
    columns = _columns(document.get("signature"), where)
    example = document.get("saved_input_example_info")
    example = example if isinstance(example, dict) else {}
    version, run_id = (_text(document.get(key)) for key in ("mlflow_version", "run_id"))
    main = next((name for name in flavors if name != "python_function"), "python_function")
    found = {"mlflow.flavor": main, "mlflow.version": version, "mlflow.run_id": run_id}
    return MlflowModel(
        flavors,
        columns,
        version,
        run_id,
        _text(example.get("artifact_path")),
        _text(example.get("pandas_orient")),
        {key: value for key, value in found.items() if value},
    )


def framework_of(model: MlflowModel) -> tuple[str | None, str | None]:
    """The framework and its version as the registry names them."""
    sklearn = model.flavors.get("sklearn")
    if sklearn is not None:
        return "ScikitLearn", _text(sklearn.get("sklearn_version"))
    if "onnx" in model.flavors:
        return "Onnx", _text(model.flavors["onnx"].get("onnx_version"))
    return "Custom", None


def _columns(signature: Any, where: str) -> tuple[MlflowColumn, ...]:
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    if inputs is None:
        return ()
    try:
        listed = json.loads(inputs) if isinstance(inputs, str) else inputs
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: signature.inputs is not JSON: {error}") from error
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InputError(f"{where}: signature.inputs must be a list of columns or tensors")
    named = [each for each in listed if isinstance(each.get("name"), str) and each.get("type") in _SCALARS]
    if len(named) != len(listed):  # tensors, objects, arrays: the model takes them as they come
        return ()
    if len({each["name"] for each in named}) != len(named):
        raise InputError(f"{where}: signature.inputs names a column twice")
    return tuple(
        MlflowColumn(each["name"], each["type"], bool(each.get("required", not each.get("optional", False))))
        for each in named
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
