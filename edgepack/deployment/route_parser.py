"""Reads a route: its outer shape here, its condition in `route_condition`.

Pure. All problems of a text are reported at once: after one, reading goes on at the next part of the route.
"""

from typing import NamedTuple

from edgepack.deployment.route_condition import read_condition
from edgepack.deployment.route_tokens import Token, tokenize
from edgepack.deployment.route_tree import Expression, ModuleInput, Route, RouteError, RouteProblem, Sink, Upstream

MAX_BYTES = 4096
_INTO = "INTO (with blanks around it)"
_ENDPOINT = 'BrokeredEndpoint("/modules/MODULE/inputs/INPUT")'


class Reading(NamedTuple):
    """What could be read of a text. It is a route when there are no problems; then there is a sink, too."""

    path: tuple[str, ...]
    condition: Expression | None
    sink: Sink | None
    ignored: int | None
    problems: tuple[RouteProblem, ...]

    @property
    def route(self) -> Route | None:
        """The route, if it is one."""
        if self.problems or self.sink is None:
            return None
        return Route(self.path, self.condition, self.sink, self.ignored)


def parse_route(text: str) -> Route:
    """Read a route; whether its condition fits together is left to `compile_route`.

    Raises:
        RouteError: the text is no route; all problems that can be seen.
    """
    reading = read_route(text)
    route = reading.route
    if route is None:
        raise RouteError(reading.problems)
    return route


def read_route(text: str) -> Reading:
    """Read as much of a text as is a route; nothing of one that is longer than a twin's value may be."""
    problems: list[RouteProblem] = []
    size_bytes = len(text.encode(errors="replace"))
    if size_bytes > MAX_BYTES:
        what = f"the route has {size_bytes} bytes, and IoT Hub takes {MAX_BYTES} a value: split it into several"
        return Reading((), None, None, None, (RouteProblem(1, what),))
    tokens = tokenize(text)
    at = 2 if tokens[0].is_keyword("select") and tokens[1].is_sign("*") else 0
    path: tuple[str, ...] = ()
    if tokens[at].is_keyword("from"):
        path, at = _path(tokens, at + 1, problems)
    else:
        problems.append(_expected("FROM", tokens[at]))
    if problems:
        at = _next_part(tokens, at)
    condition: Expression | None = None
    if tokens[at].is_keyword("where"):
        condition, at = read_condition(tokens, at + 1, problems)
    if not tokens[at].is_keyword("into"):
        if not problems or problems[-1].column < tokens[at].column:
            wanted = _INTO if condition else f"{_INTO} or WHERE"
            problems.append(_expected(wanted, tokens[at], _string_that_ran_on(tokens, at)))
        return Reading(path, condition, None, None, tuple(problems))
    sink, at = _sink(tokens, at + 1, problems)
    ignored = None if tokens[at].kind == "end" else tokens[at].column
    return Reading(path, condition, sink, ignored, tuple(problems))


def _path(tokens: list[Token], at: int, problems: list[RouteProblem]) -> tuple[tuple[str, ...], int]:
    path = []
    if not tokens[at].is_sign("/"):
        problems.append(_expected("a path such as /messages/*", tokens[at]))
    while tokens[at].is_sign("/"):
        item, following = tokens[at + 1], tokens[min(at + 2, len(tokens) - 1)]
        ends_path = item.is_keyword("into") or item.is_keyword("where")
        if item.kind == "name" or item.is_sign("*"):
            path.append(item.text)
        elif _is_word(item) and (following.is_sign("/") or not ends_path):
            problems.append(RouteProblem(item.column, f"{item.shown} is no name in a route: use a shorter path"))
        else:
            problems.append(_expected("a name or * after /", item))
            at -= 1
        at += 2
    return tuple(path), at


def _is_word(token: Token) -> bool:
    return token.kind in ("keyword", "number", "literal", "system", "path") or token.is_sign("and", "or", "not")


def _next_part(tokens: list[Token], at: int) -> int:
    while tokens[at].kind != "end" and not tokens[at].is_keyword("where") and not tokens[at].is_keyword("into"):
        at += 1
    return at


def _sink(tokens: list[Token], at: int, problems: list[RouteProblem]) -> tuple[Sink | None, int]:
    name, opening, endpoint, closing = (tokens + [tokens[-1]] * 4)[at : at + 4]
    if name.kind == "system":
        if name.text.lower() != "$upstream":
            problems.append(RouteProblem(name.column, f"there is no endpoint {name.shown}: $upstream or {_ENDPOINT}"))
        return Upstream(), at + 1
    if name.kind != "name" or (name.text.lower() != "brokeredendpoint" and not opening.is_sign("(")):
        problems.append(_expected(f"$upstream or {_ENDPOINT}", name))
        return None, at
    if name.text.lower() != "brokeredendpoint":
        problems.append(RouteProblem(name.column, f"there is no kind of endpoint {name.shown}: {_ENDPOINT}"))
    wrong = next(
        (
            token
            for token, fits in (
                (opening, opening.is_sign("(")),
                (endpoint, endpoint.kind == "string"),
                (closing, closing.is_sign(")")),
            )
            if not fits
        ),
        None,
    )
    if wrong:
        problems.append(_expected('("/modules/MODULE/inputs/INPUT") after BrokeredEndpoint', wrong))
        return None, at
    address = endpoint.text[1:-1].strip().removeprefix("/").removesuffix("/").split("/")
    if len(address) != 4 or not address[1] or not address[3]:
        problems.append(RouteProblem(endpoint.column, "an endpoint is /modules/MODULE/inputs/INPUT"))
        return None, at
    return ModuleInput(address[1], address[3]), at + 4


def _string_that_ran_on(tokens: list[Token], at: int) -> str:
    last = tokens[at - 1]
    return f"the string from column {last.column} on has no end" if last.kind == "open string" else ""


def _expected(what: str, found: Token, why: str = "") -> RouteProblem:
    return RouteProblem(found.column, f"expected {what}, found {found.shown}{f': {why}' if why else ''}")
