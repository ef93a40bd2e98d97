"""Records as text for people. Pure; one line a record stays one line, whatever its tags contain."""

from collections.abc import Mapping, Sequence

from edgepack.models.record import ModelRecord

COLUMNS = ("NAME", "VERSION", "FRAMEWORK", "FILES", "SIZE", "CREATED", "TAGS")
RIGHT_ALIGNED = frozenset({"VERSION", "FILES", "SIZE"})


def table_rows(records: Sequence[ModelRecord]) -> tuple[tuple[str, ...], ...]:
    """One row a record, with the cells of `COLUMNS`."""
    return tuple(
        (
            record.name,
            str(record.version),
            _framework(record),
            str(len(record.files)),
            human_bytes(record.size_bytes),
            record.created_utc,
            one_line(_pairs(record.tags)),
        )
        for record in records
    )


def plain_table(records: Sequence[ModelRecord]) -> str:
    """The records as aligned columns, with a heading."""
    rows = (COLUMNS, *table_rows(records))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if heading in RIGHT_ALIGNED else cell.ljust(width)
            for cell, width, heading in zip(row, widths, COLUMNS, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def record_text(record: ModelRecord) -> str:
    """Everything about one version: a line a field that is set, then a line a file."""
    resources = record.resources
    fields = (
        ("model", record.id),
        ("created", record.created_utc),
        ("description", record.description),
        ("framework", _framework(record)),
        ("tags", _pairs(record.tags)),
        ("properties", _pairs(record.properties)),
        ("cpu", resources.cpu),
        ("memory GB", resources.memory_in_gb),
        ("gpu", resources.gpu),
        ("sample input", record.sample_input and record.sample_input.path),
        ("sample output", record.sample_output and record.sample_output.path),
        ("size", f"{human_bytes(record.size_bytes)} in {len(record.files)} files"),
    )
    lines = [f"{label + ':':<15}{one_line(str(value))}" for label, value in fields if value not in (None, "")]
    width = max(len(human_bytes(file.size_bytes)) for file in record.files)
    for file in record.files:
        lines.append(f"  {human_bytes(file.size_bytes):>{width}}  sha256:{file.sha256}  {file.path}")
    return "\n".join(lines)


def human_bytes(count: int) -> str:
    """`count` bytes in the unit that suits: `999 B`, `1.5 KiB`, `2.0 GiB`."""
    if count < 1024:
        return f"{count} B"
    figure = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        figure /= 1024
        if figure < 1023.95:
            return f"{figure:.1f} {unit}"
    return f"{figure / 1024:.1f} TiB"


def one_line(text: str) -> str:
    """`text` with line breaks and control characters (which could steer a terminal) shown as spaces."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _framework(record: ModelRecord) -> str:
    return one_line(" ".join(part for part in (record.framework, record.framework_version) if part))


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in pairs.items())
