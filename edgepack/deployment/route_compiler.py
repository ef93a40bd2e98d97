"""Compiles a route's condition to functions, after a check that its parts fit together.

Pure. `compile_route` gives one function from a message to whether the route takes it; it takes it only when the
condition is exactly true. A part that was reported is not blamed again further out.
"""

from collections.abc import Callable
from typing import NamedTuple

from edgepack.deployment.route_functions import FUNCTIONS
from edgepack.deployment.route_message import BodyPath, RoutedMessage, Scope, body_path_problem
from edgepack.deployment.route_operators import Combine, operation, prefix_operation
from edgepack.deployment.route_tree import (
    Broken,
    Call,
    Chain,
    Expression,
    Literal,
    Prefix,
    Property,
    Route,
    RouteError,
    RouteProblem,
    SystemProperty,
    source_key,
)
from edgepack.deployment.route_values import UNDEFINED, Kind, Value

Run = Callable[[Scope], Value]


class Compiled(NamedTuple):
    """An expression, its kind, how to get its value from a message, and its parts."""

    node: Expression
    kind: Kind
    run: Run
    parts: tuple["Compiled", ...] = ()


def compile_route(route: Route) -> Callable[[RoutedMessage], bool]:
    """Whether the route takes a message: its source and its condition.

    Raises:
        RouteError: operands, arguments or names do not fit; all problems.
    """
    takes, prefix = compile_condition(route), route.source_prefix

    def takes_message(message: RoutedMessage) -> bool:
        return source_key(message.source).startswith(prefix) and takes(Scope(message))

    return takes_message


def compile_condition(route: Route) -> Callable[[Scope], bool]:
    """The same for messages whose source fits.

    Raises:
        RouteError: as `compile_route`.
    """
    if route.condition is None:
        return lambda _scope: True
    problems: list[RouteProblem] = []
    run = compile_expression(route.condition, problems).run
    if problems:
        raise RouteError(problems)
    return lambda scope: run(scope) is True


def compile_expression(node: Expression, problems: list[RouteProblem]) -> Compiled:
    """Compile an expression; what does not fit is added to `problems`."""
    match node:
        case Literal():
            return _literal(node)
        case Property():
            return Compiled(node, Kind.STRING, _property(node.name))
        case SystemProperty():
            return _system_property(node, problems)
        case Call():
            return _call(node, problems)
        case Prefix():
            return _prefix(node, problems)
        case Chain():
            return _chain(node, problems)
        case Broken():
            return _broken(node)


def _broken(node: Expression, parts: tuple[Compiled, ...] = ()) -> Compiled:
    return Compiled(node, Kind.BROKEN, lambda _scope: UNDEFINED, parts)


def literal_value(node: Literal) -> Value:
    """The value of a literal; UNDEFINED for a number that is none, such as `e5`."""
    match node.kind:
        case "string":
            return node.text
        case "bool":
            return node.text == "true"
        case "null":
            return None
        case "undefined":
            return UNDEFINED
    if node.text[:2] in ("0x", "0X"):
        number = int(node.text, 16)  # 64 bits, the first of them a sign
        return UNDEFINED if number >= 1 << 64 else float(number if number < 1 << 63 else number - (1 << 64))
    return UNDEFINED if node.text.lstrip("-")[0] in "eE" else float(node.text)


def _literal(node: Literal) -> Compiled:
    value = literal_value(node)
    kind = Kind.UNDEFINED if value is UNDEFINED else Kind(node.kind)
    return Compiled(node, kind, lambda _scope: value)


def _property(name: str) -> Run:
    folded_name = name.lower()

    def run(scope: Scope) -> Value:
        value = scope.properties.get(name)
        if value is None:
            value = scope.folded_property(folded_name)
        return UNDEFINED if value is None else value

    return run


def _system_property(node: SystemProperty, problems: list[RouteProblem]) -> Compiled:
    bracketed = "[" in node.name or "]" in node.name
    if node.body_path is not None:
        wrong = body_path_problem(node.body_path)
        if wrong:
            problems.append(RouteProblem(node.column, wrong, "types"))
            return _broken(node)
        from_body = BodyPath(node.body_path).value
        if node.braced or bracketed:
            return Compiled(node, Kind.BODY, from_body)
        return Compiled(node, Kind.BODY, _property_or(f"${node.name}", from_body))
    if bracketed:
        return Compiled(node, Kind.UNDEFINED, lambda _scope: UNDEFINED)
    folded_name = node.name.lower()

    def from_system(scope: Scope) -> Value:
        value = scope.folded_system_property(folded_name)
        return UNDEFINED if value is None else value

    return Compiled(node, Kind.STRING, from_system if node.braced else _property_or(f"${node.name}", from_system))


