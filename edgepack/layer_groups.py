"""Which packages or files share a layer. Pure.

A large one, from half of GROUP_BYTES, has a layer of its own. The others are parted by the hash of their names, in
halves again and again, until a group has at most GROUP_BYTES. So a name's group depends on the names and sizes in that
group alone: a change, a new one or one that grows changes one group, not how the rest is grouped. Only where that would
be too many layers, all may be twice as large.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgepack.models.record import ModelFile, ModelRecord
from edgepack.resolve.lock import Wheel

GROUP_BYTES = 4 * 1024 * 1024
MOST_PACKAGE_LAYERS, MOST_MODEL_LAYERS = 24, 40  # engines accept 125 layers in all
MODEL_FILES = ".azureml-models"  # in the app root: the files of models whose usual folders are links
_SHOWN = 2


@dataclass(frozen=True, slots=True)
class ModelLayer:
    """Files of models that share a layer, and links, both by path in the app root: (path, file), (path, target)."""

    title: str
    files: tuple[tuple[str, ModelFile], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def group_names(sizes: Mapping[str, int], most: int) -> list[tuple[str, ...]]:
    """The names (with their sizes in bytes) in at most `most` groups: large ones alone, first; each part sorted."""
    limit = GROUP_BYTES
    while len(groups := _groups(sizes, limit)) > most:
        limit *= 2
    return groups


def _groups(sizes: Mapping[str, int], limit: int) -> list[tuple[str, ...]]:
    small = sorted(name for name, size in sizes.items() if 2 * size < limit)
    large = sorted(sizes.keys() - set(small))
    return [(name,) for name in large] + sorted(_halves(small, sizes, limit, 0))


def _halves(names: Sequence[str], sizes: Mapping[str, int], limit: int, depth: int) -> list[tuple[str, ...]]:
    if not names:
        return []
    if len(names) == 1 or sum(sizes[name] for name in names) <= limit:
        return [tuple(names)]
    left = [name for name in names if not _bit(name, depth)]
    right = [name for name in names if _bit(name, depth)]
    return [*_halves(left, sizes, limit, depth + 1), *_halves(right, sizes, limit, depth + 1)]


def _bit(name: str, number: int) -> int:
    digest = hashlib.sha256(name.encode()).digest()
    return digest[number // 8] >> number % 8 & 1


def title_of(names: Sequence[str]) -> str:
    """A title for a group, told from those of other groups by its first name."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def wheel_layers(wheels: Sequence[Wheel]) -> list[tuple[str, tuple[Wheel, ...]]]:
    """The packages by layer, with its title."""
    named: dict[str, Wheel] = {}
    for wheel in wheels:
        named[wheel.filename if wheel.name in named else wheel.name] = wheel
    groups = group_names({name: wheel.size_bytes or 0 for name, wheel in named.items()}, MOST_PACKAGE_LAYERS)
    titles = (title_of(names) if names[1:] else f"{names[0]} {named[names[0]].version}" for names in groups)
    return [(title, tuple(named[name] for name in names)) for title, names in zip(titles, groups, strict=True)]


def model_layers(models: Sequence[ModelRecord]) -> Iterator[ModelLayer]:
    """The models' files by layer, those of the model that is named last on top, and then links to models in several.

    A new version of a model has another folder, but most of its files may be the same. So a model in several layers is
    kept in a folder without the version, to which the usual one is a link: then only what differs is a new layer.
    """
    uses = Counter(model.name for model in models)
    files = {
        f"{model.name if uses[model.name] == 1 else model.id}/{file.path}": (model, file)
        for model in models
        for file in model.files
    }
    places = {model.id: number for number, model in enumerate(models)}
    groups = group_names({name: file.size_bytes for name, (_, file) in files.items()}, MOST_MODEL_LAYERS)
    groups.sort(key=lambda names: max(places[files[name][0].id] for name in names))
    spread = Counter(model for names in groups for model in {files[name][0].name for name in names})
    linked = {name for name, count in spread.items() if uses[name] == 1 and count > 1}
    for names in groups:
        held = [files[name] for name in names]
        folders = [f"{MODEL_FILES}/{model.name}" if model.name in linked else _folder(model) for model, _ in held]
        paths = tuple((f"{folder}/{file.path}", file) for folder, (_, file) in zip(folders, held, strict=True))
        yield ModelLayer(title_of([f"{model.id} {file.path}" for model, file in held]), paths)
    links = {
        model.id: (_folder(model), f"../../{MODEL_FILES}/{model.name}") for model in models if model.name in linked
    }
    if links:
        yield ModelLayer(title_of(list(links)), links=tuple(links.values()))


def _folder(model: ModelRecord) -> str:
    return f"azureml-models/{model.name}/{model.version}"
