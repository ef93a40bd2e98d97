"""Notebooks and scripts of SDK v1 after what moving them takes: other import lines, and nothing else."""

import json
import re
from pathlib import Path

_WHOLE = re.compile(r"(?m)^(\s*)import azureml\.core$")
_IMPORT = re.compile(r"(?m)^(\s*from )azureml(?=[. ])")
_MAGIC = re.compile(r"%%writefile (\S+)\n(.*)", re.DOTALL)


def moved(text: str) -> str:
    """The text with the import lines of `azureml` changed."""
    return _IMPORT.sub(r"\1edgepack.azureml", _WHOLE.sub(r"\1from edgepack import azureml", text))


def cells(path: Path) -> list[str]:
    """The code of a notebook, cell by cell, or of a script, as one, with its import lines changed."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [moved(text)]
    notebook = json.loads(text)
    return [moved("".join(cell["source"])) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run_cells(code: list[str]) -> dict[str, object]:
    """Run the cells in the current folder, one after the other; returns the names they have made."""
    names: dict[str, object] = {"__name__": "__main__"}
    for number, text in enumerate(code, 1):
        written = _MAGIC.fullmatch(text)
        if written:
            Path(written[1]).write_text(written[2] + "\n", encoding="utf-8")
        else:
            exec(compile(text, f"cell {number}", "exec"), names)  # noqa: S102 - the repository's own notebooks
    return names
