"""The fields of a JSON object, read one by one with what is wrong told in sentences. Pure."""

from collections.abc import Mapping
from typing import Any


class Fields:
    """An object's fields. What is wrong is added to `problems`; `place` stands before names there (`source.`)."""

    def __init__(self, document: Mapping[str, Any], problems: list[str] | None = None, place: str = "") -> None:
        self.place = place
        self.problems: list[str] = [] if problems is None else problems
        self._left = dict(document)
        self.is_empty = not document

    def take(self, name: str, default: object = None) -> Any:
        """The value as it is. null counts as left out, here and below."""
        value = self._left.pop(name, None)
        return default if value is None else value

    def inner(self, name: str) -> "Fields":
        """An object in it; empty if left out."""
        value = self.take(name, {})
        if not isinstance(value, dict):
            self.problems.append(f"{self.place}{name}: expected an object")
            value = {}
        return Fields(value, self.problems, f"{self.place}{name}.")

    def text(self, name: str, default: str | None) -> str:
        """A text; without a default it must be there."""
        value = self.take(name, default)
        if isinstance(value, str):
            return value
        self.problems.append(f"{self.place}{name}: expected a text")
        return ""

    def yes_or_no(self, name: str, *, default: bool) -> bool:
        """true or false."""
        value = self.take(name, default)
        if isinstance(value, bool):
            return value
        self.problems.append(f"{self.place}{name}: expected true or false")
        return default

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """A number in a range."""
        value = self.take(name, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        self.problems.append(f"{self.place}{name}: expected a number from {least:g} to {most:g}")
        return default

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number in a range."""
        value = self.take(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problems.append(f"{self.place}{name}: expected a whole number from {least} to {most}")
        return default

    def optional(self, name: str, least: float, most: float) -> float | None:
        """A number in a range, or None."""
        return self.number(name, least, least, most) if self._left.get(name) is not None else None

    def end(self) -> None:
        """Nothing else may be there."""
        self.problems += [f"{self.place}{name}: unknown" for name in sorted(self._left) if self._left[name] is not None]
        self._left.clear()
