"""Requests to a model that takes a sequence of texts, such as a pipeline that begins with a vectorizer. Pure.

A row is one text: `{"data": ["good", "bad"]}` and the like; a table of one column is its texts.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from device_agent.errors import BadInput
from device_agent.table_request import Column, FormRequest, shown, table_of

_LISTS = ("data", "inputs", "instances")
_WITHIN = ("steps", "transformer_list", "estimators", "best_estimator_", "estimator")
_DEEPEST = 20
_MOST_PROBLEMS = 10


def takes_texts(model: Any) -> bool:
    """Whether what a model gets goes first to a vectorizer of scikit-learn's, one of texts (not of files).

    Looked for where scikit-learn keeps what comes first: in pipelines, unions, searches and other wrappers.
    """
    for _ in range(_DEEPEST):
        if callable(getattr(model, "build_analyzer", None)):
            return bool(getattr(model, "input", None) == "content")
        inner = next((found for name in _WITHIN if (found := getattr(model, name, None)) is not None), None)
        if isinstance(inner, list | tuple):
            inner = next(iter(_steps(inner)), None)
        if inner is None:
            return False
        model = inner
    return False


def has_vectorizer(model: Any) -> bool:
    """Whether a later step of a pipeline is a vectorizer: given a table, it may take the names of columns for texts."""
    steps = getattr(model, "steps", None)
    return isinstance(steps, list) and any(callable(getattr(step, "build_analyzer", None)) for step in _steps(steps))


def _steps(pairs: Sequence[Any]) -> Iterator[Any]:
    """The estimators of pairs (name, estimator), but for those that pass everything on."""
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return
        if pair[1] not in (None, "passthrough"):
            yield pair[1]


def is_texts(request: FormRequest) -> bool:
    """Whether the request is a plain list of texts, which no table is."""
    return (
        request.form in _LISTS
        and isinstance(request.value, list)
        and bool(request.value)
        and all(map(_is_text, request.value))
    )


def texts_of(request: FormRequest, signature: Sequence[Column], *, takes_more: bool = False) -> list[str]:
    """The texts of a request in any of the forms; `takes_more` as in `table_of`.

    Raises:
        BadInput: it holds other values or more columns; all problems.
    """
    value = request.value
    is_plain = request.form in _LISTS and isinstance(value, list)
    if not is_plain or any(isinstance(row, list | dict) for row in value):
        rows = table_of(request, signature, takes_more=takes_more).rows
        if len(rows[0]) != 1:
            raise BadInput(f"A row has {len(rows[0])} values. The model expects one text a row.")
        value = [row[0] for row in rows]
    if not value:
        raise BadInput(f"{request.form} has no rows.")
    problems = [
        f"Row {number}: expected a text, found {shown(text)}."
        for number, text in enumerate(value)
        if not _is_text(text)
    ]
    if problems:
        more = f" And {len(problems) - _MOST_PROBLEMS} more." if len(problems) > _MOST_PROBLEMS else ""
        raise BadInput(f"{' '.join(problems[:_MOST_PROBLEMS])}{more} The model expects one text a row.")
    return list(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
