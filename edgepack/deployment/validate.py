"""Checks a deployment manifest for everything that the published schemas, the runtime and IoT Hub ask for.

Pure. `problems` never raises, whatever the document holds; what is checked is the table of rules in the rule
files: `agent_rules`, `module_rules`, `hub_rules`, `twin_rules` and `cross_rules` (what holds between parts).
A route's WHERE expression is not parsed here.
"""

from collections.abc import Iterable
from typing import Any

from edgepack.deployment import agent_rules, cross_rules, hub_rules, module_rules, twin_rules
from edgepack.deployment.problem import Problem, Rule, manifest_of

RULES: tuple[Rule, ...] = (
    *agent_rules.RULES,
    *module_rules.RULES,
    *hub_rules.RULES,
    *cross_rules.RULES,
    *twin_rules.RULES,
)


def problems(document: Any) -> tuple[Problem, ...]:
    """All problems of a complete manifest (a parsed JSON document), in the order of the rules.

    A twin's general limit is left out where a rule before it objects to the same place.
    """
    manifest = manifest_of(document)
    found: dict[tuple[str, str], Problem] = {}
    pointers: set[str] = set()
    for rule in RULES:
        for problem in rule(manifest):
            if problem.rule.startswith("twin-") and problem.pointer in pointers:
                continue
            found.setdefault((problem.pointer, problem.message), problem)
            pointers.add(problem.pointer)
    return tuple(found.values())


def errors(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Only what the runtime or IoT Hub would refuse, or what cannot work."""
    return tuple(problem for problem in found if problem.severity == "error")
