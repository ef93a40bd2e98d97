"""Rows as columns, and of which kind a column is. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from device_agent.drift_sketch import CATEGORY, NUMBER, as_category, as_number
from edgepack.errors import InputError

OF_COLLECTORS = "$aml_"
"""Columns that SDK v1's collector adds begin with this: ids and times, no features."""
_FREE_TEXT_CATEGORIES = 50


@dataclass(frozen=True)
class Table:
    """Columns of equal length, values as they were read, None for missing ones. `name` says where from; `notes` are
    sentences about what was left out.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    rows: int
    notes: tuple[str, ...] = ()


def table_of(name: str, rows: Iterable[Mapping[str, Any]], notes: Sequence[str] = ()) -> Table:
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
    kept = {key: column for key, column in columns.items() if not key.startswith(OF_COLLECTORS)}
    return Table(name, kept, count, tuple(notes))


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
    """A column of numbers (also as texts) is NUMBER, everything else CATEGORY; true and false are categories."""
    is_empty = True
    for value in values:
        if value is None or (isinstance(value, float) and value != value):
            continue
        if isinstance(value, bool) or as_number(value) is None:
            return CATEGORY
        is_empty = False
    return CATEGORY if is_empty else NUMBER


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
