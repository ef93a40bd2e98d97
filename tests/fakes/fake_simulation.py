"""A simulation's control socket without a simulation: the real protocol, and whatever the test wants it to say."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulator.snapshot import LinkState, Snapshot
from tests.fakes.loop_thread import LoopThread, end_other_tasks

FAULTS = frozenset(
    """
    offline online latency loss bandwidth half_open restart_hub kill_agent disk_full expire_token clock_jump
    """.split()
)


class FakeSimulation:
    """Serves in a thread of its own. A context manager. Its attributes may be changed while it runs.

    `requests`: all that were asked, but for snapshots and logs. `refusals`: by `do`, the error that it answers with.
    `hangs`: it takes requests and never answers. `raw`: bytes that it answers instead.
    """

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self.path = path
        self.snapshot = snapshot
        self.logs: dict[str, list[str]] = {}
        self.twins: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.refusals: dict[str, str] = {}
        self.hangs = False
        self.raw: bytes | None = None
        self.on_snapshot: Callable[[], None] = lambda: None
        self._never = asyncio.Event()  # kept: a task that waits for what nobody else knows is garbage
        self._loop = LoopThread()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._loop.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.stop()

    def start(self) -> None:
        """Listen."""
        self._server = self._loop.run(asyncio.start_unix_server(self._serve, self.path))

    def stop(self) -> None:
        """Listen no more, and break all connections."""
        self._loop.run(self._stop())
        self.path.unlink(missing_ok=True)

    def asked(self, do: str) -> list[dict[str, Any]]:
        """What was asked of this kind."""
        return [request for request in self.requests if request["do"] == do]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await end_other_tasks()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                if self.hangs:
                    await self._never.wait()
                writer.write(self.raw if self.raw is not None else self._answer(line))
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _answer(self, line: bytes) -> bytes:
        request = json.loads(line)
        try:
            answer = {"ok": True, "result": self._result(request)}
        except LookupError as error:
            answer = {"ok": False, "error": str(error.args[0])}
        return json.dumps(answer).encode() + b"\n"

    def _result(self, request: Mapping[str, Any]) -> Any:
        do = request["do"]
        if do not in ("snapshot", "logs", "twin"):
            self.requests.append(dict(request))
        if do in self.refusals:
            raise LookupError(self.refusals[do])
        if do == "snapshot":
            self.on_snapshot()
            return self.snapshot.document()
        if do == "logs":
            lines = self.logs.get(request["module"], [])
            found = lines[request["after"] : request["after"] + request["limit"]]
            return {"lines": found, "next": min(request["after"], len(lines)) + len(found)}
        if do in FAULTS:
            self._fault(request)
            return None
        if do == "stop":
            self.snapshot = replace(self.snapshot, state="draining")
            return None
        answers = {"twin": self._twin, "set_twin": self._set_twin, "invoke": self._invoke, "send": self._send}
        return answers[do](request)

    def _fault(self, step: Mapping[str, Any]) -> None:
        links = dict(self.snapshot.links)
        if step["do"] in ("offline", "online"):
            name = step.get("link", "upstream")
            links[name] = replace(links.get(name, LinkState()), up=step["do"] == "online")
        fault = {"at_s": self.snapshot.at_s, **step}
        self.snapshot = replace(self.snapshot, links=links, faults=(*self.snapshot.faults, fault))

    def _twin(self, request: Mapping[str, Any]) -> Any:
        if request["id"] not in self.twins:
            raise LookupError(f"there is no device or module {request['id']}")
        return self.twins[request["id"]]

    def _set_twin(self, request: Mapping[str, Any]) -> None:
        desired = self._twin(request)["properties"]["desired"]
        for key, value in request["desired"].items():
            if value is None:
                desired.pop(key, None)
            else:
                desired[key] = value
        desired["$version"] += 1

    def _invoke(self, request: Mapping[str, Any]) -> Any:
        return {"status": 200, "payload": {"echo": request["payload"]}}

    def _send(self, request: Mapping[str, Any]) -> None:
        return None
