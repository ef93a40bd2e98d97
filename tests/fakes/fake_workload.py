"""A security daemon of IoT Edge on a unix socket: trust bundle and signing, and what can go wrong with it."""

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.loop_thread import LoopThread, end_other_tasks


class FakeWorkload:
    """Serves one module in a thread of its own. A context manager. Its attributes may be changed while it runs.

    `hangs`: it takes requests and never answers. `raw`: bytes that it answers instead, whatever was asked.
    """

    def __init__(self, path: Path, key: bytes, trust_bundle: str, module_id: str = "scorer") -> None:
        self.path = path
        self.trust_bundle = trust_bundle
        self.module_id = module_id
        self.hangs = False
        self.raw: bytes | None = None
        self.requests: list[str] = []
        self._key = key
        self._loop = LoopThread()
        self._server: asyncio.Server | None = None

    def environment(self, hub: str, gateway: str, device_id: str) -> dict[str, str]:
        """The variables that a module gets."""
        return {
            "IOTEDGE_IOTHUBHOSTNAME": hub,
            "IOTEDGE_GATEWAYHOSTNAME": gateway,
            "IOTEDGE_DEVICEID": device_id,
            "IOTEDGE_MODULEID": self.module_id,
            "IOTEDGE_MODULEGENERATIONID": "636463636327267111",
            "IOTEDGE_WORKLOADURI": f"unix://{self.path}",
            "IOTEDGE_APIVERSION": "2019-01-30",
            "IOTEDGE_AUTHSCHEME": "sasToken",
        }

    def __enter__(self) -> Self:
        self._loop.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.run(end_other_tasks())
        self._loop.stop()

    def start(self) -> None:
        """Listen."""
        self._server = self._loop.run(asyncio.start_unix_server(self._serve, self.path))

    def stop(self) -> None:
        """Listen no more."""
        self._loop.run(self._close())
        self.path.unlink(missing_ok=True)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0
            )
            body = await reader.readexactly(length)
            self.requests.append(head.splitlines()[0])
            while self.hangs:
                await asyncio.sleep(0.01)
            writer.write(self._answer(head.split()[1], body) if self.raw is None else self.raw)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, target: str, body: bytes) -> bytes:
        path, _, query = target.partition("?")
        if not query.startswith("api-version="):
            return response(400, {"message": "no api-version"})
        if path == "/trust-bundle":
            return response(200, {"certificate": self.trust_bundle})
        if path != f"/modules/{self.module_id}/genid/636463636327267111/sign":
            return response(403, {"message": "Forbidden: another module"})
        text = base64.b64decode(json.loads(body)["data"])
        digest = hmac.new(self._key, text, hashlib.sha256).digest()
        return response(200, {"digest": base64.b64encode(digest).decode()})


def response(status: int, document: object) -> bytes:
    """An HTTP response with a JSON body."""
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
