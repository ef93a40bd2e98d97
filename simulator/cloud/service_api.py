"""The service interface on HTTPS: requests of the network -> `service_rules` -> answers. The shell around the rules.

It runs in the caller's event loop, installs no signal handlers and changes no logging. The caller brings certificate
and key as files. A direct method holds its request open until the method's answer; it holds up no other.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from edgepack.errors import RemoteError
from simulator.cloud.hub_error import HubError
from simulator.cloud.method_invoker import MethodInvoker, MethodTimeout, NotConnected
from simulator.cloud.service_request import LARGEST_BODY_BYTES, Hub, MethodCall, Reply, Request
from simulator.cloud.service_rules import answer, refusal

_DRAIN_S = 1


def service_app(hub: Hub, invoker: MethodInvoker, now: Callable[[], float]) -> ASGIApp:
    """The ASGI application, for HTTP alone. `now` tells seconds since 1970, by which tokens expire."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await _read(HttpRequest(scope, receive), now())
        except ClientDisconnect:
            return
        await _response(await _answer(hub, invoker, request))(scope, receive, send)

    return respond


@asynccontextmanager
async def serve_service(
    app: ASGIApp, certificate: Path, key: Path, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Answer on HTTPS while the context lasts; yields the port (0: a free one is taken).

    Raises:
        RemoteError: the port is taken, or certificate and key do not fit.
    """
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise RemoteError(
            f"the service interface cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
        ) from error
    with listening:
        try:
            config = uvicorn.Config(
                app,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=_DRAIN_S,
            )
            config.load()
        except OSError as error:
            raise RemoteError(f"the service interface cannot use {certificate} with {key}: {error}") from error
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await asyncio.wait(
                [serving, waiting := asyncio.create_task(server.listens.wait())], return_when="FIRST_COMPLETED"
            )
            waiting.cancel()
            if serving.done():
                await serving
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves the process's signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.listens.set()


async def _read(http_request: HttpRequest, now_s: float) -> Request:
    """The request, with a body of at most a little more than the largest."""
    body = bytearray()
    async for chunk in http_request.stream():
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            break
    raw = http_request.scope.get("raw_path") or http_request.scope["path"].encode()
    path = raw.decode("ascii", "replace").partition("?")[0].strip("/")
    return Request(
        method=http_request.method,
        path=tuple(unquote(part) for part in path.split("/")),
        query=dict(http_request.query_params),
        headers={name.lower(): value for name, value in http_request.headers.items()},
        body=bytes(body),
        now_s=now_s,
    )


async def _answer(hub: Hub, invoker: MethodInvoker, request: Request) -> Reply:
    if len(request.body) > LARGEST_BODY_BYTES:
        return refusal(HubError(413, f"the body has more than {LARGEST_BODY_BYTES} bytes"), request)
    found = answer(hub, request)
    return await _call(invoker, found, request) if isinstance(found, MethodCall) else found


async def _call(invoker: MethodInvoker, call: MethodCall, request: Request) -> Reply:
    try:
        status, payload = await invoker.invoke_method(
            call.client_id, call.name, call.payload, call.response_timeout_s, call.connect_timeout_s
        )
        json.dumps(payload, allow_nan=False)
    except NotConnected:
        text = f"{call.client_id} is not connected, waited for {call.connect_timeout_s} s"
        return refusal(HubError(404, text, "DeviceNotOnline"), request)
    except MethodTimeout:
        text = f"{call.client_id} did not answer {call.name!r} within {call.response_timeout_s} s"
        return refusal(HubError(504, text), request)
    except (ValueError, RecursionError):
        return refusal(
            HubError(502, f"{call.client_id} answered {call.name!r} with something that is no JSON"), request
        )
    return Reply(200, {"status": status, "payload": payload})


def _response(reply: Reply) -> Response:
    headers = {"Content-Type": "application/json; charset=utf-8"} if reply.document is not None else {}
    return Response(_encoded(reply.document), reply.status, headers | dict(reply.headers))


def _encoded(document: Any) -> bytes:
    return b"" if document is None else json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
