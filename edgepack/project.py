"""A project and command-line options -> Recipe: what image is to be built, every path found, every name checked.

Reads the project's small files (yaml, conda, scripts); registered models, the network and the cache are for others.
All problems of a project are reported together.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack import PROJECT_FILE
from edgepack.base.choice import parse_base
from edgepack.base.release import DEFAULT_BASE
from edgepack.deployment.secret_words import is_secret
from edgepack.errors import InputError
from edgepack.inference_config import (
    InferenceConfig,
    dockerfile_notes,
    dockerfile_problems,
    parse_inference_config,
    read_inference_config,
)
from edgepack.models.naming import ModelReference, parse_model_reference
from edgepack.oci.platform import DEFAULT_PLATFORMS, Platform, parse_platforms
from edgepack.oci.reference import ImageReference, parse_image_reference
from edgepack.project_file import MODULE_KEYS, ModuleOptions, module_options, read_project_file, usable
from edgepack.resolve.package_requests import PackageRequests
from edgepack.script_folder import Script, find_script, first_with, package_requests

_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a build is asked for. Without a `script`, a module of the agent serves the model (`entry_module`)."""

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
    unheeded: tuple[str, ...] = ()  # what the inference configuration asks for and does not get
    notes: tuple[str, ...] = ()
    settings_files: tuple[Path, ...] = ()  # what was read to make the recipe
    dockerfile: Path | None = None  # of the user's own, for an engine
    sample_folder: Path | None = None  # where a sample request may lie
    base_folder: Path = Path()  # where a relative `oci:FOLDER` of the base starts
    entry_module: str | None = None  # see `served_model`


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
    dockerfile: Path | None = None
    excluded: Sequence[str] = ()


def project_document(folder: Path, options: BuildOptions) -> tuple[dict[str, Any], list[str]]:
    """The project file's usable keys and what is wrong with the others; none where `options` name all there is to know.

    Raises:
        InputError: there is no such file, or it is no project file at all.
    """
    path = folder / PROJECT_FILE
    named = bool(options.models) or options.inference_config is not None
    document, problems = read_project_file(path) if path.is_file() and not named else ({}, [])
    if not document and not problems and not named:
        raise InputError(
            f"no {PROJECT_FILE} in {folder}: make a project with `edgepack init DIR`, or name a model and an inference "
            "configuration with -m NAME --ic FILE"
        )
    return document, problems


