"""`edgepack route check` and `edgepack route eval`: routes of edgeHub, checked and tried on a message."""

from pathlib import Path
from typing import Any

import click

from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import text_of
from edgepack.deployment.message_document import parse_message
from edgepack.deployment.route_check import RouteCheck, check_route
from edgepack.deployment.route_explanation import Part, explain, shown_value
from edgepack.deployment.route_printer import print_expression, print_route, print_sink
from edgepack.deployment.route_tree import Route
from edgepack.deployment.route_values import MISSING, UNDEFINED
from edgepack.errors import InputError

_WIDTH = 100


@click.group("route")
def route_command() -> None:
    """Check routes of edgeHub, and try them on a message."""


@route_command.command("check")
@click.argument("routes", metavar="ROUTE...", nargs=-1, required=True)
@pass_session
def check_command(session: Session, routes: tuple[str, ...]) -> None:
    """Check each ROUTE: its parts, or all that is wrong with it. Exit code 2 when one is wrong."""
    checks = [(text, check_route(text)) for text in routes]
    session.result(
        {"ok": not any(check.problems for _, check in checks), "routes": [_document(*each) for each in checks]},
        "\n\n".join("\n".join(_lines(*each)) for each in checks),
    )
    if any(check.problems for _, check in checks):
        click.get_current_context().exit(2)


@route_command.command("eval")
@click.argument("route", metavar="ROUTE")
@click.option(
    "--message",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help='A message as JSON: {"body": ..., "properties": {...}, "system": {...}, "source": "/messages"}; - is stdin.',
)
@pass_session
def eval_command(session: Session, route: str, file: Path) -> None:
    """Say whether ROUTE takes the message in FILE, with the value of every part of its condition."""
    check = check_route(route)
    if check.route is None or check.problems:
        raise InputError(*(f"the route, {problem}" for problem in check.problems))
    message = parse_message(text_of(file), "standard input" if str(file) == "-" else str(file))
    explanation = explain(check.route, message)
    for trap in check.traps:
        session.warn(str(trap))
    path = _path(check.route)
    fits = "fits" if explanation.source_fits else "does not fit"
    lines = [f"{'takes' if explanation.takes else 'does not take'} the message", f"{message.source} {fits} {path}"]
    if explanation.condition:
        lines += _part_lines(explanation.condition, 0)
    document = {
        "takes": explanation.takes,
        "source": {"message": message.source, "route": path, "fits": explanation.source_fits},
        "condition": _part_document(explanation.condition) if explanation.condition else None,
        "sink": print_sink(check.route.sink),
        "warnings": [{"column": trap.column, "text": trap.text} for trap in check.traps],
    }
    session.result(document, "\n".join(lines))


def _path(route: Route) -> str:
    return f"/{'/'.join(route.path)}"


def _document(text: str, check: RouteCheck) -> dict[str, Any]:
    document: dict[str, Any] = {"text": text, "ok": not check.problems}
    route = check.route
    if route and not check.problems:
        document |= {
            "source": _path(route),
            "condition": print_expression(route.condition) if route.condition else None,
            "sink": print_sink(route.sink),
            "printed": print_route(route),
        }
    document["problems"] = [
        {"column": problem.column, "text": problem.text, "stage": problem.stage} for problem in check.problems
    ]
    document["warnings"] = [{"column": trap.column, "text": trap.text} for trap in check.traps]
    return document


def _lines(text: str, check: RouteCheck) -> list[str]:
    if check.route is None or check.problems:
        count = len(check.problems)
        lines = [click.style("wrong: ", fg="red") + f"{count} problem{'s' if count > 1 else ''}"]
        for problem in check.problems:
            lines += [*_excerpt(text, problem.column), f"  {problem}"]
        return lines
    route = check.route
    lines = [
        click.style("right: ", fg="green") + print_route(route),
        f"  from   {_path(route)}",
        f"  where  {print_expression(route.condition)}" if route.condition else "  all messages",
        f"  into   {print_sink(route.sink)}",
    ]
    for trap in check.traps:
        lines += [*_excerpt(text, trap.column), click.style("  warning: ", fg="yellow") + str(trap)]
    return lines


def _excerpt(text: str, column: int) -> list[str]:
    """The line of the text with the column, cut where it is long, and a caret below."""
    before, after = text[: column - 1].rpartition("\n")[2], text[column - 1 :].partition("\n")[0]
    if len(before) > _WIDTH * 2 // 3:
        before = f"...{before[-_WIDTH // 2 :]}"
    line = f"{before}{after}"
    shown = f"{line[:_WIDTH]}..." if len(line) > _WIDTH + 3 else line
    return [f"  {''.join(each if each.isprintable() else ' ' for each in shown)}", f"  {' ' * len(before)}^"]


def _part_lines(part: Part, depth: int) -> list[str]:
    lines = [f"{'  ' * depth}{part.text}  is {shown_value(part.value)}{f': {part.note}' if part.note else ''}"]
    for each in part.parts:
        if each.parts or each.note or each.text != shown_value(each.value):
            lines += _part_lines(each, depth + 1)
    return lines


def _part_document(part: Part) -> dict[str, Any]:
    nothing = part.value is UNDEFINED or part.value is MISSING
    finite = not isinstance(part.value, float) or part.value - part.value == 0
    return {
        "text": part.text,
        "value": None if nothing else part.value if finite else str(part.value),
        "undefined": part.value is UNDEFINED,
        "note": part.note,
        "parts": [_part_document(each) for each in part.parts],
    }
