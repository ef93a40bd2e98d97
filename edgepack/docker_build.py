"""`edgepack build --builder docker`: the images of a plan, built by a Docker engine from a Dockerfile.

Everything but the images is as with the other builder: the plan, the locked and checked layers, what stands in `dist/`.
The base goes into the engine as an image without settings, unless the Dockerfile has another; the other layers are
files that the Dockerfile ADDs, so nothing is fetched and nothing of the target is run unless the Dockerfile says so.
The engine's images are taken out again, with their IDs.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from edgepack.dockerfile import LAYER_FOLDER, Dockerfile, render_dockerfile
from edgepack.engine_archive import EngineImage, streamed, write_archive
from edgepack.engine_connection import engine
from edgepack.engine_images import KnownLayer, taken_image
from edgepack.errors import RemoteError
from edgepack.files import CHUNK_BYTES
from edgepack.image_making import MadeImages, MadeLayers
from edgepack.oci.descriptor import encode_document
from edgepack.oci.image import RunConfig
from edgepack.plan import BuildPlan, ImagePlan
from edgepack.project import Recipe

_DOCKERFILE = f"{LAYER_FOLDER}/Dockerfile"
_MOST_TAG_LETTERS = 128


@dataclass(frozen=True, slots=True)
class EngineBuilder:
    """Makes images with the engine that `DOCKER_HOST` or the usual socket reaches; see `image_making.MakeImages`.

    `cache` holds what was taken out of engines. `left_out` are folders that a Dockerfile of the user's never copies.
    `network` is for its RUN steps: a mode or a network of the engine, None: the engine's own choice.
    """

    cache: Path
    left_out: tuple[Path, ...] = ()
    network: str | None = None
    say: Callable[[str], None] = field(default=lambda _text: None)
    warn: Callable[[str], None] = field(default=lambda _text: None)

    def make_images(
        self, recipe: Recipe, plan: BuildPlan, made: MadeLayers, blob_path: Callable[[str], Path]
    ) -> MadeImages:
        """Build the plan's images, one platform after the other.

        Raises:
            InputError: the Dockerfile cannot be used.
            RemoteError: no engine answers, or a step fails in it.
        """
        layers = {key: KnownLayer(layer, blob_path(layer.digest)) for key, (layer, _) in made.items()}
        tasks = tuple(_task(recipe, image, layers) for image in plan.images)
        with engine("build the image") as found:
            parts = [self._make(found.client, task) for task in tasks]
        return MadeImages(
            tuple(image for part in parts for image in part.images),
            {digest: path for part in parts for digest, path in part.blobs.items()},
            {digest: all(part.cached.get(digest, True) for part in parts) for part in parts for digest in part.blobs},
            "docker",
        )

    def _make(self, client: Any, task: "_Task") -> MadeImages:
        if task.base_name in task.dockerfile.text:
            _load_base(client, task)
        image_id = self._build(client, task)
        known = {layer.layer.diff_id: layer for layer in task.base}
        added = [(layer.kind, layer.title) for layer in task.dockerfile.added]
        platform = task.image.platform
        taken = taken_image(lambda: client.api.get_image(image_id), image_id, platform, known, added, self.cache)
        for difference in setting_differences(json.loads(taken.images[0].config), task.image.run):
            self.warn(f"{task.where}: for {platform}, {difference}")
        return taken

    def _build(self, client: Any, task: "_Task") -> str:
        """Build one image, with the engine's log on the way; returns its ID."""
        log = EngineLog(f"{task.image.platform}  ", self.say)
        with streamed(lambda file: self._write_context(task, file)) as context:
            events = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=_DOCKERFILE,
                tag=task.name,
                platform=str(task.image.platform),
                buildargs=dict(task.dockerfile.arguments),
                network_mode=self.network,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for event in events:
                log.take(event)
        if log.error is not None:
            raise RemoteError(
                f"{task.where}: {log.step} failed for {task.image.platform}: {log.error}", retryable=False
            )
        return str(client.images.get(log.image_id or task.name).id)

    def _write_context(self, task: "_Task", file: IO[bytes]) -> None:
        """What the engine builds from: the Dockerfile, edgepack's layers, and what else the Dockerfile may copy."""
        with tarfile.open(fileobj=file, mode="w|", bufsize=CHUNK_BYTES) as context:
            text = task.dockerfile.text.encode()
            context.addfile(_member(_DOCKERFILE, len(text)), io.BytesIO(text))
            for name, layer in task.dockerfile.layers.items():
                with task.layers[layer.key].path.open("rb") as blob:
                    context.addfile(_member(name, task.layers[layer.key].layer.size_bytes), blob)
            if task.own is not None and task.dockerfile.copies:
                folder = task.own.resolve().parent
                for name in context_files(folder, (*self.left_out, folder / LAYER_FOLDER)):
                    context.add(folder / name, name, recursive=False, filter=_without_owner)


