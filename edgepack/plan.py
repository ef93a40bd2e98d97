"""Recipe + registered models + locks -> BuildPlan: every layer and setting of every image, before any is made. Pure.

`edgepack build --dry-run` prints this plan; a build carries it out. Layers go from the one that changes least to the
one that changes most (an engine may fetch anew what lies above a changed layer), and a layer's `key` is a digest of
all that its bytes depend on, so a layer that is in the cache need not be made again. How packages and model files are
parted into layers: `layer_groups`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepack.base.apt import DebPackage
from edgepack.base.release import find_release
from edgepack.base.root import APP_ROOT, HOME, USER_ID
from edgepack.errors import InputError
from edgepack.layer_groups import group_names, title_of
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.oci.image import RunConfig
from edgepack.oci.platform import Platform
from edgepack.project import Recipe, script_location
from edgepack.resolve.lock import PlatformLock, Wheel

PORT = 5001
MOST_PACKAGE_LAYERS, MOST_MODEL_LAYERS = 24, 40  # engines accept 125 layers in all
MODEL_FILES = ".azureml-models"  # in the app root: the files of models whose usual folders are links
ONNX_MODULE = "device_agent.onnx_script"
INTERPRETER = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class BaseContent:
    """The root file system from Debian packages, for Python `3.N`."""

    packages: tuple[DebPackage, ...]
    python: str


@dataclass(frozen=True, slots=True)
class WheelContent:
    """Python packages."""

    wheels: tuple[Wheel, ...]
    site_folder: str


@dataclass(frozen=True, slots=True)
class FileContent:
    """Files of this machine: (path in the image, file here, executable, SHA-256). Links: (path, target)."""

    files: tuple[tuple[str, Path, bool, str], ...]
    links: tuple[tuple[str, str], ...] = ()


Content = BaseContent | WheelContent | FileContent


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """A layer to have: what it is for people, what is in it, and the cache key of its bytes.

    A layer of several packages has `parts`: the layers of the single packages, from whose files it can be joined.
    """

    kind: str
    title: str
    key: str
    content: Content
    parts: tuple["LayerPlan", ...] = ()


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """One platform's image: its layers, lowest first, and what the engine is to run."""

    platform: Platform
    layers: tuple[LayerPlan, ...]
    run: RunConfig


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """All images of one build."""

    images: tuple[ImagePlan, ...]

    def document(self) -> dict[str, Any]:
        """The plan for people and programs."""
        return {
            str(image.platform): {
                "layers": [
                    {
                        "kind": layer.kind,
                        "title": layer.title,
                        "key": layer.key,
                        "holds": _summary(layer.content),
                    }
                    for layer in image.layers
                ],
                "config": image.run.document(),
            }
            for image in self.images
        }


@dataclass(frozen=True, slots=True)
class Material:
    """What a plan needs of this machine: where a model's file is, the agent's files, how layers are made."""

    model_path: Callable[[ModelFile], Path]
    agent_files: Sequence[tuple[str, Path, str]]  # (path below the package, file here, SHA-256)
    script_hashes: Mapping[str, str]  # SHA-256 by path in the script's folder
    agent_version: str
    maker: str  # digest of the code that turns content into bytes


def plan_build(
    recipe: Recipe, models: Sequence[ModelRecord], locks: Mapping[Platform, PlatformLock], material: Material
) -> BuildPlan:
    """Everything the build will make.

    Raises:
        InputError: the models and the script do not go together.
    """
    if recipe.script is None and (len(models) != 1 or models[0].framework != "Onnx"):
        listing = ", ".join(f"{model.name}:{model.version} ({model.framework or 'no framework'})" for model in models)
        raise InputError(
            "no entry script: without one, exactly one model registered with `--model-framework Onnx` can be served; "
            f"here: {listing or 'no model'}. "
            "Name a script with `inference_config` or --ic"
        )
    return BuildPlan(
        tuple(
            ImagePlan(
                platform,
                _layers(recipe, models, locks[platform], material),
                _run_config(recipe, models, locks[platform], material),
            )
            for platform in recipe.platforms
        )
    )


def _layers(
    recipe: Recipe, models: Sequence[ModelRecord], lock: PlatformLock, material: Material
) -> tuple[LayerPlan, ...]:
    site = f"usr/local/lib/python{lock.python}/dist-packages"

    def layer(kind: str, title: str, content: Content, made_of: Sequence[Any]) -> LayerPlan:
        text = json.dumps([material.maker, kind, made_of], sort_keys=True)
        return LayerPlan(kind, title, hashlib.sha256(text.encode()).hexdigest(), content)

    def packages(title: str, wheels: tuple[Wheel, ...]) -> LayerPlan:
        made_of = [site, [wheel.sha256 for wheel in wheels]]
        whole = layer("packages", title, WheelContent(wheels, site), made_of)
        return (
            whole if len(wheels) == 1 else replace(whole, parts=tuple(packages(each.name, (each,)) for each in wheels))
        )

    base = BaseContent(lock.debian, lock.python)
    layers = [layer("base", lock.base, base, [lock.platform, lock.python, [deb.sha256 for deb in lock.debian]])]
    layers += [packages(title, wheels) for title, wheels in _group_wheels(lock.wheels)]
    agent = FileContent(
        tuple((f"{site}/device_agent/{path}", file, False, sha256) for path, file, sha256 in material.agent_files)
    )
    hashes = [[path, sha256] for path, _, sha256 in material.agent_files]
    for title, content in _model_layers(models, material.model_path):
        files = [[path, sha256, executable] for path, _, executable, sha256 in content.files]
        layers.append(layer("model", title, content, [*files, *map(list, content.links)]))
    layers.append(layer("agent", f"device_agent {material.agent_version}", agent, [site, hashes]))
    if recipe.script is not None:
        folder, _ = script_location(recipe.script, APP_ROOT)
        hashed = material.script_hashes
        content = FileContent(
            tuple(
                (f"{folder}/{path}", file, executable, hashed[path]) for path, file, executable in recipe.script.files
            )
        )
        parts = [[f"{folder}/{path}", hashed[path], executable] for path, _, executable in recipe.script.files]
        layers.append(layer("script", recipe.script.entry, content, parts))
    return tuple(layers)


