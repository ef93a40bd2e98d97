"""One connection through the Azure SDK, from its client to its end; and the thread on which the SDK's coroutines run.

The SDK calls from its own threads: everything it tells is moved to our loop first. Handlers are coroutines, because it
runs functions four at a time, and so out of order.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from device_agent.messages.iothub.azure_account import explain, failures
from device_agent.messages.iothub.identity import Identity
from device_agent.messages.iothub.topics import SYSTEM_PREFIX
from device_agent.messages.iothub.twin_requests import TwinRequests
from device_agent.messages.iothub.unconfirmed import Unconfirmed
from device_agent.messages.message import Message, MethodCall, Received
from device_agent.messages.transport import Loss, TransportEvents

_CONNECT_TIMEOUT_S = 75.0
_SUBSCRIBE_TIMEOUT_S = 60.0
_SHUTDOWN_TIMEOUT_S = 10.0
_DRAIN_S = 2.0
_MOST_TOLD = 100
_log = logging.getLogger(__name__)


class SdkCalls:
    """An event loop in a thread of its own, on which the SDK's coroutines run: in order, by one more thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(1, "azure-sdk-call"))
        threading.Thread(target=self._serve, name="azure-sdk", daemon=True).start()

    def submit(self, call: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Run it there. May be called on any thread."""
        return asyncio.run_coroutine_threadsafe(call, self._loop)

    async def run(self, call: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        """Run it there, and wait for what it returns. Raises TimeoutError, and whatever it raises."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.wrap_future(self.submit(call))

    def stop(self) -> None:
        """End the thread, and what still runs there."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        self._loop.run_forever()
        if tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._loop.close()


class AzureLinkSettings(NamedTuple):
    """`renewal_after_s`: when the connection is renewed, None for never. The rest as in the transport."""

    identity: Identity
    input_name: str
    confirmation_timeout_s: float
    renewal_after_s: float | None


class _MethodReceipt(NamedTuple):
    link: "AzureLink"
    request: Any


class AzureLink:
    """See the module. Made on the loop, it begins to connect `client` at once. `ended` is called once, at the end."""

    def __init__(
        self,
        sdk: Any,
        calls: SdkCalls,
        client: Any,
        settings: AzureLinkSettings,
        events: TransportEvents,
        ended: Callable[[Loss, str], None],
        told: set[str],
    ) -> None:
        self._sdk = sdk
        self._calls = calls
        self._client = client
        self._settings = settings
        self._events = events
        self._ended = ended
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._is_ready = False
        self._is_over = False
        self._early: list[Callable[[], None]] = []
        self._renewal: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._unconfirmed = Unconfirmed(self._loop, settings.confirmation_timeout_s, self._on_silence)
        self._twin = TwinRequests(self._ask_twin, events.desired, self._loop.call_later)
        self._task = self._loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            await self._calls.run(self._client.connect(), _CONNECT_TIMEOUT_S)
            async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                await asyncio.to_thread(self._set_handlers)
        except failures(self._sdk) as error:
            self.end(*explain(self._sdk, error))
            return
        if not self._client.connected:
            self.end(Loss.CLOSED, "The hub closed the connection")
            return
        if self._settings.renewal_after_s is not None:
            self._renewal = self._loop.call_later(self._settings.renewal_after_s, self._begin_renewal)
        self._is_ready = True
        self._events.connected()
        for step in self._early:
            step()
        self._early.clear()
        self._twin.begin()

    def _set_handlers(self) -> None:
        """Each of them subscribes, and blocks until that is granted."""
        client = self._client

        async def on_state() -> None:
            if not client.connected:
                self._tell(self._on_closed)

        async def on_message(message: Any) -> None:
            self._tell(self._take, message)

        async def on_method(request: Any) -> None:
            self._tell(self._take_method, request)

        async def on_patch(patch: Any) -> None:
            self._tell(self._twin.patched, patch)

        client.on_connection_state_change = on_state
        client.on_message_received = on_message
        client.on_method_request_received = on_method
        client.on_twin_desired_properties_patch_received = on_patch

    def publish(self, key: int, message: Message) -> None:
        """Send this message; `published` follows unless the link ends."""
        if self._is_draining or not self._is_ready:
            return
        self._unconfirmed.add(key, key)
        encoded = encode_message(self._sdk, message)
        if self._settings.identity.module_id:
            sending = self._client.send_message_to_output(encoded, message.output)
        else:
            sending = self._client.send_message(encoded)
        self._start(sending, lambda _: self._on_sent(key), lambda error: self.end(*explain(self._sdk, error)))

    def report(self, properties: Mapping[str, Any]) -> None:
        """Make these the reported properties."""
        self._twin.report(properties)

    def answer_method(self, receipt: object, status: int, payload: object) -> None:
        """Answer a method that was called over this link."""
        if isinstance(receipt, _MethodReceipt) and receipt.link is self and self._is_ready:
            answer = self._sdk.MethodResponse.create_from_method_request(receipt.request, status, payload)
            self._start(self._client.send_method_response(answer), lambda _: None, self._on_lost_answer)

    def end(self, loss: Loss, reason: str) -> None:
        """End it; `ended` follows, when the client is shut down, or does not answer for ten seconds."""
        if not self._is_over:
            self._stop()
            if self._task is not asyncio.current_task():
                self._task.cancel()
            self._task = self._loop.create_task(self._finish(loss, reason))

    async def shut(self, timeout_s: float) -> None:
        """End it, and wait until it is gone. Nothing is called any more."""
        self._stop()
        self._task.cancel()
        await self._shut_client(timeout_s)

    async def _finish(self, loss: Loss, reason: str) -> None:
        await self._shut_client(_SHUTDOWN_TIMEOUT_S)
        self._ended(loss, reason)

    async def _shut_client(self, timeout_s: float) -> None:
        with contextlib.suppress(*failures(self._sdk)):
            await self._calls.run(self._client.shutdown(), timeout_s)

    def _stop(self) -> None:
        self._is_over = True
        self._is_ready = False
        self._twin.end()
        self._unconfirmed.end()
        if self._renewal is not None:
            self._renewal.cancel()

    def _tell(self, step: Callable[..., None], *arguments: object) -> None:
        """Move what the SDK tells in one of its threads to the loop, and to after `connected`."""

        def run() -> None:
            if self._is_ready:
                step(*arguments)
            elif not self._is_over:
                self._early.append(lambda: step(*arguments))

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(run)

    def _start(
        self, call: Coroutine[Any, Any, Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run a coroutine of the SDK, and tell on our loop what became of it."""

        async def run() -> None:
            try:
                result = await call
            except failures(self._sdk) as error:
                self._tell(failed, error)
            else:
                self._tell(done, result)

        self._calls.submit(run())

    def _on_sent(self, key: int) -> None:
        self._unconfirmed.confirm(key)
        self._events.published(key)

    def _on_closed(self) -> None:
        self.end(Loss.CLOSED, "The hub closed the connection")

    def _on_silence(self) -> None:
        limit_s = self._settings.confirmation_timeout_s
        self.end(Loss.SILENT, f"The hub has not confirmed a message for {limit_s:g} s")

    def _on_lost_answer(self, error: Exception) -> None:
        _log.warning("The answer to a direct method was not sent: %s", explain(self._sdk, error)[1])

    def _begin_renewal(self) -> None:
        self._task = self._loop.create_task(self._renew())

    async def _renew(self) -> None:
        self._is_draining = True
        await self._unconfirmed.none_left(_DRAIN_S)
        self.end(Loss.PLANNED, "The token is renewed")

    def _take(self, message: Any) -> None:
        name = message.input_name or ""
        wanted = self._settings.input_name
        if not self._settings.identity.module_id or wanted in ("*", name):
            self._events.received(_received(message, name))
        elif name not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(name)
            _log.warning("Messages to the input %r are ignored: EDGEPACK_INPUT is %r", name[:200], wanted)

    def _take_method(self, request: Any) -> None:
        self._events.method_called(MethodCall(request.name, request.payload, _MethodReceipt(self, request)))

    def _ask_twin(self, request_id: str, patch: Mapping[str, Any] | None) -> None:
        def failed(error: Exception) -> None:
            _log.warning("%s", explain(self._sdk, error)[1])
            self._twin.answered(request_id, 500, None)

        if patch is None:
            self._start(self._client.get_twin(), lambda twin: self._twin.answered(request_id, 200, twin), failed)
        else:
            call = self._client.patch_twin_reported_properties(patch)
            self._start(call, lambda _: self._twin.answered(request_id, 204, None), failed)


def encode_message(sdk: Any, message: Message) -> Any:
    """The SDK's form of a message. Of properties with the same name, the last counts."""
    encoded = sdk.Message(
        message.body,
        message_id=message.message_id or None,
        content_encoding=message.content_encoding or None,
        content_type=message.content_type or None,
    )
    encoded.correlation_id = message.correlation_id or None
    encoded.custom_properties.update(message.properties)
    return encoded


def _received(message: Any, input_name: str) -> Received:
    properties = {name: value or "" for name, value in message.custom_properties.items()}
    device_id, module_id = properties.get("$.cdid", ""), properties.get("$.cmid", "")
    return Received(
        body=message.data,
        input_name=input_name,
        message_id=message.message_id or "",
        properties=tuple(pair for pair in properties.items() if not pair[0].startswith(SYSTEM_PREFIX)),
        content_type=message.content_type or "",
        content_encoding=message.content_encoding or "",
        sender=f"{device_id}/{module_id}" if module_id else device_id,
    )
