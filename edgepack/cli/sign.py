"""`edgepack sign`, and what other commands do with keys."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.build_steps import built_images
from edgepack.cli.key_password import asked_password, given_password, password_option
from edgepack.cli.remote import insecure_option, open_registry, remote_reference
from edgepack.cli.session import Session, pass_session

if TYPE_CHECKING:
    from edgepack.sign import CheckedDocuments
    from edgepack.signing.keys import PublicKey, SigningKey
    from edgepack.signing.signatures import SignedContent

_OPEN_TO_OTHERS = 0o077


@click.command("sign")
@click.argument("image", metavar="DIR|REF")
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The private key, PEM."
)
@password_option
@insecure_option
@pass_session
def sign_command(session: Session, image: str, key_file: Path, password_file: Path | None, insecure: bool) -> None:
    """Sign an image with a key: its index, and the bills of materials and provenance that hang on it.

    DIR is a layout, or a build's output with all its images; REF is an image in a registry, where the signature is then
    added.
    """
    key = read_key(session, key_file, password_file)
    reference = remote_reference(image)
    if reference is None:
        signed = sign_images(_named_layouts(Path(image)), key)
    else:
        from edgepack.sign import sign_remote

        with open_registry(reference, insecure=insecure, say=session.say, writes=True) as registry:
            signed = [sign_remote(registry, key)]
    documents = [{**each, "key": key.public.fingerprint} for each in map(_document, signed)]
    lines = [line for each in signed for line in (f"signed {each.digest}", *(f"  {name}" for name in each.documents))]
    result = documents[0] if len(documents) == 1 else {"images": documents}
    session.result(result, "\n".join([*lines, f"key {key.public.fingerprint}"]))


def read_key(session: Session, file: Path, password_file: Path | None) -> "SigningKey":
    """The private key in a file; its password is asked for where it is not given and somebody is there.

    Raises:
        InputError: the key cannot be read.
    """
    from edgepack.signing.keys import is_encrypted, read_signing_key, require_signing

    require_signing()
    password = given_password(password_file)
    encrypted = is_encrypted(file)
    if password is None and encrypted:
        password = asked_password(f"Password of {file}")
    key = read_signing_key(file, password)
    if not encrypted and file.stat().st_mode & _OPEN_TO_OTHERS:
        session.warn(f"{file}: is not encrypted, and others than its owner may read it: chmod 600 {file}")
    return key


def read_verifying_key(file: Path | None) -> "PublicKey | None":
    """The public key in a file, or None where none is given.

    Raises:
        InputError: the key cannot be read.
    """
    if file is None:
        return None
    from edgepack.signing.keys import read_public_key

    return read_public_key(file)


def sign_images(
    layouts: Sequence[tuple[Path, str]], key: "SigningKey", *, checked: bool = False
) -> "list[SignedContent]":
    """Sign images on this machine: the layout of each, and what it is called. `checked`: their digests are right.

    Raises:
        DamagedDataError: one is not sound.
    """
    from edgepack.oci.reference import parse_image_reference
    from edgepack.oci.validate import verify_layout
    from edgepack.sign import sign_layout

    signed = []
    for layout, name in layouts:
        if not checked:
            verify_layout(layout, diff_ids=False)
        signed.append(sign_layout(layout, parse_image_reference(name).name, key))
    return signed


def check_document(checked: "CheckedDocuments", key_file: Path | None) -> dict[str, Any]:
    """What was checked beside the image, for programs."""
    document: dict[str, Any] = {"documents": list(checked.documents)}
    if checked.signed:
        names, documents = list(checked.signed.names), list(checked.signed.documents)
        document["signed"] = {"key": str(key_file), "names": names, "documents": documents}
    return document


def _document(signed: "SignedContent") -> dict[str, Any]:
    return {"digest": signed.digest, "documents": list(signed.documents)}


def _named_layouts(folder: Path) -> list[tuple[Path, str]]:
    """The images of a build's output with their names, else the layout itself, named after its folder."""
    for place in (folder, folder.parent):
        try:
            report: dict[str, Any] = json.loads((place / "build.json").read_bytes())
            built = [(image.layout, image.name) for image in built_images(report, place)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if place == folder or folder.resolve() in [layout.resolve() for layout, _ in built]:
            return [one for one in built if place == folder or one[0].resolve() == folder.resolve()]
    layout = folder / "image" if (folder / "image" / "index.json").is_file() else folder
    return [(layout, layout.resolve().parent.name.lower())]
