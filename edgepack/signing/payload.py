"""What is signed: cosign's payload about an image, and in-toto's statements about what it was made from. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.errors import DamagedDataError
from edgepack.oci.artifact import json_object
from edgepack.oci.descriptor import encode_document

STATEMENT = "https://in-toto.io/Statement/v1"
STATEMENTS = (STATEMENT, "https://in-toto.io/Statement/v0.1")
CYCLONEDX_PREDICATE = "https://cyclonedx.org/bom"
SLSA_PREDICATE = "https://slsa.dev/provenance/v1"
_TYPE = "cosign container image signature"


@dataclass(frozen=True, slots=True)
class ImagePayload:
    """Says that the image `digest` (`sha256:HEX`) is good; `name` is what it was called then, and no promise."""

    name: str
    digest: str


def encode_image_payload(payload: ImagePayload) -> bytes:
    """The JSON text that cosign signs and checks."""
    critical = {
        "identity": {"docker-reference": payload.name},
        "image": {"docker-manifest-digest": payload.digest},
        "type": _TYPE,
    }
    return encode_document({"critical": critical, "optional": None})


def parse_image_payload(content: bytes, where: str) -> ImagePayload:
    """Read a payload.

    Raises:
        DamagedDataError: it is none; the message starts with `where`.
    """
    match json_object(content, where):
        case {
            "critical": {
                "identity": {"docker-reference": str(name)},
                "image": {"docker-manifest-digest": str(digest)},
                "type": kind,
            }
        } if kind == _TYPE:
            return ImagePayload(name, digest)
    raise DamagedDataError(f"{where}: not a payload of the type {_TYPE!r}")


@dataclass(frozen=True, slots=True)
class Statement:
    """Says `predicate`, of a type, about the things with the SHA-256 (hex digits) in `subjects`.

    `names_others`: also about things that are named in another way.
    """

    subjects: frozenset[str]
    predicate_type: str
    predicate: Any
    names_others: bool = False


def statement_document(
    subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    """An in-toto statement; `subjects` maps a name to a digest (`sha256:HEX`)."""
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for name, digest in subjects.items()
        ],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def parse_statement(content: bytes, where: str) -> Statement:
    """Read a statement.

    Raises:
        DamagedDataError: it is none; the message starts with `where`.
    """
    match json_object(content, where):
        case {"_type": kind, "subject": list(subjects), "predicateType": str(predicate_type), **rest} if (
            kind in STATEMENTS
        ):
            digests = set()
            names_others = False
            for subject in subjects:
                match subject:
                    case {"digest": {"sha256": str(digest), **more}}:
                        digests.add(digest)
                        names_others |= bool(more)
                    case _:
                        names_others = True
            return Statement(frozenset(digests), predicate_type, rest.get("predicate"), names_others)
    raise DamagedDataError(f"{where}: not an in-toto statement")


def encode_readable(document: Any) -> bytes:
    """The JSON text of a document that people read, too: sorted keys, no spaces, a line for each object in a list.

    Each build has its own, pushed with the image: small counts.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return (text.replace('},{"', '},\n{"') + "\n").encode()  # a quote in a string has a backslash before it
