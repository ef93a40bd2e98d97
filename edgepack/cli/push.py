"""`edgepack push` and `edgepack pull`: images to and from registries."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.build_steps import BuiltImage, built_images
from edgepack.cli.progress import transfer_bars
from edgepack.cli.remote import insecure_option, open_registry, push_reference
from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import relative
from edgepack.errors import InputError
from edgepack.oci.reference import ImageReference, parse_remote_reference

if TYPE_CHECKING:
    from edgepack.push import PushReport

MOUNT_FROM = click.option(
    "--mount-from", metavar="REPOSITORY", help="A repository of the same registry that has some of the blobs."
)


@click.command("push")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("name", metavar="[REF]", required=False)
@MOUNT_FROM
@insecure_option
@pass_session
def push_command(session: Session, folder: Path, name: str | None, mount_from: str | None, insecure: bool) -> None:
    """Push the image in DIR, all platforms, to a registry as REF: REGISTRY/NAME[:TAG].

    DIR is a layout, or a build's output; then REF may be left out, and all images go where the build named them. What
    hangs on the image (bills of materials, provenance, signatures) goes with it.
    """
    built = _built(folder)
    if name is None:
        if not built:
            raise InputError(f"{folder} is no output of a build, so it does not say where to push to; give REF")
        targets = [(image.layout, push_reference(image.name)) for image in built]
    else:
        layout = folder / "image" if (folder / "image" / "index.json").is_file() else folder
        targets = [(layout, push_reference(name))]
        _tell_where_devices_pull(session, built, layout, targets[0][1])
    reports = [
        push_one(session, layout, reference, insecure=insecure, mount_from=mount_from) for layout, reference in targets
    ]
    documents = [report.document() for report in reports]
    result = documents[0] if len(documents) == 1 else {"images": documents}
    session.result(result, "\n".join(line for report in reports for line in push_lines(report)))


@click.command("pull")
@click.argument("name", metavar="REF")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--platform", metavar="PLATFORM", help="Only this one, e.g. linux/arm64. Default: all.")
@insecure_option
@pass_session
def pull_command(session: Session, name: str, folder: Path, platform: str | None, insecure: bool) -> None:
    """Pull the image REF from a registry into the OCI layout DIR, which is made or brought up to date."""
    from edgepack.pull import pull_image

    reference = parse_remote_reference(name)
    with (
        transfer_bars(session, f"pulling {reference}") as (watch, say),
        open_registry(reference, insecure=insecure, say=say) as registry,
    ):
        report = pull_image(registry, folder, cache=session.workspace / "cache", platform=platform, watch=watch)
    lines = [
        f"image     {reference.by_digest(report.digest)}",
        f"platforms {', '.join(report.platforms)}",
        f"layout    {relative(folder)}",
        f"fetched {report.fetched} blobs, {report.fetched_bytes / 1e6:.1f} MB, in {report.seconds:.1f} s; "
        f"{report.present} were there ({report.present_bytes / 1e6:.1f} MB)",
    ]
    session.result({**report.document(), "layout": str(folder)}, "\n".join(lines))


def push_one(
    session: Session, layout: Path, reference: ImageReference, *, insecure: bool, mount_from: str | None = None
) -> "PushReport":
    """Push one image, with progress for people."""
    from edgepack.push import push_image

    with (
        transfer_bars(session, f"pushing {reference}") as (watch, say),
        open_registry(reference, insecure=insecure, say=say, writes=True) as registry,
    ):
        return push_image(layout, registry, cache=session.workspace / "cache", mount_from=mount_from, watch=watch)


def push_lines(report: "PushReport") -> Iterable[str]:
    """What a push did: the name by digest, then what moved."""
    document = report.document()
    yield f"pushed {document['image']}@{report.digest}"
    moved = [f"{document['sent']} sent ({_size(document['sent_bytes'])})"]
    for kind, text in (("mounted", "mounted"), ("present", "there already")):
        if document[kind]:
            moved.append(f"{document[kind]} {text} ({_size(document[f'{kind}_bytes'])})")
    hanging = f"; {len(report.attachments)} attachments" if report.attachments else ""
    yield f"  {', '.join(report.platforms)}{hanging}"
    yield f"  blobs and manifests: {', '.join(moved)}; {report.seconds:.1f} s"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:.1f} kB"


def _built(folder: Path) -> list[BuiltImage]:
    """The images that the build which wrote `folder` has named; none where it is no output of a build."""
    try:
        report: dict[str, Any] = json.loads((folder / "build.json").read_bytes())
        return list(built_images(report, folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _tell_where_devices_pull(
    session: Session, built: list[BuiltImage], layout: Path, reference: ImageReference
) -> None:
    for image in built:
        named = parse_remote_reference(image.name)
        if image.layout == layout and named.name != reference.name:
            session.warn(
                f"deployment.json names {named.by_digest(image.digest)}, so devices pull from there and not from "
                f"{reference.name}; to deploy this one, build with -t {reference}"
            )
