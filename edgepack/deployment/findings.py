"""Finds the places of problems in a manifest's text.

Pure. A problem inside of a text (a route, createOptions) stands at the line and column of that text, and says where in
the text it is; for createOptions that are cut into pieces, in which piece.
"""

from collections.abc import Iterable
from typing import NamedTuple

from edgepack.deployment.create_options import join_keys
from edgepack.deployment.json_places import Node, Places, find, index
from edgepack.deployment.json_text import Fault, JsonText, read_json
from edgepack.deployment.loose_json import strict_json
from edgepack.deployment.manifest_check import Finding
from edgepack.deployment.problem import Problem, pointer_step


class _Options(NamedTuple):
    """A module's createOptions as text: the pieces (key, place, text) in their order, and what stands where in all.

    `root` has the places in the text as JSON, `origins` where each of them is in what is written.
    """

    pieces: list[tuple[str, Node, str]]
    root: Node | None
    origins: list[int]


def located(document: JsonText, problems: Iterable[Problem]) -> tuple[tuple[Finding, ...], Places]:
    """All that is wrong with a document, in the order of the text."""
    places = Places(document.text, document.readable if document.is_read else "")
    options: dict[str, _Options] = {}
    findings = [_of_fault(fault, places) for fault in document.faults]
    findings += (_of_problem(problem, places, options) for problem in problems)
    findings.sort(key=lambda finding: (finding.span.line, finding.span.column, finding.value_column or 0))
    return tuple(findings), places


def _of_fault(fault: Fault, places: Places) -> Finding:
    return Finding("error", fault.rule, fault.text, fault.pointer, places.span(fault.at, fault.at + fault.length))


def _of_problem(problem: Problem, places: Places, options: dict[str, _Options]) -> Finding:
    pointer, node, column = problem.pointer, places.node(problem.pointer), problem.column
    is_key = problem.on_key and problem.inner is None
    if problem.inner is not None and places.character(node.at) == "{":  # of a template: they become a text
        node, is_key = find(node, problem.inner), problem.on_key
    elif problem.inner is not None or (column is not None and problem.rule == "create-options"):
        settings = pointer.rpartition("/")[0]
        if settings not in options:
            options[settings] = _options(settings, places)
        pieces, root, origins = options[settings]
        if problem.inner is not None:
            column = None if root is None else origins[_place_in(root, problem.inner, problem.on_key)] + 1
        for key, piece, text in pieces:
            if column is not None and column <= max(1, len(text)):
                pointer, node = f"{settings}/{pointer_step(key)}", piece
                break
            column = None if column is None else column - len(text)
    span = places.key_span(node) if is_key and node.key_at >= 0 else places.span(node.at, node.end)
    caret = None
    if column is not None and places.character(node.at) == '"':
        caret = places.column_of(places.inside(node, column))
    else:
        column = None
    return Finding(problem.severity, problem.rule, problem.message, pointer, span, column, caret, problem.inner)


def _options(settings: str, places: Places) -> _Options:
    members = places.node(settings).members
    found = ((key, members[key]) for key in join_keys(members))
    pieces = [(key, node, places.string(node)) for key, node in found if places.character(node.at) == '"']
    strict, origins, _ = strict_json("".join(text for _, _, text in pieces))
    return _Options(pieces, index(strict)[0] if read_json(strict).is_read else None, origins)


def _place_in(root: Node, pointer: str, on_key: bool) -> int:
    """Where in createOptions' text a pointer leads."""
    node = find(root, pointer)
    return node.key_at if on_key and node.key_at >= 0 else node.at
