"""The keys that clients must show, from a file: one a line, `#` starts a comment line. Any of them is good.

Two keys at a time let clients change from one to the other. The file is looked at again once it has changed
(at most once a second), so keys are renewed without a restart; while it cannot be read, or holds none, the last
good keys stay in force. Keys are compared in constant time and never logged.
"""

import hmac
import logging
import time
from pathlib import Path

from device_agent.errors import SettingsError

_LOG = logging.getLogger("edgepack.agent")
_CHECK_EVERY_S = 1.0
_LEAST_LENGTH = 8


class AccessKeys:
    """The keys in a file. Raises SettingsError when they cannot be read at first."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._stamp = self._read_stamp()  # before the text: a change in between is seen next time
        try:
            self._keys = parse_keys(self._path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"EDGEPACK_HTTP_KEY_FILE {path}: {_reason(error)}") from None
        self._checked_s = time.monotonic()

    def allow(self, authorization: bytes) -> bool:
        """Whether the value of an Authorization header shows a key (`Bearer KEY`)."""
        now_s = time.monotonic()
        if now_s - self._checked_s > _CHECK_EVERY_S:
            self._checked_s = now_s
            self._reload()
        scheme, _, shown = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        shown = shown.strip()
        return any([hmac.compare_digest(shown, key) for key in self._keys])  # noqa: C419 - looks at all of them

    def _reload(self) -> None:
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = parse_keys(self._path.read_text("utf-8"))
            _LOG.info("The keys in %s have been read again", self._path)
        except (OSError, ValueError) as error:
            _LOG.error("The keys in %s cannot be used, the last ones stay in force: %s", self._path, _reason(error))

    def _read_stamp(self) -> tuple[int, int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def parse_keys(text: str) -> tuple[bytes, ...]:
    """The keys in the text of a key file. Raises ValueError, with line numbers and without the keys."""
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if len(key) < _LEAST_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(f"line {number}: a key is at least {_LEAST_LENGTH} ASCII characters without spaces")
        keys.append(key.encode())
    if not keys:
        raise ValueError("there is no key in it: write one a line")
    return tuple(keys)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
