"""Checks a deployment manifest for everything that the published schemas, the runtime and IoT Hub ask for.

Pure. Nothing here raises, whatever the document holds; what is checked is the table of rules in the rule files:
`agent_rules`, `module_rules`, `option_rules`, `hub_rules`, `cross_rules` (what holds between parts) and `twin_rules`.
Routes are read and checked whole, conditions included (`route_check`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from edgepack.deployment import agent_rules, cross_rules, hub_rules, module_rules, option_rules, twin_rules
from edgepack.deployment.document_view import Kind, has_placeholder, view_of
from edgepack.deployment.problem import Manifest, Problem, Rule, manifest_of

RULES: tuple[Rule, ...] = (
    *agent_rules.RULES,
    *module_rules.RULES,
    *option_rules.RULES,
    *hub_rules.RULES,
    *cross_rules.RULES,
    *twin_rules.RULES,
)


class Verdict(NamedTuple):
    """What a document is, and its problems in the order of the rules."""

    kind: Kind
    problems: tuple[Problem, ...]


def check(document: Any, *, is_template: bool = False) -> Verdict:
    """All problems of a manifest, a layer or a template; which one it is, is told by what it holds.

    In a template (`is_template`, or it says so itself) a value with a placeholder is not judged before it is replaced.
    """
    view = view_of(document, is_template=is_template)
    translated = (view.translated(problem) for problem in _found(view.manifest))
    found = (problem for problem in translated if problem is not None)
    if view.manifest.is_template:
        found = (problem for problem in found if not _waits(document, problem))
    return Verdict(view.kind, (*view.own, *found))


def problems(document: Any) -> tuple[Problem, ...]:
    """All problems of a document that is to be a complete manifest, as a device takes it."""
    return tuple(_found(manifest_of(document)))


def errors(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Only what the runtime or IoT Hub would refuse, or what cannot work."""
    return tuple(problem for problem in found if problem.severity == "error")


def _found(manifest: Manifest) -> Iterator[Problem]:
    """A twin's general limit is left out where a rule before it objects to the same place."""
    told: set[tuple[str, str | None, str]] = set()
    refused: set[tuple[str, bool]] = set()
    for rule in RULES:
        for problem in rule(manifest):
            key = (problem.pointer, problem.inner, problem.message)
            place = (problem.pointer, problem.on_key)
            if key in told or (problem.rule.startswith("twin-") and place in refused):
                continue
            told.add(key)
            if problem.severity == "error":
                refused.add(place)
            yield problem


def _waits(document: Any, problem: Problem) -> bool:
    """Whether a problem is about a text that is not what it will be, because it has placeholders."""
    if problem.rule == "template-placeholder" or problem.inner is not None:
        return False
    value, key = document, ""
    for step in problem.pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return has_placeholder(key if problem.on_key else value)
