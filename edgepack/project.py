"""`edgepack.yaml` and command-line options -> Recipe: what is to be built, every path found, every name checked.

Reads the project's small files (yaml, conda, scripts); registered models, the network and the cache are for others.
All problems of a project are reported together.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from edgepack import PROJECT_FILE
from edgepack.base.debian import DEFAULT_BASE, find_release
from edgepack.errors import InputError
from edgepack.inference_config import InferenceConfig, parse_inference_config, read_inference_config
from edgepack.models.naming import ModelReference, parse_model_reference
from edgepack.oci.platform import PLATFORMS, Platform, parse_platforms
from edgepack.oci.reference import ImageReference, parse_image_reference
from edgepack.resolve.conda_env import PackageRequests
from edgepack.script_folder import Script, find_script, package_requests
from edgepack.yaml_text import parse_yaml

_KEYS = {
    "name": str,
    "models": list,
    "inference_config": (str, dict),
    "platforms": list,
    "base": str,
    "image": str,
    "module": dict,
    "routes": dict,
}
_MODULE_KEYS = {"name": str, "create_options": dict, "env": dict, "desired": dict}
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class ModuleOptions:
    """The IoT Edge module as the project wants it, beyond what every module gets."""

    name: str
    create_options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    desired: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a build is asked for. `script` is None when a registered ONNX model is served as it is."""

    name: str
    models: tuple[ModelReference, ...]
    script: Script | None
    requests: PackageRequests
    variables: Mapping[str, str]
    platforms: tuple[Platform, ...]
    base: str
    image: ImageReference
    module: ModuleOptions
    lock_folder: Path
    environment_file: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the command line says; it wins over the project file. None: not said. `output`: where the build writes."""

    models: Sequence[str] = ()
    inference_config: Path | None = None
    platforms: Sequence[str] | None = None
    image: str | None = None
    base: str | None = None
    output: Path = Path("dist")
    workspace: Path = Path(".edgepack")


def read_recipe(folder: Path, options: BuildOptions) -> Recipe:
    """The recipe of what `options` name, or of the project in `folder` (its `edgepack.yaml`) with `options` on top.

    Where neither is beside an inference configuration, locks are kept in the workspace.

    Raises:
        InputError: all problems found.
    """
    path = folder / PROJECT_FILE
    named = bool(options.models) or options.inference_config is not None
    document, problems = _read_project(path) if path.is_file() and not named else ({}, [])
    if not document and not problems and not named:
        raise InputError(
            f"no {PROJECT_FILE} in {folder}: make a project with `edgepack init DIR`, or name a model and an inference "
            "configuration with -m NAME --ic FILE"
        )

    def attempt(call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except InputError as error:
            problems.extend(error.problems)
            return None

    references = [str(model) for model in (options.models or document.get("models") or ())]
    models = [attempt(parse_model_reference, text) for text in references]
    name = _project_name(document, models, folder, problems)
    platforms = attempt(
        parse_platforms, list(map(str, _first(options.platforms, document.get("platforms"), PLATFORMS)))
    )
    base = _first(options.base, document.get("base"), DEFAULT_BASE)
    attempt(find_release, base)
    image = attempt(parse_image_reference, _first(options.image, document.get("image"), name))
    config, config_folder, where = attempt(_read_config, folder, document, options) or (None, folder, "")
    near = (config_folder, folder, Path.cwd())
    script = attempt(find_script, config, near, where, options.output) if config else None
    requests = attempt(package_requests, config, script, near, where) if config else None
    module = attempt(_read_module, document, name)
    InputError.raise_if_any(dict.fromkeys(problems))
    config = config or InferenceConfig()
    return Recipe(
        name,
        tuple(models),
        script,
        requests or PackageRequests(),
        config.environment_variables,
        platforms,
        base,
        image,
        module,
        config_folder if where or document else options.workspace / "locks" / name,
        config.conda_file or where or PROJECT_FILE,
        script.warnings if script else (),
        (*config.notes, *(requests.notes if requests else ())),
    )


def _first(*values: Any) -> Any:
    """The first value that was given."""
    return next(value for value in values if value is not None)


def _read_project(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The keys of the file that can be used, and what is wrong with the others."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: must be a mapping with keys such as `name` and `models`")
    problems = _unknown_keys(document, _KEYS, str(path))
    return {key: value for key, value in document.items() if key in _KEYS and _fits(value, _KEYS[key])}, problems


def _unknown_keys(document: Mapping[Any, Any], known: Mapping[str, Any], where: str) -> list[str]:
    problems = []
    for key, value in document.items():
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
            problems.append(f"{where}: key `{key}` is not known; {hint}")
        elif not _fits(value, known[key]):
            wanted = {str: "a text", list: "a list", dict: "a mapping"}.get(known[key], "a file name or a mapping")
            problems.append(f"{where}: `{key}` must be {wanted}, not {value!r}")
    return problems


def _fits(value: Any, kind: Any) -> bool:
    return value is None or isinstance(value, kind)


def _project_name(
    document: Mapping[str, Any], models: Sequence[ModelReference | None], folder: Path, problems: list[str]
) -> str:
    first = next((model.name for model in models if model), None)
    name = document.get("name")
    if name is None:
        return re.sub(r"[^a-z0-9]+", "-", (first or folder.name).lower()).strip("-") or "module"
    if not _NAME.fullmatch(name):
        problems.append(
            f"{PROJECT_FILE}: name {name!r} must be lower-case letters and digits, with single `.`, `_` or `-` between"
        )
    return str(name)


def _read_config(
    folder: Path, document: Mapping[str, Any], options: BuildOptions
) -> tuple[InferenceConfig | None, Path, str]:
    given = options.inference_config or document.get("inference_config")
    if given is None:
        return None, folder, ""
    if isinstance(given, dict):
        return read_inference_config(given, f"{PROJECT_FILE}: inference_config"), folder, PROJECT_FILE
    path = Path(given) if options.inference_config else folder / given
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: the inference configuration cannot be read ({reason})") from error
    return parse_inference_config(text, str(path)), path.resolve().parent, str(path)


def _read_module(document: Mapping[str, Any], name: str) -> ModuleOptions:
    module = document.get("module") or {}
    problems = _unknown_keys(module, _MODULE_KEYS, f"{PROJECT_FILE}: module")
    env = module.get("env") or {}
    if isinstance(env, dict):
        problems += [
            f"{PROJECT_FILE}: module.env.{key} must be a text, number or boolean, not {value!r}"
            for key, value in env.items()
            if not isinstance(value, str | int | float)
        ]
    InputError.raise_if_any(problems)
    return ModuleOptions(
        module.get("name") or re.sub(r"[^a-zA-Z0-9_-]", "-", name),
        module.get("create_options") or {},
        env,
        module.get("desired") or {},
        document.get("routes"),
    )


def script_location(script: Script, app_root: str) -> tuple[str, dict[str, str]]:
    """Where a script goes in the image (folder) and the variables by which the agent finds it, as v1 set them."""
    if script.source_name is None:
        return app_root, {"AZUREML_ENTRY_SCRIPT": script.entry}
    return posixpath.join(app_root, script.source_name), {
        "AZUREML_SOURCE_DIRECTORY": script.source_name,
        "AZUREML_ENTRY_SCRIPT": posixpath.join(script.source_name, script.entry),
    }
