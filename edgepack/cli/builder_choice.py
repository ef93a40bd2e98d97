"""Who makes the images of a build: edgepack itself, or a Docker engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.session import Session
from edgepack.errors import InputError

if TYPE_CHECKING:
    from edgepack.assembly import Assembly
    from edgepack.image_making import MakeImages
    from edgepack.layers.packing import Compression


def builder_options(command: Any) -> Any:
    """Give a command the options `builder`, `dockerfile` and `build_network`."""
    for option in (
        click.option(
            "--build-network", metavar="MODE", help="Network of RUN steps in the engine: host, none, or one of its own."
        ),
        click.option(
            "--dockerfile",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Build from this Dockerfile, with edgepack's placeholders in it. Needs --builder docker.",
        ),
        click.option(
            "--builder",
            type=click.Choice(["oci", "docker"]),
            default="oci",
            help="Who makes the image: edgepack (oci, the default), or a Docker engine.",
        ),
    ):
        command = option(command)
    return command


def chosen_builder(
    builder: str, network: str | None, assembly: "Assembly", output: Path, session: Session
) -> "MakeImages":
    """The function that makes the images.

    Raises:
        InputError: what was asked for needs the other builder.
    """
    from edgepack.image_making import assembled_images

    if builder == "docker":
        from edgepack.docker_build import EngineBuilder

        left_out = (output, session.workspace)
        cache = session.workspace / "cache" / "engine"
        return EngineBuilder(cache, left_out, network, session.say, session.warn).make_images
    named = sorted({str(recipe.dockerfile) for recipe in assembly.recipes.values() if recipe.dockerfile})
    problems = [f"{name}: a Dockerfile is for an engine; add --builder docker" for name in named]
    problems += ["--build-network is for an engine; add --builder docker"] if network else []
    InputError.raise_if_any(problems)
    return assembled_images


def chosen_compression(name: str, builder: str) -> "Compression":
    """How layers are compressed.

    Raises:
        InputError: zstd is not installed, or the builder is an engine, which reads and makes gzip.
    """
    from edgepack.layers.packing import Compression, load_zstd

    chosen = Compression(name)
    if chosen is Compression.ZSTD:
        if builder == "docker":
            raise InputError("--compression zstd is not for --builder docker, whose engine compresses layers itself")
        load_zstd()
    return chosen
