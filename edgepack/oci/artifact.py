"""What hangs on an image without being part of it: bills of materials, provenance, signatures. Pure.

Each is a manifest of its own with a `subject`, by the image specification 1.1: a registry lists it as a referrer of
the image, and the image's index holds runnable platforms only. cosign looks for a tag instead, so what is for cosign
has one, too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.errors import DamagedDataError
from edgepack.oci.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, digest_of, encode_document, parse_descriptor

EMPTY = "application/vnd.oci.empty.v1+json"
CYCLONEDX = "application/vnd.cyclonedx+json"
IN_TOTO = "application/vnd.in-toto+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
COSIGN_SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
COSIGN_ATTESTATION = "application/vnd.dev.cosign.artifact.att.v1+json"
TITLE = "org.opencontainers.image.title"
PREDICATE_TYPE = "in-toto.io/predicate-type"
_SUFFIXES = {COSIGN_SIGNATURE: "sig", COSIGN_ATTESTATION: "att"}


@dataclass(frozen=True, slots=True)
class Blob:
    """A small blob: its bytes, and what a descriptor says of them."""

    media_type: str
    content: bytes
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def descriptor(self) -> Descriptor:
        """How a manifest points at it."""
        return Descriptor(self.media_type, digest_of(self.content), len(self.content), dict(self.annotations))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A manifest that hangs on `subject`, as the exact bytes to store and push, with its configuration and layers."""

    artifact_type: str
    subject: Descriptor
    config: Blob
    layers: tuple[Blob, ...]
    manifest: bytes

    @property
    def descriptor(self) -> Descriptor:
        """How an index points at the manifest."""
        return Descriptor(MANIFEST, digest_of(self.manifest), len(self.manifest))

    @property
    def tag(self) -> str | None:
        """The tag under which cosign looks for it in the repository of the image; None for what is not cosign's."""
        suffix = _SUFFIXES.get(self.artifact_type)
        return cosign_tag(self.subject.digest, suffix) if suffix else None

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All blobs of the manifest, each digest once."""
        return tuple({blob.descriptor.digest: blob for blob in (self.config, *self.layers)}.values())


def cosign_tag(digest: str, suffix: str) -> str:
    """`sha256-HEX.sig` or `sha256-HEX.att`."""
    return f"{digest.replace(':', '-')}.{suffix}"


def attach(
    artifact_type: str, subject: Descriptor, layers: Iterable[Blob], *, like_an_image: bool = False
) -> Attachment:
    """The attachment of some blobs. cosign reads the configuration, so what is for cosign is made `like_an_image`."""
    layers = tuple(Blob(each.media_type, each.content, tuple(sorted(each.annotations))) for each in layers)
    subject = Descriptor(subject.media_type, subject.digest, subject.size)
    config = Blob(EMPTY, b"{}")
    if like_an_image:
        ids = [blob.descriptor.digest for blob in layers]
        document = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
        config = Blob(CONFIG, encode_document(document))
    manifest = encode_document(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": config.descriptor.document(),
            "layers": [blob.descriptor.document() for blob in layers],
            "subject": subject.document(),
        }
    )
    return Attachment(artifact_type, subject, config, layers, manifest)


@dataclass(frozen=True, slots=True)
class Attached:
    """An image index, as its exact bytes, and all that hangs on it or on one of its platforms, in a fixed order."""

    index: bytes
    attachments: tuple[Attachment, ...] = ()

    @property
    def subject(self) -> Descriptor:
        """The index that this is about; in a registry it may also be the only manifest of an image."""
        kind = json_object(self.index, digest_of(self.index)).get("mediaType", INDEX)
        return Descriptor(str(kind), digest_of(self.index), len(self.index))

    @property
    def subjects(self) -> dict[str, Descriptor]:
        """The index and the manifests of its platforms, by digest: what something may hang on.

        Raises:
            DamagedDataError: the index is none.
        """
        where = self.subject.digest
        children = json_object(self.index, where).get("manifests")
        listed = [parse_descriptor(child, where) for child in (children if isinstance(children, list) else ())]
        return {each.digest: each for each in (self.subject, *listed)}

    def of_type(self, artifact_type: str) -> tuple[Attachment, ...]:
        """The attachments of one type."""
        return tuple(each for each in self.attachments if each.artifact_type == artifact_type)

    def replaced(self, attachments: Iterable[Attachment]) -> "Attached":
        """The same image with other attachments, in the fixed order."""
        return Attached(self.index, tuple(sorted(attachments, key=_order)))


def _order(attachment: Attachment) -> tuple[bool, str, str]:
    return attachment.tag is not None, attachment.artifact_type, attachment.descriptor.digest


@dataclass(frozen=True, slots=True)
class AttachmentPlan:
    """What a manifest says that hangs on an image; its blobs are still to be had."""

    artifact_type: str
    subject: Descriptor | None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    manifest: bytes

    def filled(self, contents: Mapping[str, bytes], subject: Descriptor) -> Attachment:
        """The attachment, from the bytes of its blobs by digest. `subject` counts where the manifest names none.

        Raises:
            DamagedDataError: a blob is not what the manifest says.
        """

        def blob(descriptor: Descriptor) -> Blob:
            content = contents[descriptor.digest]
            if digest_of(content) != descriptor.digest or len(content) != descriptor.size:
                raise DamagedDataError(f"{descriptor.digest}: {len(content)} bytes with digest {digest_of(content)}")
            return Blob(descriptor.media_type, content, tuple(sorted(descriptor.annotations.items())))

        layers = tuple(map(blob, self.layers))
        return Attachment(self.artifact_type, self.subject or subject, blob(self.config), layers, self.manifest)


def parse_attachment(manifest: bytes, where: str) -> AttachmentPlan:
    """Read the manifest of an attachment.

    Raises:
        DamagedDataError: it is none; the message starts with `where`.
    """
    document = json_object(manifest, where)
    config = parse_descriptor(document.get("config"), f"{where}: config")
    layers, subject = document.get("layers"), document.get("subject")
    if not isinstance(layers, list):
        raise DamagedDataError(f"{where}: no list of layers")
    kind = document.get("artifactType")
    return AttachmentPlan(
        kind if isinstance(kind, str) else config.media_type,
        None if subject is None else parse_descriptor(subject, f"{where}: subject"),
        config,
        tuple(parse_descriptor(layer, f"{where}: layers/{number}") for number, layer in enumerate(layers)),
        manifest,
    )


def json_object(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object out of bytes of unknown origin.

    Raises:
        DamagedDataError: they are none; the message starts with `where`.
    """
    try:
        document = json.loads(content)
        if b"\\u" in content:  # half a surrogate pair is JSON, and no text
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DamagedDataError(f"{where}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise DamagedDataError(f"{where}: not a JSON object")
    return document
