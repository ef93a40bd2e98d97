"""`edgepack push`: an image in a layout, all platforms, and what hangs on it, to a registry.

Order: blobs, manifests, the index under its tag, then what hangs on it. What the registry has is skipped, what another
of its repositories is known to have is mounted. A push that was cut or killed is simply done again. The bytes are those
of the layout, so the digest in `deployment.json` is the one that the registry has.
"""

import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgepack.attachments import attachments_folder, read_attachments
from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.artifact import Attached, Attachment
from edgepack.oci.blob_places import BlobPlaces
from edgepack.oci.descriptor import Descriptor
from edgepack.oci.image_tree import ImageTree, read_tree, shown_platform, with_platform
from edgepack.oci.layout import blob_path, read_blob, read_index
from edgepack.oci.reference import ImageReference
from edgepack.oci.registry import PushedBlob, Registry
from edgepack.oci.transfer import UNWATCHED, Watch, each_at_once
from edgepack.remote_attachments import joined_signatures


@dataclass(frozen=True, slots=True)
class Pushed:
    """One blob or document: its size, how it came to be in the repository, and what went over the network for it."""

    kind: str  # present, mounted, uploaded
    size_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did."""

    reference: ImageReference
    digest: str
    platforms: tuple[str, ...]
    pushed: tuple[Pushed, ...]
    attachments: tuple[Attachment, ...]
    seconds: float

    def count(self, kind: str) -> int:
        """How many blobs and documents of a kind."""
        return sum(each.kind == kind for each in self.pushed)

    def size_bytes(self, kind: str) -> int:
        """How many bytes they have."""
        return sum(each.size_bytes for each in self.pushed if each.kind == kind)

    def document(self) -> dict[str, Any]:
        """As it stands in results."""
        return {
            "image": str(self.reference),
            "digest": self.digest,
            "reference": self.reference.by_digest(self.digest),
            "platforms": list(self.platforms),
            "sent": self.count("uploaded"),
            "sent_bytes": sum(each.sent_bytes for each in self.pushed),
            "mounted": self.count("mounted"),
            "mounted_bytes": self.size_bytes("mounted"),
            "present": self.count("present"),
            "present_bytes": self.size_bytes("present"),
            "attachments": [
                {"type": each.artifact_type, "digest": each.descriptor.digest} for each in self.attachments
            ],
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class _Source:
    """A blob to push, and how to read it."""

    blob: Descriptor
    open: Callable[[], BinaryIO]


def push_image(
    layout: Path, registry: Registry, *, cache: Path, mount_from: str | None = None, watch: Watch = UNWATCHED
) -> PushReport:
    """Push the image in `layout`, and the attachments beside it, to the repository and tag of `registry.reference`.

    `cache` is that of the workspace; `mount_from` is a repository of the same registry to mount blobs from.

    Raises:
        InputError: no layout is there, or its image cannot be pushed.
        DamagedDataError: a blob is not what its digest says; it is not sent.
        RemoteError: the registry fails, or refuses.
    """
    started = time.monotonic()
    reference = registry.reference
    tree = _read_layout(layout)
    if reference.digest and reference.digest != tree.root.digest:
        raise InputError(f"{reference}: the image has digest {tree.root.digest}; name a tag to push it to")
    attached = joined_signatures(_read_attached(layout, tree), registry)
    places = BlobPlaces(cache, reference.registry or "")

    def push(source: _Source) -> Pushed:
        blob = source.blob
        place = mount_from or places.source(blob.digest, reference.repository)
        done = registry.push_blob(blob, source.open, place, lambda moved: watch.moved(blob, moved))
        watch.ended(blob, done.kind)
        return _pushed(blob, done)

    sources = {source.blob.digest: source for source in (*_sources(layout, tree), *_attached_sources(attached))}
    watch.planned([source.blob for source in sources.values()])
    pushed = each_at_once(push, sources.values(), registry.stop)
    places.note((blob.digest for blob in tree.blobs), reference.repository)
    pushed += _push_documents(tree, registry)
    for each in attached.attachments:
        pushed += _push_attachment(each, registry)
    platforms = tuple(shown_platform(each.descriptor.platform) for each in tree.images)
    spent_s = round(time.monotonic() - started, 3)
    return PushReport(reference, tree.root.digest, platforms, tuple(pushed), attached.attachments, spent_s)


def _read_layout(layout: Path) -> ImageTree:
    def read(descriptor: Descriptor) -> bytes:
        return read_blob(layout, descriptor)

    root, _ = read_index(layout)
    tree = with_platform(read_tree(root, read(root), read), read)
    missing = [blob.digest for blob in tree.blobs if not blob_path(layout, blob.digest).is_file()]
    if missing:
        raise DamagedDataError(f"{layout}: blobs are missing: {', '.join(missing)}; build the image again")
    return tree


def _read_attached(layout: Path, tree: ImageTree) -> Attached:
    folder = attachments_folder(layout)
    attached = read_attachments(folder)
    if attached is not None and attached.subject.digest != tree.root.digest:
        raise DamagedDataError(
            f"{folder} belongs to another image ({attached.subject.digest}) than {layout} ({tree.root.digest}); "
            "build the image again"
        )
    return attached or Attached(tree.content)


def _sources(layout: Path, tree: ImageTree) -> Iterator[_Source]:
    for blob in tree.blobs:
        yield _Source(blob, _file_opener(blob_path(layout, blob.digest)))


def _attached_sources(attached: Attached) -> Iterator[_Source]:
    for each in attached.attachments:
        for blob in each.blobs:
            yield _Source(blob.descriptor, _opener(blob.content))


def _file_opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _opener(content: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(content)


def _pushed(blob: Descriptor, done: PushedBlob) -> Pushed:
    return Pushed(done.kind, blob.size, done.sent_bytes)


def _push_documents(tree: ImageTree, registry: Registry) -> list[Pushed]:
    """The platforms' manifests by their digests, then the index under the tag."""

    def push(descriptor: Descriptor, content: bytes, name: str) -> Pushed:
        if registry.manifest_digest(name) == descriptor.digest:
            return Pushed("present", len(content), 0)
        registry.push_manifest(content, descriptor.media_type, name)
        return Pushed("uploaded", len(content), len(content))

    pushed: list[Pushed] = []
    if tree.is_index:
        pushed += each_at_once(
            lambda each: push(each.descriptor, each.content, each.descriptor.digest), tree.manifests, registry.stop
        )
    return [*pushed, push(tree.root, tree.content, registry.reference.target)]


def _push_attachment(attachment: Attachment, registry: Registry) -> Iterable[Pushed]:
    """Its manifest by its digest, always, since the list of what hangs on the image depends on it; then its tag."""
    descriptor = attachment.descriptor
    is_there = registry.manifest_digest(descriptor.digest) == descriptor.digest
    registry.push_manifest(attachment.manifest, descriptor.media_type, descriptor.digest)
    if attachment.tag and registry.manifest_digest(attachment.tag) != descriptor.digest:
        registry.push_manifest(attachment.manifest, descriptor.media_type, attachment.tag)
    yield Pushed("present" if is_there else "uploaded", descriptor.size, 0 if is_there else descriptor.size)
