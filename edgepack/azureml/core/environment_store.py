"""Registered environments on disk: `environments/NAME/VERSION.json` in the workspace, versions counted from 1.

Wheels that their packages name are in `wheels`.
"""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from edgepack.azureml.exceptions import UserErrorException, told_as
from edgepack.errors import DamagedDataError
from edgepack.files import CHUNK_BYTES, exclusive, new_file, write_file
from edgepack.models.naming import nearest
from edgepack.yaml_text import parse_yaml

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")


def keep(workspace: Path, name: str, content: dict[str, Any]) -> str:
    """Keep a document as a new version, unless it is that of the newest; returns its version.

    Raises:
        UserErrorException: the name is not allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserErrorException(
            f"environment name {name!r} is not allowed: use 1 to 255 letters, digits, '-', '.' or '_', beginning with "
            "a letter or digit"
        )
    folder = workspace / "environments"
    with exclusive(folder / ".lock"):
        versions = _versions(folder / name)
        if versions and read(workspace, name, str(versions[-1]))[0] == content:
            return str(versions[-1])
        version = versions[-1] + 1 if versions else 1
        write_file(folder / name / f"{version}.json", (json.dumps(content, indent=2) + "\n").encode(), mode=0o600)
    return str(version)


def read(workspace: Path, name: str, version: str | int | None) -> tuple[dict[str, Any], str]:
    """A version's document (None: the newest) and its version.

    Raises:
        UserErrorException: there is none, or it is damaged.
    """
    folder = workspace / "environments" / name
    versions = _versions(folder) if _NAME.fullmatch(name) else []
    chosen = str(versions[-1]) if versions and version is None else str(version)
    if chosen not in map(str, versions):
        known = names(workspace)
        near = nearest(name, known)
        if versions:
            hint = f"it has {', '.join(map(str, versions))}"
        elif near:
            hint = f"did you mean {near}?"
        elif name.lower().startswith("azureml-"):
            hint = "the curated environments of Azure are not here; make one of a conda file"
        else:
            hint = f"there are {', '.join(known)}" if known else "there are none"
        wanted = name if version is None else f"{name} version {version}"
        raise UserErrorException(f"environment {wanted} is not in {workspace}: {hint}")
    file = folder / f"{chosen}.json"
    return json_document(file.read_bytes(), str(file)), chosen


def keep_wheel(workspace: Path, file: Path, *, exist_ok: bool) -> str:
    """Keep a wheel as `wheels/NAME` in the workspace; returns its URL.

    Raises:
        UserErrorException: it is no wheel, or one of that name is there and is not to be replaced.
    """
    target = (workspace / "wheels" / file.name).absolute()
    try:
        parse_wheel_filename(file.name)
        with file.open("rb") as reader, new_file(target, replaces=exist_ok) as writer:
            if not zipfile.is_zipfile(reader):
                raise UserErrorException(f"{file}: no wheel: it cannot be opened")
            reader.seek(0)
            shutil.copyfileobj(reader, writer.stream, CHUNK_BYTES)
    except InvalidWheelFilename as error:
        raise UserErrorException(f"{file}: no wheel: its name must be like name-1.0-py3-none-any.whl") from error
    except FileExistsError:
        raise UserErrorException(f"{target} is there: give exist_ok=True to replace it") from None
    return target.as_uri()


def names(workspace: Path) -> list[str]:
    """The registered environments."""
    return sorted({path.parent.name for path in (workspace / "environments").glob("*/*.json")})


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        UserErrorException: it is none.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserErrorException(f"{path}: not text in UTF-8") from error


def json_document(content: bytes, where: str) -> dict[str, Any]:
    """A mapping in JSON.

    Raises:
        UserErrorException: it is none.
    """
    try:
        found = json.loads(content)
    except ValueError as error:
        raise UserErrorException(f"{where}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserErrorException(f"{where}: not the document of an environment")
    return found


def exported(conda_environment: str) -> dict[str, Any]:
    """The packages that an environment of conda on this machine has, as a conda file has them.

    Raises:
        UserErrorException: conda is not there, or has no such environment.
    """
    command = ["conda", "env", "export", "--no-builds", "-n", conda_environment]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserErrorException(
            "conda is not installed here: write the packages to a conda file and use from_conda_specification"
        ) from None
    if done.returncode:
        raise UserErrorException(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return _conda_structure(done.stdout, f"conda environment {conda_environment}")


def _conda_structure(text: str, where: str) -> dict[str, Any]:
    with told_as(UserErrorException):
        found = parse_yaml(text, where)
        if not isinstance(found, dict):
            raise DamagedDataError(f"{where}: no conda file")
    return {key: value for key, value in found.items() if key != "prefix"}


def _versions(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())