@dataclass(frozen=True, slots=True)
class _Task:
    """One image to build: what it is, its Dockerfile, its layers by key, and the names it and its base get."""

    image: ImagePlan
    dockerfile: Dockerfile
    own: Path | None
    layers: Mapping[str, KnownLayer]
    name: str
    base: tuple[KnownLayer, ...]
    base_name: str

    @property
    def where(self) -> str:
        """How errors call the Dockerfile."""
        return str(self.own or "the Dockerfile")


def _task(recipe: Recipe, image: ImagePlan, layers: Mapping[str, KnownLayer]) -> _Task:
    own = recipe.dockerfile
    template = own.read_text(encoding="utf-8") if own else (files("templates") / "Dockerfile").read_text()
    base = tuple(layers[layer.key] for layer in image.layers if layer.kind == "base")
    slug = image.platform.slug.partition("-")[2]
    content = hashlib.sha256("\n".join(layer.layer.diff_id for layer in base).encode()).hexdigest()
    base_name = f"edgepack-base:{slug}-{content[:32]}"
    dockerfile = render_dockerfile(template, str(own or "templates/Dockerfile"), image, base_name)
    tag = recipe.image.tag[: _MOST_TAG_LETTERS - len(slug) - 1]
    return _Task(image, dockerfile, own, layers, f"{recipe.image.name}:{tag}-{slug}", base, base_name)


def _load_base(client: Any, task: _Task) -> None:
    """Bring the base layers into the engine as an image without settings, unless they are there."""
    from docker.errors import ImageNotFound

    ids = [layer.layer.diff_id for layer in task.base]
    try:
        if client.images.get(task.base_name).attrs["RootFS"]["Layers"] == ids:
            return
    except ImageNotFound:
        pass
    config = encode_document(
        {
            **task.image.platform.document(),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": ids},
            "history": [{"created_by": f"edgepack base: {layer.layer.title}"} for layer in task.base],
        }
    )
    image = EngineImage(config, tuple((layer.layer.digest, layer.path) for layer in task.base))
    with streamed(lambda file: write_archive(image, task.base_name, file)) as stream:
        client.images.load(stream)


class EngineLog:
    """An engine's events as lines; remembers the step it is at, what went wrong, and which image it built."""

    def __init__(self, prefix: str, say: Callable[[str], None]) -> None:
        self._prefix = prefix
        self._say = say
        self._rest = ""
        self.step = "the build"
        self.error: str | None = None
        self.image_id: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Tell what an event says, line by line; progress of transfers is left out."""
        if "error" in event:
            self.error = str(event["error"]).strip()
        if "ID" in (event.get("aux") or {}):
            self.image_id = str(event["aux"]["ID"])
        text = str(event.get("stream", ""))
        if "status" in event and "progress" not in event:
            text = f"{event.get('id', '')} {event['status']}".strip() + "\n"
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if re.match(r"Step \d+/\d+ : ", line):
                self.step = line.replace("Step", "step", 1).replace(" : ", ", ", 1).rstrip()
            if line.strip():
                self._say(self._prefix + line.rstrip())


def setting_differences(config: Mapping[str, Any], run: RunConfig) -> list[str]:
    """What an image's configuration has otherwise than the plan; a sentence each."""
    found, wanted = config.get("config") or {}, run.document()
    sentences = [
        f"{key} is {found.get(key)!r} instead of {wanted[key]!r}"
        for key in ("User", "Entrypoint", "WorkingDir")
        if found.get(key) != wanted[key]
    ]
    lost = sorted(set(wanted["Env"]) - set(found.get("Env") or ()))
    sentences += [f"the environment variable {text.partition('=')[0]} is not as it was planned" for text in lost]
    return sentences


def context_files(folder: Path, left_out: Sequence[Path]) -> list[str]:
    """What a Dockerfile in `folder` can copy: all files below it but those that `.dockerignore` or `left_out` name."""
    from docker.utils.build import exclude_paths

    ignore = folder / ".dockerignore"
    patterns = ignore.read_text(encoding="utf-8-sig").splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    below = [path.resolve() for path in left_out]
    patterns += [
        path.relative_to(folder).as_posix() for path in below if path.is_relative_to(folder) and path != folder
    ]
    found: set[str] = exclude_paths(str(folder), patterns)
    return sorted(name for name in found if name)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
