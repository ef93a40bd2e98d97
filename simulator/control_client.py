"""Asks a running simulation through its control socket: one JSON document a line, one answer a request.

A client has one connection, made at the first request and again after it was lost; requests on it wait for each other,
so what may take long (a direct method) gets a client of its own. Nothing is sent twice: a request whose connection
breaks before the answer fails, and whether it was carried out is not known.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from edgepack.errors import RemoteError
from simulator.snapshot import Snapshot, SnapshotError, parse_snapshot

_MOST_BYTES = 64 * 1024 * 1024


class SimulationAway(RemoteError):
    """Nothing answers at the socket (now): the simulation has ended, or has not begun."""


class RequestRefused(RemoteError):
    """The simulation answered that it will not; its text says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class LogLines(NamedTuple):
    """Lines of a module's log; the following ones are asked for with `after=next`."""

    lines: tuple[str, ...]
    next: int


class ControlClient:
    """A connection to the control socket at `path`; an answer may take `timeout_s` seconds. A context manager.

    Every request raises SimulationAway or RequestRefused.
    """

    def __init__(self, path: Path, timeout_s: float = 10) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is None:
            return
        writer, self._streams = self._streams[1], None
        writer.close()
        with contextlib.suppress(OSError):  # it may be broken already
            await writer.wait_closed()

    async def request(self, document: Mapping[str, Any]) -> Any:
        """Send one request and return the result of its answer."""
        async with self._lock:
            try:
                async with asyncio.timeout(self.timeout_s):
                    answer = await self._exchange(json.dumps(document, allow_nan=False).encode() + b"\n")
            except TimeoutError:
                await self.close()
                raise SimulationAway(f"the simulation at {self.path} did not answer in {self.timeout_s:g} s") from None
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                await self.close()
                raise SimulationAway(f"no simulation answers at {self.path}: {_reason(error)}") from error
            except BaseException:
                await self.close()  # an answer that nobody waits for would be taken for the next one's
                raise
        return _result(answer, self.path)

    async def snapshot(self) -> Snapshot:
        """What the run looks like now."""
        document = await self.request({"do": "snapshot"})
        try:
            return parse_snapshot(document)
        except SnapshotError as error:
            raise RequestRefused(f"the simulation at {self.path} speaks another language: {error}") from error

    async def logs(self, module: str, after: int = 0, limit: int = 500) -> LogLines:
        """At most `limit` lines of the log of `DEVICE/MODULE`, from number `after` on."""
        result = await self.request({"do": "logs", "module": module, "after": after, "limit": limit})
        return LogLines(tuple(str(line) for line in result["lines"]), int(result["next"]))

    async def twin(self, identity: str) -> dict[str, Any]:
        """The twin of `DEVICE` or `DEVICE/MODULE`, with tags and properties."""
        twin: dict[str, Any] = await self.request({"do": "twin", "id": identity})
        return twin

    async def set_twin(self, identity: str, patch: Mapping[str, Any]) -> None:
        """Change desired properties: a merge patch, in which null removes."""
        await self.request({"do": "set_twin", "id": identity, "desired": dict(patch)})

    async def invoke(self, identity: str, method: str, payload: Any = None) -> dict[str, Any]:
        """Call a direct method; `{"status", "payload"}`."""
        answer: dict[str, Any] = await self.request(
            {"do": "invoke", "id": identity, "method": method, "payload": payload}
        )
        return answer

    async def send(self, identity: str, input_name: str, body: Any) -> None:
        """Put a message with a JSON body on an input of a module."""
        await self.request({"do": "send", "id": identity, "input": input_name, "body": body})

    async def stop(self) -> None:
        """End the run as its duration would: drain, report, exit."""
        await self.request({"do": "stop"})

    async def _exchange(self, line: bytes) -> bytes:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self.path, limit=_MOST_BYTES)
        reader, writer = self._streams
        writer.write(line)
        await writer.drain()
        return await reader.readuntil(b"\n")


def _reason(error: Exception) -> str:
    if isinstance(error, asyncio.IncompleteReadError):
        return "it closed the connection"
    return getattr(error, "strerror", None) or str(error)


def _result(answer: bytes, path: Path) -> Any:
    try:
        document = json.loads(answer)
        if document["ok"]:
            return document["result"]
        text = str(document["error"])
    except (ValueError, KeyError, TypeError) as error:
        raise RequestRefused(f"the simulation at {path} answers {answer[:80]!r}, which is no answer") from error
    raise RequestRefused(text)