def recipe_of(
    document: Mapping[str, Any],
    folder: Path,
    options: BuildOptions,
    found: Sequence[str] = (),
    listed: ModuleOptions | None = None,
) -> Recipe:
    """The recipe of a project's usable keys, or of those of one of its modules (`listed`).

    Raises:
        InputError: what is wrong with them, after the problems `found` already.
    """
    problems = list(found)
    place = PROJECT_FILE if listed is None else f"{PROJECT_FILE}: modules.{listed.name}"

    def attempt(call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except InputError as error:
            problems.extend(error.problems)
            return None

    references = [str(model) for model in (options.models or document.get("models") or ())]
    models = [attempt(parse_model_reference, text) for text in references]
    name = project_name(document, models, folder, problems)
    platforms = attempt(
        parse_platforms, list(map(str, _first(options.platforms, document.get("platforms"), DEFAULT_PLATFORMS)))
    )
    base = _first(options.base, document.get("base"), DEFAULT_BASE)
    base_folder = folder if options.base is None else Path.cwd()
    attempt(parse_base, base, base_folder)
    image = attempt(parse_image_reference, _first(options.image, document.get("image"), name))
    config, config_folder, where = attempt(_read_config, folder, document, options, place) or (None, folder, "")
    near = (config_folder, folder, Path.cwd())
    excluded = _excluded(document, options, place, problems)
    of_dockerfile = attempt(_base_dockerfile_notes, config, near, where) or ()
    script = attempt(find_script, config, near, where, options.output, excluded) if config else None
    requests = attempt(package_requests, config, script, near, where) if config else None
    module = listed or _read_module(document, name, problems)
    dockerfile = _dockerfile(folder, document, options, place, problems)
    InputError.raise_if_any(dict.fromkeys(problems))
    config = config or InferenceConfig()
    return Recipe(
        name,
        tuple(models),
        script,
        requests or PackageRequests(),
        {**dict(requests.variables if requests else ()), **config.environment_variables},
        platforms,
        base,
        image,
        module,
        config_folder if where or document else options.workspace / "locks" / name,
        config.conda_file or where or PROJECT_FILE,
        (*(script.warnings if script else ()), *_public_secrets(config, where)),
        (*config.notes, *of_dockerfile),
        (*(script.notes if script else ()), *(requests.notes if requests else ())),
        (*_settings_files(folder, document, where, config, requests), *([dockerfile] if dockerfile else [])),
        dockerfile,
        config_folder if listed is None or where != place else None,
        base_folder,
    )


def _excluded(document: Mapping[str, Any], options: BuildOptions, place: str, problems: list[str]) -> tuple[str, ...]:
    """The patterns of files that the project and the command leave out."""
    listed = document.get("exclude") or []
    problems += [f"{place}: exclude: {each!r} is not a pattern" for each in listed if not isinstance(each, str)]
    return (*(each for each in listed if isinstance(each, str)), *options.excluded)


def _public_secrets(config: InferenceConfig, where: str) -> Iterator[str]:
    """Variables of the image that should not be in one: everybody who can pull it can read them."""
    for name, value in config.environment_variables.items():
        if is_secret(name, value):
            yield (
                f"{where}: environment variable {name} looks like a secret, and whoever can pull the image can read "
                "it; give it to the module on the device, for example in a file that is mounted there"
            )


def _settings_files(
    folder: Path, document: Mapping[str, Any], where: str, config: InferenceConfig, requests: PackageRequests | None
) -> Iterator[Path]:
    """The files that say what to build: project file, inference configuration, conda file."""
    if document:
        yield folder / PROJECT_FILE
    if where and not where.startswith(PROJECT_FILE):
        yield Path(where)
    if requests and requests.folder and config.conda_file:
        yield Path(requests.folder) / Path(config.conda_file).name


def _dockerfile(
    folder: Path, document: Mapping[str, Any], options: BuildOptions, place: str, problems: list[str]
) -> Path | None:
    given = document.get("dockerfile")
    path = options.dockerfile or (folder / given if given else None)
    if path is not None and not path.is_file():
        what = "--dockerfile" if options.dockerfile else f"{place}: dockerfile"
        problems.append(f"{what}: there is no file {path}")
    return path


def _first(*values: Any) -> Any:
    """The first value that was given."""
    return next(value for value in values if value is not None)


def project_name(
    document: Mapping[str, Any], models: Sequence[ModelReference | None], folder: Path, problems: list[str]
) -> str:
    """The name that the project has, or gets from its first model or its folder."""
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
    folder: Path, document: Mapping[str, Any], options: BuildOptions, place: str
) -> tuple[InferenceConfig | None, Path, str]:
    given = options.inference_config or document.get("inference_config")
    if given is None:
        return None, folder, ""
    if isinstance(given, dict):
        return read_inference_config(given, f"{place}: inference_config"), folder, place
    path = Path(given) if options.inference_config else folder / given
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: the inference configuration cannot be read ({reason})") from error
    return parse_inference_config(text, str(path)), path.resolve().parent, str(path)


def _base_dockerfile_notes(config: InferenceConfig | None, near: Sequence[Path], where: str) -> tuple[str, ...]:
    """A base Dockerfile that an environment names as a file is held to what its text would be."""
    if config is None or config.base_dockerfile is None:
        return ()
    path = (first_with(config.base_dockerfile, near, folder=False) or near[0]) / config.base_dockerfile
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{where}: docker.baseDockerfile: {path} cannot be read ({reason})") from error
    InputError.raise_if_any(dockerfile_problems(text, f"{where}: docker.baseDockerfile {path}"))
    return dockerfile_notes(text, where)


def _read_module(document: Mapping[str, Any], name: str, problems: list[str]) -> ModuleOptions:
    part = usable(document.get("module") or {}, MODULE_KEYS, f"{PROJECT_FILE}: module", problems)
    own_name = part.get("name") or re.sub(r"[^a-zA-Z0-9_-]", "-", name)
    return module_options(part, own_name, f"{PROJECT_FILE}: module", problems)


def script_location(script: Script, app_root: str) -> tuple[str, dict[str, str]]:
    """Where a script goes in the image (folder) and the variables by which the agent finds it, as v1 set them."""
    if script.source_name is None:
        return app_root, {"AZUREML_ENTRY_SCRIPT": script.entry}
    return posixpath.join(app_root, script.source_name), {
        "AZUREML_SOURCE_DIRECTORY": script.source_name,
        "AZUREML_ENTRY_SCRIPT": posixpath.join(script.source_name, script.entry),
    }
