"""`edgepack inspect`, `edgepack verify` and `edgepack load`: a built image, looked at, checked, handed to an engine."""

import json
from pathlib import Path
from typing import Any

import click

from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import layer_lines

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


def _layout(folder: Path) -> Path:
    """The layout itself, or the one in a build's output folder."""
    return folder / "image" if (folder / "image" / "index.json").is_file() else folder


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _built_name(layout: Path) -> str:
    """The name that the image was built under, else one from the folder's name."""
    report = layout.parent / "build.json"
    try:
        return str(json.loads(report.read_bytes())["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{layout.resolve().parent.name.lower()}:latest"


@click.command("inspect")
@_FOLDER
@pass_session
def inspect_command(session: Session, folder: Path) -> None:
    """Show the platforms, layers, sizes and digests of the image in DIR (a layout, or a build's output)."""
    from edgepack.oci.validate import read_layout

    layout = _layout(folder)
    content = read_layout(layout)
    platforms = {platform.name: platform.document() for platform in content.platforms}
    lines = [f"{layout}  {content.index.digest}"]
    for name, image in platforms.items():
        lines.append(f"{name}  {image['size_bytes'] / 1e6:.1f} MB  {image['digest']}")
        lines += layer_lines(image["layers"])
        config: dict[str, Any] = image["config"]
        lines.append(f"  runs {_words(config.get('Entrypoint'))} as user {config.get('User') or 'root'}")
    session.result({"digest": content.index.digest, "platforms": platforms}, "\n".join(lines))


@click.command("verify")
@_FOLDER
@pass_session
def verify_command(session: Session, folder: Path) -> None:
    """Recompute every digest of the image in DIR from its bytes."""
    from edgepack.oci.validate import verify_layout

    layout = _layout(folder)
    content = verify_layout(layout)
    names = [platform.name for platform in content.platforms]
    session.result(
        {"digest": content.index.digest, "platforms": names, "ok": True},
        f"{layout}: sound ({', '.join(names)}; {content.index.digest})",
    )


@click.command("load")
@_FOLDER
@click.option("--platform", metavar="PLATFORM", help="Which one. Default: the engine's own.")
@click.option("-t", "--tag", "name", metavar="REF", help="Name in the engine. Default: as it was built.")
@pass_session
def load_command(session: Session, folder: Path, platform: str | None, name: str | None) -> None:
    """Load one platform of the image in DIR into a Docker engine."""
    from edgepack.engine import load_image

    layout = _layout(folder)
    loaded = load_image(layout, platform, name or _built_name(layout))
    session.result(
        {"image": loaded.name, "id": loaded.image_id, "platform": loaded.platform},
        f"loaded {loaded.platform} as {loaded.name} ({loaded.image_id})",
    )
