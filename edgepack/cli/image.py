"""`edgepack verify` and `edgepack load`: an image, checked, handed to an engine."""

import json
from pathlib import Path

import click

from edgepack.cli.remote import fetched_layout, insecure_option, open_registry, remote_reference
from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import layout_of

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_TARGET = click.argument("target", metavar="DIR|REF")


def _built_name(layout: Path) -> str:
    """The name that the image was built under, else one from the folder's name."""
    report = layout.parent / "build.json"
    try:
        return str(json.loads(report.read_bytes())["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{layout.resolve().parent.name.lower()}:latest"


@click.command("verify")
@_TARGET
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Public key, PEM: it must have signed the image, its bills of materials and its provenance.",
)
@insecure_option
@pass_session
def verify_command(session: Session, target: str, key_file: Path | None, insecure: bool) -> None:
    """Recompute every digest of an image from its bytes, and with --key check who signed it.

    It is in DIR (a layout, or a build's output), or in a registry, from which all of it is fetched:
    REGISTRY/NAME[:TAG][@DIGEST].
    """
    from edgepack.cli.sign import check_document, read_verifying_key
    from edgepack.oci.validate import verify_layout
    from edgepack.sign import CheckedDocuments, check_layout, check_remote

    key = read_verifying_key(key_file)
    reference = remote_reference(target)
    checked = CheckedDocuments(())
    if reference is None:
        shown = str(layout_of(Path(target)))
        content = verify_layout(layout_of(Path(target)))
        checked = check_layout(layout_of(Path(target)), key)
    else:
        shown = str(reference)
        with fetched_layout(session, reference, insecure=insecure) as layout:
            content = verify_layout(layout)
        if key is not None:
            with open_registry(reference, insecure=insecure, say=session.say) as registry:
                checked = check_remote(registry, content.index.digest, key)
    names = [platform.name for platform in content.platforms]
    lines = [f"{shown}: sound ({', '.join(names)}; {content.index.digest})"]
    if checked.signed:
        lines.append(f"signed with {key_file} as {', '.join(dict.fromkeys(checked.signed.names))}")
        lines += [f"  {name}" for name in checked.signed.documents]
    session.result(
        {"digest": content.index.digest, "platforms": names, "ok": True, **check_document(checked, key_file)},
        "\n".join(lines),
    )


@click.command("load")
@_FOLDER
@click.option("--platform", metavar="PLATFORM", help="Which one. Default: the engine's own.")
@click.option("-t", "--tag", "name", metavar="REF", help="Name in the engine. Default: as it was built.")
@pass_session
def load_command(session: Session, folder: Path, platform: str | None, name: str | None) -> None:
    """Load one platform of the image in DIR into a Docker engine."""
    from edgepack.engine import load_image

    layout = layout_of(folder)
    loaded = load_image(layout, platform, name or _built_name(layout))
    session.result(
        {"image": loaded.name, "id": loaded.image_id, "platform": loaded.platform},
        f"loaded {loaded.platform} as {loaded.name} ({loaded.image_id})",
    )
