"""Client of the workload API: what the security daemon of IoT Edge does for a module, over a unix socket.

    GET  /trust-bundle                             -> the authorities of edgeHub's certificate, as PEM
    POST /modules/{m}/genid/{g}/sign               -> HMAC-SHA256 with the module's key, which never leaves the daemon

One connection a request: the daemon serves ten at a time, and closes any further one without an answer. Every request
has a time limit, and its answer a size limit. Failures are one sentence each; trying again is the caller's.
"""

import asyncio
import base64
import binascii
import json
from typing import Any, NamedTuple
from urllib.parse import quote

from device_agent import http_parser
from device_agent.messages.transport import Loss

TIMEOUT_S = 10.0
_MOST_BYTES = 1 << 20
_PREFIX = "unix://"


class WorkloadFailure(Exception):
    """The daemon did not do what it was asked for. `loss` as for a connection; the text is one sentence."""

    def __init__(self, loss: Loss, reason: str) -> None:
        self.loss = loss
        super().__init__(reason)


class WorkloadAddress(NamedTuple):
    """Where the daemon listens (`unix:///path.sock`), and as whom it knows the module."""

    uri: str
    api_version: str
    module_id: str
    generation_id: str

    @property
    def socket_path(self) -> str:
        """The path of the socket; "" when the URI is not of a unix socket."""
        return self.uri.removeprefix(_PREFIX).rstrip("/") if self.uri.startswith(_PREFIX) else ""


class WorkloadClient:
    """Asks the daemon; may be used by any number of tasks. Both methods raise WorkloadFailure within `timeout_s`."""

    def __init__(self, address: WorkloadAddress, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s

    async def sign(self, text: bytes) -> bytes:
        """The signature of `text` by the module's key: 32 bytes."""
        address = self._address
        request = {"keyId": "primary", "algo": "HMACSHA256", "data": base64.b64encode(text).decode()}
        path = f"/modules/{quote(address.module_id, safe='')}/genid/{quote(address.generation_id, safe='')}/sign"
        digest = await self._ask("POST", path, "digest", json.dumps(request).encode())
        try:
            return base64.b64decode(digest, validate=True)
        except (binascii.Error, ValueError):
            raise self._failure(Loss.REFUSED, "answered a signature that is no base64") from None

    async def authorities(self) -> str:
        """The certificates that edgeHub's must lead to, as PEM."""
        bundle = await self._ask("GET", "/trust-bundle", "certificate")
        if "-----BEGIN CERTIFICATE-----" not in bundle:
            raise self._failure(Loss.REFUSED, "answered a trust bundle without a certificate")
        return bundle

    async def _ask(self, method: str, path: str, member: str, body: bytes = b"") -> str:
        """The text that the answer to a request has under the name `member`."""
        answer = _Answer()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._exchange(self._head(method, path, len(body)) + body, answer)
        except TimeoutError:
            raise self._failure(Loss.SILENT, f"did not answer {path} within {self._timeout_s:g} s") from None
        except OSError as error:
            raise self._failure(Loss.UNREACHABLE, f"cannot be reached: {error.strerror or error}") from error
        except http_parser.HttpParserError:
            raise self._failure(Loss.REFUSED, f"answered {path} with what is no HTTP") from None
        if not answer.is_complete:
            raise self._failure(Loss.CLOSED, f"closed the connection without a whole answer to {path}")
        return self._read_answer(answer, path, member)

    async def _exchange(self, request: bytes, answer: "_Answer") -> None:
        reader, writer = await asyncio.open_unix_connection(self._address.socket_path)
        try:
            writer.write(request)
            while not answer.is_complete and len(answer.body) <= _MOST_BYTES and (data := await reader.read(65536)):
                answer.parser.feed_data(data)
        finally:
            writer.close()

    def _read_answer(self, answer: "_Answer", path: str, member: str) -> str:
        try:
            document: Any = json.loads(bytes(answer.body))
        except ValueError:
            document = None
        status = answer.parser.get_status_code()
        if not 200 <= status < 300:
            said = document.get("message") if isinstance(document, dict) else None
            more = f": {said[:300]}" if isinstance(said, str) else ""
            raise self._failure(Loss.REFUSED, f"answered {path} with status {status}{more}")
        if not isinstance(document, dict) or not isinstance(document.get(member), str):
            raise self._failure(Loss.REFUSED, f"answered {path} without a {member}")
        text: str = document[member]
        return text

    def _head(self, method: str, path: str, length: int) -> bytes:
        version = quote(self._address.api_version, safe="")
        lines = (f"{method} {path}?api-version={version} HTTP/1.1", "Host: localhost", "Connection: close")
        more = ("Content-Type: application/json", f"Content-Length: {length}") if length else ()
        return "\r\n".join((*lines, *more, "", "")).encode()

    def _failure(self, loss: Loss, what: str) -> WorkloadFailure:
        return WorkloadFailure(loss, f"The IoT Edge security daemon at {self._address.socket_path} {what}")


class _Answer:
    """An HTTP response, as the parser reports it."""

    def __init__(self) -> None:
        self.parser = http_parser.HttpResponseParser(self)
        self.body = bytearray()
        self.is_complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True
