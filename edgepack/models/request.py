"""What a user asks to register: the values, and everything that is wrong with them.

Pure apart from the search for the files, which `source` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgepack.errors import InputError
from edgepack.models.naming import framework_problems, name_problems, pairs_problems, text_problems
from edgepack.models.record import ResourceConfiguration, resource_problems
from edgepack.models.source import SourceFile, find_sample, find_sources


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """A new version of model `name` from the file or folder `model_path`.

    `child_paths` (relative to `model_path`) restrict what is taken of a folder. The samples are single files.
    """

    name: str
    model_path: Path
    child_paths: tuple[str, ...] = ()
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    framework: str | None = None
    framework_version: str | None = None
    resources: ResourceConfiguration = field(default_factory=ResourceConfiguration)
    sample_input: Path | None = None
    sample_output: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of a request as they lie on disk now."""

    sources: tuple[SourceFile, ...]
    sample_input: SourceFile | None
    sample_output: SourceFile | None

    @property
    def all(self) -> tuple[SourceFile, ...]:
        """Model files, then the samples that exist."""
        return self.sources + tuple(sample for sample in (self.sample_input, self.sample_output) if sample)


def find_files(request: RegisterRequest, workspace: Path) -> FoundFiles:
    """Find all files of `request`; `workspace` is left out where it lies inside the model's folder.

    Raises:
        InputError: anything wrong with the request, its values and its files: all problems at once.
    """
    found, problems = look_for_files(request, workspace)
    InputError.raise_if_any((*value_problems(request), *problems))
    return found


def look_for_files(request: RegisterRequest, workspace: Path) -> tuple[FoundFiles, tuple[str, ...]]:
    """Find the files of `request` and what is wrong with them; with problems, they are not to be used."""
    sources, source_problems = find_sources(request.model_path, request.child_paths, workspace=workspace)
    sample_input, input_problems = _sample(request.sample_input, "sample input")
    sample_output, output_problems = _sample(request.sample_output, "sample output")
    return FoundFiles(sources, sample_input, sample_output), (
        *source_problems,
        *input_problems,
        *output_problems,
    )


def value_problems(request: RegisterRequest) -> tuple[str, ...]:
    """Everything wrong with the request's values, its files aside."""
    return (
        *name_problems(request.name),
        *framework_problems(request.framework, request.framework_version),
        *text_problems(request.framework_version, "the model framework version"),
        *text_problems(request.description, "the description"),
        *pairs_problems(request.tags, "tag"),
        *pairs_problems(request.properties, "property"),
        *resource_problems(request.resources),
    )


def _sample(path: Path | None, what: str) -> tuple[SourceFile | None, tuple[str, ...]]:
    return (None, ()) if path is None else find_sample(path, what)
