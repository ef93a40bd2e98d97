"""Lines of a module's log as the page shows them: a JSON line of the agent becomes one that can be read. Pure."""

import json
import re
from typing import NamedTuple

_BAD = re.compile(r"(?i)\b(error|critical|fatal|exception|traceback)\b")
_WARN = re.compile(r"(?i)\bwarn(ing)?\b")
_AGENT_LEVEL = re.compile(
    r"^[\d-]{10} [\d:,]{12} ([A-Z]) \["
)  # as the agent writes text: the first letter of the level
_TONES = {"C": "bad", "E": "bad", "W": "warn"}


class LogLine(NamedTuple):
    """A line to show, and its tone: bad, warn or "" ."""

    text: str
    tone: str = ""


def log_line(raw: str) -> LogLine:
    """A line as the page shows it. JSON lines: `12:00:00.123 INFO message`."""
    if raw.startswith("{"):
        try:
            record = json.loads(raw)
        except ValueError:
            record = None
        if isinstance(record, dict) and isinstance(record.get("message"), str):
            level = str(record.get("level", ""))
            time = str(record.get("time", "")).partition("T")[2].removesuffix("Z")
            text = " ".join(part for part in (time, level, record["message"]) if part)
            return LogLine(text, _TONES.get(level[:1].upper(), ""))
    found = _AGENT_LEVEL.match(raw)
    if found:
        return LogLine(raw, _TONES.get(found[1], ""))
    return LogLine(raw, "bad" if _BAD.search(raw) else "warn" if _WARN.search(raw) else "")
