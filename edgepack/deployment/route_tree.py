"""What a route is: a path, a condition as a tree, a sink; and what can be wrong with its text.

Pure values. Columns count characters of the whole route from 1 and do not take part in comparisons, so that two
routes are equal when they mean the same in the same words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal as OneOf
from typing import NamedTuple

MAX_DEPTH = 100
LiteralKind = OneOf["string", "number", "bool", "null", "undefined"]


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in the text. `kind` is `string`, `number`, `bool`, `null` or `undefined`.

    `text` is a string's value (read, without quotes); of the others, what is written.
    """

    kind: LiteralKind
    text: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Property:
    """`name`: a property that the sender set."""

    name: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SystemProperty:
    """`$name`, or `{$name}` when `braced`; also `$body.path`. The name is kept without the `$`."""

    name: str
    braced: bool = False
    column: int = field(default=0, compare=False)

    @property
    def body_path(self) -> str | None:
        """What follows `$body.`; None when it is not about the body."""
        return self.name[5:] if self.name[:5].lower() == "body." else None


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`; the name as written."""

    function: str
    arguments: tuple["Expression", ...]
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Prefix:
    """`NOT operand` or `- operand`; the operator is `not` or `-`."""

    operator: str
    operand: "Expression"
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands with operators of one precedence between them, grouped from the left; operators in lower case."""

    operands: tuple["Expression", ...]
    operators: tuple[str, ...]
    columns: tuple[int, ...] = field(default=(), compare=False)  # of the operators

    @property
    def column(self) -> int:
        """Where its first operator stands."""
        return self.columns[0] if self.columns else 0


@dataclass(frozen=True, slots=True)
class Broken:
    """A place at which a problem was reported already: what is around it is not blamed for it."""

    column: int = field(default=0, compare=False)


Expression = Literal | Property | SystemProperty | Call | Prefix | Chain | Broken

# Binary operators by how they bind, the tightest first. NOT and a leading - bind tighter still.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("*", "/", "%"),
    ("+", "-", "||"),
    ("<", "<=", ">", ">="),
    ("=", "!=", "<>"),
    ("and",),
    ("or",),
    ("??",),
)
LEVEL_OF = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}


@dataclass(frozen=True, slots=True)
class Upstream:
    """The sink `$upstream`: IoT Hub."""


@dataclass(frozen=True, slots=True)
class ModuleInput:
    """The sink `BrokeredEndpoint("/modules/MODULE/inputs/INPUT")`."""

    module: str
    input_name: str


Sink = Upstream | ModuleInput


@dataclass(frozen=True, slots=True)
class Route:
    """`path` are the source's segments as written; without a condition the route takes all that comes from there.

    `ignored` is the column of what stands behind the sink, which edgeHub passes over; None when there is nothing.
    """

    path: tuple[str, ...]
    condition: Expression | None
    sink: Sink
    ignored: int | None = field(default=None, compare=False)

    @property
    def source_prefix(self) -> str:
        """What the source of a message must begin with, in lower case and with a slash at its end."""
        return f"/{'/'.join(self.path)}".rstrip("*").rstrip("/").lower() + "/"

    @property
    def source_module(self) -> str | None:
        """The module whose messages the route takes; None when it takes those of others too."""
        if len(self.path) < 3 or tuple(part.lower() for part in self.path[:2]) != ("messages", "modules"):
            return None
        return self.path[2].rstrip("*") or None

    def takes_from(self, source: str) -> bool:
        """Whether a message's source, such as `/messages/modules/scorer`, matches the path."""
        return source_key(source).startswith(self.source_prefix)


def source_key(source: str) -> str:
    """A message's source as it is compared: in lower case, with one slash at its end."""
    return source.strip().rstrip("/").lower() + "/"


class RouteProblem(NamedTuple):
    """What is wrong and where.

    `stage`: edgeHub finds `syntax` when it reads the routes, then refuses them all and says so in its reported
    properties; it finds `types` only when it takes the routes into use, after it has reported success.
    """

    column: int
    text: str
    stage: OneOf["syntax", "types"] = "syntax"
    route: str = ""  # its name, where several are compiled

    def __str__(self) -> str:
        return f"{f'route {self.route}: ' if self.route else ''}column {self.column}: {self.text}"


class RouteError(ValueError):
    """The text cannot be used as a route: all its problems, in the order of their columns, never none."""

    def __init__(self, problems: Iterable[RouteProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.route, problem.column)))
        super().__init__("; ".join(map(str, self.problems)))
