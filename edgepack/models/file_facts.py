"""What the files of a model say of it, kept when it is registered, so that no build reads them again."""

import mmap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgepack.models.mlflow import DESCRIPTION
from edgepack.models.pickle_facts import COLUMN_NAMES, PickleFacts, pickle_facts, pickles_of
from edgepack.models.request import RegisterRequest
from edgepack.models.staging import StagedFile


def with_file_facts(request: RegisterRequest, staged: Sequence[StagedFile]) -> RegisterRequest:
    """The request for one scikit-learn file, completed by what its bytes tell; what it says already stays."""
    files = [content.file for content in staged]
    found = pickles_of(files)
    is_mlflow = any(file.path.rpartition("/")[2] == DESCRIPTION for file in files)
    if request.framework != "ScikitLearn" or is_mlflow or len(found) != 1:
        return request
    facts = read_pickle_facts(next(content.copy for content in staged if content.file is found[0]))
    return replace(
        request,
        framework_version=request.framework_version or facts.version,
        properties={COLUMN_NAMES: "true" if facts.has_column_names else "false", **request.properties},
    )


def read_pickle_facts(path: Path) -> PickleFacts:
    """What a file tells; one of any size takes no memory of its size, unless it is compressed."""
    if path.stat().st_size == 0:  # cannot be mapped
        return PickleFacts()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return pickle_facts(content)
