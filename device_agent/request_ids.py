"""The ids that tie a response to its request: x-request-id, x-ms-request-id, x-ms-client-request-id. Pure.

x-ms-request-id was once the client's own id; it still counts as one when x-ms-client-request-id is missing,
and is always filled in responses. Ids that the client gave come back unchanged; at most 100 characters.
"""

from dataclasses import dataclass

LONGEST_ID = 100


class IdTooLong(ValueError):
    """An id is longer than LONGEST_ID. `request_id` is what may still be sent back, empty for nothing."""

    def __init__(self, names: str, request_id: bytes = b"") -> None:
        self.request_id = request_id
        super().__init__(f"{names} must not exceed {LONGEST_ID} characters")


@dataclass(frozen=True, slots=True)
class RequestIds:
    """The ids of a response, as bytes of header values; `client_id` is empty when the client gave none."""

    request_id: bytes
    legacy_id: bytes
    client_id: bytes = b""


def choose_ids(new_id: bytes, request_id: bytes, legacy_id: bytes, client_id: bytes) -> RequestIds:
    """The response's ids for a request with these (empty: not given). Raises IdTooLong."""
    if len(request_id) > LONGEST_ID:
        raise IdTooLong("x-request-id")
    own_id = request_id or new_id
    if len(legacy_id) > LONGEST_ID or len(client_id) > LONGEST_ID:
        raise IdTooLong("x-ms-request-id and x-ms-client-request-id", own_id)
    return RequestIds(own_id, legacy_id or client_id or own_id, client_id or legacy_id)


def format_id(number: int) -> bytes:
    """A random 128-bit number as the text of a UUID, version 4 (RFC 9562, section 5.4)."""
    text = f"{number & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()
