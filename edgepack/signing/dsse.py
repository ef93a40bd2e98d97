"""DSSE envelopes: a payload, what type it is, and signatures over both. Pure.

Source: the DSSE specification 1.0. The signature covers `DSSEv1 LEN TYPE LEN BODY`, lengths in bytes.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from edgepack.errors import DamagedDataError
from edgepack.oci.artifact import json_object
from edgepack.oci.descriptor import encode_document


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was signed, and the signatures (DER) over it."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that the signatures cover."""
        return signed_bytes(self.payload_type, self.payload)


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def encode_envelope(payload_type: str, payload: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The JSON text of an envelope with one signature, whose key is not named."""
    signature = sign(signed_bytes(payload_type, payload))
    return encode_document(
        {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
        }
    )


def parse_envelope(content: bytes, where: str) -> Envelope:
    """Read an envelope.

    Raises:
        DamagedDataError: it is none; the message starts with `where`.
    """
    match json_object(content, where):
        case {"payloadType": str(kind), "payload": str(payload), "signatures": list(entries)}:
            signatures = []
            for entry in entries:
                match entry:
                    case {"sig": str(signature)}:
                        signatures.append(decode_base64(signature, where))
                    case _:
                        raise DamagedDataError(f"{where}: a signature of the envelope is no object with `sig`")
            try:
                kind.encode()
            except UnicodeEncodeError as error:
                raise DamagedDataError(f"{where}: payloadType is no text") from error
            return Envelope(kind, decode_base64(payload, where), tuple(signatures))
    raise DamagedDataError(f"{where}: not a DSSE envelope with payloadType, payload and signatures")


def decode_base64(text: str, where: str) -> bytes:
    """The bytes of a text in the one standard way of writing them.

    Raises:
        DamagedDataError: it is no base64, or another spelling of it; the message starts with `where`.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DamagedDataError(f"{where}: not base64 ({error})") from error
    if base64.b64encode(content).decode() != text:
        raise DamagedDataError(f"{where}: not base64 as it is written")
    return content
