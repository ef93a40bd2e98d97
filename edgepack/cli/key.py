"""`edgepack key`: pairs of keys for signatures."""

from pathlib import Path

import click

from edgepack.cli.key_password import asked_password, given_password, password_option
from edgepack.cli.session import Session, pass_session


@click.group("key")
def key_command() -> None:
    """Keys for signatures: ECDSA on the curve P-256, as files that cosign reads, too."""


@key_command.command("generate")
@click.option(
    "-o", "--output", "name", metavar="NAME", type=click.Path(path_type=Path), default=Path("edgepack"),
    show_default=True, help="Writes NAME.key and NAME.pub.",
)  # fmt: skip
@password_option
@pass_session
def generate_command(session: Session, name: Path, password_file: Path | None) -> None:
    """Make a new pair: NAME.key to sign with, encrypted with a password, and NAME.pub to check with."""
    from edgepack.errors import InputError
    from edgepack.signing.keys import make_key_pair, require_signing

    require_signing()
    password = given_password(password_file)
    if password is None:
        password = asked_password("Password for the new key (empty for none)", twice=True)
    if password is None:
        raise InputError(
            "the new key needs a password: set EDGEPACK_KEY_PASSWORD, or name a file with --password-file; an empty one"
            " is allowed"
        )
    private, public = make_key_pair(name, password)
    session.result(
        {"private": str(private), "public": str(public)}, f"{private}  keep it secret\n{public}  hand it out"
    )
