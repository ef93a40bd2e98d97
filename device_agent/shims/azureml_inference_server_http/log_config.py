"""Stand-in for `azureml_inference_server_http.log_config`: the classes that a logging.json may name."""

import logging
import time
from typing import Any

LINE_FORMAT = "%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s"


class AMLLogFormatter(logging.Formatter):
    """Lines like the server's own: `2024-05-01 12:00:00,123 I [42] logger - message`, in UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, style: Any = "%", **others: Any) -> None:
        super().__init__(fmt or LINE_FORMAT, datefmt, style, **others)


class RootAccessFilter(logging.Filter):
    """Keeps health probes out of an access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line about `GET /`."""
        return "GET / HTTP/1.1" not in record.getMessage()
