"""Who may read the page: a decision a request. Pure.

Against DNS rebinding, the Host header must be an address or a name that this machine was asked to answer to: a foreign
name that resolves to this machine is refused. Against other sites' scripts, an Origin must be the page's own. Where
the page is not on loopback, a token is needed as well: in the address at first, then in a cookie.
"""

import hmac
import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

TOKEN = "token"  # noqa: S105 - the name of the parameter
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - names of it


class Listening(NamedTuple):
    """Where the page is served. `token` is "" on loopback; `names` are those of this machine."""

    host: str
    port: int
    token: str = ""
    names: tuple[str, ...] = ()

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies of a host are shared between its ports."""
        return f"edgepack_dashboard_{self.port}"

    @property
    def url(self) -> str:
        """The address to open."""
        host = self.names[0] if self.host in WILDCARDS and self.names else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?{TOKEN}={self.token}" if self.token else "")


class Request(NamedTuple):
    """What the decision depends on; "" for what the request has not."""

    host: str
    origin: str = ""
    token: str = ""
    cookie: str = ""


class Decision(NamedTuple):
    """Let in when `status` is 0, else refused with a text. `sets_cookie`: go to the same page without the token."""

    status: int = 0
    text: str = ""
    sets_cookie: bool = False


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def decide(listening: Listening, request: Request) -> Decision:
    """Let in, refuse, or hand out the cookie."""
    if not _is_own_name(listening, _host_name(request.host)):
        return Decision(421, f"this page is not {request.host or 'nameless'}: open {listening._replace(token='').url}")
    if request.origin and urlsplit(request.origin).netloc != request.host:
        return Decision(403, f"a page of {request.origin} may not read this one")
    if not listening.token or _same(request.cookie, listening.token):
        return Decision()
    if _same(request.token, listening.token):
        return Decision(sets_cookie=True)
    return Decision(401, "open the address with the token that was printed when the simulation started")


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own_name(listening: Listening, name: str) -> bool:
    if name in ("localhost", listening.host.lower(), *(own.lower() for own in listening.names)):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not is_loopback(listening.host)
