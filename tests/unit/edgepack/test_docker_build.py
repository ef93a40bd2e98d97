"""Around an engine's build: what it gets to build from, what its log says, what it gives back."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.docker_build import EngineLog, context_files, setting_differences
from edgepack.engine_images import KnownLayer, taken_image
from edgepack.errors import RemoteError
from edgepack.image_making import MadeImages
from edgepack.oci.descriptor import digest_of
from edgepack.oci.image import assemble_index
from edgepack.oci.layout import write_layout
from edgepack.oci.platform import AMD64, ARM64, Platform
from edgepack.oci.validate import verify_layout
from tests.fakes.images import RUN, ImageMaker


def tar_of(**files: bytes) -> bytes:
    """A tar, as an engine writes layers: uncompressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class SavedImage:
    """An image in an engine, which counts how often it is saved."""

    def __init__(self, *layers: bytes, architecture: str = "amd64", steps: tuple[dict[str, Any], ...] = ()) -> None:
        self.layers = layers
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": {"User": "1000"},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            "history": list(steps),
        }
        self.config = json.dumps(document, indent=1).encode()
        self.image_id = digest_of(self.config)
        self.saved = 0

    def save(self) -> Iterator[bytes]:
        """The archive of engines up to 24, in pieces."""
        self.saved += 1
        names = [f"{number}/layer.tar" for number, _ in enumerate(self.layers)]
        manifest = json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": names}]).encode()
        parts = dict(zip(names, self.layers, strict=True)) | {"c.json": self.config, "manifest.json": manifest}
        content = tar_of(**parts)
        yield content[:1000]
        yield content[1000:]

    def taken(self, cache: Path, platform: Platform = AMD64, **more: Any) -> MadeImages:
        """The image, taken out of its engine."""
        known, added = more.get("known", {}), more.get("added", ())
        return taken_image(self.save, self.image_id, platform, known, added, cache)


BASE, TOP = tar_of(base=b"b" * 5000), tar_of(top=b"t" * 5000)


def test_what_is_taken_out_keeps_its_id_and_is_sound(tmp_path: Path) -> None:
    image = SavedImage(BASE, TOP)
    made = image.taken(tmp_path / "cache")
    assert digest_of(made.images[0].config) == image.image_id
    write_layout(tmp_path / "layout", made.images, assemble_index(made.images, {}), made.blobs, "x")
    (content,) = verify_layout(tmp_path / "layout").platforms
    assert content.config_digest == image.image_id
    assert not any(made.cached.values())


def test_what_was_taken_before_is_not_saved_again(tmp_path: Path) -> None:
    image, other = SavedImage(BASE, TOP), SavedImage(BASE, tar_of(top=b"other"))
    first = image.taken(tmp_path)
    again = image.taken(tmp_path)
    assert image.saved == 1
    assert again.images == first.images
    assert all(again.cached.values())
    changed = other.taken(tmp_path)
    assert [changed.cached[layer.digest] for layer in changed.images[0].layers] == [True, False]


def test_a_damaged_layer_is_made_again(tmp_path: Path) -> None:
    image = SavedImage(BASE)
    first = image.taken(tmp_path)
    (path,) = first.blobs.values()
    path.write_bytes(b"damaged")
    again = image.taken(tmp_path)
    assert again.images == first.images
    assert digest_of(path.read_bytes()) == first.images[0].layers[0].digest


def test_a_known_layer_keeps_its_bytes_and_name(tmp_path: Path) -> None:
    maker = ImageMaker(tmp_path / "layers")
    layer = maker.layer("base", b"ours")
    path = tmp_path / "layers" / "blobs" / layer.digest[7:]
    known = {layer.diff_id: KnownLayer(layer, path)}
    made = SavedImage(gzip.decompress(path.read_bytes()), TOP).taken(tmp_path / "cache", known=known)
    assert made.images[0].layers[0] == layer
    assert made.blobs[layer.digest] == path


def test_layers_are_called_as_in_the_plan(tmp_path: Path) -> None:
    add = {"created_by": "/bin/sh -c #(nop) ADD file:1234 in / "}
    steps = (
        {"created_by": "/bin/sh -c #(nop)  ENV A=1", "empty_layer": True},
        {"created_by": "/bin/sh -c apt-get   install\n x"},
        add,
    )
    image = SavedImage(BASE, TOP, steps=steps)
    named = image.taken(tmp_path, added=[("agent", "agent 1")]).images[0].layers
    assert [(layer.kind, layer.title) for layer in named] == [
        ("step", "apt-get install x"),
        ("agent", "agent 1"),
    ]
    unclear = image.taken(tmp_path, added=[("agent", "a"), ("script", "b")]).images[0].layers
    assert [layer.kind for layer in unclear] == ["step", "step"]


def test_another_platform_than_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="for linux/amd64, not for linux/arm64: does the Dockerfile begin"):
        SavedImage(BASE).taken(tmp_path, ARM64)


def test_what_an_engine_saved_wrongly(tmp_path: Path) -> None:
    image = SavedImage(BASE)
    image.layers = (TOP,)
    with pytest.raises(RemoteError, match="saved layer sha256:"):
        image.taken(tmp_path)
    with pytest.raises(RemoteError, match="cannot be read"):
        taken_image(lambda: [b"no tar" * 1000], image.image_id, AMD64, {}, (), tmp_path / "other")


def test_the_log_by_lines_and_the_step_that_failed() -> None:
    lines: list[str] = []
    log = EngineLog("linux/arm64  ", lines.append)
    for event in (
        {"stream": "Step 1/2 : FROM x"},
        {"stream": "\n"},
        {"status": "Pulling", "id": "abc"},
        {"status": "Downloading", "id": "abc", "progress": "[==>"},
        {"stream": "Step 2/2 : RUN make\n ---> Running\nmake: no"},
        {"stream": " rule\n"},
        {"aux": {"ID": "sha256:built"}},
        {"error": "The command returned a non-zero code: 2", "errorDetail": {"code": 2}},
    ):
        log.take(event)
    assert [line.removeprefix("linux/arm64  ") for line in lines] == [
        "Step 1/2 : FROM x",
        "abc Pulling",
        "Step 2/2 : RUN make",
        " ---> Running",
        "make: no rule",
    ]
    assert (log.step, log.error) == ("step 2/2, RUN make", "The command returned a non-zero code: 2")
    assert log.image_id == "sha256:built"


def test_settings_that_a_dockerfile_changed() -> None:
    document = RUN.document()
    assert setting_differences({"config": {**document, "Cmd": None}}, RUN) == []
    changed = {**document, "User": "root", "Env": [*document["Env"][1:], "MORE=1"]}
    assert setting_differences({"config": changed}, RUN) == [
        "User is 'root' instead of '1000'",
        "the environment variable A is not as it was planned",
    ]


def test_what_a_dockerfile_can_copy(tmp_path: Path) -> None:
    for name in ("a.crt", "secret.key", "dist/image/blob", "sub/b.crt", "sub/c.key", ".edgepack/model"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".dockerignore").write_text("# private\n**/*.key\n")
    found = context_files(tmp_path, (tmp_path / "dist", tmp_path / ".edgepack", tmp_path.parent / "elsewhere"))
    assert [name for name in found if (tmp_path / name).is_file()] == [".dockerignore", "a.crt", "sub/b.crt"]
