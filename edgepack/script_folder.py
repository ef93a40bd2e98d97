"""The entry script and the files beside it: what goes into the image, and which packages the code asks for.

Nothing of the user's code is run; it is read as text.
"""

import ast
import posixpath
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from device_agent.script_check import scan_script, script_warnings
from edgepack.errors import InputError
from edgepack.inference_config import InferenceConfig
from edgepack.left_out import OWN_FILE, holds_secret, read_rules
from edgepack.resolve.conda_env import read_conda_document
from edgepack.resolve.conda_names import CAME_ALONG
from edgepack.resolve.package_requests import PackageRequests, with_requirements
from edgepack.resolve.packages_file import parse_packages_file

# Never copied from a source folder: version control, environments, caches, what a build itself writes.
LEFT_OUT_FOLDERS = frozenset(
    ".git .hg .svn .venv venv __pycache__ .edgepack .mypy_cache .pytest_cache .ruff_cache .ipynb_checkpoints .idea"
    " .vscode .azureml node_modules".split()
)
LEFT_OUT_FILES = ("*.pyc", "*.pyo", "pylock.*.toml", ".DS_Store", "*.swp", ".amlignore", ".gitignore", OWN_FILE)


@dataclass(frozen=True, slots=True)
class Script:
    """An entry script: its path in the folder that is copied, and `files` as (path there, file here, executable).

    `source_name` is the name of that folder in the image, or None when only the script itself is copied.
    """

    entry: str
    files: tuple[tuple[str, Path, bool], ...]
    source_name: str | None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_script(
    config: InferenceConfig, folders: Sequence[Path], where: str, output: Path, excluded: Sequence[str] = ()
) -> Script | None:
    """The script that the configuration names, looked for in `folders` in order; None when it names none.

    What lies in `output`, where the build writes, is not copied, nor what a pattern of `excluded` matches.

    Raises:
        InputError: it is missing, is no Python file, has a syntax error, or lacks `init` or `run`.
    """
    if config.entry_script is None:
        return None
    source = None
    if config.source_directory is not None:
        source = _find(config.source_directory, folders, f"{where}: sourceDirectory", folder=True)
    path = _find(config.entry_script, [source] if source else folders, f"{where}: entryScript", folder=False)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"{path}: an entry script is a Python file whose name is an identifier, such as score.py")
    text = _read(path)
    InputError.raise_if_any(f"{path}: {problem}" for problem in scan_script(text))
    found = tuple(f"{path}: {warning}" for warning in script_warnings(text))
    if source is None:
        return Script(path.name, ((path.name, path, False),), None, found)
    root = source.resolve()
    if output.resolve() == root:
        raise InputError(f"{output}: the output folder cannot be the source directory; choose another with -o")
    present = {file.relative_to(root).as_posix(): file for file in _files_below(root, output.resolve())}
    choice = read_rules(root, excluded).choose(present)
    files = tuple((name, present[name], bool(present[name].stat().st_mode & 0o100)) for name in choice.kept)
    entry = posixpath.normpath(config.entry_script)
    if entry not in choice.kept:
        raise InputError(
            f"{where}: entryScript {config.entry_script!r} lies outside of the source directory {source}, in a folder "
            "of it that is not copied, or is left out by an ignore file"
        )
    found += tuple(
        f"{file}: holds what looks like a key or a connection string; whoever can pull the image can read it"
        for _, file, _ in files
        if holds_secret(file)
    )
    # the name of a checkout's own folder differs from machine to machine, and must not enter the image
    name = "source" if posixpath.normpath(config.source_directory or ".") == "." else root.name
    return Script(entry, files, name, found, tuple(_left_out_note(root, choice.secrets)))


def _left_out_note(root: Path, secrets: Sequence[str]) -> Iterator[str]:
    if secrets:
        shown = ", ".join(secrets[:10]) + (f" and {len(secrets) - 10} more" if len(secrets) > 10 else "")
        yield (
            f"{root}: not copied, since it looks like secrets: {shown}; to copy a file all the same, write a line such "
            f"as `!{secrets[0]}` to {OWN_FILE} there"
        )


