"""A model without a script -> the recipe with what serves it: a module of the agent, its packages, what it is told.

ONNX files are served by onnxruntime; scikit-learn files and MLflow folders by `device_agent.model_script`, without the
MLflow library where the model is scikit-learn's or ONNX. Nothing of a model is loaded or run here.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from edgepack.errors import InputError
from edgepack.model_serving import MODEL_MODULE, Serving, onnx_serving
from edgepack.models.file_facts import read_pickle_facts
from edgepack.models.mlflow import DESCRIPTION
from edgepack.models.pickle_facts import PICKLE_ENDINGS, pickles_of, recorded_facts
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.project import Recipe
from edgepack.resolve.package_requests import PackageRequests, joined
from edgepack.served_mlflow import mlflow_serving

SERVED_MODEL = "EDGEPACK_SERVED_MODEL"  # the variable that tells the agent what it serves


def served(recipe: Recipe, models: Sequence[ModelRecord], registry: ModelRegistry) -> Recipe:
    """The recipe with a module of the agent as its entry, if it has no script; one that has either is as it was.

    Raises:
        InputError: the models cannot be served without a script, and why.
    """
    if recipe.script is not None or recipe.entry_module is not None:
        return recipe
    serving = serving_of(models[0], registry) if len(models) == 1 else None
    if serving is None:
        listing = ", ".join(f"{model.id} ({model.framework or 'no framework'})" for model in models)
        raise InputError(
            "no entry script: without one, exactly one model registered with `--model-framework Onnx` or `ScikitLearn` "
            f"can be served, or an MLflow folder; here: {listing or 'no model'}. "
            "Name a script with `inference_config` or --ic"
        )
    told = json.dumps(serving.told, separators=(",", ":"))
    return replace(
        recipe,
        requests=joined(recipe.requests, serving.requests),
        variables={**recipe.variables, **({SERVED_MODEL: told} if serving.told else {})},
        entry_module=serving.module,
        environment_file=recipe.environment_file if recipe.requests.requirements else serving.source,
    )


def serving_of(model: ModelRecord, registry: ModelRegistry) -> Serving | None:
    """What serves a model without a script; None if it is of none of the kinds that are served so.

    Raises:
        InputError: it is of such a kind, but damaged or not whole.
    """
    description = next((file for file in model.files if PurePosixPath(file.path).name == DESCRIPTION), None)
    if description is not None:
        return mlflow_serving(model, description, registry)
    if model.framework == "ScikitLearn":
        return _sklearn(model, registry)
    return _onnx(model) if model.framework == "Onnx" else None


def _onnx(model: ModelRecord) -> Serving:
    files = [file for file in model.files if file.path.endswith(".onnx")]
    if len(files) != 1:
        raise InputError(_not_one(model, files, ".onnx"))
    return onnx_serving(f"model {model.id}")


def _sklearn(model: ModelRecord, registry: ModelRegistry) -> Serving:
    files = pickles_of(model.files)
    if len(files) != 1:
        raise InputError(_not_one(model, files, " or ".join(PICKLE_ENDINGS)))
    facts = recorded_facts(model.framework_version, model.properties)
    facts = facts or read_pickle_facts(registry.file_path(files[0]))
    version = model.framework_version or facts.version
    if version is None:
        raise InputError(
            f"model {model.id}: neither its registration nor the file tells the version of scikit-learn that wrote it: "
            "register it with --model-framework-version"
        )
    wanted = [f"scikit-learn=={version}", "joblib", "numpy", *(["pandas"] if facts.has_column_names else [])]
    told = {"loader": "joblib", "path": files[0].path, "inputs": []}
    return Serving(MODEL_MODULE, PackageRequests(tuple(sorted(wanted))), f"model {model.id}", told)


def _not_one(model: ModelRecord, files: Sequence[ModelFile], endings: str) -> str:
    names = ", ".join(file.path for file in files[:10]) or "none"
    return f"model {model.id}: without an entry script, it must hold exactly one file {endings}; it holds {names}"
