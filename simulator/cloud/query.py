"""Queries of twins, as far as deploying and its tools use them. Pure.

    SELECT [TOP n] ( * | item { "," item } | COUNT() [AS name] ) FROM ( devices | devices.modules ) [ WHERE condition ]
    item = path [ AS name ]

Keywords are taken in any case. An item without name is called as the last name of its path, a count `$1`. What a
document lacks is left out of the row. Refused: GROUP BY, ORDER BY, jobs, arithmetic, other functions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from simulator.cloud.condition import UNDEFINED, Condition, read_condition, value_at
from simulator.cloud.query_text import Token, literal, path_steps, split_tokens

SOURCES = ("devices", "devices.modules")
Documents = Callable[[str], Iterable[Mapping[str, Any]]]
"""The twin documents of a source."""


class Item(NamedTuple):
    """A column: what it is called, and the path of its value; no path: the number of rows."""

    name: str
    path: tuple[str, ...]


class Query(NamedTuple):
    """A query that was read. No items: whole documents; no condition: all; `top` -1: without end."""

    items: tuple[Item, ...]
    source: str
    condition: Condition | None
    top: int

    @property
    def is_count(self) -> bool:
        """Whether the answer is one row with a number."""
        return bool(self.items) and not self.items[0].path


def parse_query(text: str) -> Query:
    """Read a query. Raises QueryError."""
    tokens = split_tokens(text)
    if not tokens[0].is_keyword("select"):
        raise tokens[0].error("SELECT")
    place, top = 1, -1
    if tokens[place].is_keyword("top"):
        number = tokens[place + 1]
        value = literal(number)
        if not isinstance(value, int) or isinstance(value, bool):
            raise number.error("a whole number")
        place, top = place + 2, value
    items, place = _read_items(tokens, place)
    if not tokens[place].is_keyword("from"):
        raise tokens[place].error("',' or FROM")
    source = tokens[place + 1]
    if source.kind != "path" or source.text.lower() not in SOURCES:
        raise source.error(" or ".join(SOURCES))
    place += 2
    condition = None
    if tokens[place].is_keyword("where"):
        condition, place = read_condition(tokens, place + 1)
    if tokens[place].kind != "end":
        raise tokens[place].error("WHERE, AND, OR or the end")
    return Query(items, source.text.lower(), condition, top)


def run_query(query: Query, documents: Documents) -> list[dict[str, Any]]:
    """All rows."""
    rows = list(_chosen(query, documents(query.source)))
    if query.is_count:
        return [{query.items[0].name: len(rows)}]
    return [_row(query, document) for document in rows]


def _chosen(query: Query, documents: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    number = 0
    for document in documents:
        if number == query.top:
            return
        if query.condition is None or query.condition.fits(document):
            number += 1
            yield document


def _row(query: Query, document: Mapping[str, Any]) -> dict[str, Any]:
    if not query.items:
        return dict(document)
    values = ((item.name, value_at(document, item.path)) for item in query.items)
    return {name: value for name, value in values if value is not UNDEFINED}


def _read_items(tokens: list[Token], place: int) -> tuple[tuple[Item, ...], int]:
    if tokens[place].is_sign("*"):
        return (), place + 1
    items: list[Item] = []
    while True:
        first = tokens[place]
        if first.kind != "path":
            raise first.error("* or a property")
        path, name = path_steps(first), path_steps(first)[-1]
        place += 1
        if tokens[place].is_sign("("):
            if first.text.lower() != "count" or not tokens[place + 1].is_sign(")"):
                raise first.error("a property or COUNT()")
            path, name, place = (), "$1", place + 2
        if tokens[place].is_keyword("as"):
            alias = tokens[place + 1]
            if alias.kind != "path" or "." in alias.text:
                raise alias.error("a name")
            name, place = alias.text, place + 2
        items.append(Item(name, path))
        if len(items) > 1 and not all(item.path for item in items):
            raise first.error("COUNT() alone: it cannot stand beside other columns")
        if not tokens[place].is_sign(","):
            return tuple(items), place
        place += 1
