"""`edgepack sign` and the signatures of `edgepack verify`: an image in a folder or a registry, with a key of one's own.

What is signed is the digest of the index, and with it the documents that hang on the image. Signing and checking are
pure (`edgepack.signing.signatures`); here is where what is signed comes from and goes to.
"""

from dataclasses import dataclass
from pathlib import Path

from edgepack.attachments import attachments_folder, read_attachments, write_attachments
from edgepack.errors import DamagedDataError
from edgepack.files import locked_folder
from edgepack.image_documents import check_documents
from edgepack.oci.artifact import Attached
from edgepack.oci.layout import blob_path, read_index
from edgepack.oci.registry import Registry
from edgepack.remote_attachments import joined_signatures, pull_attachments, push_attachments
from edgepack.signing.keys import PublicKey, SigningKey
from edgepack.signing.signatures import SignedContent, check_signatures, sign_attached


@dataclass(frozen=True, slots=True)
class CheckedDocuments:
    """What hangs on an image and is sound: names of documents, and what the key stands for if one was given."""

    documents: tuple[str, ...]
    signed: SignedContent | None = None


def sign_layout(layout: Path, name: str, key: SigningKey) -> SignedContent:
    """Sign the image in `layout`, called `name`, and the documents beside it; the signatures go beside it, too.

    Raises:
        InputError: no image is there.
        DamagedDataError: what is there is not sound.
    """
    read_index(layout)
    with locked_folder(layout):  # another key may sign at the same time, and its signature is to stay
        attached = _attached(layout)
        _check_beside(layout, attached)
        signed = sign_attached(attached, name, key)
        write_attachments(attachments_folder(layout), signed)
    return check_signatures(signed, key.public)


def sign_remote(registry: Registry, key: SigningKey) -> SignedContent:
    """Sign the image that the registry's reference names, and the documents that hang on it there.

    Raises:
        RemoteError: the registry fails, or has no such image.
        DamagedDataError: what hangs on the image is not sound.
    """
    _, index = registry.manifest(registry.reference.target)
    signed = sign_attached(pull_attachments(registry, index), registry.reference.name, key)
    signed = joined_signatures(signed, registry)
    push_attachments(registry, (one for one in signed.attachments if one.tag is not None))
    return check_signatures(signed, key.public)


def check_layout(layout: Path, key: PublicKey | None) -> CheckedDocuments:
    """Check all that hangs on the image in `layout`, and with a key that it signed image and documents.

    Raises:
        DamagedDataError: something differs from what it should be, or is not signed.
    """
    attached = _attached(layout)
    documents = _check_beside(layout, attached)
    return CheckedDocuments(documents, check_signatures(attached, key) if key else None)


def check_remote(registry: Registry, digest: str, key: PublicKey) -> CheckedDocuments:
    """Check that the key signed the image `digest` of the registry's repository, and the documents that hang on it.

    Raises:
        RemoteError: the registry fails, or has no such image.
        DamagedDataError: something is not signed.
    """
    _, index = registry.manifest(digest)
    signed = check_signatures(pull_attachments(registry, index), key)
    return CheckedDocuments(signed.documents, signed)


def attached_to(place: Path | Registry, digest: str) -> Attached:
    """What hangs on the image `digest` that a layout or a repository has.

    Raises:
        RemoteError, DamagedDataError: it cannot be read.
    """
    if isinstance(place, Path):
        return _attached(place)
    return pull_attachments(place, place.manifest(digest)[1])


def _check_beside(layout: Path, attached: Attached) -> tuple[str, ...]:
    """The documents that a build has left beside its image, sound; none for other images."""
    return check_documents(layout.parent, attached) if layout.name == "image" else ()


def _attached(layout: Path) -> Attached:
    root, _ = read_index(layout)
    folder = attachments_folder(layout)
    attached = read_attachments(folder)
    if attached is None:
        return Attached(blob_path(layout, root.digest).read_bytes())
    if attached.subject.digest != root.digest:
        raise DamagedDataError(
            f"{folder} belongs to another image ({attached.subject.digest}, not {root.digest}); build the image again"
        )
    return attached