def _property_or(name: str, other: Run) -> Run:
    folded_name = name.lower()

    def run(scope: Scope) -> Value:
        value = scope.folded_property(folded_name)
        return other(scope) if value is None else value

    return run


def _call(node: Call, problems: list[RouteProblem]) -> Compiled:
    parts = tuple(compile_expression(argument, problems) for argument in node.arguments)
    function = FUNCTIONS.get(node.function.lower())
    if function is None:
        problems.append(RouteProblem(node.column, _unknown(node.function), "types"))
        return _broken(node, parts)
    kinds = tuple(part.kind for part in parts)
    if not function.accepts(kinds):
        given = ", ".join(kind.value for kind in kinds)
        wanted = " or ".join(
            f"({', '.join(kind.value if kind else 'anything' for kind in each)}{', ...' if function.repeats else ''})"
            for each in function.parameters
        )
        text = f"{node.function} takes {wanted}, not ({given})"
        problems.append(RouteProblem(node.column, text, "types"))
        return _broken(node, parts)
    if function.only and kinds[0] not in (*function.only, Kind.BROKEN):
        return Compiled(node, function.result, lambda _scope: False, parts)
    return Compiled(node, function.result, _run_call(function.run, [part.run for part in parts]), parts)


def _unknown(name: str) -> str:
    if name.lstrip("-+!").lower() in FUNCTIONS:
        return f"{name!r} is one name, and no function: put a blank behind {name[0]}"
    if name.lower() == "twin_change_includes":
        return "twin_change_includes is no function that a route of edgeHub can use"
    return f"there is no function {name!r}: there are {', '.join(FUNCTIONS)}"


def _run_call(function: Callable[..., Value], arguments: list[Run]) -> Run:
    if len(arguments) == 1:
        only = arguments[0]
        return lambda scope: function(only(scope))
    if len(arguments) == 2:
        first, second = arguments
        return lambda scope: function(first(scope), second(scope))
    return lambda scope: function(*[argument(scope) for argument in arguments])


def _prefix(node: Prefix, problems: list[RouteProblem]) -> Compiled:
    operand = compile_expression(node.operand, problems)
    if operand.kind is Kind.BROKEN:
        return _broken(node, (operand,))
    found = prefix_operation(node.operator, operand.kind)
    if isinstance(found, str):
        hint = ": it binds first, write NOT (...)" if node.operator == "not" else ""
        problems.append(RouteProblem(node.column, found + hint, "types"))
        return _broken(node, (operand,))
    kind, change = found
    of_operand = operand.run
    return Compiled(node, kind, lambda scope: change(of_operand(scope)), (operand,))


def _chain(node: Chain, problems: list[RouteProblem]) -> Compiled:
    parts = tuple(compile_expression(operand, problems) for operand in node.operands)
    kind, steps = parts[0].kind, []
    columns = node.columns or (0,) * len(node.operators)
    for index, (operator, column, part) in enumerate(zip(node.operators, columns, parts[1:], strict=True)):
        if Kind.BROKEN in (kind, part.kind):
            kind = Kind.BROKEN
            continue
        found = operation(operator, kind, part.kind)
        if isinstance(found, str):
            nearest = parts[index : index + 2] if index == 0 else (part,)
            problems.append(RouteProblem(column, found + _hint(nearest, {kind, part.kind}), "types"))
            kind = Kind.BROKEN
            continue
        kind = found.kind
        steps.append((found.combine, part.run))
    if kind is Kind.BROKEN:
        return _broken(node, parts)
    return Compiled(node, kind, _run_chain(parts[0].run, steps), parts)


def _run_chain(first: Run, steps: list[tuple[Combine, Run]]) -> Run:
    if len(steps) == 1:
        combine, second = steps[0]
        return lambda scope: combine(first(scope), second(scope))

    def run(scope: Scope) -> Value:
        value = first(scope)
        for combine, operand in steps:
            value = combine(value, operand(scope))
        return value

    return run


def _hint(parts: tuple[Compiled, ...], kinds: set[Kind]) -> str:
    """What was probably meant."""
    for node in (part.node for part in parts):
        if isinstance(node, Property):
            if node.name.lower() in ("true", "false", "null", "undefined"):
                return f": {node.name} is a property, write {node.name.lower()}"
            if swallowed(node.name) or node.name[0].isdigit():
                return f": {node.name} is one name, put blanks around operators"
    return ": use as_number(...)" if kinds == {Kind.STRING, Kind.NUMBER} else ""


def swallowed(name: str) -> bool:
    """Whether a name holds what was probably meant as an operator or as quotes."""
    return name[0] in "-'" or any(sign in name for sign in "!|*%+&'#")
