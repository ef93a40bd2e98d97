"""What IoT Hub's refusals mean, and what to do about them. Pure.

A refusal's body is `{"Message": "ErrorCode:NAME;TEXT", ...}` or `{"errorCode": 404001, "message": "TEXT"}`; a gateway
on the way may answer anything else.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from edgepack.errors import RemoteError

RETRYABLE = (408, 429, 500, 502, 503, 504)
_LONGEST_TEXT = 500
_SKEW_S = 60
_MEANINGS = {
    400: "does not take it",
    403: "forbids it: the policy lacks a right (service connect is needed), or a limit of the hub is reached",
    404: "knows no such thing",
    409: "has it already",
    412: "has it in another version: somebody changed it meanwhile; look at it with `edgepack deploy status`, "
    "and run this command again",
    413: "finds it too large",
    429: "takes no more calls now: wait a minute or two, or allow for it with a longer --timeout",
}


class HubRefusal(RemoteError):
    """The hub answered, and not with success. `status` is that of HTTP, `code` the hub's name for it, "" without one.

    `is_unsure`: an earlier attempt of the same call may have been carried out though its answer was lost.
    """

    def __init__(self, message: str, status: int, code: str, *, retryable: bool) -> None:
        super().__init__(message, retryable=retryable)
        self.status = status
        self.code = code
        self.is_unsure = False


def refusal(
    what: str, host: str, policy: str, status: int, body: bytes, headers: Mapping[str, str], now_s: float
) -> HubRefusal:
    """The error for the answer to a call. `what` says what was asked, such as "deploy to edge-1"."""
    code, text = _said(body)
    code = code or headers.get("iothub-errorcode", "")
    if status == 401:
        meaning = (
            f"does not accept the key of the policy {policy!r}: take the connection string anew, "
            f"and check the policy's rights (service connect is needed){_clocks(headers.get('date', ''), now_s)}"
        )
    elif 300 <= status < 400:
        meaning = f"answered {status}, a redirection: is HostName that of an IoT Hub?"
    elif status >= 500:
        meaning = f"has trouble of its own ({status}): try again later"
    else:
        meaning = _MEANINGS.get(status, f"answered {status}")
    said = f" (it says: {text})" if text else ""
    return HubRefusal(f"{what}: {host} {meaning}{said}", status, code, retryable=status in RETRYABLE)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """What Retry-After asks for, in seconds, 0 without it; `now_s` is in seconds since 1970."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    at_s = _seconds(text)
    return max(0.0, at_s - now_s) if at_s is not None else 0.0


def _said(body: bytes) -> tuple[str, str]:
    """The hub's code and text, "" where there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    members = document if isinstance(document, dict) else {}
    text = str(members.get("Message") or members.get("message") or "")
    code = ""
    if text.startswith("ErrorCode:"):
        code, _, text = text.removeprefix("ErrorCode:").partition(";")
    text = "".join(each if each.isprintable() else " " for each in text).strip()
    return code, text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _clocks(date: str, now_s: float) -> str:
    hub_s = _seconds(date)
    if hub_s is None or abs(hub_s - now_s) < _SKEW_S:
        return ""
    apart = f"{abs(hub_s - now_s) / 60:.0f} minutes {'behind' if hub_s > now_s else 'ahead of'}"
    at = datetime.fromtimestamp(hub_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"; this machine's clock is {apart} the hub's ({at} UTC): set it right"


def _seconds(date: str) -> float | None:
    """A date of HTTP in seconds since 1970."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
