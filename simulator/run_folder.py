"""The folder of a run, and what the command reads before it starts: deployment, images, scenario.

A folder belongs to one run at a time. What an earlier run left in it is removed at the start: its buffers would hold
messages of a hub that is no more.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgepack.deployment.validate import errors, problems
from edgepack.errors import InputError
from edgepack.oci.layout import read_index
from edgepack.yaml_text import parse_yaml
from simulator.devices.replay import RECORDINGS
from simulator.scenario import Scenario, parse_scenario

_OURS = (
    *("ca.pem", "server.pem", "deployment.json", "devices.jsonl", "cloud.jsonl", "report.json"),
    *("logs", "volumes"),
)
_MARK = "simulation.lock"
_SCENARIOS = Path(__file__).parent / "scenarios"


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """Make the folder, or empty it of what an earlier run left; nobody else may use it meanwhile.

    Raises:
        InputError: another run uses it, or it holds files and is no folder of a run.
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from None
    mark = folder / _MARK
    if not mark.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder} is not empty, and no folder of a run: name an empty one, or a new one, with --folder"
        )
    with mark.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"another simulation uses {folder}: wait for it, or name another with --folder") from None
        for path in folder.iterdir():
            if path.name in _OURS or re.fullmatch(r"edge-[0-9]+", path.name):
                _remove(path)
        yield folder


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder with a short path, for sockets; removed at the end. Those of runs that were killed are removed, too."""
    place = Path(tempfile.gettempdir())
    for left in place.glob("edgepack-run-*-*"):
        pid = left.name.split("-")[2]
        if pid.isdigit() and left.stat().st_uid == os.getuid() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"edgepack-run-{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_manifest(path: Path) -> dict[str, Any]:
    """A deployment manifest that a device would take. Raises InputError with all that is wrong."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    if isinstance(document, dict) and isinstance(document.get("content"), dict):
        document = document["content"]
    InputError.raise_if_any(
        f"{path}: {problem.pointer or 'the document'}: {problem.message}" for problem in errors(problems(document))
    )
    return {"modulesContent": document["modulesContent"]}


def find_images(manifest: Path | None, layouts: tuple[Path, ...]) -> dict[str, Path]:
    """Images at hand, by digest: those beside a built deployment (`image`, `MODULE/image`), and those that were named.

    A named folder is a layout, or a build's output.

    Raises:
        InputError: a named folder is neither.
    """
    found: dict[str, Path] = {}
    beside = [] if manifest is None else [manifest.parent / "image", *sorted(manifest.parent.glob("*/image"))]
    for folder in (*beside, *layouts):
        layout = folder / "image" if (folder / "image" / "index.json").is_file() else folder
        if not (layout / "index.json").is_file():
            if folder in layouts:
                raise InputError(f"{folder} is no image: expected an OCI layout, or the output folder of a build")
            continue
        index, manifests = read_index(layout)
        found[index.digest] = layout
        found |= {each.digest: layout for each in manifests}
    return found


def scenario_names() -> list[str]:
    """The scenarios that come with the simulator."""
    return sorted(path.stem for path in _SCENARIOS.glob("*.yaml"))


def read_scenario(name: str | None, changes: Mapping[str, Any]) -> tuple[Scenario, Path | None]:
    """The scenario of this file or name (None: the defaults) with these fields changed, and the file of its source.

    Raises:
        InputError: no such file or name, or it is no scenario; all problems.
    """
    path = None if name is None else _scenario_path(name)
    document: Any = {}
    if path is not None:
        try:
            document = parse_yaml(path.read_text(encoding="utf-8-sig"), str(path)) or {}
        except UnicodeDecodeError:
            raise InputError(f"{path}: not UTF-8: save it as UTF-8") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
    if isinstance(document, dict):
        document.setdefault("name", "" if path is None else path.stem)
    scenario = parse_scenario(document, str(path or "options"), changes)
    return scenario, _source_file(scenario.source, Path.cwd() if "source" in changes or path is None else path.parent)


def _scenario_path(name: str) -> Path:
    own = _SCENARIOS / f"{name}.yaml"
    if os.sep not in name and own.is_file() and not Path(name).exists():
        return own
    if not Path(name).is_file():
        raise InputError(f"there is no scenario file {name}; the simulator's own are {', '.join(scenario_names())}")
    return Path(name)


def _source_file(source: str, folder: Path) -> Path | None:
    if source == "temperature":
        return None
    path = folder / source
    if not path.is_file():
        known = f"temperature, a generator (.py), or a recording ({', '.join(RECORDINGS)})"
        raise InputError(f"source {source!r}: there is no such file; use {known}")
    return path.resolve()
