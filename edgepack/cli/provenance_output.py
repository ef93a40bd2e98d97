"""What `edgepack inspect --provenance` shows: who built an image, what was asked for, and every input with its hash."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.cli.session import Session

if TYPE_CHECKING:
    from edgepack.oci.registry import Registry


def show_provenance(session: Session, place: "Path | Registry", digest: str) -> None:
    """Print the provenance of the image with this index digest, in a layout or a registry. Who says so is not checked.

    Raises:
        InputError: none hangs on the image.
    """
    from edgepack.provenance import find_provenance
    from edgepack.sign import attached_to

    statement = find_provenance(attached_to(place, digest))
    session.result(statement, "\n".join(_lines(statement)))


def _lines(statement: dict[str, Any]) -> Iterator[str]:
    """A line for each thing; what others have put there, in another shape, is left to `--json`."""
    predicate = statement["predicate"]
    match predicate.get("runDetails"):
        case {"builder": {"id": str(builder), "version": dict(versions)}}:
            yield f"builder  {builder} {' '.join(f'{name} {text}' for name, text in versions.items())}"
    for subject in statement.get("subject") or ():
        match subject:
            case {"name": name, "digest": {"sha256": digest}}:
                yield f"made     {name}  sha256:{digest}"
    definition = predicate["buildDefinition"]
    for name, value in dict(definition.get("externalParameters") or {}).items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield f"asked    {name}: {'-' if shown in (None, '') else shown}"
    for each in definition.get("resolvedDependencies") or ():
        match each:
            case {"name": name, "digest": dict(digests)}:
                listed = " ".join(f"{kind}:{digest}" for kind, digest in digests.items())
                match each:
                    case {"annotations": {"platforms": list(where)}}:
                        yield f"from     {listed}  {name}  ({', '.join(map(str, where))})"
                    case _:
                        yield f"from     {listed}  {name}"
