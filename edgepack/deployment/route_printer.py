"""Writes a route as text: what is written is read as the same route.

Pure. Operators get blanks around them, since a name would swallow many of them.
"""

from edgepack.deployment.route_tokens import quoted, tokenize
from edgepack.deployment.route_tree import (
    LEVEL_OF,
    Broken,
    Call,
    Chain,
    Expression,
    Literal,
    ModuleInput,
    Prefix,
    Property,
    Route,
    Sink,
    SystemProperty,
)


def print_route(route: Route) -> str:
    """The whole route in one line (but for line breaks inside strings)."""
    condition = f" WHERE {print_expression(route.condition)}" if route.condition else ""
    rest = f"{condition} INTO {print_sink(route.sink)}"
    path = "".join(f"/{item}" for item in route.path)
    if "*/" in f"{path}{rest}".partition("/*")[2]:  # else a comment would begin at the /* of the path
        path = path.replace("/*", "/ *")
    return f"FROM {path}{rest}"


def print_sink(sink: Sink) -> str:
    """`$upstream` or the endpoint of a module's input."""
    if not isinstance(sink, ModuleInput):
        return "$upstream"
    address = f"/modules/{sink.module}/inputs/{sink.input_name}"
    quote = '"' if [token.kind for token in tokenize(f'"{address}"')] == ["string", "end"] else "'"
    return f"BrokeredEndpoint({quote}{address}{quote})"


def print_expression(node: Expression) -> str:
    """An expression, with brackets only where they are needed."""
    match node:
        case Literal("string", text):
            return quoted(text)
        case Literal(_, text):
            return text
        case Property(name):
            return name
        case SystemProperty(name, braced):
            return f"{{${name}}}" if braced else f"${name}"
        case Call(function, arguments):
            return f"{function}({', '.join(map(print_expression, arguments))})"
        case Prefix(operator, operand):
            text = print_expression(operand)
            return f"{operator.upper()} {f'({text})' if isinstance(operand, Chain) else text}"
        case Chain(operands, operators):
            level = LEVEL_OF[operators[0]]
            text = _operand(operands[0], level + 1)
            for sign, operand in zip(operators, operands[1:], strict=True):
                text += f" {sign.upper()} {_operand(operand, level)}"
            return text
        case Broken():
            return "..."


def _operand(node: Expression, level: int) -> str:
    """`level`: chains of this and looser levels need brackets."""
    text = print_expression(node)
    return f"({text})" if isinstance(node, Chain) and LEVEL_OF[node.operators[0]] >= level else text
