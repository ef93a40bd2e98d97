"""Texts of variables -> values. A text that is wrong adds a sentence to `problems` and gives the default.

Pure.
"""

import re
from collections.abc import Mapping


def parse_int(given: Mapping[str, str], name: str, default: int, least: int, most: int, problems: list[str]) -> int:
    """A whole number of `least` to `most`."""
    text = given.get(name)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,16}", text.strip()) and least <= int(text) <= most:
        return int(text)
    problems.append(f"{name} is {text!r}: expected a whole number of {least} to {most}")
    return default


def parse_seconds(
    given: Mapping[str, str], name: str, default: float, most: float, problems: list[str], *, least: float = 0.0
) -> float:
    """Seconds, with up to six decimals."""
    text = given.get(name)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text.strip()) and least <= float(text) <= most:
        return float(text)
    problems.append(f"{name} is {text!r}: expected seconds from {least:g} to {most:g}")
    return default


def parse_choice(
    given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...], problems: list[str]
) -> str:
    """One of `choices`, in any case."""
    text = given.get(name, default).strip().lower()
    if text not in choices:
        problems.append(f"{name} is {given[name]!r}: expected {' or '.join(choices)}")
        return default
    return text
