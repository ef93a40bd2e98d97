"""What commands share that take an image from a registry, or bring one there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.session import Session
from edgepack.errors import InputError
from edgepack.oci.reference import ImageReference, parse_image_reference, parse_remote_reference

if TYPE_CHECKING:
    from edgepack.oci.registry import Registry


def insecure_option(command: Any) -> Any:
    """Give a command `--insecure`."""
    text = "Allow plain HTTP to the registry, and any certificate."
    return click.option("--insecure", is_flag=True, help=text)(command)


def remote_reference(target: str) -> ImageReference | None:
    """The image in a registry that a user means by DIR|REF; None where it is a folder.

    What exists is a folder. Else a name with a registry, a tag or a digest is an image.
    """
    if Path(target).exists() or target.startswith((".", "/", "~")):
        return None
    try:
        found = parse_remote_reference(target)
    except InputError:
        if "@" in target or ":" in target:
            raise
        return None
    is_plain = parse_image_reference(target.partition("@")[0]).registry is None
    return None if is_plain and not (":" in target or "@" in target) else found


def push_reference(text: str) -> ImageReference:
    """Where to push to.

    Raises:
        InputError: the text is no name of an image in a registry.
    """
    given = parse_image_reference(text.partition("@")[0])
    if given.registry is None and "/" not in given.repository:
        raise InputError(
            f"{text!r} names no registry; write REGISTRY/{text}, for example localhost:5000/{text}, or for Docker Hub "
            f"docker.io/USER/{text}"
        )
    return parse_remote_reference(text)


def open_registry(
    reference: ImageReference, *, insecure: bool, say: Callable[[str], None], writes: bool = False
) -> "Registry":
    """The repository, with the logins of this process's user."""
    from edgepack.oci.registry import Registry

    return Registry(reference, insecure=insecure, writes=writes, say=say, environment=os.environ)


@contextmanager
def fetched_layout(session: Session, reference: ImageReference, *, insecure: bool) -> Iterator[Path]:
    """A layout with the image from the registry, removed afterwards: for reading all of its bytes."""
    from edgepack.cli.progress import transfer_bars
    from edgepack.pull import pull_image

    cache = session.workspace / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache, prefix=".pulled-", ignore_cleanup_errors=True) as folder:
        layout = Path(folder, "image")
        with (
            transfer_bars(session, f"fetching {reference}") as (watch, say),
            open_registry(reference, insecure=insecure, say=say) as registry,
        ):
            pull_image(registry, layout, cache=cache, watch=watch)
        yield layout
