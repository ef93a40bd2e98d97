"""Rules for what createOptions say to the engine: known keys, shapes of values, ports, binds, variables.

Pure. The engine refuses a list where it wants an object, and the module then never starts; edgeAgent passes over keys
that it does not know. A text where a number stands is taken by edgeAgent, not by the engine.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from edgepack.deployment.create_options import join, read_options
from edgepack.deployment.document_view import has_placeholder
from edgepack.deployment.engine_keys import CREATE_BODY, Many, Shape, known_key
from edgepack.deployment.problem import Manifest, Place, Problem, Rule, plain_secret, pointer_step, shown, unknown_key
from edgepack.deployment.secret_words import find_secrets
from edgepack.errors import InputError

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_HOST_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_MOUNT_TYPES = ("bind", "volume", "tmpfs", "npipe", "cluster", "image")
_WORDS = {"text": "a text", "number": "a number", "bool": "true or false", "texts": "an array of texts"}


class EngineObject(Place):
    """A value in createOptions: agent and engine find keys in any case."""

    def __getitem__(self, key: str) -> "EngineObject":
        members = self.members
        if key not in members:
            key = next((each for each in members if each.lower() == key.lower()), key)
        return EngineObject(f"{self.pointer}/{pointer_step(key)}", members.get(key))

    def items_in_order(self) -> Iterator["EngineObject"]:
        """The items when it is an array, else none."""
        return (EngineObject(place.pointer, place.value) for place in super().items_in_order())


def options_of(module: Place) -> EngineObject:
    """A module's createOptions, empty when they cannot be read. Those that stand as text begin at a pointer of their
    own: see `in_options`.
    """
    place = module["settings"]["createOptions"]
    if isinstance(place.value, dict):
        return EngineObject(place.pointer, place.value)
    try:
        return EngineObject("", read_options(join(module["settings"].members)).options)
    except InputError:
        return EngineObject("", {})


def in_options(problem: Problem, settings: Place) -> Problem:
    """A problem of what `options_of` gave, as one of the document."""
    place = settings["createOptions"]
    return problem if isinstance(place.value, dict) else replace(problem, pointer=place.pointer, inner=problem.pointer)


def engine_keys(manifest: Manifest) -> Iterator[Problem]:
    """All of every module's createOptions against what the engine knows."""
    for _, module in manifest.all_modules:
        for problem in _options(options_of(module), manifest.is_template):
            yield in_options(problem, module["settings"])


def _options(options: Place, is_template: bool) -> Iterator[Problem]:
    waiting: list[tuple[Place, Shape, str]] = [(options, CREATE_BODY, "createOptions")]
    while waiting:
        place, shape, name = waiting.pop()
        if place.value is None or (is_template and has_placeholder(place.value)):
            continue
        if isinstance(shape, str):
            yield from _simple(place, shape, name)
        elif isinstance(shape, Many) and not shape.by_name:
            if not isinstance(place.value, list):
                yield place.error("create-options-shape", f"{name} must be an array, not {shown(place.value)}")
                continue
            waiting += ((item, shape.of, name) for item in place.items_in_order())
        elif not isinstance(place.value, dict):
            yield place.error("create-options-shape", f"{name} must be an object, not {shown(place.value)}")
        elif isinstance(shape, Many):
            waiting += ((member, shape.of, key) for key, member in place.items())
        elif shape:
            for key, member in place.items():
                known = known_key(key, shape)
                if not known:
                    yield _unknown(member, key, shape)
                    continue
                waiting.append((member, shape[known], known))
                if known != key:
                    what = f"agent and engine read {shown(key)} as {known!r}, other tools pass over it: write {known!r}"
                    yield member.warning("create-options-key-case", what, on_key=True)
    yield from _ports(options, is_template)
    yield from _mounts(options["HostConfig"], is_template)
    yield from _variables(options["Env"], is_template)
    yield from _secrets(options)


def _unknown(member: Place, key: str, shape: Mapping[str, Shape]) -> Problem:
    problem = unknown_key(member, "create-options-unknown-key", key, shape, "the engine does not read it")
    home = next((path for path, keys in _HOMES.items() if key in keys and keys is not shape), None)
    if home is None:
        return problem
    return replace(problem, message=f"{shown(key)} is not known here, the engine reads it in {home}: move it there")


