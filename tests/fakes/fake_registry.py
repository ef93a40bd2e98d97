"""A registry on the loopback interface, in memory, by the distribution specification 1.1, that misbehaves on request.

`faults` says what happens to the request of a number, counted from 1: `cut before` it is read, `cut within` its body,
of which what came is kept, `cut after` it was carried out but not answered, `cut answer` in the middle of the answer's
body; or a status that is answered instead.
"""

import base64
import hashlib
import itertools
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

CUTS = ("cut before", "cut within", "cut after", "cut answer")


class Asked(NamedTuple):
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    host: str  # by which address the server was called


@dataclass
class Settings:
    """How the registry behaves, as far as registries differ."""

    says_digests: bool = True
    has_referrers: bool = True
    mounts: bool = True
    takes_pieces: bool = True
    keeps_parts: bool = True  # of a piece whose connection ended
    least_piece_bytes: int = 0
    location: str = "relative"  # relative, absolute, query, other host
    redirects_blobs: bool = False  # to another host
    login: tuple[str, str] | None = None
    identity_token: str | None = None
    auth: str = "bearer"
    token_uses: int | None = None  # after so many requests a token has expired
    identity_by_post: bool = True


@dataclass
class Repository:
    """What is stored."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Answer(NamedTuple):
    """What is answered."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class FakeRegistry:
    """Serves at `host`; a context manager. `other` is a second address of the same server: another host to clients."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytearray] = {}
        self.faults: dict[int, str | Answer] = {}
        self.asked: list[Asked] = []
        self.tokens: dict[str, tuple[set[str], int]] = {}  # token: scopes, uses
        self._numbers = itertools.count(1)
        self._sessions = itertools.count(1)
        self._lock = threading.RLock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def serve(self) -> None:
                owner._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Tests print nothing."""

        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.serve)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def server_bind(self) -> None:
                """Without asking for the name of the address, which may take long."""
                TCPServer.server_bind(self)

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that goes away is no error here."""

        first = Server(("127.0.0.1", 0), Handler)
        port = first.server_address[1]
        self._servers = (first, Server(("127.0.0.2", port), Handler))
        self.host, self.other = f"127.0.0.1:{port}", f"127.0.0.2:{port}"
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in self._servers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

    def repository(self, name: str) -> Repository:
        """The repository, made if need be."""
        return self.repositories.setdefault(name, Repository())

    def put_blob(self, repository: str, content: bytes) -> str:
        """Store a blob; returns its digest."""
        digest = _digest(content)
        self.repository(repository).blobs[digest] = content
        return digest

    def count(self, method: str, part: str = "") -> int:
        """How many requests of a method had `part` in their path."""
        return sum(each.method == method and part in each.path for each in self.asked)

    # one request

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            number = next(self._numbers)
            self.asked.append(
                Asked(request.command, request.path, dict(request.headers), request.headers.get("Host", ""))
            )
        fault = self.faults.get(number)
        length = int(request.headers.get("Content-Length") or 0)
        if fault == "cut before":
            return self._cut(request)
        if fault == "cut within":
            body = request.rfile.read(length // 2)
            if self.settings.keeps_parts and request.command == "PATCH":
                with self._lock:
                    self._append(request, body)
            return self._cut(request)
        body = request.rfile.read(length)
        with self._lock:
            answer = fault if isinstance(fault, Answer) else self._answer(request, body)
        if fault == "cut after":
            return self._cut(request)
        request.send_response(answer.status)
        head = request.command == "HEAD"
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if fault == "cut answer":
            request.wfile.write(answer.body[: len(answer.body) // 2])
            return self._cut(request)
        if not head:
            request.wfile.write(answer.body)
        return None

    def _cut(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)

    def _append(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        upload = self.uploads.get(urlsplit(request.path).path.rpartition("/")[2])
        start = int((request.headers.get("Content-Range") or "0-").partition("-")[0])
        if upload is not None and start == len(upload):
            upload.extend(body)

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if path == "/token":
            return self._token(request, query, body)
        if path.startswith("/elsewhere/"):
            return self._part(request, self._any_blob(path.removeprefix("/elsewhere/")))
        if path == "/v2/":
            return self._refused(request, set()) or Answer(200, {})
        match = re.fullmatch(r"/v2/(.+?)/(blobs|manifests|tags|referrers)/(.*)", path)
        if match is None:
            return _error(404, "NAME_UNKNOWN")
        name, kind, rest = match.groups()
        writes = request.command not in ("GET", "HEAD")
        needed = {f"{name}:{'push' if writes else 'pull'}"}
        if "from" in query:
            needed.add(f"{query['from'][0]}:pull")
        if not self._is_at_other(request) and (refused := self._refused(request, needed)):
            return refused
        if kind == "tags":
            return _json({"name": name, "tags": sorted(self.repository(name).tags)})
        if kind == "referrers":
            return self._referrers(name, rest)
        if kind == "manifests":
            return self._manifest(request, name, rest, body)
        if rest.startswith("uploads/"):
            return self._upload(request, name, rest.removeprefix("uploads/"), query, body)
        blob = self.repository(name).blobs.get(rest)
        if blob is None:
            return _error(404, "BLOB_UNKNOWN")
        if self.settings.redirects_blobs and request.command == "GET":
            return Answer(307, {"Location": f"http://{self.other}/elsewhere/{rest}"})
        return self._part(request, blob)

    def _is_at_other(self, request: BaseHTTPRequestHandler) -> bool:
        return request.headers.get("Host") == self.other

    def _any_blob(self, digest: str) -> bytes:
        return next(each.blobs[digest] for each in self.repositories.values() if digest in each.blobs)

    def _part(self, request: BaseHTTPRequestHandler, blob: bytes) -> Answer:
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        if match is None:
            return Answer(200, {}, blob)
        start = int(match[1])
        if start >= len(blob):
            return Answer(416, {})
        return Answer(206, {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}, blob[start:])

    # uploads

    def _upload(
        self, request: BaseHTTPRequestHandler, name: str, session: str, query: dict[str, list[str]], body: bytes
    ) -> Answer:
        own = self.repository(name)
        if request.command == "POST":
            source = self.repositories.get(query.get("from", [""])[0])
            wanted = query.get("mount", [""])[0]
            if self.settings.mounts and source and wanted in source.blobs:
                own.blobs[wanted] = source.blobs[wanted]
                return Answer(201, {"Location": f"/v2/{name}/blobs/{wanted}"})
            session = f"session-{next(self._sessions)}"
            self.uploads[session] = bytearray()
            return Answer(202, self._state(name, session))
        upload = self.uploads.get(session)
        if upload is None:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        if request.command == "GET":
            return Answer(204, self._state(name, session))
        if request.command == "DELETE":
            del self.uploads[session]
            return Answer(204, {})
        content_range = request.headers.get("Content-Range")
        if request.command == "PATCH":
            if not self.settings.takes_pieces:
                return _error(405, "UNSUPPORTED")
            start, _, end = (content_range or "").partition("-")
            if not start or int(start) != len(upload) or int(end) - int(start) + 1 != len(body):
                return Answer(416, self._state(name, session))
            upload.extend(body)
            return Answer(202, self._state(name, session))
        upload.extend(body)
        digest = query.get("digest", [""])[0]
        if _digest(bytes(upload)) != digest:
            del self.uploads[session]
            return _error(400, "DIGEST_INVALID")
        own.blobs[digest] = bytes(self.uploads.pop(session))
        return Answer(201, {"Location": f"/v2/{name}/blobs/{digest}", **self._said(digest)})

    def _state(self, name: str, session: str) -> dict[str, str]:
        path = f"/v2/{name}/blobs/uploads/{session}"
        location = {
            "relative": path,
            "absolute": f"http://{self.host}{path}",
            "query": f"{path}?_state=a%2Fb%3D&x=1",
            "other host": f"http://{self.other}{path}",
        }[self.settings.location]
        least = self.settings.least_piece_bytes
        size = len(self.uploads[session])
        return {
            "Location": location,
            "Range": f"0-{max(size - 1, 0)}",
            **({"OCI-Chunk-Min-Length": str(least)} if least else {}),
        }

    # manifests

    def _said(self, digest: str) -> dict[str, str]:
        return {"Docker-Content-Digest": digest} if self.settings.says_digests else {}

    def _manifest(self, request: BaseHTTPRequestHandler, name: str, reference: str, body: bytes) -> Answer:
        own = self.repository(name)
        if request.command == "PUT":
            document = json.loads(body)
            blobs = [document.get("config"), *document.get("layers", [])]
            children = document.get("manifests", [])
            if any(blob and blob["digest"] not in own.blobs for blob in blobs):
                return _error(404, "MANIFEST_BLOB_UNKNOWN")
            is_list = reference.startswith("sha256-")
            if not is_list and any(child["digest"] not in own.manifests for child in children):
                return _error(404, "MANIFEST_UNKNOWN")
            digest = _digest(body)
            own.manifests[digest] = (request.headers["Content-Type"], body)
            if not reference.startswith("sha256:"):
                own.tags[reference] = digest
            subject = document.get("subject") if self.settings.has_referrers else None
            told = {"OCI-Subject": subject["digest"]} if subject else {}
            return Answer(201, {"Location": f"/v2/{name}/manifests/{digest}", **self._said(digest), **told})
        digest = own.tags.get(reference, reference)
        if digest not in own.manifests:
            return _error(404, "MANIFEST_UNKNOWN")
        media_type, content = own.manifests[digest]
        return Answer(200, {"Content-Type": media_type, **self._said(digest)}, content)

    def _referrers(self, name: str, digest: str) -> Answer:
        if not self.settings.has_referrers:
            return _error(404, "UNSUPPORTED")
        found = []
        for own, (media_type, content) in self.repository(name).manifests.items():
            document = json.loads(content)
            if (document.get("subject") or {}).get("digest") == digest:
                entry = {"mediaType": media_type, "digest": own, "size": len(content)}
                found.append({**entry, "artifactType": document.get("artifactType")})
        return _json({"schemaVersion": 2, "manifests": found})

    # signing in

    def _refused(self, request: BaseHTTPRequestHandler, needed: set[str]) -> Answer | None:
        settings = self.settings
        if settings.login is None and settings.identity_token is None:
            return None
        given = request.headers.get("Authorization") or ""
        if settings.auth == "basic":
            if settings.login and given == f"Basic {base64.b64encode(':'.join(settings.login).encode()).decode()}":
                return None
            return Answer(401, {"WWW-Authenticate": 'Basic realm="fake, with a comma"'})
        scopes, uses = self.tokens.get(given.removeprefix("Bearer "), (set(), 0))
        if uses > 0 and needed <= scopes:
            self.tokens[given.removeprefix("Bearer ")] = (scopes, uses - 1)
            return None
        realm = f'Bearer realm="http://{self.host}/token",service="fake",error="invalid_token"'
        return Answer(401, {"WWW-Authenticate": realm})

    def _token(self, request: BaseHTTPRequestHandler, query: dict[str, list[str]], body: bytes) -> Answer:
        settings = self.settings
        if request.command == "POST":
            form = parse_qs(body.decode())
            if not settings.identity_by_post:
                return Answer(404, {})
            if form.get("refresh_token") != [settings.identity_token]:
                return Answer(401, {})
            scopes = form["scope"][0].split()
        else:
            login = settings.login or ("", "")
            expected = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
            if request.headers.get("Authorization") != expected:
                return Answer(401, {})
            scopes = query.get("scope", [])
        granted = {
            f"{name}:{action}"
            for scope in scopes
            for name, actions in [scope.removeprefix("repository:").rsplit(":", 1)]
            for action in actions.split(",")
        }
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = (granted, settings.token_uses or 10**9)
        return _json({"access_token" if request.command == "POST" else "token": token, "expires_in": 300})


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: Any) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _error(status: int, code: str) -> Answer:
    return Answer(status, {}, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode())
