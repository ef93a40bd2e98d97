"""The resolver as a process: a question for uv, and its answer. uv runs nothing of the target."""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgepack.download import trusted_roots
from edgepack.resolve.lock import Target


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be solved, for all `targets` together.

    `without` are packages never to be taken unless asked for by name, `constraints` limit versions where a package is
    needed, `overrides` replace what anything says of a package, `options` go to uv as they are.
    """

    requirements: tuple[str, ...]
    targets: tuple[Target, ...]
    without: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    offline: bool = False

    def project(self) -> dict[str, Any]:
        """The question as a project that depends on what is asked for."""
        asked = asked_names(self.requirements)
        python = f"implementation_name == 'cpython' and python_version == '{self.targets[0].python}'"
        markers = [f"{target.marker} and {python}" for target in self.targets]
        unusable = [f"{name} ; sys_platform == 'never'" for name in self.without if name not in asked]
        return {
            "project": {
                "name": "edgepack-image",
                "version": "0",
                "requires-python": f"=={self.targets[0].python}.*",
                "dependencies": list(self.requirements),
            },
            "tool": {
                "uv": {
                    "environments": markers,
                    "required-environments": markers,
                    "override-dependencies": [*unusable, *self.overrides],
                    "constraint-dependencies": list(self.constraints),
                }
            },
        }


def asked_names(requirements: Sequence[str]) -> set[str]:
    """The packages that are asked for by name."""
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def ask(question: Question) -> dict[str, Any] | str:
    """The resolver's lock, or what it said when there is none."""
    import tomli_w
    from uv import find_uv_bin

    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        Path(folder, "pyproject.toml").write_text(tomli_w.dumps(question.project()))
        command = [find_uv_bin(), "pip", "compile", "pyproject.toml", "--universal", "--format", "pylock.toml"]
        command += ["--python-version", question.targets[0].python, "--python", sys.executable]
        options, indexes = _apart(question.options)
        command += ["--no-header", "--color", "never", "--output-file", "pylock.toml", "--quiet", *options]
        command += ["--offline"] if question.offline else []
        ignored = ("VIRTUAL_ENV", "UV_NO_CONFIG")  # the latter would hide the platforms and overrides in pyproject.toml
        environment = {name: value for name, value in os.environ.items() if name not in ignored} | indexes
        if trusted_roots() is not None:  # trust what this machine trusts; the older and the newer name of the switch
            environment = {"UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true"} | environment
        result = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode != 0:
            return result.stderr.strip()
        return tomllib.loads(Path(folder, "pylock.toml").read_text())


def _apart(options: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Options for the command line, and those with URLs, which may hold a password, as environment variables."""
    plain: list[str] = []
    variables: dict[str, str] = {}
    rest = iter(options)
    for option in rest:
        if option == "--index-url":
            variables["UV_INDEX_URL"] = next(rest)
        elif option == "--extra-index-url":
            more = next(rest)
            variables["UV_EXTRA_INDEX_URL"] = f"{variables.get('UV_EXTRA_INDEX_URL', '')} {more}".strip()
        else:
            plain.append(option)
    return plain, variables
