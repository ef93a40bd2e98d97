"""Direct methods from the cloud to a device or module, over whichever of the hubs serves it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from simulator.cloud.method_invoker import MethodTimeout, NotConnected
from simulator.hub.broker import Broker

LARGEST_PAYLOAD_BYTES = 131_072
_CONNECT_POLL_S = 0.05


class MethodCalls:
    """`broker_of`: who speaks to a client id now, None when the network is away."""

    def __init__(self, broker_of: Callable[[str], Broker | None]) -> None:
        self._broker_of = broker_of
        self._numbers = itertools.count(1)

    async def invoke_method(
        self, client_id: str, name: str, payload: Any, response_timeout_s: float = 30, connect_timeout_s: float = 0
    ) -> tuple[int, Any]:
        """Call a method; the client's status and payload.

        Raises:
            NotConnected: not there, or not listening to methods, within `connect_timeout_s`.
            MethodTimeout: no answer within `response_timeout_s`.
        """
        answered: asyncio.Future[tuple[int, Any]] = asyncio.get_running_loop().create_future()
        request_id = f"m{next(self._numbers)}"

        def answer(status: int, document: Any) -> None:
            if not answered.done():
                answered.set_result((status, document))

        deadline_s = asyncio.get_running_loop().time() + connect_timeout_s
        while (broker := self._call(client_id, name, payload, request_id, answer)) is None:
            if asyncio.get_running_loop().time() >= deadline_s:
                raise NotConnected(f"{client_id} is not online, or does not listen to methods")
            await asyncio.sleep(_CONNECT_POLL_S)
        try:
            return await asyncio.wait_for(answered, response_timeout_s)
        except TimeoutError:
            raise MethodTimeout(f"{client_id} did not answer {name} in {response_timeout_s:g} s") from None
        finally:
            broker.answers.pop(request_id, None)

    def _call(
        self, client_id: str, name: str, payload: Any, request_id: str, answer: Callable[[int, Any], None]
    ) -> Broker | None:
        broker = self._broker_of(client_id)
        if broker is not None and broker.call(client_id, name, payload, request_id, answer):
            return broker
        return None
