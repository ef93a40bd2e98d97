"""What `edgepack build` does with what it has built, in this order: check, load.

A step is a function that is called when its option is given; what it returns stands in the result under its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgepack.cli.session import Session


@dataclass(frozen=True, slots=True)
class BuildSteps:
    """The options of the steps, as given."""

    load: bool = False


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


def take_steps(steps: BuildSteps, report: dict[str, Any], output: Path, session: Session) -> dict[str, Any]:
    """Carry out the steps that were asked for; returns what they found, by step."""
    images = tuple(built_images(report, output))
    done: dict[str, Any] = {}
    if steps.load:
        done["load"] = [_load(image, session) for image in images]
    return done


def _load(image: BuiltImage, session: Session) -> dict[str, Any]:
    """Load the engine's own platform, or the only one that was built, under the image's name."""
    from edgepack.engine import load_image

    loaded = load_image(image.layout, image.platforms[0] if len(image.platforms) == 1 else None, image.name)
    session.say(f"loaded {loaded.platform} as {loaded.name} ({loaded.image_id})")
    return {"image": loaded.name, "id": loaded.image_id, "platform": loaded.platform}
