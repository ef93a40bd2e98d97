"""A model without a script -> what serves it: the agent's own module, its packages, and what it is told of the model.

ONNX files are served by onnxruntime; scikit-learn files and MLflow folders by `device_agent.model_script`, without the
MLflow library where the model is scikit-learn's or ONNX. Nothing of a model is loaded or run here.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgepack.errors import InputError
from edgepack.models.mlflow import DESCRIPTION, REQUIREMENTS, MlflowModel, parse_mlmodel
from edgepack.models.pickle_facts import pickle_facts
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.project import Recipe
from edgepack.resolve.package_requests import PackageRequests, with_requirements
from edgepack.resolve.packages_file import parse_packages_file

ONNX_MODULE = "device_agent.onnx_script"
MODEL_MODULE = "device_agent.model_script"
ONNX_REQUIREMENTS = ("onnxruntime>=1.20", "numpy>=1.26")
_PICKLES = (".joblib", ".pkl", ".pickle", ".sav")
_MLFLOW = ("mlflow", "mlflow-skinny", "mlflow-tracing")


def served(recipe: Recipe, models: Sequence[ModelRecord], registry: ModelRegistry) -> Recipe:
    """The recipe with a module of the agent as its entry, if it has no script and its one model can be served so.

    Raises:
        InputError: the model cannot be served without a script, and why.
    """
    if recipe.script is not None or recipe.entry_module is not None or len(models) != 1:
        return recipe
    (model,) = models
    description = next((file for file in model.files if PurePosixPath(file.path).name == DESCRIPTION), None)
    if description is not None:
        return _mlflow(recipe, model, description, registry)
    if model.framework == "ScikitLearn":
        return _sklearn(recipe, model, registry)
    return recipe


def _sklearn(recipe: Recipe, model: ModelRecord, registry: ModelRegistry) -> Recipe:
    files = [file for file in model.files if file.path.endswith(_PICKLES)]
    if len(files) != 1:
        names = ", ".join(file.path for file in files[:10]) or "none"
        raise InputError(
            f"model {model.id}: without an entry script, it must hold exactly one file {' or '.join(_PICKLES)}; it "
            f"holds {names}"
        )
    facts = pickle_facts(registry.file_path(files[0]).read_bytes())
    version = model.framework_version or facts.version
    if version is None:
        raise InputError(
            f"model {model.id}: neither its registration nor the file tells the version of scikit-learn that wrote it: "
            "register it with --model-framework-version"
        )
    wanted = [f"scikit-learn=={version}", "joblib", "numpy"]
    wanted += ["pandas"] if facts.has_column_names else []
    return _with_module(recipe, with_requirements(recipe.requests, wanted), "joblib", files[0].path)


def _mlflow(recipe: Recipe, model: ModelRecord, description: ModelFile, registry: ModelRegistry) -> Recipe:
    root = PurePosixPath(description.path).parent
    files = {str(PurePosixPath(file.path).relative_to(root)): file for file in model.files if _below(file, root)}
    where = f"model {model.id}, {description.path}"
    content = parse_mlmodel(registry.file_path(description).read_text(encoding="utf-8", errors="replace"), where)
    requests = _packages(files, registry, where)
    sklearn, onnx = content.flavors.get("sklearn"), content.flavors.get("onnx")
    if onnx is not None:
        base = _without(requests, (*_MLFLOW, "onnx", "onnxruntime", "onnxruntime-gpu", "numpy"))
        return replace(recipe, requests=with_requirements(base, ONNX_REQUIREMENTS), entry_module=ONNX_MODULE)
    if sklearn is not None and not sklearn.get("code"):
        path = str(sklearn.get("pickled_model"))
        if path not in files:
            raise InputError(
                f"{where}: names the file {path}, which the model does not hold: register the whole folder"
            )
        is_skops = sklearn.get("serialization_format") == "skops"
        more = [f"scikit-learn=={sklearn['sklearn_version']}"] if sklearn.get("sklearn_version") else ["scikit-learn"]
        more = [] if _asks_for(requests, "scikit-learn") else more
        more += ["joblib", "numpy", "pandas", *(["skops"] if is_skops else [])]
        native = with_requirements(_without(requests, _MLFLOW), more)
        trusted = sklearn.get("skops_trusted_types") or []
        loader = "skops" if is_skops else "joblib"
        return _with_module(recipe, native, loader, str(root / path), content, list(map(str, trusted)))
    version = next((str(Requirement(text).specifier) for text in requests.requirements if _name(text) == "mlflow"), "")
    version = version or (f"=={content.version}" if content.version else "")
    library = with_requirements(_without(requests, _MLFLOW), [f"mlflow-skinny{version}", "pandas", "numpy"])
    return _with_module(recipe, library, "pyfunc", str(root), content)


def _with_module(
    recipe: Recipe,
    requests: PackageRequests,
    loader: str,
    path: str,
    content: MlflowModel | None = None,
    trusted: Sequence[str] = (),
) -> Recipe:
    columns = content.columns if content else ()
    told = {
        "loader": loader,
        "path": path,
        "inputs": [{"name": each.name, "type": each.type, "required": each.required} for each in columns],
        **({"trusted": list(trusted)} if trusted else {}),
    }
    variables = {**recipe.variables, "EDGEPACK_SERVED_MODEL": json.dumps(told, separators=(",", ":"))}
    return replace(recipe, requests=requests, variables=variables, entry_module=MODEL_MODULE)


def _packages(files: dict[str, ModelFile], registry: ModelRegistry, where: str) -> PackageRequests:
    def text_of(name: str) -> str:
        if name not in files:
            raise FileNotFoundError(name)
        return registry.file_path(files[name]).read_text(encoding="utf-8", errors="replace")

    for name in REQUIREMENTS:
        if name in files:
            return parse_packages_file(text_of(name), f"{where.rpartition('/')[0]}/{name}", text_of)
    return PackageRequests()


def _below(file: ModelFile, root: PurePosixPath) -> bool:
    return PurePosixPath(file.path).is_relative_to(root)


def _name(text: str) -> str:
    return canonicalize_name(Requirement(text).name)


def _asks_for(requests: PackageRequests, name: str) -> bool:
    return any(_name(text) == name for text in requests.requirements)


def _without(requests: PackageRequests, names: Sequence[str]) -> PackageRequests:
    kept = tuple(text for text in requests.requirements if _name(text) not in names)
    return replace(requests, requirements=kept)
