"""What `edgepack build` does with what it has built, in this order: check, sign, load, push.

So an image that does not answer as expected is not signed, nor handed on.

A step is a function that is called when its option is given; what it returns stands in the result under its name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.build_check import check_images, check_options
from edgepack.cli.key_password import password_option
from edgepack.cli.remote import insecure_option, push_reference
from edgepack.cli.session import Session

if TYPE_CHECKING:
    from edgepack.signing.keys import SigningKey
    from edgepack.trial.samples import Sample


@dataclass(frozen=True, slots=True)
class BuildSteps:
    """The options of the steps, as given."""

    load: bool = False
    sign_key: Path | None = None
    password_file: Path | None = None
    push: bool = False
    insecure: bool = False
    check: bool = False
    check_tolerance: float = 1e-3
    check_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image in a build's output: its name as built, its index digest, its layout and its platforms."""

    name: str
    digest: str
    layout: Path
    platforms: tuple[str, ...]


def step_options(command: Any) -> Any:
    """Give a command the options of the steps; it gets their values as `BuildSteps` has them."""
    for option in (
        password_option,
        click.option(
            "--sign-key",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Sign the image, bills of materials and provenance with this private key.",
        ),
        insecure_option,
        click.option("--push", is_flag=True, help="Push the images to the registries that they are named for."),
        check_options,
        click.option("--load", is_flag=True, help="Load the image into the Docker engine: the engine's platform."),
    ):
        command = option(command)
    return command


def built_images(report: dict[str, Any], output: Path) -> Iterator[BuiltImage]:
    """The images that a build has written, from its report."""
    for module in (report.get("modules") or {"": {**report, "layout": "image"}}).values():
        if "layout" in module:
            platforms = tuple(module["platforms"])
            yield BuiltImage(module["image"], module["digest"], output / module["layout"], platforms)


def check_steps(steps: BuildSteps, names: Iterable[str]) -> None:
    """Refuse, before anything is built, what cannot be done with images of these names.

    Raises:
        InputError: an image's name says no registry to push to.
    """
    if steps.push:
        for name in names:
            push_reference(name)


def signing_key(steps: BuildSteps, session: Session) -> "SigningKey | None":
    """The key to sign with, read before anything is built; None where nothing is to be signed.

    Raises:
        InputError: it cannot be read.
    """
    if steps.sign_key is None:
        return None
    from edgepack.cli.sign import read_key

    return read_key(session, steps.sign_key, steps.password_file)


def take_steps(
    steps: BuildSteps,
    report: dict[str, Any],
    output: Path,
    session: Session,
    key: "SigningKey | None" = None,
    samples: "Mapping[str, Sequence[Sample]]" = MappingProxyType({}),
) -> dict[str, Any]:
    """Carry out the steps that were asked for, with the key to sign with and the samples of each image to check.

    Returns what they found, by step.
    """
    images = tuple(built_images(report, output))
    done: dict[str, Any] = {}
    if steps.check:
        done["check"] = check_images(
            {image.name: image.layout for image in images},
            samples,
            steps.check_tolerance,
            steps.check_timeout,
            output,
            session,
        )
    if key is not None:
        done["sign"] = _sign(images, key, session)
    if steps.load:
        done["load"] = [_load(image, session) for image in images]
    if steps.push:
        done["push"] = [_push(image, session, insecure=steps.insecure) for image in images]
    return done


def _push(image: BuiltImage, session: Session, *, insecure: bool) -> dict[str, Any]:
    from edgepack.cli.push import push_lines, push_one

    report = push_one(session, image.layout, push_reference(image.name), insecure=insecure)
    for line in push_lines(report):
        session.say(line)
    return report.document()


def _sign(images: tuple[BuiltImage, ...], key: "SigningKey", session: Session) -> dict[str, Any]:
    from edgepack.cli.sign import sign_images

    sign_images([(image.layout, image.name) for image in images], key, checked=True)
    session.say(f"signed with key {key.public.fingerprint}")
    return {"key": key.public.fingerprint}


def _load(image: BuiltImage, session: Session) -> dict[str, Any]:
    """Load the engine's own platform, or the only one that was built, under the image's name."""
    from edgepack.engine import load_image

    loaded = load_image(image.layout, image.platforms[0] if len(image.platforms) == 1 else None, image.name)
    session.say(f"loaded {loaded.platform} as {loaded.name} ({loaded.image_id})")
    return {"image": loaded.name, "id": loaded.image_id, "platform": loaded.platform}
