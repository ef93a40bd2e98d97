"""Reads mappings by a table of their keys: what can be used, and what is wrong with the rest. Pure.

A table gives for each key what its value must be: one of the texts below, or several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

TEXT, FLAG, WHOLE, NUMBER, OBJECT, LIST = (
    "a text",
    "true or false",
    "a whole number",
    "a number",
    "a mapping",
    "a list",
)
_KINDS: Mapping[type, str] = {str: TEXT, dict: OBJECT, list: LIST}
_TYPES: Mapping[str, Any] = {TEXT: str, FLAG: bool, WHOLE: int, NUMBER: int | float, OBJECT: dict, LIST: list}


@dataclass(frozen=True)
class KeyReading:
    """Reads the mappings of one file; `where` begins each problem. Unknown keys are problems, or left out."""

    where: str
    problems: list[str]
    leaves_out_unknown: bool = False

    def keys(
        self, document: Mapping[Any, Any], table: Mapping[str, Any], place: str = "", needed: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The members that can be used; a problem for each other one, and for each that is `needed` and missing."""
        found = {}
        for key, value in document.items():
            named = f"{place}{key}"
            if key not in table:
                if self.leaves_out_unknown:
                    continue
                near = get_close_matches(str(key), table, 1)
                hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(table)}"
                self.problems.append(f"{self.where}: key `{named}` is not known; {hint}")
            elif value is not None and not self._fits(value, table[key]):
                kinds = table[key] if isinstance(table[key], tuple) else (table[key],)
                self.problems.append(
                    f"{self.where}: `{named}` must be {' or '.join(kinds)}, not {_shown(value, kinds)}"
                )
            elif value is not None:
                found[key] = value
        self.problems.extend(
            f"{self.where}: `{place}{key}` is missing" for key in needed if key not in found and key not in document
        )
        return found

    def part(self, found: Mapping[str, Any], key: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """The usable members of a mapping in a mapping."""
        return self.keys(found.get(key, {}), table, f"{key}.")

    def need(self, good: bool, text: str) -> None:
        """A problem unless it is good."""
        if not good:
            self.problems.append(f"{self.where}: {text}")

    @staticmethod
    def _fits(value: Any, kinds: Any) -> bool:
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        if isinstance(value, bool):
            return FLAG in wanted
        return any(isinstance(value, _TYPES[kind]) for kind in wanted)


def _shown(value: Any, wanted: Sequence[str]) -> str:
    """A value that does not fit; without its content where a text belongs, which may be a secret."""
    if isinstance(value, bool) or (isinstance(value, int | float) and TEXT not in wanted):
        return repr(value)
    if isinstance(value, int | float):
        return "a number; put it in quotes"
    return _KINDS.get(type(value), f"a {type(value).__name__}")
