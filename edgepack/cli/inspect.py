"""`edgepack inspect`: an image in a folder or a registry, looked at, or compared with a former one."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.remote import insecure_option, open_registry, remote_reference
from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import layer_lines, layout_of, size_text

if TYPE_CHECKING:
    from edgepack.oci.descriptor import Descriptor
    from edgepack.oci.difference import FileChanges, ImageDifference, PlatformDifference
    from edgepack.oci.registry import Registry
    from edgepack.oci.validate import LayoutContent

_MOST_SHOWN = 20


@click.command("inspect")
@click.argument("target", metavar="DIR|REF")
@click.option("--diff", "former", metavar="DIR|REF", help="Compare with this image: what a device that runs it pulls.")
@click.option("--provenance", is_flag=True, help="Show who built the image, and from which inputs, with their hashes.")
@click.option("--files", is_flag=True, help="With --diff: also which files differ; reads the layers that differ.")
@insecure_option
@pass_session
def inspect_command(
    session: Session, target: str, former: str | None, provenance: bool, files: bool, insecure: bool
) -> None:
    """Show the platforms, layers, sizes and digests of an image, or with --diff what differs from another.

    It is in DIR (a layout, or a build's output), or in a registry: REGISTRY/NAME[:TAG][@DIGEST].
    """
    if files and former is None:
        raise click.UsageError("--files needs --diff.")
    if provenance and former is not None:
        raise click.UsageError("--provenance and --diff exclude each other.")
    with _opened(session, target, insecure=insecure) as new:
        if provenance:
            from edgepack.cli.provenance_output import show_provenance

            show_provenance(session, new.place, new.content.index.digest)
            return
        if former is None:
            _show(session, new)
            return
        with _opened(session, former, insecure=insecure) as old:
            difference = _difference(session, old, new, files=files)
    session.result(difference.document(), "\n".join(_difference_lines(difference)))


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image: what it is called, its documents, and where its layers are."""

    name: str
    content: "LayoutContent"
    place: "Path | Registry"

    def blob(self, layer: "Descriptor", folder: Path) -> Path:
        """The file of a layer; fetched into `folder` if need be."""
        from edgepack.oci.layout import blob_path

        if isinstance(self.place, Path):
            return blob_path(self.place, layer.digest)
        path = folder / layer.digest.removeprefix("sha256:")
        if not path.is_file():
            self.place.fetch_blob(layer, path)
        return path


@contextmanager
def _opened(session: Session, target: str, *, insecure: bool) -> Iterator[_Opened]:
    from edgepack.oci.validate import read_layout
    from edgepack.pull import remote_content

    reference = remote_reference(target)
    if reference is None:
        layout = layout_of(Path(target))
        yield _Opened(str(layout), read_layout(layout), layout)
        return
    with open_registry(reference, insecure=insecure, say=session.say) as registry:
        yield _Opened(str(reference), remote_content(registry), registry)


def _show(session: Session, image: _Opened) -> None:
    platforms = {platform.name: platform.document() for platform in image.content.platforms}
    lines = [f"{image.name}  {image.content.index.digest}"]
    for name, shown in platforms.items():
        lines.append(f"{name}  {shown['size_bytes'] / 1e6:.1f} MB  {shown['digest']}")
        lines += layer_lines(shown["layers"])
        config: dict[str, Any] = shown["config"]
        lines.append(f"  runs {_words(config.get('Entrypoint'))} as user {config.get('User') or 'root'}")
    session.result({"digest": image.content.index.digest, "platforms": platforms}, "\n".join(lines))


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _difference(session: Session, old: _Opened, new: _Opened, *, files: bool) -> "ImageDifference":
    from edgepack.oci.difference import image_difference

    if not files:
        return image_difference(old.content, new.content)
    cache = session.workspace / "cache"
    with ExitStack() as stack:
        if not (isinstance(old.place, Path) and isinstance(new.place, Path)):
            cache.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(
            dir=cache if cache.is_dir() else None, prefix=".layers-", ignore_cleanup_errors=True
        )
        found = _file_changes(old, new, Path(stack.enter_context(folder)))
    return image_difference(old.content, new.content, found)


def _file_changes(old: _Opened, new: _Opened, folder: Path) -> dict[str, "FileChanges"]:
    from edgepack.oci.difference import differing_layers, file_changes
    from edgepack.oci.layer_files import read_layer_files

    former = {platform.name: platform for platform in old.content.platforms}
    found = {}
    for platform in new.content.platforms:
        if platform.name in former:
            gone, added = differing_layers(former[platform.name], platform)
            found[platform.name] = file_changes(
                *(
                    read_layer_files(
                        (image.blob(layer, folder), layer.media_type) for layer in layers if layer.digest in digests
                    )
                    for image, layers, digests in (
                        (old, former[platform.name].layers, gone),
                        (new, platform.layers, added),
                    )
                )
            )
    return found


def _difference_lines(difference: "ImageDifference") -> list[str]:
    lines = []
    for each in difference.platforms:
        lines += _platform_lines(each)
    lines += [f"{name}  new in this image" for name in difference.added]
    lines += [f"{name}  no more in this image" for name in difference.removed]
    return [*lines, f"a registry that has the old image gets {size_text(difference.upload_bytes)} for all platforms"]


def _platform_lines(difference: "PlatformDifference") -> list[str]:
    whole = size_text(sum(layer.size_bytes for layer in difference.layers))
    pulls = f"pulls {size_text(difference.pull_bytes)} of {whole}"
    if difference.pull_by_place_bytes != difference.pull_bytes:
        pulls += f"; with Docker's own store {size_text(difference.pull_by_place_bytes)}"
    lines = [f"{difference.platform}  {pulls}"]
    lines += [
        f"  {layer.state:<6} {layer.kind:<9}{size_text(layer.size_bytes):>10}  {layer.digest[7:19]}  {layer.title}"
        for layer in difference.layers
        if layer.state != "kept"
    ]
    lines += [
        f"  gone   {layer.kind:<9}{size_text(layer.size_bytes):>10}  {layer.digest[7:19]}  {layer.title}"
        for layer in difference.gone
    ]
    if difference.files is not None:
        lines += _shown_paths("+", difference.files.added)
        lines += _shown_paths("-", difference.files.removed)
        lines += _shown_paths("~", difference.files.changed)
    return lines


def _shown_paths(mark: str, paths: Sequence[str]) -> list[str]:
    more = [f"  {mark} and {len(paths) - _MOST_SHOWN} more"] if len(paths) > _MOST_SHOWN else []
    return [f"  {mark} {path}" for path in paths[:_MOST_SHOWN]] + more
