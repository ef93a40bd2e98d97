"""The agent's HTTP interface: a bare ASGI application. Health is answered here, without asking the script.

    GET, HEAD  /        200 "Healthy" once init() has returned for the first time, before that 503
    GET, POST, OPTIONS  /score
    GET, HEAD  /livez   200 while the agent runs
    GET, HEAD  /readyz  200 while requests are scored; before, during a restart and while draining 503, why

Error bodies are `{"message": ...}`. Every response carries the id headers (request_ids) and, on /score and on
errors, x-ms-run-function-failed. A client that goes away while its request waits takes the request with it.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from device_agent import __version__
from device_agent.log_lines import LineLog
from device_agent.request_ids import IdTooLong, RequestIds, choose_ids, format_id
from device_agent.scorer import Scorer, ScoringRequest, ScoringResult, message_result

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
HeaderList = list[tuple[bytes, bytes]]

NOT_FOUND_TEXT = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
WRONG_METHOD_TEXT = "The method is not allowed for the requested URL."
CLIENT_GONE = 499
_METHODS = {
    "/": ("GET", "HEAD"),
    "/score": ("GET", "POST", "OPTIONS"),
    "/livez": ("GET", "HEAD"),
    "/readyz": ("GET", "HEAD"),
}
_HTML_TYPE = "text/html; charset=utf-8"
_WATCH_AFTER_S = 0.5
_FLUSH_AFTER_S = 0.02
_CONTROL_BYTES = bytes(range(32)) + b"\x7f"


class _ClientGone(Exception):
    pass


class Application:
    """The ASGI application. `log` gets one line a request for /score when `logs_requests`.

    `watch_after_s`: how long a request must have waited before its client is watched for leaving; watching costs a
    task, and most requests are answered sooner.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        max_body_bytes: int,
        log: LineLog,
        logs_requests: bool = True,
        show_server_version: bool = True,
        watch_after_s: float = _WATCH_AFTER_S,
    ) -> None:
        self._scorer = scorer
        self._max_body_bytes = max_body_bytes
        self._log = log
        self._logs_requests = logs_requests
        self._flush_is_due = False
        self._watch_after_s = watch_after_s
        self._random_bits = random.Random(random.SystemRandom().getrandbits(256)).getrandbits  # noqa: S311 - ids, no secrets
        version = (b"x-ms-server-version", f"edgepack/{__version__}".encode())
        self._fixed_headers: HeaderList = [version] if show_server_version else []
        self.is_draining = False
        self.requests_under_way = 0
        """Requests to /score that have been received and not been answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        path, method = scope["path"], scope["method"]
        allowed = _METHODS.get(path)
        try:
            ids = self._ids(headers)
        except IdTooLong as error:
            known = [(b"x-request-id", error.request_id)] if error.request_id else []
            if allowed is not None:
                await self._send(send, message_result(431, str(error)), [*self._fixed_headers, *known])
                return
            ids = choose_ids(format_id(self._random_bits(128)), b"", b"", b"")
        extra = self._response_headers(ids, headers)
        if allowed is None:
            await self._send(send, message_result(404, NOT_FOUND_TEXT), extra)
        elif method not in allowed:
            extra.append((b"allow", ", ".join(allowed).encode()))
            await self._send(send, message_result(405, WRONG_METHOD_TEXT), extra)
        elif path == "/score":
            await self._answer_score(scope, headers, receive, send, extra)
        else:
            await self._send(send, self._health(path), extra, names_failure=False)

    def _health(self, path: str) -> ScoringResult:
        reason = self._scorer.not_ready_reason
        if path == "/livez":
            return ScoringResult(b'{"status": "live"}')
        if path == "/readyz":
            if self.is_draining:
                reason = "the agent is stopping"
            body = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
            return ScoringResult(json.dumps(body).encode(), 503 if reason else 200)
        if self._scorer.has_been_ready:
            return ScoringResult(b"Healthy", content_type=_HTML_TYPE)
        return message_result(503, f"Not ready: {reason}")

    async def _answer_score(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send, extra: HeaderList
    ) -> None:
        started_s = time.perf_counter()
        self.requests_under_way += 1
        status, length = CLIENT_GONE, 0
        try:
            result = await self._score(scope, headers, receive)
            status, length = result.status, len(result.body)
            await self._send(send, result, extra)
        except _ClientGone:
            pass
        finally:
            self.requests_under_way -= 1
            if self._logs_requests:
                self._log_request(scope, status, (time.perf_counter() - started_s) * 1000.0, length)

    async def _score(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> ScoringResult:
        method = scope["method"]
        if method == "OPTIONS":
            return ScoringResult(b"", content_type=_HTML_TYPE)
        body = b""
        if method == "POST":
            announced = headers.get(b"content-length", b"0")
            read = None if int(announced) > self._max_body_bytes else await self._read_body(receive)
            if read is None:
                return message_result(413, f"The request body must not exceed {self._max_body_bytes} bytes.")
            body = read
        names = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        request = ScoringRequest(
            body,
            method,
            scope["query_string"].decode("latin-1"),
            headers.get(b"content-type", b"").decode("latin-1"),
            tuple(names) if self._scorer.wants_headers else (),
        )
        return await self._score_while_connected(request, receive)

    async def _read_body(self, receive: Receive) -> bytes | None:
        """The whole body, or None when it is too long. Raises _ClientGone."""
        message = await receive()
        if message["type"] != "http.request":
            raise _ClientGone
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return body if len(body) <= self._max_body_bytes else None
        collected = bytearray(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] != "http.request":
                raise _ClientGone
            collected += message.get("body", b"")
            if len(collected) > self._max_body_bytes:
                return None
        return bytes(collected)

    async def _score_while_connected(self, request: ScoringRequest, receive: Receive) -> ScoringResult:
        """Score; a request that takes longer than a moment is withdrawn when its client goes away."""
        loop = asyncio.get_running_loop()
        scoring = asyncio.current_task()
        watcher: asyncio.Task[None] | None = None
        is_gone = False

        async def watch() -> None:
            nonlocal is_gone
            while (await receive())["type"] != "http.disconnect":
                pass
            is_gone = True
            if scoring is not None:
                scoring.cancel()

        def begin() -> None:
            nonlocal watcher
            watcher = loop.create_task(watch())

        timer = loop.call_later(self._watch_after_s, begin)
        try:
            return await self._scorer.score(request)
        except asyncio.CancelledError:
            if not is_gone:
                raise
            raise _ClientGone from None
        finally:
            timer.cancel()
            if watcher is not None:
                watcher.cancel()

    async def _send(self, send: Send, result: ScoringResult, extra: HeaderList, *, names_failure: bool = True) -> None:
        headers = [
            (b"content-type", result.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(result.body)),
        ]
        if names_failure:
            headers.append((b"x-ms-run-function-failed", b"True" if result.script_failed else b"False"))
        if result.exec_ms is not None:
            headers.append((b"x-ms-run-fn-exec-ms", b"%.3f" % result.exec_ms))
        headers += extra
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        await send({"type": "http.response.body", "body": result.body})

    def _ids(self, headers: dict[bytes, bytes]) -> RequestIds:
        given = (b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id")
        own, legacy, client = (headers.get(name, b"").translate(None, _CONTROL_BYTES) for name in given)
        return choose_ids(format_id(self._random_bits(128)), own, legacy, client)

    def _response_headers(self, ids: RequestIds, headers: dict[bytes, bytes]) -> HeaderList:
        extra = [*self._fixed_headers, (b"x-request-id", ids.request_id), (b"x-ms-request-id", ids.legacy_id)]
        if ids.client_id:
            extra.append((b"x-ms-client-request-id", ids.client_id))
        trace_id = headers.get(b"traceid")
        if trace_id is not None:
            extra.append((b"traceid", trace_id.translate(None, _CONTROL_BYTES)))
        return extra

    def _log_request(self, scope: Scope, status: int, duration_ms: float, length: int) -> None:
        query = scope["query_string"]
        path = f"{scope['path']}?{query.decode('latin-1')}" if query else scope["path"]
        message = f"{scope['method']} {path} {status} {duration_ms:.3f}ms {length}"
        self._log.collect(self._log.format_line(time.time(), "INFO", "azmlinfsrv", message))
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_later(_FLUSH_AFTER_S, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._log.flush()
