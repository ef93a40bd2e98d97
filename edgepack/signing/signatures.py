"""Signatures of an image and of the documents that hang on it: made with a private key, checked with its public one.

Pure but for the key's own arithmetic. What is signed: the digest of the index, and each bill of materials and the
provenance in a statement about that digest. Signatures of other keys are kept when one is added.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgepack.errors import DamagedDataError
from edgepack.oci.artifact import (
    COSIGN_ATTESTATION,
    COSIGN_SIGNATURE,
    CYCLONEDX,
    DSSE,
    IN_TOTO,
    SIMPLE_SIGNING,
    TITLE,
    Attached,
    Attachment,
    Blob,
    attach,
    json_object,
)
from edgepack.signing.dsse import decode_base64, encode_envelope, parse_envelope
from edgepack.signing.keys import PublicKey, SigningKey
from edgepack.signing.payload import (
    CYCLONEDX_PREDICATE,
    ImagePayload,
    Statement,
    encode_image_payload,
    encode_readable,
    parse_image_payload,
    parse_statement,
    statement_document,
)

_SIGNATURE = "dev.cosignproject.cosign/signature"
_PREDICATE = "predicateType"


@dataclass(frozen=True, slots=True)
class SignedContent:
    """What a key stands for: the digest of the index, the names it was signed under, the titles of the documents."""

    digest: str
    names: tuple[str, ...]
    documents: tuple[str, ...]


def sign_attached(attached: Attached, name: str, key: SigningKey) -> Attached:
    """`attached` with signatures by `key` over the image, called `name`, and over the documents that hang on it.

    Raises:
        DamagedDataError: one of the documents, or a former signature, cannot be read.
    """
    subject = attached.subject
    payload = encode_image_payload(ImagePayload(name, subject.digest))
    signature = base64.b64encode(key.sign(payload)).decode()
    signatures = [
        *_layers_of_others(attached, COSIGN_SIGNATURE, key.public),
        Blob(SIMPLE_SIGNING, payload, ((_SIGNATURE, signature),)),
    ]
    statements = list(_layers_of_others(attached, COSIGN_ATTESTATION, key.public))
    for document in _documents(attached):
        content, kind = _statement_of(document, attached, name)
        envelope = encode_envelope(IN_TOTO, content, key.sign)
        statements.append(Blob(DSSE, envelope, ((_SIGNATURE, ""), (_PREDICATE, kind))))
    kept = [each for each in attached.attachments if each.tag is None]
    kept.append(attach(COSIGN_SIGNATURE, subject, signatures, like_an_image=True))
    if statements:
        kept.append(attach(COSIGN_ATTESTATION, subject, statements, like_an_image=True))
    return attached.replaced(kept)


def check_signatures(attached: Attached, key: PublicKey) -> SignedContent:
    """Make sure that `key` signed the index, and each bill of materials and provenance that hangs on the image.

    Raises:
        DamagedDataError: it did not; says what was found instead.
    """
    digest = attached.subject.digest
    names = _signed_names(attached, key)
    signed = list(_statements(attached, key))
    problems = []
    titles = []
    for document in _documents(attached):
        title = title_of(document)
        titles.append(title)
        if not any(_covers(content, statement, document, digest) for content, statement in signed):
            problems.append(f"{title}, which hangs on {document.subject.digest}, is not signed with this key")
    if problems:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        raise DamagedDataError(f"{digest} is signed, but not all that hangs on it:\n{listing}")
    return SignedContent(digest, names, tuple(titles))


def title_of(document: Attachment) -> str:
    """What a document is called, e.g. `linux-arm64.cdx.json`."""
    names = [dict(layer.annotations).get(TITLE) for layer in document.layers]
    return str(next((name for name in names if name), document.artifact_type))


def _documents(attached: Attached) -> tuple[Attachment, ...]:
    return (*attached.of_type(CYCLONEDX), *attached.of_type(IN_TOTO))


def _layers_of_others(attached: Attached, artifact_type: str, key: PublicKey) -> Iterator[Blob]:
    """The signatures that `key` has not made, each once: they stay. A registry keeps former lists of them, too."""
    for layer in dict.fromkeys(_layers(attached, artifact_type)):
        try:
            own = bool(_payloads([layer], key) if artifact_type == COSIGN_SIGNATURE else _envelopes([layer], key))
        except DamagedDataError:
            own = False
        if not own:
            yield layer


def _layers(attached: Attached, artifact_type: str) -> list[Blob]:
    return [
        layer
        for attachment in attached.of_type(artifact_type)
        if attachment.subject.digest == attached.subject.digest
        for layer in attachment.layers
    ]


def _payloads(layers: Iterable[Blob], key: PublicKey) -> list[bytes]:
    """The contents that `key` has signed, of simple signatures."""
    found = []
    for layer in layers:
        text = dict(layer.annotations).get(_SIGNATURE)
        if layer.media_type == SIMPLE_SIGNING and isinstance(text, str):
            try:
                signature = decode_base64(text, layer.descriptor.digest)
            except DamagedDataError:
                continue
            if key.verifies(signature, layer.content):
                found.append(layer.content)
    return found


def _envelopes(layers: Iterable[Blob], key: PublicKey) -> list[bytes]:
    """The payloads that `key` has signed, of envelopes."""
    found = []
    for layer in layers:
        if layer.media_type == DSSE:
            envelope = parse_envelope(layer.content, layer.descriptor.digest)
            if envelope.payload_type == IN_TOTO and any(
                key.verifies(signature, envelope.signed) for signature in envelope.signatures
            ):
                found.append(envelope.payload)
    return found


def _signed_names(attached: Attached, key: PublicKey) -> tuple[str, ...]:
    digest = attached.subject.digest
    layers = _layers(attached, COSIGN_SIGNATURE)
    if not layers:
        raise DamagedDataError(f"{digest} is not signed: no signature hangs on it; sign it with `edgepack sign`")
    contents = _payloads(layers, key)
    if not contents:
        raise DamagedDataError(
            f"{digest} is signed, but not with this key: none of {len(layers)} signatures verifies with "
            f"{key.fingerprint}, or the signed text was changed"
        )
    payloads = [parse_image_payload(content, digest) for content in contents]
    names = tuple(payload.name for payload in payloads if payload.digest == digest)
    if not names:
        others = ", ".join(sorted({payload.digest for payload in payloads}))
        raise DamagedDataError(f"{digest} is not signed: the signatures that hang on it are for {others}")
    return names


def _statements(attached: Attached, key: PublicKey) -> Iterator[tuple[bytes, Statement]]:
    digest = attached.subject.digest
    for content in _envelopes(_layers(attached, COSIGN_ATTESTATION), key):
        yield content, parse_statement(content, f"{digest}: a signed statement")


def _covers(content: bytes, statement: Statement, document: Attachment, digest: str) -> bool:
    """Whether a signed statement is about this image, and says what the document says, byte for byte."""
    wanted = {each.removeprefix("sha256:") for each in (digest, document.subject.digest)}
    if not wanted <= statement.subjects or len(document.layers) != 1:
        return False
    if document.artifact_type == IN_TOTO:
        return content == document.layers[0].content
    return (
        statement.predicate_type == CYCLONEDX_PREDICATE
        and encode_readable(statement.predicate) == document.layers[0].content
    )


def _statement_of(document: Attachment, attached: Attached, name: str) -> tuple[bytes, str]:
    """The statement to sign for a document, and its predicate type. Provenance is a statement already."""
    content, title = document.layers[0].content, title_of(document)
    if document.artifact_type == IN_TOTO:
        statement = parse_statement(content, title)
        foreign = statement.subjects - {digest.removeprefix("sha256:") for digest in attached.subjects}
        if foreign or statement.names_others:
            listed = ", ".join(f"sha256:{digest}" for digest in sorted(foreign)) or "things without a SHA-256"
            raise DamagedDataError(
                f"{title}, which hangs on {document.subject.digest}, speaks of something else, too ({listed}): a "
                "signature would vouch for that; take the document away from the image, or sign what a build has made"
            )
        return content, statement.predicate_type
    predicate = json_object(content, title)
    if encode_readable(predicate) != content:
        raise DamagedDataError(f"{title}: was not written by edgepack; sign what a build has made")
    platform = next((each for each in attached.subjects.values() if each.digest == document.subject.digest), None)
    parts = (platform.platform or {}) if platform else {}
    own = " ".join([name, "/".join(filter(None, (parts.get("os"), parts.get("architecture"), parts.get("variant"))))])
    subjects = {name: attached.subject.digest, own.strip(): document.subject.digest}
    return encode_readable(statement_document(subjects, CYCLONEDX_PREDICATE, predicate)), CYCLONEDX_PREDICATE
