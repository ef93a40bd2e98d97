"""The direct methods of the module, by name. Each ends within the time that a caller waits by default (30 s).

ping    {"status": "ok", "version"}
score   the payload is the argument of run(); its result is the answer, with the status that HTTP would give
reload  starts the script's processes again, one after the other, with init(); waits until they are ready
stats   the reported properties, as they are now
flush   sends at once what can be sent, also what was set aside: {"restored", "left"}
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from device_agent import __version__
from device_agent.messages.message import MethodCall
from device_agent.messages.transport import Transport
from device_agent.scorer import ScoringRequest, score

LONGEST_S = 25.0
LONGEST_ANSWER_BYTES = 128 * 1024
_LOOK_EVERY_S = 0.05
_UNDER_WAY: set[asyncio.Future[tuple[int, object]]] = set()  # or they would be collected when nobody waits


class Module(Protocol):
    """What the methods need of the module."""

    @property
    def scorer(self) -> Any:
        """Runs the script; has `reload`."""
        ...

    @property
    def messages_left(self) -> int:
        """Messages in the buffer that are to be sent."""
        ...

    def state_report(self) -> dict[str, Any]:
        """What the module says about itself."""
        ...

    async def flush(self) -> int:
        """Send at once; return how many messages were restored."""
        ...


class MethodCalls:
    """The calls under way."""

    def __init__(self, module: Module, transport: Transport) -> None:
        self._module = module
        self._transport = transport
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def begin(self, call: MethodCall) -> None:
        """Carry it out, and answer it."""
        task = asyncio.get_running_loop().create_task(self._answer(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Answer no more."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()

    async def _answer(self, call: MethodCall) -> None:
        status, payload = await answer_method(self._module, call)
        if len(json.dumps(payload)) > LONGEST_ANSWER_BYTES:
            status, payload = 413, {"message": f"the answer is longer than {LONGEST_ANSWER_BYTES} bytes"}
        if not self._is_closed:
            self._transport.answer_method(call, status, payload)


async def answer_method(module: Module, call: MethodCall) -> tuple[int, object]:
    """Carry out a direct method; return the status and the answer's JSON."""
    method = _METHODS.get(call.name)
    if method is None:
        return 404, {"message": f"there is no method {call.name!r}; there are {', '.join(sorted(_METHODS))}"}
    task = asyncio.ensure_future(method(module, call.payload))
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    done, _ = await asyncio.wait({task}, timeout=LONGEST_S)
    if not done:
        return 504, {"message": f"{call.name} has not ended within {LONGEST_S:g} s; it goes on"}
    return task.result()


async def _ping(module: Module, payload: object) -> tuple[int, object]:
    return 200, {"status": "ok", "version": __version__}


async def _score(module: Module, payload: object) -> tuple[int, object]:
    body = json.dumps(payload).encode()
    result = await score(module.scorer, ScoringRequest(body, content_type="application/json"))
    try:
        return result.status, json.loads(result.body)
    except ValueError:
        return result.status, result.body.decode("utf-8", "replace")


async def _reload(module: Module, payload: object) -> tuple[int, object]:
    await module.scorer.reload()
    reason = module.scorer.not_ready_reason
    return (500, {"message": reason}) if reason else (200, {"status": "ready"})


async def _stats(module: Module, payload: object) -> tuple[int, object]:
    return 200, module.state_report()


async def _flush(module: Module, payload: object) -> tuple[int, object]:
    restored = await module.flush()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + LONGEST_S - 5.0
    while module.messages_left and loop.time() < deadline_s:
        await asyncio.sleep(_LOOK_EVERY_S)
    return 200, {"restored": restored, "left": module.messages_left}


_METHODS: dict[str, Callable[[Module, object], Awaitable[tuple[int, object]]]] = {
    "ping": _ping,
    "score": _score,
    "reload": _reload,
    "stats": _stats,
    "flush": _flush,
}
