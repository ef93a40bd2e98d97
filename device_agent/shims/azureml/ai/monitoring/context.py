"""Stand-in for `azureml.ai.monitoring.context`: what ties the data of several collectors together."""

import time
import uuid
from typing import Any


class CorrelationContext:
    """What every context has; scripts may make their own."""

    @staticmethod
    def get_id() -> str:
        """The correlation id."""
        return ""

    def __str__(self) -> str:
        return self.get_id()

    def __repr__(self) -> str:
        return self.get_id()


class BasicCorrelationContext(CorrelationContext):
    """An id (a new one unless given), seconds since the epoch (now, unless given), and further attributes."""

    def __init__(
        self,
        id: str | None = None,  # the name that scripts use
        timestamp: int | None = None,
        headers: dict[str, Any] | None = None,
    ) -> None:
        self.id = id or str(uuid.uuid4())
        self.timestamp = timestamp or int(time.time())
        self.headers = headers or {}

    def get_id(self) -> str:  # type: ignore[override]  # a static method above, as in the SDK
        """The correlation id."""
        return self.id

    def get_timestamp(self) -> int:
        """Seconds since the epoch."""
        return self.timestamp

    def get_headers(self) -> dict[str, Any]:
        """Further attributes of what is collected."""
        return self.headers


class WrapperContext(CorrelationContext):
    """A context and what became of the call; `collect` returns it with AZUREML_MDC_DEBUG=true."""

    def __init__(self, correlation_context: Any, success: bool, message: str) -> None:
        self._context = correlation_context
        self._success = success
        self._message = message

    def get_id(self) -> str:  # type: ignore[override]  # as above
        """The correlation id."""
        return str(self._context.get_id())

    def get_timestamp(self) -> Any:
        """Seconds since the epoch."""
        return self._context.get_timestamp()

    def get_headers(self) -> Any:
        """Further attributes of what is collected."""
        return self._context.get_headers()

    def is_success(self) -> bool:
        """Whether the data was kept."""
        return self._success

    def get_message(self) -> str:
        """Why it was not, or `accepted`."""
        return self._message


def get_context() -> BasicCorrelationContext:
    """A new context."""
    return BasicCorrelationContext()


def get_context_wrapper(context: Any, success: bool, message: str) -> WrapperContext:
    """`context` with what became of the call."""
    return WrapperContext(context, success, message)
