"""Recipe + registered models + locks -> BuildPlan: every layer and setting of every image, before any is made. Pure.

`edgepack build --dry-run` prints this plan; a build carries it out. Layers go from the one that changes least to the
one that changes most (an engine may fetch anew what lies above a changed layer), and a layer's `key` is a digest of
all that its bytes depend on, so a layer that is in the cache need not be made again. How packages and model files are
parted into layers: `layer_groups`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import BaseLayer
from edgepack.base.choice import FolderBase, RegistryBase, parse_base
from edgepack.base.release import Release
from edgepack.base.root import APP_ROOT, HOME, USER_ID
from edgepack.layer_groups import model_layers, wheel_layers
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.oci.image import RunConfig
from edgepack.oci.platform import Platform
from edgepack.project import Recipe, script_location
from edgepack.resolve.lock import DEBIAN_INTERPRETER, PlatformLock, Wheel

PORT = 5001


@dataclass(frozen=True, slots=True)
class BaseContent:
    """The root file system from Debian packages, for Python `3.N`; without a Python, packages that are added to it."""

    packages: tuple[DebPackage, ...]
    python: str


@dataclass(frozen=True, slots=True)
class ImageLayerContent:
    """A layer of the image that is the base, as it is."""

    layer: BaseLayer
    choice: RegistryBase | FolderBase


@dataclass(frozen=True, slots=True)
class UserContent:
    """The module's user and folders on an image that is the base; "": the image's file is as it should be."""

    passwd: str
    group: str


@dataclass(frozen=True, slots=True)
class WheelContent:
    """Python packages."""

    wheels: tuple[Wheel, ...]
    site_folder: str
    interpreter: str = DEBIAN_INTERPRETER


@dataclass(frozen=True, slots=True)
class FileContent:
    """Files of this machine: (path in the image, file here, executable, SHA-256). Links: (path, target)."""

    files: tuple[tuple[str, Path, bool, str], ...]
    links: tuple[tuple[str, str], ...] = ()


Content = BaseContent | ImageLayerContent | UserContent | WheelContent | FileContent


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
    """Everything the build will make of a recipe with a script or with a module of the agent as its entry."""
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
    site = lock.site_folder

    def layer(kind: str, title: str, content: Content, made_of: Sequence[Any]) -> LayerPlan:
        text = json.dumps([material.maker, kind, made_of], sort_keys=True)
        return LayerPlan(kind, title, hashlib.sha256(text.encode()).hexdigest(), content)

    def packages(title: str, wheels: tuple[Wheel, ...]) -> LayerPlan:
        made_of = [site, lock.interpreter, [wheel.sha256 for wheel in wheels]]
        whole = layer("packages", title, WheelContent(wheels, site, lock.interpreter), made_of)
        return (
            whole if len(wheels) == 1 else replace(whole, parts=tuple(packages(each.name, (each,)) for each in wheels))
        )

    layers = [layer(*base) for base in _base_layers(recipe, lock)]
    layers += [packages(title, wheels) for title, wheels in wheel_layers(lock.wheels)]
    agent = FileContent(
        tuple((f"{site}/device_agent/{path}", file, False, sha256) for path, file, sha256 in material.agent_files)
    )
    hashes = [[path, sha256] for path, _, sha256 in material.agent_files]
    for each in model_layers(models):
        files = [(f"{APP_ROOT}/{path}", file) for path, file in each.files]
        content = FileContent(
            tuple((path, material.model_path(file), file.executable, file.sha256) for path, file in files),
            tuple((f"{APP_ROOT}/{path}", target) for path, target in each.links),
        )
        made_of = [*([path, file.sha256, file.executable] for path, file in files), *map(list, content.links)]
        layers.append(layer("model", each.title, content, made_of))
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


def _base_layers(recipe: Recipe, lock: PlatformLock) -> Iterator[tuple[str, str, Content, list[Any]]]:
    """Kind, title, content of each layer below the packages, and what it is made of."""
    choice = parse_base(recipe.base, recipe.base_folder)
    if lock.image is not None and not isinstance(choice, Release):
        name = f"oci:{choice.folder.name}" if isinstance(choice, FolderBase) else lock.base
        for number, each in enumerate(lock.image.layers, 1):
            yield "base", f"{name} {number}", ImageLayerContent(each, choice), [each.digest]
        user = UserContent(lock.image.passwd, lock.image.group)
        yield "base", "user and folders", user, [user.passwd, user.group]
        return
    plain = tuple(package for package in lock.debian if package.name not in lock.added)
    yield (
        "base",
        lock.base,
        BaseContent(plain, lock.python),
        [lock.platform, lock.python, [deb.sha256 for deb in plain]],
    )
    extra = tuple(package for package in lock.debian if package.name in lock.added)
    if extra:
        title = extra[0].name if len(extra) == 1 else f"{len(extra)} Debian packages"
        yield "packages", title, BaseContent(extra, ""), [lock.platform, [deb.sha256 for deb in extra]]


def _run_config(recipe: Recipe, models: Sequence[ModelRecord], lock: PlatformLock, material: Material) -> RunConfig:
    root = f"/{APP_ROOT}/azureml-models"
    only = models[0] if len(models) == 1 else None
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **(lock.image.environment if lock.image else {}),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AML_APP_ROOT": f"/{APP_ROOT}",
        "AZUREML_MODEL_DIR": f"{root}/{only.name}/{only.version}" if only else root,
        "EDGEPACK_HTTP": f"0.0.0.0:{PORT}",
        "ORT_DISABLE_TELEMETRY": "1",
        **recipe.variables,
    }
    if recipe.entry_module is not None:
        environment["EDGEPACK_ENTRY_MODULE"] = recipe.entry_module
    if recipe.script is not None:
        environment.update(script_location(recipe.script, APP_ROOT)[1])
    labels = {
        **(lock.image.labels if lock.image else {}),
        "org.opencontainers.image.title": recipe.name,
        **_base_labels(recipe, lock),
        "io.edgepack.agent": material.agent_version,
        "io.edgepack.models": ",".join(f"{model.name}:{model.version}" for model in models),
        "io.edgepack.python": lock.python,
    }
    return RunConfig(
        user=str(USER_ID),
        working_folder=f"/{APP_ROOT}",
        entry_point=(lock.interpreter, "-m", "device_agent"),
        environment=environment,
        ports=(f"{PORT}/tcp",),
        volumes=(f"/{HOME}",),
        labels=labels,
    )


def _base_labels(recipe: Recipe, lock: PlatformLock) -> dict[str, str]:
    choice = parse_base(recipe.base, recipe.base_folder)
    labels = {} if isinstance(choice, FolderBase) else {"org.opencontainers.image.base.name": lock.base}
    if lock.image:
        labels["org.opencontainers.image.base.digest"] = lock.image.manifest
    if lock.without_security:
        labels["io.edgepack.base.without-security"] = "true"
    return labels


def _summary(content: Content) -> list[str]:
    if isinstance(content, BaseContent):
        return [f"{deb.name} {deb.version}" for deb in content.packages]
    if isinstance(content, ImageLayerContent):
        return [content.layer.digest]
    if isinstance(content, UserContent):
        return [f"/{APP_ROOT}", f"/{HOME}", *(["/etc/passwd"] if content.passwd else [])]
    if isinstance(content, WheelContent):
        return [f"{wheel.name} {wheel.version}" for wheel in content.wheels]
    return [path for path, *_ in content.files] + [f"{path} -> {target}" for path, target in content.links]
