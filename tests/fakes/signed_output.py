"""What a build leaves, small: an image, the documents about it and attachments, signed or not."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from edgepack.base.apt import DebPackage
from edgepack.image_documents import write_image_documents
from edgepack.ingredients import HashedFile, Ingredients, Licence
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.oci.layout import blob_path
from edgepack.oci.platform import AMD64, ARM64, Platform
from edgepack.oci.reference import parse_image_reference
from edgepack.resolve.lock import PlatformLock, Wheel
from edgepack.sign import sign_layout
from edgepack.signing.keys import SigningKey
from tests.fakes.images import ImageMaker

NAME = "registry.example.com/team/sample"


def new_key() -> SigningKey:
    """A key without a file."""
    return SigningKey(ec.generate_private_key(ec.SECP256R1()))


def sample_lock(platform: Platform, base: str = "debian:bookworm") -> PlatformLock:
    """A lock of two Debian packages and two wheels."""
    debian = (
        DebPackage("base-files", "12.4+deb12u12", platform.debian, "pool/b/base-files.deb", "1" * 64, 10),
        DebPackage("libstdc++6", "1:12.2.0-14~x", platform.debian, "pool/libstdc++6_12_arm64.deb", "2" * 64, 10),
    )
    wheels = (
        Wheel("plain", "2.0", "plain-2.0-py3-none-any.whl", "https://user:pw@host.example/p.whl?sig=1#x", "3" * 64, 5),
        Wheel("local-one", "1.0+cpu.1", "local_one-1.0+cpu.1-py3-none-any.whl", "file:///home/me/w.whl", "4" * 64),
    )
    return PlatformLock(str(platform), "i", (str(platform),), "s", base, "3.11", debian, wheels)


def sample_ingredients(*platforms: Platform) -> Ingredients:
    """Something of everything."""
    files = (ModelFile("model.onnx", 3, "5" * 64), ModelFile("sub/labels.txt", 3, "6" * 64))
    model = ModelRecord(name="digits", version=3, files=files, created_utc="2026-01-01T00:00:00Z")
    return Ingredients(
        image=parse_image_reference(f"{NAME}:1"),
        platforms=platforms,
        base="debian:bookworm",
        models=(model,),
        locks={platform: sample_lock(platform) for platform in platforms},
        entry="score.py",
        script=(HashedFile("var/azureml-app/source/score.py", "7" * 64),),
        agent_version="0.1.0",
        agent=(HashedFile("device_agent/a.py", "8" * 64), HashedFile("device_agent/b.py", "9" * 64)),
        settings=(HashedFile("conda.yml", "a" * 64),),
        variables=("LEVEL",),
        licences={"3" * 64: Licence("MIT OR Apache-2.0"), "4" * 64: Licence(None, ("BSD License", "Own"))},
    )


@dataclass(frozen=True)
class Output:
    """A build's output in `folder`."""

    folder: Path

    @property
    def layout(self) -> Path:
        """Where the image is."""
        return self.folder / "image"


def write_output(folder: Path, *keys: SigningKey, content: bytes = b"one") -> Output:
    """Write an output for two platforms, signed with `keys`."""
    maker = ImageMaker(folder.parent / f".{folder.name}-cache")
    images = maker.images(content, b"two" * 100)
    index = maker.write(folder / "image", images)
    ingredients = sample_ingredients(AMD64, ARM64)
    write_image_documents(folder, ingredients, images, blob_path(folder / "image", index.digest).read_bytes())
    for key in keys:
        sign_layout(folder / "image", NAME, key)
    return Output(folder)
