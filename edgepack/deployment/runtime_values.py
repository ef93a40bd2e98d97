"""Values as the runtime reads them, which is more than the published schemas allow. Pure.

edgeAgent and edgeHub take the words of a choice in any case, and a number also where it stands in quotes.
"""

import re
from collections.abc import Collection
from typing import Any

_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,20})\s*", re.ASCII)


def choice_of(value: Any, choices: Collection[str]) -> str | None:
    """The one of `choices` (in lower case) that a value is taken for, None: it is refused."""
    folded = value.lower() if isinstance(value, str) and value.isascii() else None
    return folded if folded in choices else None


def integer_of(value: Any) -> int | None:
    """The integer that a value is taken for, None: it is refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _INTEGER.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None
