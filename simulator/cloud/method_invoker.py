"""The one interface through which the service calls direct methods of devices and modules."""

from typing import Any, Protocol


class NotConnected(Exception):
    """The device or module was not connected, and did not come in time."""


class MethodTimeout(Exception):
    """It was called and did not answer in time."""


class MethodInvoker(Protocol):
    """Who knows the connections."""

    async def invoke_method(
        self, client_id: str, name: str, payload: Any, response_timeout_s: float, connect_timeout_s: float
    ) -> tuple[int, Any]:
        """The status and payload (both of the client's choice) of a method's answer.

        Raises:
            NotConnected: not there within `connect_timeout_s`.
            MethodTimeout: no answer within `response_timeout_s`.
        """
