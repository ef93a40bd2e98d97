"""Stands before the page: asks `access` about every request and connection, and adds what browsers need to be told.

The policy lets the page load from its own address only. NiceGUI compiles its templates in the browser and writes
styles into the page, hence the two `unsafe` words; nothing that a module or device sends is ever taken for HTML.
"""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.dashboard.access import TOKEN, Listening, Request, decide

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self.app = app
        self.listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        decision = decide(self.listening, _request(scope, self.listening.cookie))
        if decision.sets_cookie and scope["type"] == "http":
            response: Response = RedirectResponse(scope["path"], 303)
            response.set_cookie(self.listening.cookie, self.listening.token, httponly=True, samesite="strict")
            await response(scope, receive, send)
        elif decision.status or decision.sets_cookie:
            response = PlainTextResponse(decision.text + "\n", decision.status or 401)
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send))


def _request(scope: Scope, cookie: str) -> Request:
    headers = Headers(scope=scope)
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        cookies = SimpleCookie()
    return Request(
        headers.get("host", ""),
        headers.get("origin", ""),
        parse_qs(scope["query_string"].decode("latin-1")).get(TOKEN, [""])[0],
        cookies[cookie].value if cookie in cookies else "",
    )


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return send_with_headers
