"""Access keys of services: made up, read from a file, checked as the agent will."""

import secrets
from pathlib import Path

from edgepack.errors import InputError
from edgepack.services.record import PRIMARY, SECONDARY, AccessKeys

_LEAST_LENGTH = 8


def make_key() -> str:
    """A new key: 32 letters and digits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(32))


def make_keys() -> AccessKeys:
    """Two new keys."""
    return AccessKeys(make_key(), make_key())


def key_lines(keys: AccessKeys) -> bytes:
    """The content of a key file, as the agent reads it."""
    return f"{keys.primary}\n{keys.secondary}\n".encode()


def key_problem(key: str, what: str) -> str | None:
    """Why a text cannot be a key, without the text; None when it can."""
    if len(key) >= _LEAST_LENGTH and key.isascii() and key.isprintable() and not set(key) & {" ", "#"}:
        return None
    return f"{what}: a key is at least {_LEAST_LENGTH} ASCII characters, without spaces and `#`"


def read_key_file(path: Path) -> AccessKeys:
    """The keys in a file, one a line: the primary one and, if it is there, the secondary one (else one is made up).

    Raises:
        InputError: it cannot be read, or has no such keys.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the keys cannot be read ({getattr(error, 'strerror', None) or 'not text'})"
        ) from None
    found = [line.strip() for line in lines if line.strip()]
    if not 1 <= len(found) <= 2:
        raise InputError(f"{path}: expected one or two keys, one a line, found {len(found)}")
    InputError.raise_if_any(
        problem for number, key in enumerate(found, 1) if (problem := key_problem(key, f"{path}, key {number}"))
    )
    return AccessKeys(found[0], found[1] if len(found) > 1 else make_key())


def renewed(keys: AccessKeys, which: str, key: str | None = None) -> AccessKeys:
    """The keys with one of them made anew, or being `key`.

    Raises:
        InputError: `which` is neither `primary` nor `secondary`, or `key` cannot be a key.
    """
    problem = None if key is None else key_problem(key, f"the {which} key")
    InputError.raise_if_any([problem] if problem else [])
    if which == PRIMARY:
        return AccessKeys(key or make_key(), keys.secondary)
    if which == SECONDARY:
        return AccessKeys(keys.primary, key or make_key())
    raise InputError(f"key {which!r}: a service has a {PRIMARY} and a {SECONDARY} key")