def _group_wheels(wheels: Sequence[Wheel]) -> list[tuple[str, tuple[Wheel, ...]]]:
    named: dict[str, Wheel] = {}
    for wheel in wheels:
        named[wheel.filename if wheel.name in named else wheel.name] = wheel
    groups = group_names({name: wheel.size_bytes or 0 for name, wheel in named.items()}, MOST_PACKAGE_LAYERS)
    titles = (title_of(names) if names[1:] else f"{names[0]} {named[names[0]].version}" for names in groups)
    return [(title, tuple(named[name] for name in names)) for title, names in zip(titles, groups, strict=True)]


def _model_layers(
    models: Sequence[ModelRecord], model_path: Callable[[ModelFile], Path]
) -> Iterator[tuple[str, FileContent]]:
    """The models' files in layers, and last the links to models that are in several.

    A new version of a model has another folder, but most of its files may be the same. So a model in several layers is
    kept in a folder without the version, to which the usual one is a link: then only what differs is a new layer.
    """
    uses = Counter(model.name for model in models)
    files = {
        f"{model.name if uses[model.name] == 1 else model.id}/{file.path}": (model, file)
        for model in models
        for file in model.files
    }
    groups = group_names({name: file.size_bytes for name, (_, file) in files.items()}, MOST_MODEL_LAYERS)
    spread = Counter(model for names in groups for model in {files[name][0].name for name in names})
    linked = {name for name, count in spread.items() if uses[name] == 1 and count > 1}
    for names in groups:
        held = [files[name] for name in names]
        folders = [f"{MODEL_FILES}/{model.name}" if model.name in linked else _folder(model) for model, _ in held]
        content = tuple(
            (f"{APP_ROOT}/{folder}/{file.path}", model_path(file), file.executable, file.sha256)
            for folder, (_, file) in zip(folders, held, strict=True)
        )
        yield title_of([f"{model.id} {file.path}" for model, file in held]), FileContent(content)
    links = {model.id: (f"{APP_ROOT}/{_folder(model)}", model.name) for model in models if model.name in linked}
    if links:
        targets = tuple((path, f"../../{MODEL_FILES}/{name}") for path, name in links.values())
        yield title_of(list(links)), FileContent((), targets)


def _folder(model: ModelRecord) -> str:
    return f"azureml-models/{model.name}/{model.version}"


def _run_config(recipe: Recipe, models: Sequence[ModelRecord], lock: PlatformLock, material: Material) -> RunConfig:
    root = f"/{APP_ROOT}/azureml-models"
    only = models[0] if len(models) == 1 else None
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AML_APP_ROOT": f"/{APP_ROOT}",
        "AZUREML_MODEL_DIR": f"{root}/{only.name}/{only.version}" if only else root,
        "EDGEPACK_HTTP": f"0.0.0.0:{PORT}",
        "ORT_DISABLE_TELEMETRY": "1",
        **recipe.variables,
    }
    if recipe.script is None:
        environment["EDGEPACK_ENTRY_MODULE"] = ONNX_MODULE
    else:
        environment.update(script_location(recipe.script, APP_ROOT)[1])
    labels = {
        "org.opencontainers.image.title": recipe.name,
        "org.opencontainers.image.base.name": lock.base,
        "io.edgepack.agent": material.agent_version,
        "io.edgepack.models": ",".join(f"{model.name}:{model.version}" for model in models),
        "io.edgepack.python": find_release(lock.base).python,
    }
    return RunConfig(
        user=str(USER_ID),
        working_folder=f"/{APP_ROOT}",
        entry_point=(INTERPRETER, "-m", "device_agent"),
        environment=environment,
        ports=(f"{PORT}/tcp",),
        volumes=(f"/{HOME}",),
        labels=labels,
    )


def _summary(content: Content) -> list[str]:
    if isinstance(content, BaseContent):
        return [f"{deb.name} {deb.version}" for deb in content.packages]
    if isinstance(content, WheelContent):
        return [f"{wheel.name} {wheel.version}" for wheel in content.wheels]
    return [path for path, *_ in content.files] + [f"{path} -> {target}" for path, target in content.links]
