"""The table of routes, the texts of refusals, and how a service presents itself. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

NOT_FOUND_TEXT = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
SHORT_WRONG_METHOD_TEXT = "Method not allowed"
NO_KEY_TEXT = "An access key is needed: send it as Authorization: Bearer KEY."
METHODS = {
    "/": ("GET", "HEAD", "OPTIONS"),
    "/score": ("GET", "HEAD", "OPTIONS", "POST"),
    "/swagger.json": ("GET", "HEAD", "OPTIONS"),
    "/livez": ("GET", "HEAD"),
    "/readyz": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
}
HAVE_CORS = ("/", "/score", "/swagger.json")
OPEN_ROUTES = ("/", "/livez", "/readyz")


@dataclass(frozen=True)
class HttpOptions:
    """How this service presents itself. `user_swagger` are documents by version, served as they are."""

    service_name: str = "ML service"
    service_version: str = "1.0"
    path_prefix: str = ""
    show_server_version: bool = True
    logs_requests: bool = True
    user_swagger: Mapping[str, bytes] = field(default_factory=dict)
