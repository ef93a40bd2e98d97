"""What hangs on a built image, kept in `dist/attachments`: an OCI layout of its own beside the image's.

The image's layout keeps exactly one entry, which every tool takes. This one holds the image's index (the document, not
the platforms) and each attachment; the entries carry the annotations by which cosign finds signatures in a layout, so
`cosign verify --local-image` reads it as it is. What is there already is not written again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgepack.errors import DamagedDataError
from edgepack.files import write_file
from edgepack.oci.artifact import (
    COSIGN_ATTESTATION,
    COSIGN_SIGNATURE,
    Attached,
    Attachment,
    json_object,
    parse_attachment,
)
from edgepack.oci.descriptor import INDEX, MANIFEST, Descriptor, digest_of, encode_document, parse_descriptor
from edgepack.oci.layout import blob_path

FOLDER = "attachments"
_KIND = "kind"
_KINDS = {
    COSIGN_SIGNATURE: "dev.cosignproject.cosign/sigs",
    COSIGN_ATTESTATION: "dev.cosignproject.cosign/atts",
}
_IMAGE_KINDS = {INDEX: "dev.cosignproject.cosign/imageIndex", MANIFEST: "dev.cosignproject.cosign/image"}
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_MOST_BYTES = 64 * 1024 * 1024


def attachments_folder(layout: Path) -> Path:
    """Where the attachments of the image in `layout` are: beside it."""
    return layout.with_name(FOLDER if layout.name == "image" else f"{layout.name}.{FOLDER}")


def write_attachments(folder: Path, attached: Attached) -> None:
    """Make `folder` hold exactly this: blobs first, `index.json` last, then what is no longer named is removed."""
    wanted = {attached.subject.digest: attached.index}
    for each in attached.attachments:
        wanted |= {blob.descriptor.digest: blob.content for blob in each.blobs}
        wanted[each.descriptor.digest] = each.manifest
    for digest, content in wanted.items():
        _keep(blob_path(folder, digest), content)
    _keep(folder / "oci-layout", _LAYOUT)
    _keep(folder / "index.json", _layout_index(attached))
    names = {digest.removeprefix("sha256:") for digest in wanted}
    for path in (folder / "blobs" / "sha256").iterdir():
        if path.name not in names:
            path.unlink(missing_ok=True)
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def read_attachments(folder: Path) -> Attached | None:
    """All that is in `folder`, every digest recomputed; None when there is no such folder.

    Raises:
        DamagedDataError: a byte of it is not what it should be.
    """
    if not folder.is_dir():
        return None
    text = _read(folder / "index.json", "the list of attachments")
    entries = json_object(text, str(folder / "index.json")).get("manifests")
    if not isinstance(entries, list) or not entries:
        raise DamagedDataError(f"{folder / 'index.json'}: names no image; build the image again")
    first, *others = (
        parse_descriptor(entry, f"{folder / 'index.json'}: manifests/{number}") for number, entry in enumerate(entries)
    )
    attached = Attached(_blob(folder, first))
    found = [_read_one(folder, entry, attached) for entry in others]
    attached = Attached(attached.index, tuple(found))
    if _layout_index(attached) != text or _read(folder / "oci-layout", "the mark of a layout") != _LAYOUT:
        raise DamagedDataError(f"{folder}: index.json or oci-layout was changed; build the image again")
    return attached


def _read_one(folder: Path, entry: Descriptor, attached: Attached) -> Attachment:
    plan = parse_attachment(_blob(folder, entry), entry.digest)
    contents = {each.digest: _blob(folder, each) for each in (plan.config, *plan.layers)}
    return plan.filled(contents, attached.subject)


def _layout_index(attached: Attached) -> bytes:
    subject = attached.subject
    entries = [_entry(subject, {_KIND: _IMAGE_KINDS.get(subject.media_type, _IMAGE_KINDS[INDEX])})]
    for each in attached.attachments:
        kind = _KINDS.get(each.artifact_type)
        entries.append({**_entry(each.descriptor, {_KIND: kind} if kind else {}), "artifactType": each.artifact_type})
    return encode_document({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def _entry(descriptor: Descriptor, annotations: Mapping[str, str]) -> dict[str, Any]:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, dict(annotations)).document()


def _blob(folder: Path, descriptor: Descriptor) -> bytes:
    path = blob_path(folder, descriptor.digest)
    content = _read(path, "a blob")
    if digest_of(content) != descriptor.digest or len(content) != descriptor.size:
        raise DamagedDataError(
            f"{path}: {len(content)} bytes with digest {digest_of(content)}; expected {descriptor.size} bytes; build "
            "the image again"
        )
    return content


def _read(path: Path, what: str) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DamagedDataError(f"{path}: larger than {_MOST_BYTES} bytes")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedDataError(f"{path}: {what} is missing; build the image again") from error


def _keep(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    write_file(path, content)
