"""Recipe + registered models + locks -> BuildPlan: every layer and setting of every image, before any is made. Pure.

`edgepack build --dry-run` prints this plan; a build carries it out. Layers go from the one that changes least to the
one that changes most, and a layer's `key` is a digest of all that its bytes depend on, so a layer that is in the
cache need not be made again. Large wheels and model files are layers of their own: a change of one moves no other.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepack.base.apt import DebPackage
from edgepack.base.release import find_release
from edgepack.base.root import APP_ROOT, HOME, USER_ID
from edgepack.errors import InputError
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.oci.image import RunConfig
from edgepack.oci.platform import Platform
from edgepack.project import Recipe, script_location
from edgepack.resolve.lock import PlatformLock, Wheel

PORT = 5001
LARGE_WHEEL_BYTES = 4 * 1024 * 1024
LARGE_MODEL_BYTES = 8 * 1024 * 1024
MOST_LARGE_LAYERS = 24  # of wheels, and of model files; engines accept 125 layers in all
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
    """Files of this machine: (path in the image, file here, executable, SHA-256)."""

    files: tuple[tuple[str, Path, bool, str], ...]


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
    layers.append(layer("agent", f"device_agent {material.agent_version}", agent, [site, hashes]))
    large = _large_model_files(models)
    for model in models:
        root = f"{APP_ROOT}/azureml-models/{model.name}/{model.version}"
        for title, files in _group_model_files(model, large):
            content = FileContent(
                tuple(
                    (f"{root}/{file.path}", material.model_path(file), file.executable, file.sha256) for file in files
                )
            )
            parts = [[f"{root}/{file.path}", file.sha256, file.executable] for file in files]
            layers.append(layer("model", title, content, parts))
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
    large = sorted(
        (wheel for wheel in wheels if (wheel.size_bytes or 0) >= LARGE_WHEEL_BYTES),
        key=lambda wheel: (-(wheel.size_bytes or 0), wheel.name),
    )[:MOST_LARGE_LAYERS]
    groups: list[tuple[str, tuple[Wheel, ...]]] = [
        (f"{wheel.name} {wheel.version}", (wheel,)) for wheel in sorted(large, key=lambda wheel: wheel.name)
    ]
    small = tuple(wheel for wheel in wheels if wheel not in large)
    if small:
        title = small[0].name if len(small) == 1 else f"{len(small)} packages"
        groups.append((title, small))
    return groups


def _large_model_files(models: Sequence[ModelRecord]) -> set[tuple[str, int, str]]:
    """The files that get a layer of their own, over all models, as (model, version, path)."""
    large = [
        (-file.size_bytes, model.name, model.version, file.path)
        for model in models
        for file in model.files
        if file.size_bytes >= LARGE_MODEL_BYTES
    ]
    return {(name, version, path) for _, name, version, path in sorted(large)[:MOST_LARGE_LAYERS]}


def _group_model_files(model: ModelRecord, large: set[tuple[str, int, str]]) -> list[tuple[str, tuple[ModelFile, ...]]]:
    alone = [file for file in model.files if (model.name, model.version, file.path) in large]
    small = tuple(file for file in model.files if (model.name, model.version, file.path) not in large)
    groups: list[tuple[str, tuple[ModelFile, ...]]] = []
    if small:
        title = small[0].path if len(small) == 1 else f"{len(small)} files"
        groups.append((f"{model.name}:{model.version} {title}", small))
    return groups + [(f"{model.name}:{model.version} {file.path}", (file,)) for file in alone]


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
    return [path for path, *_ in content.files]
