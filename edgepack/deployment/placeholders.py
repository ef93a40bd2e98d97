"""Placeholders in the text of a deployment template or a `module.json`: variables and images of modules. Pure.

    $NAME  ${NAME}                                      a variable
    ${MODULES.filter}  ${MODULES.filter.arm64v8}        the image of modules/filter, for the chosen or this platform
    ${MODULES.filter.debug}  ${MODULEDIR<../filter>}    its debug variant; a module somewhere else
    $$NAME  $${NAME}                                    the text itself

Within quotes, a value is put in as a text whatever characters it has; outside of them it has to be JSON itself. A value
is never searched for placeholders. `$edgeAgent`, `$edgeHub`, `$upstream` and the `$` keys of schemas are no variables,
nor is what the routing language calls so in a route (`$body`, `$contentType`), whatever the environment holds. All that
cannot be replaced is told at once, with its lines.
"""

import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgepack.deployment.problem import shown
from edgepack.deployment.route_check import SYSTEM_PROPERTIES
from edgepack.errors import InputError

DEFAULT_VERSION = "0.0.0"

_STRING = r'"(?:[^"\\]|\\.)*+"'
_TOKEN = re.compile(rf"{_STRING}|\$\{{[A-Za-z_]\w*\}}|\$[A-Za-z_]\w*", re.DOTALL | re.ASCII)
_PLACEHOLDER = re.compile(
    r"(?P<escape>\$\$(?=\{|[A-Za-z_]))"
    r"|\$\{MODULES\.(?P<module>[^{}]+)\}"
    r"|\$\{MODULEDIR<(?P<folder>[^<>]+)>(?:\.(?P<variant>[^{}<>]+))?\}"
    r"|\$\{(?P<braced>[A-Za-z_]\w*)\}"
    r"|\$(?P<bare>[A-Za-z_]\w*)",
    re.ASCII,
)
_RESERVED = {"upstream", "edgeHub", "edgeAgent"}
_SCHEMA_KEYS = {"$schema", "$schema-template", "$schema-version"}
_ROUTE = re.compile(r"\s*(?:SELECT\b.*\b)?FROM\b.*\bINTO\b", re.IGNORECASE | re.DOTALL)
_ROUTE_WORD = re.compile(r"\$([A-Za-z][\w-]*)", re.ASCII)
_ROUTE_WORDS = {"body", *(name.lower() for name in SYSTEM_PROPERTIES)}


class ModuleFile(NamedTuple):
    """The text of a `module.json`, where it is, and the variables of a `.env` beside it, which win there."""

    text: str
    where: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Surroundings:
    """What placeholders stand for. `module_file` finds the `module.json` in a folder relative to the template's."""

    variables: Mapping[str, str]
    module_file: Callable[[str], ModuleFile | None] = lambda _folder: None
    modules_folder: str = "modules"


def expand(text: str, platform: str, surroundings: Surroundings, where: str) -> str:
    """The text with all placeholders replaced; `platform` as in a `module.json`, such as `arm64v8`.

    Raises:
        InputError: variables that are not set, modules that are not there or not made for the platform; all of them.
    """
    reading = _Reading(platform, surroundings)
    expanded = reading.expand(text, surroundings.variables, where)
    InputError.raise_if_any(reading.all_problems())
    return expanded


