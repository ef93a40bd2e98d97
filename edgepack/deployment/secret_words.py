"""Tells by their names and looks which values are secrets. Pure."""

import re

_WORDS = (
    "passw pwd secret apikey accesskey accountkey privatekey sharedkey connectionstring saskey sastoken authtoken "
    "accesstoken"
).split()
_NO_SECRETS = tuple("file path name url uri header id ttl length policy enabled type".split())
_WHOLE_NAMES = ("pass", "pw")
_MARKS = ("SharedAccessKey=", "SharedAccessSignature ", "AccountKey=", "://", "PRIVATE KEY-----", "sig=")
_MOST_CHARACTERS = 8192


def is_secret(name: str, value: object) -> bool:
    """Whether a value (of a variable or property of this name) is a secret that stands there in clear text."""
    if not isinstance(value, str) or not value.strip() or value.startswith(("$", "/", "{")):
        return False
    if any(mark in value for mark in _MARKS) and _looks_secret(value[:_MOST_CHARACTERS]):
        return True
    folded = name.lower().replace("_", "").replace("-", "").replace(".", "")
    is_named = any(word in folded for word in _WORDS) and not folded.endswith(_NO_SECRETS)
    is_named = is_named or folded in _WHOLE_NAMES or folded.endswith("token")
    return is_named and value.lower() not in ("true", "false")


def _looks_secret(value: str) -> bool:
    """Keys in connection strings, signatures (also of an address), a password in an address, private keys."""
    return (
        re.search(
            r"[?&]sig=[A-Za-z0-9%+/=]{8,}|"
            r"(SharedAccess|Account)Key=[A-Za-z0-9+/=]{16,}|SharedAccessSignature sr=[^ ]{0,1000}sig=|"
            r"[a-z][a-z0-9+.-]{0,20}://[^ /:@]{1,200}:[^ /@${}]{1,200}@|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----",
            value,
        )
        is not None
    )
