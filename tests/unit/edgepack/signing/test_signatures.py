"""Signatures in a build's output: what verifies, and what each way of tampering is told as."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.attachments import attachments_folder, read_attachments, write_attachments
from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.artifact import (
    COSIGN_ATTESTATION,
    COSIGN_SIGNATURE,
    CYCLONEDX,
    IN_TOTO,
    Attached,
    Blob,
    attach,
)
from edgepack.oci.descriptor import encode_document
from edgepack.sign import check_layout, sign_layout
from edgepack.signing.keys import SigningKey, is_encrypted, make_key_pair, read_public_key, read_signing_key
from edgepack.signing.payload import (
    SLSA_PREDICATE,
    STATEMENT,
    ImagePayload,
    encode_image_payload,
    parse_image_payload,
)
from edgepack.signing.signatures import check_signatures, sign_attached
from tests.fakes.signed_output import NAME, Output, new_key, write_output


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture
def output(tmp_path: Path, key: SigningKey) -> Output:
    return write_output(tmp_path / "dist", key)


def attached_of(output: Output) -> Attached:
    found = read_attachments(attachments_folder(output.layout))
    assert found is not None
    return found


def test_what_was_signed_verifies(output: Output, key: SigningKey) -> None:
    signed = check_layout(output.layout, key.public).signed
    assert signed is not None
    assert signed.names == (NAME,)
    assert sorted(signed.documents) == ["linux-amd64.cdx.json", "linux-arm64.cdx.json", "provenance.json"]


def test_another_key_is_refused_and_told_apart_from_no_signature(tmp_path: Path, output: Output) -> None:
    with pytest.raises(DamagedDataError, match="not with this key"):
        check_layout(output.layout, new_key().public)
    with pytest.raises(DamagedDataError, match="is not signed: no signature"):
        check_layout(write_output(tmp_path / "plain").layout, new_key().public)


def test_a_signature_of_another_digest_is_refused(tmp_path: Path, key: SigningKey, output: Output) -> None:
    other = attached_of(write_output(tmp_path / "other", key, content=b"other"))
    own = attached_of(output)
    (foreign,) = other.of_type(COSIGN_SIGNATURE)
    moved = attach(COSIGN_SIGNATURE, own.subject, foreign.layers, like_an_image=True)
    with pytest.raises(DamagedDataError, match=other.subject.digest):
        check_signatures(own.replaced([*(each for each in own.attachments if each.tag is None), moved]), key.public)


def test_a_changed_payload_is_refused(output: Output, key: SigningKey) -> None:
    own = attached_of(output)
    (signature,) = own.of_type(COSIGN_SIGNATURE)
    payload = encode_image_payload(ImagePayload("registry.example.com/other", own.subject.digest))
    changed = attach(COSIGN_SIGNATURE, own.subject, [replace(signature.layers[0], content=payload)], like_an_image=True)
    with pytest.raises(DamagedDataError, match="not with this key"):
        check_signatures(own.replaced([changed]), key.public)


def test_a_document_without_its_statement_is_refused(output: Output, key: SigningKey) -> None:
    own = attached_of(output)
    kept = [each for each in own.attachments if each.artifact_type != COSIGN_ATTESTATION]
    with pytest.raises(DamagedDataError, match=r"linux-arm64\.cdx\.json, which hangs on"):
        check_signatures(own.replaced(kept), key.public)


def test_a_statement_does_not_cover_another_platforms_document(output: Output, key: SigningKey) -> None:
    """The bill of materials of one platform, hung on the other, is no longer what was signed."""
    own = attached_of(output)
    first, second = own.of_type(CYCLONEDX)
    swapped = attach(CYCLONEDX, second.subject, first.layers)
    kept = [each for each in own.attachments if each not in (first, second)]
    with pytest.raises(DamagedDataError, match="is not signed with this key"):
        check_signatures(own.replaced([*kept, swapped]), key.public)


def test_documents_whose_attachments_are_gone_are_refused(output: Output, key: SigningKey) -> None:
    """Else a bill of materials beside an image could be any, and `verify` without a key would call all of it sound."""
    shutil.rmtree(attachments_folder(output.layout))
    for check in (lambda: check_layout(output.layout, None), lambda: sign_layout(output.layout, NAME, key)):
        with pytest.raises(DamagedDataError, match=r"provenance\.json: is not attached") as caught:
            check()
        assert "linux-arm64.cdx.json: is not attached" in str(caught.value)


def test_signing_again_changes_nothing_and_a_second_key_is_added(output: Output, key: SigningKey) -> None:
    before = attached_of(output)
    sign_layout(output.layout, NAME, key)
    assert attached_of(output) == before
    other = new_key()
    sign_layout(output.layout, NAME, other)
    for each in (key, other):
        check_layout(output.layout, each.public)
    assert len(attached_of(output).of_type(COSIGN_SIGNATURE)[0].layers) == 2


def test_keys_that_sign_at_the_same_time_all_have_signed(output: Output) -> None:
    keys = [new_key() for _ in range(6)]
    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(lambda key: sign_layout(output.layout, NAME, key), keys))
    for key in keys:
        check_layout(output.layout, key.public)


def test_attachments_of_another_image_are_refused(tmp_path: Path, output: Output, key: SigningKey) -> None:
    other = write_output(tmp_path / "other", key, content=b"other")
    write_attachments(attachments_folder(output.layout), attached_of(other))
    with pytest.raises(DamagedDataError, match="belongs to another image"):
        check_layout(output.layout, key.public)


def test_documents_of_others_are_not_signed_blindly(output: Output, key: SigningKey) -> None:
    own = attached_of(output)
    foreign = attach(CYCLONEDX, own.subject, [Blob(CYCLONEDX, b'{"bomFormat":"CycloneDX"}')])
    with pytest.raises(DamagedDataError, match="was not written by edgepack"):
        sign_attached(own.replaced([foreign]), NAME, key)


@pytest.mark.parametrize("other", [{"sha256": "f" * 64}, {"sha512": "f" * 128}])
def test_a_statement_that_others_have_hung_there_about_another_image_is_not_signed(
    output: Output, key: SigningKey, other: dict[str, str]
) -> None:
    """Else whoever may write to the repository would get a signature over what they like."""
    own = attached_of(output)
    mine = {"name": "own", "digest": {"sha256": own.subject.digest.removeprefix("sha256:")}}
    statement = {"_type": STATEMENT, "predicateType": SLSA_PREDICATE, "predicate": {}}
    planted = {**statement, "subject": [mine, {"name": "evil", "digest": other}]}
    foreign = attach(IN_TOTO, own.subject, [Blob(IN_TOTO, encode_document(planted))])
    with pytest.raises(DamagedDataError, match="speaks of something else"):
        sign_attached(own.replaced([*own.attachments, foreign]), NAME, key)
    good = attach(IN_TOTO, own.subject, [Blob(IN_TOTO, encode_document({**statement, "subject": [mine]}))])
    check_signatures(sign_attached(own.replaced([*own.attachments, good]), NAME, key), key.public)


def test_payload_is_the_one_that_cosign_writes() -> None:
    digest = f"sha256:{'a' * 64}"
    text = encode_image_payload(ImagePayload("host/name", digest))
    assert text == (
        b'{"critical":{"identity":{"docker-reference":"host/name"},"image":{"docker-manifest-digest":"'
        + digest.encode()
        + b'"},"type":"cosign container image signature"},"optional":null}'
    )
    assert parse_image_payload(text, "x") == ImagePayload("host/name", digest)


def test_key_pairs_are_written_once_and_for_their_owner_only(tmp_path: Path) -> None:
    private, public = make_key_pair(tmp_path / "own", b"pass")
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED SIGSTORE PRIVATE KEY" in private.read_bytes()
    assert is_encrypted(private)
    key = read_signing_key(private, b"pass")
    assert read_public_key(public).verifies(key.sign(b"text"), b"text")
    assert not read_public_key(public).verifies(key.sign(b"text"), b"texts")
    for password, text in ((None, "no password is given"), (b"other", "password is another")):
        with pytest.raises(InputError, match=text):
            read_signing_key(private, password)
    with pytest.raises(InputError, match="is there already"):
        make_key_pair(tmp_path / "own", b"pass")


def test_of_two_that_make_a_pair_of_one_name_one_does(tmp_path: Path) -> None:
    def make(_number: int) -> bool:
        try:
            make_key_pair(tmp_path / "own", b"pass")
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))).count(True) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.key", "own.pub"]
    private = read_signing_key(tmp_path / "own.key", b"pass")
    assert private.public.pem() == (tmp_path / "own.pub").read_bytes()


def test_keys_in_pkcs8_and_keys_of_other_kinds(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def write(name: str, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None) -> Path:
        hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            hidden = serialization.BestAvailableEncryption(password)
        path = tmp_path / name
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))
        return path

    for password in (None, b"secret"):
        path = write("own.pem", ec.generate_private_key(ec.SECP256R1()), password)
        assert is_encrypted(path) is (password is not None)
        assert read_signing_key(path, password).sign(b"x")
    with pytest.raises(InputError, match="or its password is another"):
        read_signing_key(path, b"other")
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(InputError, match="P-256"):
            read_signing_key(write("other.pem", key, None), None)
    (tmp_path / "junk").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(InputError, match="not a private key"):
        read_signing_key(tmp_path / "junk", None)
    with pytest.raises(InputError, match="cannot be read"):
        read_public_key(tmp_path / "missing")
