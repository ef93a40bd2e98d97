"""What a build warns of once models and locks are known: what may go wrong on the device, or is too much. Pure."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgepack.left_out import secret_names
from edgepack.models.record import ModelRecord
from edgepack.oci.platform import Platform
from edgepack.project import Recipe
from edgepack.resolve.lock import PlatformLock
from edgepack.resolve.package_requests import python_fits

_BASELINE = "EDGEPACK_DRIFT_BASELINE"
_HUGE_WHEEL_BYTES = 100 * 1024 * 1024
_PICKLED_WITH = {"ScikitLearn": "scikit-learn"}  # frameworks whose models open in the version that wrote them

Known = tuple[Recipe, Sequence[ModelRecord], Mapping[Platform, PlatformLock]]


def build_warnings(images: Iterable[Known]) -> Iterator[str]:
    """The warnings of all images of a build, each once."""
    images = list(images)
    told = [text for recipe, models, locks in images for text in _image_warnings(recipe, models, locks)]
    huge = {
        f"{wheel.name} {wheel.version} ({(wheel.size_bytes or 0) // 1_000_000} MB, {platform})"
        for _, _, locks in images
        for platform, lock in locks.items()
        for wheel in lock.wheels
        if (wheel.size_bytes or 0) > _HUGE_WHEEL_BYTES
    }
    if huge:
        told.append(f"very large packages for an edge device: {', '.join(sorted(huge))}")
    yield from dict.fromkeys(told)


def _image_warnings(
    recipe: Recipe, models: Sequence[ModelRecord], locks: Mapping[Platform, PlatformLock]
) -> Iterator[str]:
    python, pinned = next(iter(locks.values())).python, recipe.requests.python
    if pinned and not python_fits(pinned, python):
        free = _unpinned(recipe.requests.requirements, locks)
        yield (
            f"{recipe.environment_file} asks for Python {pinned}; {recipe.base} has Python {python}. Models "
            "pickled under another Python usually load; check yours with its sample request"
            + (
                f". Asked for without a version, and so the newest: {', '.join(free)}; pin what was trained with"
                if free
                else ""
            )
        )
    for model in models:
        secrets = secret_names(file.path for file in model.files)
        if secrets:
            yield (
                f"model {model.id} holds what looks like secrets, and is shipped as it was registered: "
                f"{', '.join(secrets[:10])}; register it without them"
            )
    yield from _version_warnings(models, locks)
    yield from _capture_warnings(recipe, locks)
    yield from _baseline_warnings(recipe, models)


def _baseline_warnings(recipe: Recipe, models: Sequence[ModelRecord]) -> Iterator[str]:
    """Baselines that the agent is told to watch, and that it will not find in the image."""
    named = str(recipe.module.env.get(_BASELINE, recipe.variables.get(_BASELINE, "")))
    script = recipe.script
    there = {path for path, _, _ in script.files} if script else set()
    there |= {f"{script.source_name}/{path}" for path in there} if script else set()
    for model in models:
        paths = {file.path for file in model.files}
        there |= {f"azureml-models/{model.name}/{model.version}/{path}" for path in paths}
        there |= paths if len(models) == 1 else set()
    for path in filter(None, map(str.strip, named.split(","))):
        if not path.startswith("/") and posixpath.normpath(path) not in there:
            yield (
                f"{_BASELINE} names {path}, which is neither beside the script nor with the model: the agent will not "
                "start without it; make it with `edgepack drift baseline`"
            )


def _unpinned(requirements: Iterable[str], locks: Mapping[Platform, PlatformLock]) -> list[str]:
    """The packages that are asked for in any version, with those that were taken."""
    wanted = (Requirement(text) for text in requirements)
    free = [each.name for each in wanted if not each.specifier and each.url is None]
    found = {name: dict.fromkeys(filter(None, (_version(lock, name) for lock in locks.values()))) for name in free}
    return [f"{name} {' and '.join(versions)}" for name, versions in found.items() if versions]


def _version_warnings(models: Sequence[ModelRecord], locks: Mapping[Platform, PlatformLock]) -> Iterator[str]:
    """Models of a framework that cannot be trusted to open what another version of it wrote."""
    for framework, package in _PICKLED_WITH.items():
        found = {platform: _version(lock, package) for platform, lock in locks.items()}
        listing = ", ".join(f"{version} for {platform}" for platform, version in found.items() if version)
        concerned = [model for model in models if model.framework == framework]
        if len({version for version in found.values() if version}) > 1:
            names = f" ({', '.join(model.id for model in concerned)})" if concerned else ""
            yield (
                f"{package} has another version for each platform ({listing}), and a model that one version wrote may "
                f"fail to load, or answer differently, in another{names}: pin the version that all platforms have, "
                "train with that, and check each platform with the sample request"
            )
        for model in concerned:
            wrote = model.framework_version
            others = [
                f"{version} for {platform}" for platform, version in found.items() if version not in (None, wrote)
            ]
            if wrote and others:
                yield (
                    f"model {model.id} was made with {package} {wrote}, as it was registered, but the image has "
                    f"{', '.join(others)}: it may fail to load, or answer differently; pin {package}=={wrote}, or "
                    "check it with its sample request"
                )


def _capture_warnings(recipe: Recipe, locks: Mapping[Platform, PlatformLock]) -> Iterator[str]:
    """What the agent would not start with."""
    said = {**recipe.variables, **recipe.module.env}.get("EDGEPACK_CAPTURE_FORMAT")
    missing = [str(platform) for platform, lock in locks.items() if _version(lock, "pyarrow") is None]
    if said == "parquet" and missing:
        yield (
            f"EDGEPACK_CAPTURE_FORMAT is parquet, but pyarrow is not among the packages ({', '.join(missing)}): the "
            f"agent will not start where requests are kept; add pyarrow to {recipe.environment_file}"
        )


def _version(lock: PlatformLock, package: str) -> str | None:
    wheels = {canonicalize_name(wheel.name): wheel.version for wheel in lock.wheels}
    supplied = {canonicalize_name(each.name): each.version for each in lock.supplied}
    return (wheels | supplied).get(canonicalize_name(package))
