"""The table of conda names in a wheel of conda-pypi -> the rows that edgepack needs, beside the code that reads them.

    .venv/bin/python scripts/reduce_conda_names.py conda_pypi-VERSION-py3-none-any.whl

A row is kept if the two names differ after normalisation. Left out are rows that cannot be right: a conda name that
stands for several packages, one that is also the name of its own package, and names made of hexadecimal digits only.
"""

import json
import re
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent.parent / "edgepack" / "resolve"
TABLE = "conda_pypi/grayskull_pypi_mapping.json"


def reduce_rows(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(conda name, index name) pairs, normalised and sorted, out of all pairs."""
    pairs = {(canonicalize_name(conda), canonicalize_name(index)) for conda, index in rows}
    found: dict[str, set[str]] = {}
    for conda, index in pairs:
        found.setdefault(conda, set()).add(index)
    return sorted(
        (conda, index)
        for conda, index in pairs
        if found[conda] == {index} and conda != index and not re.fullmatch(r"[0-9a-f]{20,}", index)
    )


def main() -> None:
    """Write the table and its licence."""
    wheel = Path(sys.argv[1])
    version = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as archive:
        table = json.loads(archive.read(TABLE))
        licence = next(name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        text = archive.read(licence).decode()
    rows = reduce_rows((row["conda_name"], row["pypi_name"]) for row in table.values())
    head = (
        f"# conda name <tab> name on the Python index; from conda-pypi {version} (MIT), by scripts/update-conda-names\n"
    )
    (FOLDER / "conda_names.tsv").write_text(head + "".join(f"{conda}\t{index}\n" for conda, index in rows))
    (FOLDER / "conda_names.LICENSE").write_text(text)
    print(f"{len(rows)} of {len(table)} rows")


if __name__ == "__main__":
    main()
