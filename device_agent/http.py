"""The agent's HTTP interface: what each route answers. Health is answered here, without asking the script.

    GET, HEAD, OPTIONS  /              200 "Healthy" once init() has returned for the first time, before that 503
    GET, POST, OPTIONS  /score         HEAD too for a @rawhttp script
    GET, HEAD, OPTIONS  /swagger.json  ?version=2 (the default), 3 or 3.1
    GET, HEAD           /livez         200 while the agent runs
    GET, HEAD           /readyz        200 while requests are scored; before, during a restart, while draining 503
    GET, HEAD           /metrics       Prometheus

Error bodies are `{"message": ...}`. Every response carries the id headers (request_ids) and, but for health and
metrics, x-ms-run-function-failed. With access keys, all but health wants `Authorization: Bearer KEY`.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable

from device_agent import __version__
from device_agent.access_keys import AccessKeys
from device_agent.cors import CorsPolicy
from device_agent.http_message import CLIENT_GONE, WRONG_METHOD_TEXT, Reply, Request
from device_agent.http_routes import (
    HAVE_CORS,
    METHODS,
    NO_KEY_TEXT,
    NOT_FOUND_TEXT,
    OPEN_ROUTES,
    SHORT_WRONG_METHOD_TEXT,
    HttpOptions,
)
from device_agent.log_lines import LineLog
from device_agent.metrics import CONTENT_TYPE, Metrics
from device_agent.request_ids import IdTooLong, choose_ids, format_id
from device_agent.scorer import Scorer, ScoringRequest, ScoringResult, Ticket
from device_agent.swagger import swagger_document, swagger_error, swagger_version

_JSON_LINE = b"content-type: application/json\r\n"
_HTML_LINE = b"content-type: text/html; charset=utf-8\r\n"
_FAILED = {None: b"", False: b"x-ms-run-function-failed: False\r\n", True: b"x-ms-run-function-failed: True\r\n"}
_CORS_LINES = (b"access-control-", b"vary:")
_FLUSH_AFTER_S = 0.02
_LOG = logging.getLogger("azmlinfsrv")
_CONTROL_BYTES = bytes(range(32)) + b"\x7f"


class HttpApplication:
    """Implements http_message.Application.

    `observe` is told of every request to /score. Request lines go to `request_log`, or else quickly to `log`.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        log: LineLog,
        metrics: Metrics,
        options: HttpOptions,
        keys: AccessKeys | None = None,
        cors: CorsPolicy | None = None,
        observe: "Callable[[Request, ScoringResult, int], None] | None" = None,
        request_log: logging.Logger | None = None,
        passes_ids: bool = False,
    ) -> None:
        self._scorer = scorer
        self._log = log
        self._metrics = metrics
        self._options = options
        self._keys = keys
        self._cors = cors
        self._observe = observe
        self._request_log = request_log
        self._passes_ids = passes_ids or log.is_json
        self._flush_is_due = False
        self._version_line = f"x-ms-server-version: edgepack/{__version__}\r\n".encode()
        if not options.show_server_version:
            self._version_line = b""
        self.is_draining = False
        self.requests_under_way = 0
        """Requests to /score that have been received and not been answered."""

    # --- http_message.Application

    def refuse(self, request: Request) -> Reply | None:
        """Choose the ids and the route; a reply for what needs no body."""
        reply = self._refuse(request)
        if reply is not None:
            self._log_request(request, reply.status, None, len(reply.body))
        return reply

    def _refuse(self, request: Request) -> Reply | None:
        methods = METHODS.get(request.path)
        request.route = request.path if methods else "other"
        try:
            self._choose_ids(request)
        except IdTooLong as error:
            if methods is not None:
                known = b"x-request-id: %b\r\n" % error.request_id if error.request_id else b""
                request.lines = self._version_line + known
                return self._error(request, 431, str(error))
            request.lines = b""
            self._choose_ids(Request("GET", "", b"", []), request)
        if methods is None:
            return self._error(request, 404, NOT_FOUND_TEXT)
        if self._cors is not None and request.path in HAVE_CORS:
            request.lines += self._cors.header_lines(request.header, is_preflight=request.method == "OPTIONS")
        if not self._may_call(request):
            return self._error(request, 401, NO_KEY_TEXT, b"www-authenticate: Bearer\r\n")
        is_raw = self._scorer.description.raw_http
        if request.method not in methods or (request.path == "/score" and request.method == "HEAD" and not is_raw):
            text = SHORT_WRONG_METHOD_TEXT if request.method == "HEAD" else WRONG_METHOD_TEXT
            shown = [method for method in methods if method != "HEAD" or is_raw or request.path != "/score"]
            return self._error(request, 405, text, f"allow: {', '.join(shown)}\r\n".encode())
        return None

    def answer(self, request: Request, reply: Callable[[Reply], None]) -> Ticket | None:
        """Answer a request that was not refused."""
        path = request.path
        if path == "/score":
            return self._score(request, reply)
        started_s = time.perf_counter()
        if request.method == "OPTIONS":
            answer = self._text_reply(request, b"", b"allow: GET, HEAD, OPTIONS\r\n")
        elif path == "/":
            answer = self._front(request)
        elif path == "/swagger.json":
            answer = self._swagger(request)
        elif path == "/metrics":
            kind = f"content-type: {CONTENT_TYPE}\r\n".encode()
            answer = Reply(200, kind + request.lines, self._metrics.text())
        else:
            answer = self._probe(request)
        self._metrics.count_request(request.route, answer.status)
        if path == "/swagger.json":
            self._log_request(request, answer.status, started_s, len(answer.body))
        reply(answer)
        return None

    def gone(self, request: Request) -> None:
        """A client has left before its answer."""
        if request.route == "/score":
            self.requests_under_way -= 1
            self._metrics.count_request(request.route, CLIENT_GONE)
            self._log_request(request, CLIENT_GONE, None, 0)

    def error_reply(self, status: int, text: str, request: Request | None = None) -> Reply:
        """An error for too much of a request, or for something that is none."""
        if request is None or not request.lines:
            request = Request("GET", "", b"", [])
            request.route = "other"
            self._choose_ids(request)
        return self._error(request, status, text, b"retry-after: 1\r\n" if status == 503 else b"")

    # --- routes

    def _score(self, request: Request, reply: Callable[[Reply], None]) -> Ticket | None:
        started_s = time.perf_counter()
        description = self._scorer.description
        if request.method == "OPTIONS" and not (description.raw_http and self._shows_key(request)):
            answer = Reply(200, _HTML_LINE + _FAILED[False] + request.lines)
            self._metrics.count_request("/score", 200)
            self._log_request(request, 200, started_s, 0)
            reply(answer)
            return None
        self.requests_under_way += 1
        header = request.header
        names = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        scoring = ScoringRequest(
            request.body,
            request.method,
            request.path,
            request.query.decode("latin-1"),
            header.get(b"content-type", b"").decode("latin-1"),
            request.client,
            tuple(names) if description.wants_headers else (),
            request.ids.request_id.decode("latin-1") if self._passes_ids else "",
        )

        def finish(result: ScoringResult) -> None:
            self.requests_under_way -= 1
            seconds = time.perf_counter() - started_s
            body, status, content_type, failed, exec_ms, headers = result
            metrics = self._metrics
            metrics.count_scoring(exec_ms, failed, seconds)
            metrics.count_request("/score", status)
            if content_type == "application/json":
                lines = _JSON_LINE + _FAILED[failed]
            else:
                kind = f"content-type: {content_type}\r\n".encode("latin-1") if content_type else b""
                lines = kind + _FAILED[failed]
            if exec_ms is not None:
                lines += b"x-ms-run-fn-exec-ms: %.3f\r\n" % exec_ms
            own = request.lines
            if headers:
                if any(name.lower() == "access-control-allow-origin" for name, _ in headers):
                    own = b"".join(line for line in own.splitlines(keepends=True) if not line.startswith(_CORS_LINES))
                lines += "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
            if self._options.logs_requests:
                self._log_request(request, status, started_s, len(body))
            reply(Reply(status, lines + own, body))
            if self._observe is not None:
                self._observe(request, result, int(seconds * 1e9))

        return self._scorer.submit(scoring, finish)

    def _front(self, request: Request) -> Reply:
        if self._scorer.has_been_ready:
            return self._text_reply(request, b"Healthy")
        return self._error(request, 503, f"Not ready: {self._reason(request)}")

    def _reason(self, request: Request) -> str:
        """Why nothing is scored; with access keys, only those who show one learn what the script said."""
        reason = "the agent is stopping" if self.is_draining else self._scorer.not_ready_reason
        return reason if not reason or self._shows_key(request) else "the log says why"

    def _probe(self, request: Request) -> Reply:
        if request.path == "/livez":
            return Reply(200, _JSON_LINE + request.lines, b'{"status": "live"}')
        reason = self._reason(request)
        body = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
        return Reply(503 if reason else 200, _JSON_LINE + request.lines, json.dumps(body).encode())

    def _swagger(self, request: Request) -> Reply:
        from urllib.parse import parse_qs

        if not self._scorer.has_been_ready:
            return self._error(request, 503, f"Not ready: {self._scorer.not_ready_reason}")
        query = parse_qs(request.query.decode("latin-1"), keep_blank_values=True)
        asked = query.get("version", ["2"])[0]
        version = swagger_version(asked)
        options, description = self._options, self._scorer.description
        document = options.user_swagger.get(version or "")
        if document is None and version is not None:
            made = swagger_document(
                version,
                description,
                service_name=options.service_name,
                service_version=options.service_version,
                path_prefix=options.path_prefix,
                has_keys=self._keys is not None,
            )
            document = None if made is None else json.dumps(made).encode()
        if document is None:
            supported = {*options.user_swagger, *description.swagger_versions}
            return self._error(request, 404, swagger_error(asked, sorted(supported)))
        return Reply(200, _JSON_LINE + _FAILED[False] + request.lines, document)

    # --- parts of replies

    def _may_call(self, request: Request) -> bool:
        """Whether the client has shown a key, where one is needed. Browsers ask first (OPTIONS) without."""
        return request.path in OPEN_ROUTES or request.method == "OPTIONS" or self._shows_key(request)

    def _shows_key(self, request: Request) -> bool:
        return self._keys is None or self._keys.allow(request.header.get(b"authorization", b""))

    def _error(self, request: Request, status: int, text: str, extra: bytes = b"") -> Reply:
        self._metrics.count_request(request.route, status)
        body = json.dumps({"message": text}).encode()
        return Reply(status, _JSON_LINE + _FAILED[False] + extra + request.lines, body)

    @staticmethod
    def _text_reply(request: Request, body: bytes, extra: bytes = b"") -> Reply:
        return Reply(200, _HTML_LINE + extra + request.lines, body)

    def _choose_ids(self, request: Request, target: Request | None = None) -> None:
        """Put the id headers of the response into `request.lines`. Raises IdTooLong."""
        header = request.header
        own = header.get(b"x-request-id", b"")
        legacy = header.get(b"x-ms-request-id", b"")
        client = header.get(b"x-ms-client-request-id", b"")
        if own or legacy or client:
            own, legacy, client = (value.translate(None, _CONTROL_BYTES) for value in (own, legacy, client))
            if legacy:
                _LOG.warning("x-ms-request-id is deprecated as a request's header: send x-ms-client-request-id")
        ids = choose_ids(own or format_id(int.from_bytes(os.urandom(16))), own, legacy, client)
        lines = b"%bx-request-id: %b\r\nx-ms-request-id: %b\r\n" % (self._version_line, ids.request_id, ids.legacy_id)
        if ids.client_id:
            lines += b"x-ms-client-request-id: %b\r\n" % ids.client_id
        trace_id = header.get(b"traceid")
        if trace_id is not None:
            lines += b"TraceId: %b\r\n" % trace_id.translate(None, _CONTROL_BYTES)
        target = target or request
        target.lines, target.ids = lines, ids

    def _log_request(self, request: Request, status: int, started_s: float | None, length: int) -> None:
        if not self._options.logs_requests:
            return
        path = f"{request.path}?{request.query.decode('latin-1')}" if request.query else request.path
        duration = "-" if started_s is None else f"{(time.perf_counter() - started_s) * 1000.0:.3f}ms"
        message = f"{request.method} {path} {status} {duration} {length}"
        if self._request_log is not None:
            self._request_log.info("%s", message)
            return
        request_id = request.ids.request_id.decode("latin-1") if self._log.is_json else ""
        self._log.collect(self._log.format_line(time.time(), "INFO", "azmlinfsrv", message, request_id=request_id))
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_later(_FLUSH_AFTER_S, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._log.flush()
