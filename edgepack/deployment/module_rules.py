"""Rules for each module of `$edgeAgent`: its name, its members, its environment, its image and createOptions.

Pure. See `agent_rules` for the sources.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgepack.deployment.create_options import OptionsError, join, join_keys, read_options
from edgepack.deployment.document_view import MODULE_PLACEHOLDER, has_placeholder
from edgepack.deployment.problem import (
    LOOSE,
    Manifest,
    Place,
    Problem,
    Rule,
    choice_problems,
    integer_problems,
    object_problems,
    plain_secret,
    shown,
    utf8_bytes,
)
from edgepack.deployment.secret_words import find_secrets

MAX_NAME_CHARACTERS = 128
MAX_VALUE_BYTES = 4096
MAX_UINT32 = 4294967295
STATUSES = ("running", "stopped")
RESTART_POLICIES = ("never", "on-failure", "on-unhealthy", "always")
PULL_POLICIES = ("never", "on-create")

NAME = re.compile(r"[a-zA-Z0-9_-]+")
ENV_NAME = re.compile(r"[^+#$\s.]+")
_OPTIONS_KEY = re.compile(r"(createoptions|createOptions)[0-9]*", re.ASCII)
_RUNTIME_IMAGE = re.compile(r"(?P<repo>([^/]*/)*)(?P<image>[^/:]+)(?P<tag>:[^/:]+)?")
_MOVING_TAG = re.compile(
    r"(?i)(.*[-_.])?latest([-_.].*)?|"
    r"(stable|edge|nightly|main|master|trunk|head|current|develop|dev|snapshot|canary|lts|prod)"
    r"([-_.](amd64|arm64v8|arm64|arm32v7|arm|debug|alpine|slim|linux|windows))*"
)
_REFERENCE = re.compile(
    r"(?:(?P<host>\$upstream:\d+|[A-Za-z0-9.-]+(?::\d+)?|\[[0-9A-Fa-f:]+\](?::\d+)?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


def names(manifest: Manifest) -> Iterator[Problem]:
    """Module names: letters, digits, `_` and `-`, at most 128 characters."""
    for name, module in manifest.modules.items():
        if not NAME.fullmatch(name):
            what = f"{shown(name)} may only have letters, digits, '_' and '-'"
            yield module.error("module-name", what, on_key=True)
        if len(name) > MAX_NAME_CHARACTERS:
            what = f"the name has {len(name)} characters, {MAX_NAME_CHARACTERS} at most"
            yield module.error("module-name", what, on_key=True)


def members(manifest: Manifest) -> Iterator[Problem]:
    """Which members a module has; edgeAgent has fewer, since it always runs and starts first."""
    system = manifest.agent["systemModules"]
    if "edgeAgent" in system:
        yield from object_problems(system["edgeAgent"], ("type", "settings"), ("env", "imagePullPolicy"), "module")
    full = ("type", "status", "settings")
    optional = ("restartPolicy", "env", "imagePullPolicy", "startupOrder")
    if "edgeHub" in system:
        yield from object_problems(system["edgeHub"], full, optional, "module")
        yield from _missing_policy(system["edgeHub"], "always")
    for module in manifest.modules:
        yield from object_problems(module, full, (*optional, "version"), "module")
        yield from _missing_policy(module, "on-unhealthy")


def _missing_policy(module: Place, default: str) -> Iterator[Problem]:
    if isinstance(module.value, dict) and "restartPolicy" not in module:
        what = f"has no 'restartPolicy': the runtime takes {default}, the schema wants one"
        yield replace(module.warning("restart-policy-missing", what), is_missing=True)


def values(manifest: Manifest) -> Iterator[Problem]:
    """Members with a fixed choice or range."""
    choices = {"status": STATUSES, "restartPolicy": RESTART_POLICIES, "imagePullPolicy": PULL_POLICIES}
    for _, module in manifest.all_modules:
        if "type" in module:
            yield from choice_problems(module["type"], ("docker",), "module-value")
        for key, allowed in choices.items():
            if key in module:
                yield from choice_problems(module[key], allowed, "module-value", any_case=True)
        if "startupOrder" in module:
            yield from integer_problems(module["startupOrder"], 0, MAX_UINT32, "module-value")
        if "version" in module and not isinstance(module["version"].value, str):
            yield _version_that_is_no_text(module["version"])


def _version_that_is_no_text(version: Place) -> Problem:
    if version.value is None:
        return version.warning(LOOSE, "the agent reads null as no version: remove it")
    if isinstance(version.value, int | float):
        what = f'the agent reads {shown(version.value)} as a text, the schemas want one: write "{version.value}"'
        return version.warning(LOOSE, what)
    return version.error("module-value", f'must be a text such as "1.0", not {shown(version.value)}')


def environment(manifest: Manifest) -> Iterator[Problem]:
    """Environment variables: `NAME: {"value": text, number or boolean}`, at most 4,096 bytes."""
    for _, module in manifest.all_modules:
        env = module["env"]
        if "env" in module and env.value is None:
            yield env.warning(LOOSE, "the agent reads null as no variables, the schemas do not: write {}")
        elif "env" in module and not isinstance(env.value, dict):
            yield env.error("env", 'must be an object of NAME: {"value": ...}')
        for name, variable in env.items():
            if not ENV_NAME.fullmatch(name):
                what = f"the name {shown(name)} must not have '+', '#', '$', '.' or blanks"
                yield variable.error("env", what, on_key=True)
            yield from object_problems(variable, (), ("value",), "env")
            if "value" in variable:
                yield from _environment_value(name, variable["value"])
            elif isinstance(variable.value, dict):
                what = "has no 'value': the agent reads an empty text, the schemas want one"
                yield replace(variable.warning(LOOSE, what), is_missing=True)


def _environment_value(name: str, value: Place) -> Iterator[Problem]:
    if value.value is None:
        yield value.warning(LOOSE, 'the agent reads null as an empty text, the schemas do not: write ""')
    elif not isinstance(value.value, str | int | float):
        yield value.error("env", f"must be a text, a number or a boolean, not {shown(value.value)}")
    elif isinstance(value.value, str) and utf8_bytes(value.value) > MAX_VALUE_BYTES:
        yield value.error("env", f"is longer than {MAX_VALUE_BYTES} bytes, IoT Hub refuses that: use a file")
    elif secret := next(find_secrets(value.value, name), None):
        yield value.warning("plain-secret", plain_secret(secret.name))


def settings(manifest: Manifest) -> Iterator[Problem]:
    """`settings` holds the image and the pieces of createOptions."""
    for _, module in manifest.all_modules:
        place = module["settings"]
        if "settings" not in module:
            continue
        pieces = tuple(key for key in place.members if "createoptions" in key.lower())
        others = {key: value for key, value in place.members.items() if "createoptions" not in key.lower()}
        rest = Place(place.pointer, others if isinstance(place.value, dict) else place.value)
        yield from object_problems(rest, ("image",), ("createOptions", "digest"), "settings")
        for key in pieces:
            if not _OPTIONS_KEY.fullmatch(key):
                what = f"{shown(key)} is read by the runtime, but refused by the published schemas: write createOptions"
                yield place[key].warning("settings-unpublished", what, on_key=True)
        if "digest" in place:
            what = "is read by the runtime, but refused by the published schemas: name the digest in the image"
            yield place["digest"].warning("settings-unpublished", what, on_key=True)


def images(manifest: Manifest) -> Iterator[Problem]:
    """Image references: what agent and engine take, and whether the agent would see a newer image."""
    for _, module in manifest.all_modules:
        place = module["settings"]["image"]
        if "image" not in module["settings"]:
            continue
        if not isinstance(place.value, str) or not place.value.strip():
            yield place.error("image", "must be a text such as REGISTRY/REPOSITORY@sha256:HEX")
        elif "${" in place.value:
            yield from _placeholder(place, manifest.is_template)
        else:
            yield from _image(place, place.value.strip())


def _placeholder(place: Place, is_template: bool) -> Iterator[Problem]:
    text = place.value.strip()
    if not has_placeholder(text):
        rule = "template-placeholder" if is_template else "placeholder"
        what = f"{shown(text)} has no placeholder that can be replaced: write ${{NAME}} (without a default) or "
        yield place.error(rule, f"{what}${{MODULES.FOLDER}}")
    elif not is_template:
        yield place.error("placeholder", f"{shown(text)} was not replaced: render the template first")
    elif ("${MODULES." in text or "${MODULEDIR<" in text) and not MODULE_PLACEHOLDER.fullmatch(text):
        what = f"{shown(text)}: the placeholder of a module must be the whole image"
        yield place.error("template-placeholder", what)


def _image(place: Place, text: str) -> Iterator[Problem]:
    match = _REFERENCE.fullmatch(text)
    if not match or not _RUNTIME_IMAGE.fullmatch(text):
        yield place.error(
            "image",
            f"{shown(text)} is no image reference: write REGISTRY/REPOSITORY:TAG or REPOSITORY@sha256:HEX, "
            "the repository in lower case (a digest has 64 hex digits and comes without a tag)",
        )
    elif not match["digest"] and (match["tag"] is None or _MOVING_TAG.fullmatch(match["tag"])):
        tag = "no tag, which means 'latest'" if match["tag"] is None else f"the tag {match['tag']!r}, which moves"
        yield place.warning(
            "image-tag",
            f"{shown(text)} has {tag}: the agent compares only this text, so a newer image is never deployed; "
            "name a digest or a fresh tag",
        )


def create_options(manifest: Manifest) -> Iterator[Problem]:
    """createOptions: pieces without gaps, each of at most 4,096 bytes, that join to a JSON object."""
    for _, module in manifest.all_modules:
        place = module["settings"]
        if manifest.is_template and isinstance(place["createOptions"].value, dict):
            continue
        pieces = {key: member for key, member in place.items() if "createoptions" in key.lower()}
        for key, member in pieces.items():
            if isinstance(member.value, str) and utf8_bytes(member.value) > MAX_VALUE_BYTES:
                yield member.error(
                    "create-options", f"{key} is longer than {MAX_VALUE_BYTES} bytes: cut it into pieces"
                )
        if len(pieces) > 100:
            yield place.error("create-options", f"{len(pieces)} pieces, the agent reads 100 and ignores the rest")
            continue
        yield from _options_that_are_no_text(pieces)
        try:
            reading = read_options(join(place.members))
        except OptionsError as error:
            for problem in error.problems:
                where = place[error.key] if error.key else place[next(iter(pieces), "createOptions")]
                yield where.error("create-options", problem, column=error.column)
            continue
        if reading.oddities:
            odd = " and ".join(reading.oddities)
            what = f"createOptions have {odd}: the agent reads that, other tools refuse it; write JSON"
            yield place[join_keys(place.members)[0]].warning("create-options-form", what)
        if reading.has_twice:
            yield from _twice(place)


def _options_that_are_no_text(pieces: Mapping[str, Place]) -> Iterator[Problem]:
    for key, member in pieces.items():
        if isinstance(member.value, dict):
            what = f"{key} is an object: the agent makes a text of it, the schemas want JSON in a text"
            yield member.warning("create-options-form", what)
        elif member.value is None:
            what = f"{key} is null: the agent reads no options, the schemas want a text; remove it"
            yield member.warning("create-options-form", what)


def _twice(settings: Place) -> Iterator[Problem]:
    """The keys that an object has twice, in createOptions as they are joined."""
    from edgepack.deployment.json_places import index
    from edgepack.deployment.loose_json import strict_json

    keys = join_keys(settings.members)
    for _, _, pointer, key in index(strict_json(join(settings.members)).text)[1]:
        what = f"the key {shown(key)} stands twice in this object, and tools differ in which one counts: remove one"
        yield replace(settings[keys[0]].warning("create-options-twice", what, on_key=True), inner=pointer)


RULES: tuple[Rule, ...] = (names, members, values, environment, settings, images, create_options)