def package_requests(
    config: InferenceConfig, script: Script | None, folders: Sequence[Path], where: str
) -> PackageRequests:
    """What the conda file asks for, and what scripts written for azureml-defaults import without naming it.

    Raises:
        InputError: the conda file is missing or has problems.
    """
    requests = PackageRequests(replaced=("azureml-defaults",))
    if config.conda is not None:
        requests = read_conda_document(config.conda, f"{where}: environment", _no_file)
    elif config.conda_file is not None:
        near = list(folders)
        if config.source_directory is not None:
            near.insert(0, _find(config.source_directory, folders, f"{where}: sourceDirectory", folder=True))
        path = _find(config.conda_file, near, f"{where}: condaFile", folder=False)
        near_file = path.parent
        requests = replace(
            parse_packages_file(_read(path), str(path), lambda name: _read(near_file / name)), folder=str(near_file)
        )
    if script is None or not requests.replaced:
        return requests
    imported = {name for _, file, _ in script.files if file.suffix == ".py" for name in _imports(_read(file))}
    named = {canonicalize_name(Requirement(text).name) for text in requests.requirements}
    more = [CAME_ALONG[name] for name in sorted(imported & CAME_ALONG.keys()) if CAME_ALONG[name] not in named]
    if more and not config.conda_file and config.conda is None:
        note = f"no conda file: {', '.join(more)} added, which the script imports"
    else:
        note = f"{', '.join(more)} added: the script imports what azureml-defaults used to bring"
    return replace(with_requirements(requests, more), notes=(*requests.notes, *([note] if more else [])))


def first_with(name: str, folders: Sequence[Path], *, folder: bool) -> Path | None:
    """The first of the folders that has a file, or a folder, of that name."""
    return next((near for near in folders if ((near / name).is_dir() if folder else (near / name).is_file())), None)


def _find(name: str, folders: Sequence[Path], what: str, *, folder: bool) -> Path:
    near = first_with(name, folders, folder=folder)
    if near is not None:
        return (near / name).absolute()
    looked = " and ".join(dict.fromkeys(str((near / name).absolute()) for near in folders))
    raise InputError(f"{what} {name!r} is not there; looked for {'the folder' if folder else 'the file'} {looked}")


def _files_below(root: Path, output: Path) -> Iterator[Path]:
    """The files to copy. Links are followed as long as they stay below `root` and do not lead back up."""
    problems = []
    waiting = [root]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.is_symlink() and not _is_inside(path, root):
                problems.append(
                    f"{path}: is a link to nothing or to outside of {root}; replace it by what it should be"
                )
            elif path.is_dir():
                if path.name in LEFT_OUT_FOLDERS or path.resolve() == output or _is_build_output(path):
                    continue
                if path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve()):
                    problems.append(f"{path}: is a link to a folder that holds it; remove it")
                else:
                    waiting.append(path)
            elif path.is_file():
                if not any(path.match(pattern) for pattern in LEFT_OUT_FILES):
                    yield path
            else:
                problems.append(f"{path}: is neither a file nor a folder; remove it from the source directory")
    InputError.raise_if_any(problems)


def _is_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # nothing there, or a circle of links
        return False


def _is_build_output(folder: Path) -> bool:
    if (folder / "image" / "oci-layout").exists() or (folder / "oci-layout").exists():
        return True
    return (folder / "deployment.json").exists() and any(folder.glob("*/image/oci-layout"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as UTF-8 text ({reason})") from error


def _no_file(name: str) -> str:
    raise FileNotFoundError(f"{name}: an environment without a file cannot refer to another one")


def _imports(text: str) -> Iterator[str]:
    """The top-level modules that a Python text imports; none for a text that cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
