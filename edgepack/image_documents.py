"""The documents about an image, beside it and attached to it: a bill of materials a platform, and provenance."""

from collections.abc import Sequence
from pathlib import Path

from edgepack.attachments import FOLDER as ATTACHMENTS
from edgepack.attachments import read_attachments, write_attachments
from edgepack.errors import DamagedDataError
from edgepack.files import write_file
from edgepack.ingredients import Ingredients
from edgepack.oci.artifact import CYCLONEDX, IN_TOTO, PREDICATE_TYPE, TITLE, Attached, Attachment, Blob, attach
from edgepack.oci.image import Image
from edgepack.provenance import provenance_document
from edgepack.sbom import sbom_document
from edgepack.signing.payload import SLSA_PREDICATE

SBOM, PROVENANCE = "sbom", "provenance.json"


def sbom_name(slug: str) -> str:
    """The file of a platform's bill of materials."""
    return f"{slug}.cdx.json"


def write_image_documents(
    folder: Path, ingredients: Ingredients, images: Sequence[Image], index: bytes, builder: str = "oci"
) -> None:
    """Write the documents and attachments of an image below `folder`; files that are right already stay.

    Signatures that are there stay as long as the image and all documents are what was signed.
    """
    attached = Attached(index)
    documents = []
    for image in images:
        manifest = image.descriptor()
        text = sbom_document(ingredients, image.platform, attached.subject.digest, manifest.digest)
        name = sbom_name(image.platform.slug)
        _keep(folder / SBOM / name, text)
        documents.append(attach(CYCLONEDX, manifest, [Blob(CYCLONEDX, text, ((TITLE, name),))]))
    manifests = {image.platform: image.descriptor().digest for image in images}
    text = provenance_document(ingredients, attached.subject.digest, manifests, builder)
    _keep(folder / PROVENANCE, text)
    annotations = ((TITLE, PROVENANCE), (PREDICATE_TYPE, SLSA_PREDICATE))
    documents.append(attach(IN_TOTO, attached.subject, [Blob(IN_TOTO, text, annotations)]))
    for path in (folder / SBOM).glob("*.cdx.json"):
        if path.name not in {sbom_name(image.platform.slug) for image in images}:
            path.unlink()
    attached = attached.replaced(documents)
    write_attachments(folder / ATTACHMENTS, attached.replaced([*documents, *_former_signatures(folder, attached)]))


def check_documents(folder: Path, attached: Attached) -> tuple[str, ...]:
    """Make sure that the documents below `folder` are the attached ones, and gives their names.

    Raises:
        DamagedDataError: one is missing, is another one, or is not attached.
    """
    problems = []
    wanted = {}
    for attachment in (*attached.of_type(CYCLONEDX), *attached.of_type(IN_TOTO)):
        for layer in attachment.layers:
            title = str(dict(layer.annotations).get(TITLE))
            wanted[f"{SBOM}/{title}" if attachment.artifact_type == CYCLONEDX else title] = layer.content
    present = [path.name for path in (folder / SBOM).glob("*")] if (folder / SBOM).is_dir() else []
    problems += [f"{folder / SBOM / name}: is not attached" for name in present if f"{SBOM}/{name}" not in wanted]
    if PROVENANCE not in wanted and (folder / PROVENANCE).exists():
        problems.append(f"{folder / PROVENANCE}: is not attached")
    for name, content in wanted.items():
        if ".." in Path(name).parts or Path(name).is_absolute():
            problems.append(f"{name!r}: no name of a document")
            continue
        try:
            if (folder / name).read_bytes() != content:
                problems.append(f"{folder / name}: differs from what hangs on the image")
        except (OSError, ValueError):
            problems.append(f"{folder / name}: is missing")
    if problems:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        raise DamagedDataError(f"{folder}: the documents are not those of the image; build it again:\n{listing}")
    return tuple(sorted(wanted))


def _former_signatures(folder: Path, attached: Attached) -> list[Attachment]:
    try:
        former = read_attachments(folder / ATTACHMENTS)
    except DamagedDataError:
        return []
    if former is None or former.index != attached.index:
        return []
    signed = [each for each in former.attachments if each.tag is not None]
    documents = tuple(each for each in former.attachments if each.tag is None)
    return signed if documents == attached.attachments else []


def _keep(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    write_file(path, content)
