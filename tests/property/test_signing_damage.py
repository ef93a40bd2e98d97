"""Signatures under damage: nothing crashes, and no changed byte is ever called good. Envelopes round-trip."""

import base64
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgepack.attachments import read_attachments
from edgepack.errors import DamagedDataError
from edgepack.oci.descriptor import encode_document
from edgepack.sign import check_layout
from edgepack.signing.dsse import encode_envelope, parse_envelope, signed_bytes
from edgepack.signing.payload import ImagePayload, encode_image_payload, parse_image_payload, parse_statement
from edgepack.signing.signatures import check_signatures
from tests.fakes.signed_output import Output, new_key, write_output

KEY = new_key()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@given(st.text(st.characters(codec="utf-8")), st.binary(), st.binary(min_size=1))
def test_envelopes_come_back_as_they_were(payload_type: str, payload: bytes, signature: bytes) -> None:
    seen = []

    def sign(content: bytes) -> bytes:
        seen.append(content)
        return signature

    envelope = parse_envelope(encode_envelope(payload_type, payload, sign), "x")
    assert (envelope.payload_type, envelope.payload, envelope.signatures) == (payload_type, payload, (signature,))
    assert seen == [envelope.signed]


@given(st.text(st.characters(codec="utf-8")), st.binary(), st.text(st.characters(codec="utf-8")), st.binary())
def test_what_is_signed_tells_type_and_payload_apart(type1: str, payload1: bytes, type2: str, payload2: bytes) -> None:
    assume((type1, payload1) != (type2, payload2))
    assert signed_bytes(type1, payload1) != signed_bytes(type2, payload2)


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_payloads_come_back_as_they_were(name: str, digest: str) -> None:
    payload = ImagePayload(name, digest)
    assert parse_image_payload(encode_image_payload(payload), "x") == payload


@given(st.binary() | JSON.map(lambda value: encode_document({"payload": value, "critical": value})))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for parse in (parse_envelope, parse_image_payload, parse_statement):
        with suppress(DamagedDataError):
            parse(content, "x")


@given(
    st.dictionaries(
        st.sampled_from(["payloadType", "payload", "signatures", "_type", "subject", "predicateType"]), JSON
    )
)
def test_documents_of_the_right_shape_are_read_or_refused(document: dict[str, object]) -> None:
    for parse in (parse_envelope, parse_statement):
        with suppress(DamagedDataError):
            parse(encode_document(document), "x")


@given(st.binary())
def test_only_the_one_way_of_writing_base64_is_taken(content: bytes) -> None:
    text = base64.b64encode(content).decode()
    for other in (text + "=", text + "\n", " " + text, text.rstrip("=") + "===="):
        document = {"payloadType": "t", "payload": other, "signatures": []}
        with pytest.raises(DamagedDataError):
            parse_envelope(encode_document(document), "x")


@pytest.fixture(scope="module")
def output() -> Iterator[Output]:
    with tempfile.TemporaryDirectory() as folder:
        yield write_output(Path(folder, "dist"), KEY)


@settings(deadline=None)
@given(st.data())
def test_a_changed_byte_beside_the_image_is_never_good(output: Output, data: st.DataObject) -> None:
    files = sorted(path for path in output.folder.rglob("*") if path.is_file() and output.layout not in path.parents)
    path = data.draw(st.sampled_from(files))
    good = path.read_bytes()
    start = data.draw(st.integers(0, len(good) - 1))
    end = data.draw(st.integers(start, min(len(good), start + 4)))
    bad = good[:start] + data.draw(st.binary(max_size=4)) + good[end:]
    assume(bad != good)
    path.write_bytes(bad)
    try:
        for key in (None, KEY.public):
            with pytest.raises(DamagedDataError):
                check_layout(output.layout, key)
    finally:
        path.write_bytes(good)
    check_layout(output.layout, KEY.public)


@settings(deadline=None)
@given(st.data())
def test_a_changed_signed_byte_with_digests_made_to_fit_is_never_good(output: Output, data: st.DataObject) -> None:
    """Whoever changes a payload or an envelope can make every digest fit; the signature does not."""
    from edgepack.oci.artifact import COSIGN_ATTESTATION, COSIGN_SIGNATURE, Blob, attach

    attached = read_attachments(output.folder / "attachments")
    assert attached
    kind = data.draw(st.sampled_from([COSIGN_SIGNATURE, COSIGN_ATTESTATION]))
    (signed,) = attached.of_type(kind)
    number = data.draw(st.integers(0, len(signed.layers) - 1))
    layer = signed.layers[number]
    position = data.draw(st.integers(0, len(layer.content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != layer.content[position]))
    content = layer.content[:position] + bytes([byte]) + layer.content[position + 1 :]
    layers = list(signed.layers)
    layers[number] = Blob(layer.media_type, content, layer.annotations)
    forged = attach(kind, signed.subject, layers, like_an_image=True)
    others = [each for each in attached.attachments if each is not signed]
    with pytest.raises(DamagedDataError):
        check_signatures(attached.replaced([*others, forged]), KEY.public)
