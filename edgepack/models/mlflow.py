"""The description in an MLflow model folder, its file `MLmodel`, as a value. Pure; the library is not needed.

Source: MLflow's documentation of the model format, and folders of its versions 1 to 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.errors import InputError
from edgepack.models.mlflow_signature import MlflowSignature, parse_signature
from edgepack.yaml_text import parse_yaml

DESCRIPTION = "MLmodel"
_REQUIREMENTS = "requirements.txt"
_ENVIRONMENTS = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
EXAMPLES = ("serving_input_example.json", "input_example.json")


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """What an `MLmodel` says.

    `environments` are files of the folder that name the same packages, the plainest first; `named_environment` is the
    one that the description insists on.
    """

    flavors: Mapping[str, Mapping[str, Any]]
    environments: tuple[str, ...] = (_REQUIREMENTS, *_ENVIRONMENTS.values())
    named_environment: str | None = None
    signature: MlflowSignature = field(default_factory=MlflowSignature)
    version: str | None = None
    run_id: str | None = None
    example: str | None = None
    example_is_request: bool = False
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
    signature = parse_signature(document, where)
    example = document.get("saved_input_example_info")
    example = example if isinstance(example, dict) else {}
    version, run_id = (_text(document.get(key)) for key in ("mlflow_version", "run_id"))
    main = next((name for name in flavors if name != "python_function"), "python_function")
    found = {"mlflow.flavor": main, "mlflow.version": version, "mlflow.run_id": run_id}
    named = _environments(flavors.get("python_function", {}).get("env"))
    return MlflowModel(
        flavors,
        (_REQUIREMENTS, *(_ENVIRONMENTS | named).values()),
        next(iter(named.values()), None),
        signature,
        version,
        run_id,
        _text(example.get("artifact_path")),
        example.get("format") == "tf-serving",
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


def _environments(named: Any) -> dict[str, str]:
    """Which files `env` names, by kind; up to MLflow 1, it is the name of a conda file, later a mapping, or absent."""
    if isinstance(named, str):
        return {"conda": named}
    known = named.items() if isinstance(named, dict) else ()
    return {kind: name for kind, name in known if kind in _ENVIRONMENTS and isinstance(name, str)}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
