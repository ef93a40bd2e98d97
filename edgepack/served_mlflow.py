"""An MLflow folder -> what serves it. MLflow itself is needed for other flavors than scikit-learn and ONNX only.

The folder is read, nothing in it is loaded or run.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from edgepack.errors import InputError
from edgepack.model_serving import MODEL_MODULE, Serving, onnx_serving
from edgepack.models.mlflow import MlflowModel, parse_mlmodel
from edgepack.models.mlflow_signature import MlflowSignature
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.resolve.package_requests import PackageRequests, joined, specifier_of, with_requirements, without
from edgepack.resolve.packages_file import parse_packages_file

_MLFLOW = ("mlflow", "mlflow-skinny", "mlflow-tracing")
_ONNX = ("onnx", "onnxruntime", "onnxruntime-gpu", "numpy")
_MLFLOW_1 = Version("1")
_AT_LEAST = ("==", ">=", "~=", ">")
# Before, MLflow imports what Python and setuptools have no more; a later one loads the folders of all before it.
_FIRST_THAT_STARTS = Version("2.16.dev0")
_FOR_OLDER = ">=2.22,<3"
_FIRST_WITH_PANDAS_3 = Version("3.16.dev0")


def mlflow_serving(model: ModelRecord, description: ModelFile, registry: ModelRegistry) -> Serving:
    """What serves the folder that holds `description`, its `MLmodel`.

    Raises:
        InputError: it is damaged, or not whole.
    """
    root = PurePosixPath(description.path).parent
    paths = {PurePosixPath(file.path): file for file in model.files}
    files = {str(path.relative_to(root)): file for path, file in paths.items() if path.is_relative_to(root)}
    where = f"model {model.id}, {description.path}"
    content = parse_mlmodel(registry.file_path(description).read_text(encoding="utf-8", errors="replace"), where)
    requests, source = _packages(content, files, registry, f"model {model.id}, {root}")
    sklearn = content.flavors.get("sklearn")
    if "onnx" in content.flavors:
        plain = onnx_serving(source)
        return Serving(plain.module, joined(plain.requests, without(requests, (*_MLFLOW, *_ONNX))), source)
    if sklearn is not None and not sklearn.get("code"):
        return _sklearn(content, sklearn, root, files, without(requests, _MLFLOW), source, where)
    library = with_requirements(without(requests, _MLFLOW), _library(requests, content.version))
    told = {"loader": "pyfunc", "path": str(root), **_told(content.signature)}
    return Serving(MODEL_MODULE, library, source, told)


def _sklearn(
    content: MlflowModel,
    flavor: Mapping[str, Any],
    root: PurePosixPath,
    files: Mapping[str, ModelFile],
    requests: PackageRequests,
    source: str,
    where: str,
) -> Serving:
    path = flavor.get("pickled_model")
    if not isinstance(path, str):
        raise InputError(f"{where}: its flavor sklearn names no file, which must stand under `pickled_model`")
    if path not in files:
        raise InputError(f"{where}: names the file {path}, which the model does not hold: register the whole folder")
    is_skops = flavor.get("serialization_format") == "skops"
    more = ["joblib", "numpy", "pandas", *(["skops"] if is_skops else [])]
    if specifier_of(requests, "scikit-learn") is None:
        version = flavor.get("sklearn_version")
        more.append(f"scikit-learn=={version}" if version else "scikit-learn")
    trusted = [str(each) for each in flavor.get("skops_trusted_types") or ()]
    method = content.flavors.get("python_function", {}).get("predict_fn")
    told = {
        "loader": "skops" if is_skops else "joblib",
        "path": str(root / path),
        **_told(content.signature),
        **({"trusted": trusted} if trusted else {}),
        **({"method": str(method)} if method not in (None, "predict") else {}),
    }
    return Serving(MODEL_MODULE, with_requirements(requests, more), source, told)


def _library(requests: PackageRequests, written_by: str | None) -> list[str]:
    """mlflow-skinny as the folder asks for MLflow, else in the version that wrote it, if it starts; numpy and pandas as
    the whole library bounds them, where the folder does not ask for them.
    """
    asked = specifier_of(requests, "mlflow") or specifier_of(requests, "mlflow-skinny") or ""
    version = _version(asked, written_by or "")
    bounds = {"numpy": "", "pandas": ""}
    if version < _FIRST_THAT_STARTS:
        asked, bounds = _FOR_OLDER, {"numpy": "<2", "pandas": "<3"}
    elif version < _FIRST_WITH_PANDAS_3:
        bounds["pandas"] = "<3"
    tables = [f"{name}{bound}" for name, bound in bounds.items() if specifier_of(requests, name) is None]
    return [f"mlflow-skinny{asked or f'=={version}'}", *tables]


def _version(asked: str, written_by: str) -> Version:
    """The MLflow that the folder is for: what it pins; of a range, such as `<3,>=2.1`, the version that wrote the
    folder, or a later one from which the range starts. MLflow 1 if nothing tells it.
    """
    known = [each.version for each in SpecifierSet(asked) if each.operator in _AT_LEAST]
    if not asked.startswith("=="):
        known.append(written_by)
    return max((found for text in known if (found := _parsed(text.removesuffix(".*")))), default=_MLFLOW_1)


def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _told(signature: MlflowSignature) -> dict[str, Any]:
    """The signature as the agent reads it; what it has not is left out."""
    return {
        "inputs": [asdict(column) for column in signature.columns],
        **({"tensors": [asdict(tensor) for tensor in signature.tensors]} if signature.tensors else {}),
        **({"params": [asdict(param) for param in signature.params]} if signature.params else {}),
        **({"is_hint": True} if signature.is_hint else {}),
    }


def _packages(
    content: MlflowModel, files: Mapping[str, ModelFile], registry: ModelRegistry, folder: str
) -> tuple[PackageRequests, str]:
    """What the folder asks for, and the file that does, for messages. The oldest folders ask for nothing."""

    def text_of(name: str) -> str:
        if name not in files:
            raise FileNotFoundError(name)
        return registry.file_path(files[name]).read_text(encoding="utf-8", errors="replace")

    for name in content.environments:
        if name in files:
            return parse_packages_file(text_of(name), f"{folder}/{name}", text_of), f"{folder}/{name}"
    if content.named_environment is not None:
        raise InputError(
            f"{folder}/MLmodel: names its packages in {content.named_environment}, which the model does not hold: "
            "register the whole folder"
        )
    return PackageRequests(), folder
