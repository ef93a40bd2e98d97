"""What hangs on an image in a registry: read by referrers and by cosign's tags; signatures are added, not replaced."""

from collections.abc import Iterable
from dataclasses import replace
from http.client import NOT_FOUND
from io import BytesIO

from edgepack.oci.artifact import (
    COSIGN_ATTESTATION,
    COSIGN_SIGNATURE,
    CYCLONEDX,
    IN_TOTO,
    Attached,
    Attachment,
    attach,
    cosign_tag,
    parse_attachment,
)
from edgepack.oci.descriptor import Descriptor
from edgepack.oci.media_types import INDEXES
from edgepack.oci.registry import Registry
from edgepack.oci.registry_fault import RegistryRefusal

_TYPES = (CYCLONEDX, IN_TOTO, COSIGN_SIGNATURE, COSIGN_ATTESTATION)
_TAGS = (("sig", COSIGN_SIGNATURE), ("att", COSIGN_ATTESTATION))
_MOST_BYTES = 64 * 1024 * 1024


def pull_attachments(registry: Registry, index: bytes) -> Attached:
    """The attachments of the image whose index (or only manifest) has these bytes; of the types known here.

    Raises:
        RemoteError: the registry fails.
        DamagedDataError: one of them cannot be read.
    """
    attached = Attached(index)
    found: dict[str, Attachment] = {}
    for subject in attached.subjects.values():
        for entry in registry.referrers(subject.digest):
            one = _pull(registry, entry.digest, subject)
            if one is not None and one.subject.digest == subject.digest:
                found[one.descriptor.digest] = one
    for one in _tagged(registry, attached.subject):
        found.setdefault(one.descriptor.digest, one)
    return attached.replaced(found.values())


def joined_signatures(attached: Attached, registry: Registry) -> Attached:
    """`attached`, with the signatures that the registry has under cosign's tags of the same image: they stay valid.

    Raises:
        RemoteError: the registry fails.
        DamagedDataError: what it has there cannot be read.
    """
    return attached.replaced([_joined(one, attached.subject, registry) for one in attached.attachments])


def _joined(one: Attachment, subject: Descriptor, registry: Registry) -> Attachment:
    if one.tag is None or registry.manifest_digest(one.tag) == one.descriptor.digest:
        return one
    other = _pull_tag(registry, one.tag, subject, one.artifact_type)
    if other is None:
        return one
    layers = (*other.layers, *(layer for layer in one.layers if layer not in other.layers))
    return attach(one.artifact_type, one.subject, layers, like_an_image=True)


def push_attachments(registry: Registry, attachments: Iterable[Attachment]) -> None:
    """Store attachments, each under its digest and, where it has one, under cosign's tag."""
    for one in attachments:
        for blob in one.blobs:
            registry.push_blob(blob.descriptor, lambda content=blob.content: BytesIO(content))  # type: ignore[misc]
        for name in filter(None, (one.descriptor.digest, one.tag)):
            registry.push_manifest(one.manifest, one.descriptor.media_type, name)


def _tagged(registry: Registry, subject: Descriptor) -> list[Attachment]:
    found = []
    for suffix, artifact_type in _TAGS:
        one = _pull_tag(registry, cosign_tag(subject.digest, suffix), subject, artifact_type)
        if one is not None:
            found.append(replace(one, subject=subject))
    return found


def _pull_tag(registry: Registry, tag: str, subject: Descriptor, artifact_type: str) -> Attachment | None:
    """What the tag names, None where there is none. A HEAD would not do: some registries do not tell digests."""
    try:
        return _pull(registry, tag, subject, artifact_type)
    except RegistryRefusal as error:
        if error.status == NOT_FOUND:
            return None
        raise


def _pull(registry: Registry, name: str, subject: Descriptor, artifact_type: str | None = None) -> Attachment | None:
    """One attachment, counted as of `artifact_type` if that is given; None for a type that is not known here."""
    descriptor, content = registry.manifest(name)
    if descriptor.media_type in INDEXES:
        return None
    plan = parse_attachment(content, f"{registry.reference.name}@{descriptor.digest}")
    plan = replace(plan, artifact_type=artifact_type or plan.artifact_type)
    if plan.artifact_type not in _TYPES:
        return None
    contents = {each.digest: registry.read_blob(each, _MOST_BYTES) for each in (plan.config, *plan.layers)}
    return plan.filled(contents, subject)
