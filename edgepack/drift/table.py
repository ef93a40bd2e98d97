"""Rows as columns, and of which kind a column is. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from device_agent.drift_sketch import CATEGORY, NUMBER, TRUTHS, as_category, as_number
from edgepack.errors import InputError

OF_COLLECTORS = "$aml_"
"""Columns that SDK v1's collector adds begin with this: ids and times, no features."""
_INDEX = re.compile(r"(__index_level_\d+__)?")
"""What pandas calls the index of a frame in CSV and in Parquet."""
_FREE_TEXT_CATEGORIES = 50
_MANY_NUMBERS = 9
"""So many numbers for each text among them, and the texts are likely to stand for missing values."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length, values as they were read, None for missing ones. `name` says where from; `notes` are
    sentences about what was left out. `types` names the columns whose type is neither number nor category; where their
    values are numbers all the same, they are seconds.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    rows: int
    notes: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)


def table_of(
    name: str, rows: Iterable[Mapping[str, Any]], notes: Sequence[str] = (), types: Mapping[str, str] | None = None
) -> Table:
    """Columns from rows, in the order in which names come first; a row without a name misses that value."""
    columns: dict[str, list[Any]] = {}
    count = 0
    for row in rows:
        for key, value in row.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = []
            column += [None] * (count - len(column))
            column.append(value)
        count += 1
    for column in columns.values():
        column += [None] * (count - len(column))
    kept = {
        key: column for key, column in columns.items() if not (key.startswith(OF_COLLECTORS) or _INDEX.fullmatch(key))
    }
    unnamed = [f"{name}: a column without a name, as pandas writes an index, is left out"] if "" in columns else []
    return Table(name, kept, count, (*notes, *unnamed), types or {})


def choose_features(tables: Sequence[Table], only: Collection[str], ignored: Collection[str]) -> list[str]:
    """The features to look at: the columns of all tables, or `only` these, without those `ignored`.

    Raises:
        InputError: a name is in no table, or no feature is left.
    """
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    problems = []
    for name in dict.fromkeys((*only, *ignored)):
        if name not in names:
            near = get_close_matches(name, names, 1, 0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, names[:20]))}"
            problems.append(f"no column is called {name!r}; {hint}")
    InputError.raise_if_any(problems)
    chosen = [name for name in names if (not only or name in only) and name not in ignored]
    if not chosen:
        raise InputError(f"no feature is left to compare in {' and '.join(table.name for table in tables)}")
    return chosen


def kind_of(values: Iterable[Any]) -> str:
    """A column of numbers (also as texts) is NUMBER, everything else CATEGORY; true and false are categories, what is
    infinite, a list or an object is missing.
    """
    has_numbers = False
    for value in values:
        if as_number(value) is None:
            if is_word(value):
                return CATEGORY
        elif isinstance(value, bool) or (isinstance(value, str) and value in TRUTHS):
            return CATEGORY
        else:
            has_numbers = True
    return NUMBER if has_numbers else CATEGORY


def is_word(value: object) -> bool:
    """Whether it is a text that stands for no number, not even for an infinite one."""
    if not isinstance(value, str) or not value or value in TRUTHS:
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def unsuited(name: str, kind: str, is_told: bool, *tables: Table) -> str:
    """Why the shares of a column would mean nothing; empty where they mean something. The first of `tables` decides;
    with `is_told` the kind is the user's choice.
    """
    types = [table.types[name] for table in tables if name in table.types]
    if types and not is_told:
        is_seconds = any(numbers(table.columns[name]) for table in tables if name in table.types)
        return f"its type is {types[0]}" + (f"; --numeric {name} compares it in seconds" if is_seconds else "")
    if kind == CATEGORY and is_free_text(categories(tables[0].columns[name])):
        among = "" if is_told else words_among_numbers(name, tables[0].columns[name])
        return "nearly every value is another one" + (f"; {among}" if among else "")
    return ""


def words_among_numbers(name: str, values: Sequence[Any]) -> str:
    """A sentence about a few texts among many numbers; empty where it is otherwise."""
    words = [value for value in values if is_word(value)]
    count = len(numbers(values))
    if not words or count < _MANY_NUMBERS * len(words):
        return ""
    texts = "1 text" if len(words) == 1 else f"{len(words)} texts"
    return f"it has {count} numbers and {texts} ({words[0][:40]!r}): --numeric {name} compares the numbers"


def why_empty(values: Sequence[Any]) -> str:
    """What a column without values holds instead."""
    held = sorted(
        {"lists" if isinstance(value, list) else "objects" for value in values if isinstance(value, list | dict)}
    )
    field = "; --field reads the lists of a member as rows" if "lists" in held else ""
    return f"its values are {' and '.join(held)}{field}" if held else "it has no values"


def numbers(values: Iterable[Any]) -> list[float]:
    """The values that are finite numbers."""
    return [number for number in map(as_number, values) if number is not None]


def categories(values: Iterable[Any]) -> list[str]:
    """The names of the values that have one."""
    return [category for category in map(as_category, values) if category is not None]


def is_free_text(values: Sequence[str]) -> bool:
    """Whether nearly every value is another one, as with ids and sentences: shares of such mean nothing."""
    different = len({*values})
    return different > _FREE_TEXT_CATEGORIES and different * 2 > len(values)


def checked_kinds(names: Sequence[str], as_numbers: Collection[str], as_categories: Collection[str]) -> dict[str, str]:
    """The kinds that the user has set.

    Raises:
        InputError: a name that is no feature, or one that is said to be both.
    """
    problems = [f"{name!r} is said to be numbers and categories" for name in as_numbers if name in as_categories]
    problems += [f"no feature is called {name!r}" for name in (*as_numbers, *as_categories) if name not in names]
    InputError.raise_if_any(problems)
    return {**dict.fromkeys(as_numbers, NUMBER), **dict.fromkeys(as_categories, CATEGORY)}