@dataclass
class _Reading:
    platform: str
    surroundings: Surroundings
    problems: list[str] = field(default_factory=list)
    unset: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    modules: dict[str, dict[str, str] | None] = field(default_factory=dict)

    def all_problems(self) -> Iterator[str]:
        for (where, name), lines in self.unset.items():
            places = ", ".join(map(str, dict.fromkeys(lines)))
            yield (
                f"{where}: ${name} is not set (line {places}): set it in the environment or in .env, or write $${name} "
                "where the text itself is meant"
            )
        yield from dict.fromkeys(self.problems)

    def expand(self, text: str, variables: Mapping[str, str], where: str) -> str:
        def replacement(token: re.Match[str]) -> str:
            line = text.count("\n", 0, token.start()) + 1
            if token[0].startswith('"'):
                return self._string(token[0], variables, where, line)
            return self._bare(token[0], variables, where, line)

        return _TOKEN.sub(replacement, text)

    def _string(self, literal: str, variables: Mapping[str, str], where: str, line: int) -> str:
        if "$" not in literal:
            return literal
        try:
            text = str(json.loads(literal))
        except ValueError:
            return literal  # it is told when the whole is read
        if text in _SCHEMA_KEYS:
            return literal
        is_route = _ROUTE.match(text) is not None

        def value(match: re.Match[str]) -> str:
            if match["escape"]:
                return "$"
            if match["module"] is not None:
                return self._module_image(match["module"], f"{where}: line {line}: {match[0]}") or match[0]
            if match["folder"] is not None:
                what = f"{where}: line {line}: {match[0]}"
                folder = posixpath.normpath(match["folder"].strip().replace("\\", "/"))
                return self._image(folder, match["variant"] or "", what) or match[0]
            name = match["braced"] or match["bare"]
            if match["bare"] and (name in _RESERVED or (is_route and _is_word_of_routes(text, match.start()))):
                return match[0]
            if name in variables:
                return variables[name]
            self.unset.setdefault((where, name), []).append(line)
            return match[0]

        expanded = _PLACEHOLDER.sub(value, text)
        return literal if expanded == text else json.dumps(expanded, ensure_ascii=False)

    def _bare(self, placeholder: str, variables: Mapping[str, str], where: str, line: int) -> str:
        name = placeholder.strip("${}")
        if name not in variables:
            self.unset.setdefault((where, name), []).append(line)
            return "null"
        try:
            return json.dumps(json.loads(variables[name]), ensure_ascii=False)
        except (ValueError, RecursionError):
            self.problems.append(f"{where}: line {line}: the value of {placeholder} is no JSON: put quotes around it")
            return "null"

    def _module_image(self, text: str, what: str) -> str | None:
        parts = text.split(".")
        for count in range(len(parts), 0, -1):
            folder = f"{self.surroundings.modules_folder}/{'.'.join(parts[:count])}"
            if self._images_of(folder) is not None:
                return self._image(folder, ".".join(parts[count:]), what)
        self.problems.append(
            f"{what}: there is no {self.surroundings.modules_folder}/{parts[0]}/module.json beside the template"
        )
        return None

    def _image(self, folder: str, variant: str, what: str) -> str | None:
        images = self._images_of(folder)
        key = {"": self.platform, "debug": f"{self.platform}.debug"}.get(variant, variant)
        if images is None:
            self.problems.append(f"{what}: there is no {folder}/module.json, seen from the template")
            return None
        if key not in images:
            known = f"it has {', '.join(images)}" if images else "see there"
            self.problems.append(f"{what}: {folder}/module.json has no platform {key}: {known}")
        return images.get(key)

    def _images_of(self, folder: str) -> dict[str, str] | None:
        """By platform, the image of a module; None: it is not there."""
        if folder not in self.modules:
            file = self.surroundings.module_file(folder)
            self.modules[folder] = None if file is None else self._read(file)
        return self.modules[folder]

    def _read(self, file: ModuleFile) -> dict[str, str]:
        variables = {**self.surroundings.variables, **file.variables}
        try:
            document = json.loads(self.expand(file.text, variables, file.where))
        except (ValueError, RecursionError) as error:
            self.problems.append(f"{file.where} is no JSON: {error}")
            return {}
        image = _member(document, "image")
        tag = _member(image, "tag")
        repository, version = _member(image, "repository"), _member(tag, "version", DEFAULT_VERSION)
        platforms = _member(tag, "platforms", {})
        if not isinstance(repository, str) or not repository.strip():
            self.problems.append(f"{file.where}: image.repository must be a text, not {shown(repository)}")
        elif not isinstance(version, str) or not isinstance(platforms, dict):
            self.problems.append(f"{file.where}: image.tag must have `version`, a text, and `platforms`, an object")
        else:
            suffix = self.surroundings.variables.get("CONTAINER_TAG", "").strip()
            name = f"{repository.strip().lower()}:{version}{f'-{suffix}' if suffix else ''}"
            return {key: f"{name}-{key}" for key in platforms}
        return {}


def _is_word_of_routes(text: str, at: int) -> bool:
    word = _ROUTE_WORD.match(text, at)
    return word is not None and word[1].lower() in _ROUTE_WORDS


def _member(value: Any, key: str, default: Any = None) -> Any:
    return value.get(key, default) if isinstance(value, dict) else default
