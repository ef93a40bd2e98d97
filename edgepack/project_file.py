"""`edgepack.yaml` as it is written: which keys there are, and what is wrong with those that are there.

What they mean is for `project` (one image) and `assembly` (all modules of a deployment). All problems are told
together, and an unknown key with the nearest known one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from edgepack import PROJECT_FILE
from edgepack.deployment.hub_rules import MAX_INT32
from edgepack.deployment.manifest import HTTP_PORT, RegistryCredentials
from edgepack.deployment.module_rules import MAX_UINT32, PULL_POLICIES, RESTART_POLICIES, STATUSES
from edgepack.errors import InputError
from edgepack.yaml_text import parse_yaml

KEYS = {
    "name": str,
    "models": list,
    "inference_config": (str, dict),
    "platforms": list,
    "base": str,
    "dockerfile": str,
    "exclude": list,
    "image": str,
    "module": dict,
    "modules": (list, dict),
    "routes": dict,
    "store_and_forward": dict,
    "credentials": dict,
}
MODULE_KEYS = {
    "name": str,
    "create_options": dict,
    "env": dict,
    "desired": dict,
    "status": str,
    "restart_policy": str,
    "image_pull_policy": str,
    "startup_order": int,
}
LISTED_KEYS = {
    "name": str,
    "models": list,
    "inference_config": (str, dict),
    "dockerfile": str,
    "exclude": list,
    "image": str,
    **MODULE_KEYS,
    "routes": dict,
}
CREDENTIAL_KEYS = {"address": str, "username_env": str, "password_env": str}
_KINDS = {
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "a mapping",
    (str, dict): "a file name or a mapping",
    (list, dict): "a list or a mapping",
}
_CHOICES = {"status": STATUSES, "restart_policy": RESTART_POLICIES, "image_pull_policy": PULL_POLICIES}
_MODULE_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_FOLDERS_OF_THE_OUTPUT = ("image", "sbom", "attachments")


@dataclass(frozen=True, slots=True)
class ModuleOptions:
    """The IoT Edge module as the project wants it, beyond what every module gets.

    `routes` are its own, None: not said. `host_port` is where HTTP is published on the device, None: nowhere.
    """

    name: str
    create_options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    desired: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Any] | None = None
    host_port: int | None = HTTP_PORT
    status: str = "running"
    restart_policy: str = "always"
    image_pull_policy: str = "on-create"
    startup_order: int = 1


def read_project_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The keys of the file that can be used, and what is wrong with the others.

    Raises:
        InputError: the file cannot be read, or is no YAML mapping.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: must be a mapping with keys such as `name` and `models`")
    problems: list[str] = []
    return usable(document, KEYS, str(path), problems), problems


def usable(document: Mapping[Any, Any], known: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """The members whose keys are known and whose values are of the right kind; a sentence for each other one."""
    for key, value in document.items():
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
            problems.append(f"{where}: key `{key}` is not known; {hint}")
        elif not _fits(value, known[key]):
            problems.append(f"{where}: `{key}` must be {_KINDS[known[key]]}, not {value!r}")
    return {key: value for key, value in document.items() if key in known and _fits(value, known[key])}


def module_options(
    part: Mapping[str, Any], name: str, where: str, problems: list[str], *, host_port: int | None = HTTP_PORT
) -> ModuleOptions:
    """What a module's usable keys say; `where` begins each sentence about its environment."""
    env = part.get("env") or {}
    problems += [
        f"{where}.env.{key} must be a text, number or boolean, not {value!r}"
        for key, value in env.items()
        if not isinstance(value, str | int | float)
    ]
    options, desired = part.get("create_options") or {}, part.get("desired") or {}
    problems += [
        f"{where}.{key} must be one of {', '.join(choices)}, not {part[key]!r}"
        for key, choices in _CHOICES.items()
        if part.get(key) is not None and part[key] not in choices
    ]
    order = part.get("startup_order")
    if order is not None and not 0 <= order <= MAX_UINT32:
        problems.append(f"{where}.startup_order must lie between 0 (started first) and {MAX_UINT32}, not {order}")
    said = {key: part[key] for key in (*_CHOICES, "startup_order") if part.get(key) is not None}
    return ModuleOptions(name, options, env, desired, part.get("routes"), host_port, **said)


def keep_messages_s(value: Mapping[str, Any] | None, problems: list[str]) -> int | None:
    """How long edgeHub keeps what it cannot deliver, from `store_and_forward`; None: not said."""
    where = f"{PROJECT_FILE}: store_and_forward"
    seconds = usable(value or {}, {"timeToLiveSecs": int}, where, problems).get("timeToLiveSecs")
    if seconds is not None and not -1 <= seconds <= MAX_INT32:
        problems.append(f"{where}.timeToLiveSecs must lie between -1 (for ever) and {MAX_INT32}, not {seconds}")
    return None if seconds is None else int(seconds)


def listed_modules(value: Any, problems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and usable keys of each module under `modules`: a list of mappings with `name`, or a mapping by name."""
    listed: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        listed = list(value.items())
    for number, part in enumerate(value if isinstance(value, list) else ()):
        name = part.get("name") if isinstance(part, dict) else None
        if name is None:
            problems.append(f"{PROJECT_FILE}: modules, number {number + 1}: must be a mapping with a `name`")
        else:
            listed.append((name, {key: member for key, member in part.items() if key != "name"}))
    seen: set[str] = set()
    for name, part in listed:
        where = f"{PROJECT_FILE}: modules.{name}"
        if not isinstance(name, str) or not _MODULE_NAME.fullmatch(name):
            problems.append(f"{PROJECT_FILE}: module name {name!r} may only have letters, digits, `_` and `-`")
        elif name.lower() in _FOLDERS_OF_THE_OUTPUT:
            problems.append(f"{where}: the output has a folder of that name; rename the module")
        elif name.lower() in seen:
            problems.append(f"{where}: there is another module of that name; rename one")
        elif not isinstance(part, dict):
            problems.append(f"{where}: must be a mapping with keys such as `models` and `image`, not {part!r}")
        else:
            known = {key: kind for key, kind in LISTED_KEYS.items() if key != "name"}
            yield name, usable(part, known, where, problems)
        seen.add(str(name).lower())


def parse_credentials(
    value: Any, environment: Mapping[str, str], problems: list[str]
) -> dict[str, RegistryCredentials]:
    """Who signs in to which registry, by a name; user and password are those of environment variables."""
    found = {}
    for name, part in (value or {}).items():
        where = f"{PROJECT_FILE}: credentials.{name}"
        if not isinstance(part, dict):
            problems.append(f"{where}: must be a mapping with {', '.join(CREDENTIAL_KEYS)}")
            continue
        known = usable(part, CREDENTIAL_KEYS, where, problems)
        problems += [f"{where}: needs `{key}`" for key in CREDENTIAL_KEYS if not known.get(key) and key not in part]
        named = {key: known[key] for key in ("username_env", "password_env") if known.get(key)}
        problems += [
            f"{where}.{key}: the environment variable {variable} is not set"
            for key, variable in named.items()
            if not environment.get(variable, "").strip()
        ]
        values = [environment.get(variable, "") for variable in named.values()]
        if known.get("address") and len(values) == 2:
            found[str(name)] = RegistryCredentials(known["address"], *values)
    return found


def _fits(value: Any, kind: Any) -> bool:
    return value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool)))
