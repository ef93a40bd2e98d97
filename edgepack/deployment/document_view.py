"""What kind of document a manifest is, and the form in which the rules read it.

Pure. The rules know one form: `modulesContent` at the top, each twin under the one key `properties.desired`. A view is
that form of a document, and the way back: where in the document each part stands. A single device's wrapper
(`content`, or the old `moduleContent`) is looked through; the dotted keys of a layer (`properties.desired.modules.M`)
become objects.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from edgepack.deployment.problem import DESIRED, SYSTEM_TWINS, Manifest, Place, Problem, pointer_step

Kind = Literal["deployment", "layer", "template"]

TEMPLATE_KEY = "$schema-template"
_CONTENT_KEYS = ("modulesContent", "moduleContent")
_PLACEHOLDER = re.compile(
    r"\$\{(?:MODULES\.[^{}]+|MODULEDIR<[^{}]+>[^{}]*|[A-Za-z_][A-Za-z0-9_]*)\}(?:\.[A-Za-z0-9_.]+)?"
    r"|\$[A-Z][A-Z0-9_]+\b|\$[A-Za-z]\w*_\w*\b"  # the names of properties in routes have no underscore
)
MODULE_PLACEHOLDER = re.compile(r"\$\{(?:MODULES\.[^{}<>]+|MODULEDIR<[^{}<>]+>(?:\.[^{}<>]+)?)\}")


class View(NamedTuple):
    """A document as the rules read it. `ways`: what was put together from a layer's dotted keys, and where the pointer
    to it leads in the document; without the second when only a part of it stands there.
    """

    manifest: Manifest
    kind: Kind
    own: tuple[Problem, ...] = ()
    ways: Mapping[str, tuple[str, bool]] = MappingProxyType({})

    def translated(self, problem: Problem) -> Problem | None:
        """The problem with a pointer into the document; None when it is about what a layer may leave to its base."""
        known, rest = problem.pointer, ""
        while known not in self.ways and known:
            known, _, step = known.rpartition("/")
            rest = f"/{step}{rest}"
        if not known:
            return problem
        real, is_whole = self.ways[known]
        if problem.is_missing and not is_whole and not rest:
            return None
        return replace(problem, pointer=real + rest if is_whole else real)


def view_of(document: Any, *, is_template: bool = False) -> View:
    """The view of any JSON document; what has no content is left as it is, and the rules say what is missing."""
    own: list[Problem] = []
    outer = top = Place("", document)
    is_template = is_template or TEMPLATE_KEY in top
    if not any(key in top for key in _CONTENT_KEYS) and any(key in top["content"] for key in _CONTENT_KEYS):
        top = top["content"]
    key = "modulesContent" if "modulesContent" in top else "moduleContent"
    content = top[key] if key in top else Place("/modulesContent", None)
    if key in top and key == "moduleContent":
        own.append(content.warning("old-spelling", "is the old spelling: call it 'modulesContent'", on_key=True))
    is_layer = _is_layer(content)
    ways: dict[str, tuple[str, bool]] = {}
    if is_layer:
        twins = dict(content.members)
        for name, twin in content.items():
            own += _lay(name, twin, twins, ways)
        content = Place(content.pointer, twins)
    kind: Kind = "layer" if is_layer else "template" if is_template else "deployment"
    return View(Manifest(outer, content, is_layer, is_template), kind, tuple(own), ways)


def _is_layer(content: Place) -> bool:
    """Whether it has dotted keys, or only twins of modules, and none of the system's twins whole."""
    whole = [name for name in SYSTEM_TWINS if name in content and DESIRED in content[name]]
    if whole or not content.members:
        return False
    dotted = any(key.startswith(f"{DESIRED}.") for twin in content for key in twin.members)
    return dotted or not any(name in content for name in SYSTEM_TWINS)


def _lay(name: str, twin: Place, twins: dict[str, Any], ways: dict[str, tuple[str, bool]]) -> list[Problem]:
    """Put a twin's dotted keys together to one object of desired properties."""
    problems = []
    desired: dict[str, Any] = dict(twin[DESIRED].members)
    others = {}
    has_parts = False
    made = f"{twin.pointer}/{DESIRED}"
    for key, member in sorted(twin.items(), key=lambda each: len(each[0])):  # the wider parts first
        if not key.startswith(f"{DESIRED}."):
            others[key] = member.value
            continue
        steps = key[len(DESIRED) + 1 :].split(".")
        if not all(steps):
            problems.append(member.error("layer-key", f"{key!r} has an empty part between dots", on_key=True))
            continue
        inner, pointer = desired, made
        for step in steps[:-1]:
            ways.setdefault(pointer, (twin.pointer, False))
            pointer = f"{pointer}/{pointer_step(step)}"
            below = inner.get(step)
            inner[step] = below = dict(below) if isinstance(below, dict) else {}
            inner = below
        ways.setdefault(pointer, (twin.pointer, False))
        inner[steps[-1]] = member.value
        has_parts = True
        ways[f"{pointer}/{pointer_step(steps[-1])}"] = (member.pointer, True)
    if has_parts:
        if DESIRED in others:
            problems.append(
                twin[DESIRED].error("layer-key", f"replaces all, so there must be no {DESIRED}.NAME beside it")
            )
        twins[name] = {**others, DESIRED: desired}
    return problems


def desired_properties(document: Any) -> dict[str, Any]:
    """By twin the desired properties that a document's content asks for, parts put in their places."""
    content = view_of(document).manifest.content
    twins = dict(content.members)
    for name, twin in content.items():
        _lay(name, twin, twins, {})
    return {name: twin.get(DESIRED, {}) if isinstance(twin, dict) else {} for name, twin in twins.items()}


def has_placeholder(value: Any) -> bool:
    """Whether a text holds something that the expansion of a template replaces."""
    return isinstance(value, str) and _PLACEHOLDER.search(value) is not None
