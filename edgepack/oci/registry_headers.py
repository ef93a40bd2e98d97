"""What registries say in headers and errors, and where they send a client. Pure.

By the distribution specification 1.1 and RFC 9110: challenges, ranges, locations, `Retry-After`, error documents.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of HTTP's grammar
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME = re.compile(rf"({_TOKEN})(?:\s+([A-Za-z0-9._~+/-]+=*)(?=\s*(?:,|$)))?")
_RANGE = re.compile(r"(?:bytes=)?\s*(\d{1,18})-(\d{1,18})")
_LONGEST_TEXT = 400


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a server wants to be signed in to. Scheme and names of parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Read `WWW-Authenticate` headers, several challenges in each or not; what cannot be read ends its header."""
    found: list[tuple[str, dict[str, str]]] = []
    for value in values:
        known, place = len(found), 0
        while True:
            while place < len(value) and value[place] in ", \t":
                place += 1
            if len(found) > known and (match := _PARAMETER.match(value, place)):
                quoted = match[2]
                text = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
                found[-1][1].setdefault(match[1].lower(), text)
            elif match := _SCHEME.match(value, place):
                found.append((match[1].lower(), {}))
            else:
                break
            place = match.end()
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def parse_upload_range(value: str) -> int | None:
    """How many bytes of an upload the registry has, by its `Range` header; None if it does not say.

    `0-0` counts as nothing: registries say it of an upload that has just begun, too.
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None or int(match[1]) != 0:
        return None
    last = int(match[2])
    return last + 1 if last else 0


def encode_content_range(start: int, length: int) -> str:
    """The `Content-Range` of `length` bytes from `start` on, as uploads have it: inclusive, without a unit."""
    return f"{start}-{start + length - 1}"


def parse_content_range(value: str) -> int | None:
    """Where the bytes of a partial answer start, by its `Content-Range: bytes START-END/SIZE`; None if unreadable."""
    match = re.fullmatch(r"bytes\s+(\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)", value.strip())
    return int(match[1]) if match else None


def parse_retry_after(value: str, now_s: float) -> float:
    """The seconds that `Retry-After` asks to wait, 0 where it asks for nothing; `now_s` is in seconds since 1970."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def resolve_location(asked: str, location: str) -> str:
    """The absolute URL of a `Location` that answered a request to the URL `asked`; it is opaque, so kept as it is.

    Raises:
        ValueError: it is no URL of HTTP.
    """
    url = urljoin(asked, location.strip())
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{location!r} is no address of HTTP")
    return url


def with_digest(location: str, digest: str) -> str:
    """The URL that closes an upload: the location with `digest` added to its query."""
    address, _, _ = location.partition("#")
    return f"{address}{'&' if '?' in address else '?'}digest={digest}"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: credentials stay within one of these.

    Raises:
        ValueError: the port is none.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


def next_page(links: Iterable[str]) -> str | None:
    """The URL of the next page, by `Link` headers with `rel="next"`."""
    for value in links:
        for target, parameters in re.findall(r"<([^<>]*)>([^<]*)", value):
            if re.search(r';\s*rel\s*=\s*"?next"?', parameters, re.IGNORECASE):
                return str(target)
    return None


@dataclass(frozen=True, slots=True)
class ErrorText:
    """What an error document says: the codes in it, and one line for people ("" for none)."""

    codes: tuple[str, ...] = ()
    text: str = ""


def parse_error(body: bytes) -> ErrorText:
    """Read `{"errors": [{code, message, detail}]}`; anything else says nothing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ErrorText()
    listed = document.get("errors") if isinstance(document, dict) else None
    errors = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    codes = tuple(str(each.get("code") or "") for each in errors)
    text = "; ".join(_one_error(each) for each in errors)
    text = "".join(each if each.isprintable() else " " for each in text)
    return ErrorText(codes, text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}...")


def _one_error(error: Mapping[str, object]) -> str:
    detail = error.get("detail")
    more = f" ({detail})" if isinstance(detail, str) and detail else ""
    return ": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) + more
