"""Lines of a requirements file, or of the `pip:` list of a conda file, gathered as requirements. Pure.

Source: pip's documentation of the requirements file format. Whatever would need something to be built, or a program
to be run, is refused with what to do instead.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from edgepack.errors import InputError
from edgepack.resolve.package_requests import Gathering, wheel_name
from edgepack.resolve.url_variables import variables_in

_INDEX_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}
_WITHOUT_MEANING = frozenset(
    "--trusted-host --prefer-binary --no-cache-dir --only-binary --require-hashes --use-feature --upgrade -U --user"
    " --quiet -q --progress-bar --disable-pip-version-check --no-warn-script-location --process-dependency-links"
    " --no-build-isolation --timeout --default-timeout --retries --force-reinstall --use-pep517".split()
)
_BUILD_OPTIONS = ("--config-setting", "--config-settings", "--global-option", "--install-option", "--build-option")
_VERSION_CONTROL = re.compile(r"(git|hg|svn|bzr)\+")


def read_pip_lines(gathering: Gathering, lines: Iterable[str], folder: str, *, constraints: bool = False) -> None:
    """Read lines of a file in `folder`, which is relative to the first file; with `constraints`, of a `-c` file."""
    for line in _logical_lines(lines):
        if line.startswith("-"):
            _read_option(gathering, line, folder, constraints=constraints)
        else:
            _read_requirement(gathering, line, folder, constraints=constraints)


def _logical_lines(lines: Iterable[str]) -> Iterator[str]:
    """Lines without remarks and surrounding space; those that end in a backslash are joined with the next."""
    pending = ""
    for line in (each for text in lines for each in text.splitlines()):
        is_remark = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_remark:
            pending += line[:-1]
            continue
        yield from filter(None, [_without_remark(pending + ("" if is_remark else line))])
        pending = ""
    yield from filter(None, [_without_remark(pending)])


def _without_remark(line: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", line).strip()


def _read_option(gathering: Gathering, line: str, folder: str, *, constraints: bool) -> None:
    match = re.fullmatch(r"(--[^\s=]+|-\S)[\s=]*(.*)", line)
    option, value = (match[1], match[2].strip().strip("'\"")) if match else (line, "")
    if option in _INDEX_OPTIONS and value:
        place = value if "://" in value else posixpath.normpath(posixpath.join(folder, value))
        gathering.options += [_INDEX_OPTIONS[option], place]
    elif option == "--no-index" and not value:
        gathering.options.append("--no-index")
    elif option == "--pre" and not value:
        gathering.options += ["--prerelease", "allow"]
    elif option in ("-r", "--requirement", "-c", "--constraint") and value:
        limits = constraints or option in ("-c", "--constraint")
        if "://" in value:
            gathering.problem(f"{line!r}: files from the network are not read; download it and name the file")
        else:
            _read_file(gathering, posixpath.normpath(posixpath.join(folder, value)), constraints=limits)
    elif option in ("-e", "--editable") and value:
        _refuse_source(gathering, line, value)
    elif option in _WITHOUT_MEANING:
        gathering.note(line, "has no meaning here and is left out")
    elif option == "--no-binary":
        gathering.problem(f"{line!r}: only wheels are installed; build one with `pip wheel`, and see `--find-links`")
    else:
        gathering.problem(f"pip option {line!r} is not supported; write packages by name and version")


def _read_file(gathering: Gathering, name: str, *, constraints: bool) -> None:
    """Read a requirements file, each one once, with what it refers to."""
    key = f"-c {name}" if constraints else f"-r {name}"
    if key in gathering.files:
        return
    gathering.files.add(key)
    try:
        text = gathering.read_text(name)
    except (OSError, ValueError) as error:
        gathering.problem(f"{key}: cannot be read ({error})")
        return
    except InputError as error:
        for problem in error.problems:
            gathering.problem(f"{key[:2]} {problem}")
        return
    read_pip_lines(gathering, [text.removeprefix("\ufeff")], posixpath.dirname(name), constraints=constraints)


def _read_requirement(gathering: Gathering, line: str, folder: str, *, constraints: bool) -> None:
    text, hashes = _split_options(gathering, line)
    if text is None:
        return
    address = re.split(r"\s@\s|(?<=[\w\]])@\s+|\s@(?=\S)", text, maxsplit=1)
    place = address[-1].strip()
    if len(address) == 2 or re.match(r"\.{0,2}/|[\w+.]+://|file:", place) or _is_file(place):
        named = address[0].strip() if len(address) == 2 else ""
        if constraints:
            gathering.problem(f"{line!r}: a constraint by address is not supported; write a version")
        else:
            _read_address(gathering, line, named, place, folder, hashes)
        return
    if "${" in text:
        gathering.problem(f"{line!r}: environment variables are replaced in URLs only; write the version itself")
        return
    if re.fullmatch(r"[\w.\-]+\s*=\s*[\w.*]+", text):
        gathering.problem(f"{line!r}: `=` is conda's; write `==`")
        return
    requirement = gathering.add(text, line if not hashes else text, constraint=constraints)
    if requirement is not None and hashes:
        gathering.hashes.setdefault(canonicalize_name(requirement.name), set()).update(hashes)


def _is_file(place: str) -> bool:
    return place.partition(";")[0].strip().endswith((".whl", ".tar.gz", ".tar.bz2", ".zip", ".tgz"))


def _split_options(gathering: Gathering, line: str) -> tuple[str | None, list[str]]:
    """The requirement in front of a line's own options, and the SHA-256 digests that these name."""
    text, *options = re.split(r"\s+(?=--?[A-Za-z])", line)
    hashes: list[str] = []
    for option in options:
        name, _, value = re.sub(r"[\s=]+", " ", option, count=1).partition(" ")
        kind, _, digest = value.partition(":")
        if name == "--hash" and kind == "sha256" and re.fullmatch(r"[0-9a-f]{64}", digest):
            hashes.append(digest)
        elif name in _BUILD_OPTIONS:
            gathering.note(option, "only matters where a package is built, and is left out")
        else:
            hint = "give the SHA-256 digest" if name == "--hash" else "write packages by name and version"
            gathering.problem(f"{line!r}: {option!r} is not supported; {hint}")
            return None, []
    return text, hashes