_HOMES: dict[str, Any] = {"HostConfig": CREATE_BODY["HostConfig"], "createOptions itself": CREATE_BODY}


def _simple(place: Place, shape: str, name: str) -> Iterator[Problem]:
    value = place.value
    if shape == "any" or (shape == "command" and isinstance(value, str)):
        return
    if shape in ("texts", "command"):
        if not isinstance(value, list):
            yield place.error("create-options-shape", f"{name} must be an array of texts, not {shown(value)}")
            return
        for item in place.items_in_order():
            if item.value is not None:
                yield from _simple(item, "text", f"each of {name}")
        return
    is_bool, is_number = isinstance(value, bool), isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, dict | list):
        yield place.error("create-options-shape", f"{name} must be {_WORDS[shape]}, not {shown(value)}")
    elif not {"text": isinstance(value, str), "number": is_number, "bool": is_bool}[shape]:
        yield place.warning(
            "create-options-kind", f"{name} is {shown(value)}, and the engine wants {_WORDS[shape]}: write it as that"
        )


def _ports(options: Place, is_template: bool) -> Iterator[Problem]:
    host = options["HostConfig"]
    bindings = host["PortBindings"]
    for key, member in (*options["ExposedPorts"].items(), *bindings.items()):
        if not _is_range(_PORT.fullmatch(key), 1) and not (is_template and has_placeholder(key)):
            what = f"{shown(key)} is no port of a container: write 8080/tcp or 53/udp"
            yield member.error("create-options-port", what, on_key=True)
    for binding in (place for member in bindings for place in member.items_in_order()):
        port = binding["HostPort"]
        text = str(port.value) if isinstance(port.value, str | int) else ""
        if text and not _is_range(_HOST_PORT.fullmatch(text), 0) and not (is_template and has_placeholder(text)):
            yield port.error("create-options-port", f'{shown(port.value)} is no port of the host: write "8080"')
    if bindings.members and host["NetworkMode"].value == "host":
        yield bindings.warning(
            "create-options-no-effect", "has no effect with NetworkMode host: the module listens on the host itself"
        )


def _is_range(match: re.Match[str] | None, low: int) -> bool:
    if match is None:
        return False
    first, last = int(match[1]), int(match[2] or match[1])
    return low <= first <= last <= 65535


def _mounts(host: Place, is_template: bool) -> Iterator[Problem]:
    for bind in host["Binds"].items_in_order():
        text = bind.value
        if not isinstance(text, str) or _WINDOWS.match(text) or (is_template and has_placeholder(text)):
            continue
        source, _, rest = text.partition(":")
        place, _, _mode = rest.partition(":")
        if not place.startswith("/") and not _WINDOWS.match(rest):
            what = f"{shown(text)} must be SOURCE:PLACE or SOURCE:PLACE:MODE, the place in the container from / on"
            yield bind.error("create-options-mount", what)
        elif not source.startswith("/") and not _VOLUME.fullmatch(source):
            what = f"{shown(source)} is neither a path from / on nor the name of a volume (letters, digits, _ . -)"
            yield bind.error("create-options-mount", what)
    for mount in host["Mounts"].items_in_order():
        kind, target = mount["Type"].value, mount["Target"].value
        if isinstance(mount.value, dict) and not target:
            yield mount.error("create-options-mount", "needs 'Target', the place in the container")
        if kind not in _MOUNT_TYPES and isinstance(mount.value, dict) and not (is_template and has_placeholder(kind)):
            what = f"must be one of {', '.join(_MOUNT_TYPES)}, not {shown(kind)}"
            where = mount["Type"] if kind is not None else mount
            yield where.error("create-options-mount", what)


def _variables(env: Place, is_template: bool) -> Iterator[Problem]:
    for variable in env.items_in_order():
        text = variable.value
        if not isinstance(text, str) or (is_template and has_placeholder(text)):
            continue
        if not text.partition("=")[0]:
            yield variable.error("create-options-env", f"{shown(text)} must be NAME=VALUE")


def _secrets(options: Place) -> Iterator[Problem]:
    for secret in find_secrets(options.value):
        pointer = "".join(f"/{pointer_step(str(step))}" for step in secret.way)
        yield Place(options.pointer + pointer, None).warning("plain-secret", plain_secret(secret.name))


RULES: tuple[Rule, ...] = (engine_keys,)
