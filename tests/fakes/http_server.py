"""An HTTP server on the loopback interface that serves files from memory and misbehaves on request."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Reply:
    """An answer: `cut_at` ends the connection after so many bytes of the body."""

    status: int = 200
    body: bytes = b""
    cut_at: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class FileServer:
    """Serves `files` (body by path) at `url`; answers in `script` come first, each once. A context manager.

    `requests` lists the paths asked for, `headers` has those of the last request for a path.
    Ranges are not known, as on many mirrors.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.files: dict[str, bytes] = dict(files or {})
        self.script: dict[str, list[Reply]] = {}
        self.requests: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner._answer(self)

            def do_HEAD(self) -> None:
                owner._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Tests print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """The root, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, path: str) -> int:
        """How many times `path` was asked for."""
        with self._lock:
            return self.requests.count(path)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        with self._lock:
            self.requests.append(path)
            self.headers[path] = dict(request.headers)
            planned = self.script.get(path)
            if planned:
                reply = planned.pop(0)
            elif path in self.files:
                reply = Reply(body=self.files[path])
            else:
                reply = Reply(404, b"not here\n")
        kind = "text/html" if path.endswith("/") else "application/octet-stream"
        request.send_response(reply.status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(reply.body)), **reply.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(reply.body[: reply.cut_at])
        if reply.cut_at is not None:
            request.wfile.flush()
            request.close_connection = True
