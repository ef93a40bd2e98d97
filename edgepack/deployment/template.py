"""`deployment.template.json` of the known tools -> the deployment manifest that they would write. Pure.

Placeholders are replaced (see `placeholders`), createOptions that are an object become texts, in pieces, and
`$schema-template` goes. Everything else stays as it is. The result is checked, as a layer where it is one.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from edgepack.deployment.create_options import PIECE_CHARACTERS, chunk
from edgepack.deployment.findings import located
from edgepack.deployment.json_text import read_json
from edgepack.deployment.manifest_check import Finding, sentence
from edgepack.deployment.placeholders import Surroundings, expand
from edgepack.deployment.problem import DESIRED, manifest_of
from edgepack.deployment.validate import check
from edgepack.errors import InputError

PLATFORMS = ("amd64", "arm32v7", "arm64v8", "windows-amd64")
_OTHER_NAMES = {
    "linux/amd64": "amd64",
    "linux/arm64": "arm64v8",
    "linux/arm64/v8": "arm64v8",
    "arm64": "arm64v8",
    "linux/arm/v7": "arm32v7",
    "windows/amd64": "windows-amd64",
}
_SUFFIX = ".template.json"
_SCHEMA = "$schema-template"
_OLDEST_WITH_PLATFORM = "0.0.1"  # templates up to this version gave one file for all platforms


@dataclass(frozen=True, slots=True)
class RenderedTemplate:
    """The manifest, the template's schema version ("" without one), and what is doubtful, where the template has it."""

    manifest: dict[str, Any]
    schema_version: str
    warnings: tuple[Finding, ...]
    is_layer: bool

    @property
    def holds_secrets(self) -> bool:
        """Whether it has passwords of registries."""
        return bool(manifest_of(self.manifest).agent["runtime"]["settings"]["registryCredentials"].members)


def template_platform(name: str) -> str:
    """A platform as templates name it: `linux/arm64` is `arm64v8`. Raises InputError for one that they do not have."""
    found = _OTHER_NAMES.get(name, name)
    if found not in PLATFORMS:
        known = ", ".join((*PLATFORMS, *_OTHER_NAMES))
        raise InputError(f"--platform {name!r} is not known in templates: known are {known}")
    return found


def manifest_name(template_name: str, schema_version: str, platform: str) -> str:
    """The file name that the tools give: `deployment.template.json` for arm64v8 is `deployment.arm64v8.json`."""
    stem = template_name.removesuffix(_SUFFIX)
    stem = "deployment" if not template_name.endswith(".json") else stem.removesuffix(".json")
    return f"{stem}.{platform}.json" if schema_version > _OLDEST_WITH_PLATFORM else f"{stem}.json"


def render_template(text: str, platform: str, surroundings: Surroundings, where: str) -> RenderedTemplate:
    """The manifest for one of PLATFORMS.

    Raises:
        InputError: placeholders that stand for nothing, no JSON, or a manifest that a device would not take; all
            problems of the first of these.
    """
    expanded = expand(text, platform, surroundings, where)
    reading = read_json(text, has_placeholders=True)
    _raise_if_any(located(reading, ())[0] if reading.faults else (), where)
    try:
        manifest = json.loads(expanded)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON with its placeholders replaced: {error}") from error
    if not isinstance(manifest, dict):
        raise InputError(f"{where}: a deployment template is a JSON object")
    version = manifest.pop(_SCHEMA, "")
    for name, settings in _settings(manifest):
        _write_options(settings, f"{where}: module {name}")
    kind, problems = check(manifest)
    findings = located(reading, problems)[0] if problems else ()
    _raise_if_any([finding for finding in findings if finding.severity == "error"], where)
    return RenderedTemplate(manifest, version if isinstance(version, str) else "", findings, kind == "layer")


def _raise_if_any(findings: Iterable[Finding], where: str) -> None:
    InputError.raise_if_any(sentence(where, finding) for finding in findings)


def _write_options(settings: dict[str, Any], what: str) -> None:
    """Turn createOptions into the pieces that the agent reads; a text that is short enough stays as it is."""
    options = settings.get("createOptions")
    pieces = [key for key in settings if key.startswith("createOptions") and key != "createOptions"]
    if isinstance(options, str) and len(options) <= PIECE_CHARACTERS:
        return
    if isinstance(options, dict):
        if pieces:
            raise InputError(f"{what}: createOptions is an object, and {', '.join(pieces)} stands beside it: remove it")
        options = json.dumps(options, separators=(",", ":"))
    elif not isinstance(options, str) or pieces:
        return
    try:
        settings |= chunk(options)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _settings(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings of every module, by the module's name, also where a layer names them by paths."""
    for key, value in manifest_of(manifest).content["$edgeAgent"].members.items():
        if key == DESIRED or key.startswith(f"{DESIRED}."):
            yield from _settings_below(tuple(key.split(".")[2:]), value)


def _settings_below(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict) or (path and path[0] not in ("modules", "systemModules")):
        return
    if len(path) == 3 and path[2] == "settings":
        yield path[1], value
    elif len(path) < 3:
        for key, member in value.items():
            yield from _settings_below((*path, key), member)