def _read_address(gathering: Gathering, line: str, named: str, place: str, folder: str, hashes: list[str]) -> None:
    """A package by URL or path: only wheels can be taken as they are."""
    place, _, marker = place.partition(";") if " ;" in place or "://" not in place else (place, "", "")
    place = place.strip()
    try:
        if _VERSION_CONTROL.match(place) or not wheel_name(place).endswith(".whl"):
            _refuse_source(gathering, line, place)
            return
        name, version, _, _ = parse_wheel_filename(wheel_name(place))
        parts = urlsplit(place)
    except (InvalidWheelFilename, ValueError) as error:
        gathering.problem(f"{line!r}: {error}")
        return
    if named and canonicalize_name(named.partition("[")[0].strip()) != name:
        gathering.problem(f"{line!r}: the wheel is one of {name}")
        return
    hashes = hashes + re.findall(r"\bsha256=([0-9a-f]{64})\b", parts.fragment)
    condition = f"; {marker.strip()}" if marker else ""
    wanted = named or name
    if parts.scheme in ("http", "https"):
        added = gathering.add(f"{wanted} @ {place.partition('#')[0]} {condition}", line)
    elif parts.scheme in ("", "file"):
        if parts.scheme:
            path = unquote(parts.path)
        else:
            path = posixpath.normpath(posixpath.join(folder, place.partition("#")[0]))
        links = ["--find-links", str(PurePosixPath(path).parent)]
        if not any(gathering.options[index : index + 2] == links for index in range(len(gathering.options))):
            gathering.options += links
        added = gathering.add(f"{wanted}=={version} {condition}", line)
    else:
        gathering.problem(f"{line!r}: {parts.scheme}: is not supported; use http, https or a path")
        return
    if added is not None and hashes:
        gathering.hashes.setdefault(name, set()).update(hashes)
    if variables_in(place) and parts.scheme in ("", "file"):
        gathering.problem(f"{line!r}: environment variables are replaced in URLs only; write the path itself")


def _refuse_source(gathering: Gathering, line: str, place: str) -> None:
    source = re.sub(r"^.*\s@\s*", "", place)
    gathering.problem(
        f"{line!r} is not a package of an index but source code, and nothing is built here; build a wheel of it with "
        f"`pip wheel --no-deps -w wheels '{source}'`, add the line `--find-links wheels`, and ask for it by name and "
        "version"
    )
