"""The parser of HTTP/1.1: httptools, or h11 behind the same interface where httptools has no build.

32-bit ARM is such a place (docs/decisions/0015-other-bases.md). h11 is Python alone, so slower, and as strict.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_agent.h11_parser import (
        HttpParserCallbackError,
        HttpParserError,
        HttpParserInvalidMethodError,
        HttpParserUpgrade,
        HttpRequestParser,
        HttpResponseParser,
    )
else:
    try:
        from httptools import (
            HttpParserCallbackError,
            HttpParserError,
            HttpParserInvalidMethodError,
            HttpParserUpgrade,
            HttpRequestParser,
            HttpResponseParser,
        )
    except ImportError:
        from device_agent.h11_parser import (
            HttpParserCallbackError,
            HttpParserError,
            HttpParserInvalidMethodError,
            HttpParserUpgrade,
            HttpRequestParser,
            HttpResponseParser,
        )

__all__ = [
    "HttpParserCallbackError",
    "HttpParserError",
    "HttpParserInvalidMethodError",
    "HttpParserUpgrade",
    "HttpRequestParser",
    "HttpResponseParser",
]
