"""Cross-origin requests (the Fetch standard, "CORS protocol"): which headers a browser is given. Pure.

Origins are a comma-separated list, or `*` for any. A preflight is allowed for GET and POST with any headers.
"""

from collections.abc import Mapping

_METHODS = (b"GET", b"POST")


class CorsPolicy:
    """Whose pages may call this server."""

    def __init__(self, origins: str) -> None:
        self._origins = sorted({origin.strip().encode() for origin in origins.split(",") if origin.strip()})
        self._allowed = frozenset(origin.lower() for origin in self._origins)
        self._is_open = b"*" in self._allowed
        self._vary = b"" if len(self._origins) == 1 and not self._is_open else b"vary: Origin\r\n"

    def header_lines(self, header: Mapping[bytes, bytes], *, is_preflight: bool) -> bytes:
        """Header lines for a request with these headers (lower-case names): empty for an origin not allowed.

        A request that names no origin is answered as if the first one had asked.
        """
        origin = header.get(b"origin", b"")
        if not origin and self._is_open:
            return b"access-control-allow-origin: *\r\n"
        if origin and not (self._is_open or origin.lower() in self._allowed):
            return b""
        lines = b"access-control-allow-origin: %b\r\n%b" % (origin or self._origins[0], self._vary)
        if is_preflight and header.get(b"access-control-request-method", b"").upper() in _METHODS:
            if asked := header.get(b"access-control-request-headers"):
                lines += b"access-control-allow-headers: %b\r\n" % asked
            lines += b"access-control-allow-methods: GET, POST\r\n"
        return lines
