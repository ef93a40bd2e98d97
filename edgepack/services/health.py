"""Asks a service how it is, by HTTP, and says what that means."""

import contextlib
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.services.record import DEPLOYING, RUNNING, UNKNOWN, Answer

_PROBE_S = 2.0
_CALL_S = 3700.0  # the agent's own longest run() is an hour


@dataclass(frozen=True, slots=True)
class Health:
    """A state and, where that is not `running`, its reason."""

    state: str
    reason: str = ""


def probe(host: str, port: int, key: str | None = None) -> Health:
    """Ask `/readyz` and, where that says no, whether the service was ready before (`/`)."""
    try:
        ready = call(host, port, "GET", "/readyz", key=key, timeout_s=_PROBE_S)
        if ready.status == 200:
            return Health(RUNNING)
        once_ready = call(host, port, "GET", "/", key=key, timeout_s=_PROBE_S).status == 200
    except ConnectionRefusedError:
        return Health(DEPLOYING, "does not listen yet")
    except (OSError, http.client.HTTPException) as error:
        return Health(UNKNOWN, f"does not answer ({error or type(error).__name__})")
    reason = _reason(ready)
    return Health(UNKNOWN if once_ready else DEPLOYING, f"not ready: {reason}")


def _reason(answer: Answer) -> str:
    """What the agent says why it is not ready."""
    text = answer.body.decode(errors="replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):  # else it is a text, as it is
        text = str(json.loads(text)["reason"])
    return text or f"status {answer.status}"


def call(
    host: str,
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    key: str | None = None,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = _CALL_S,
) -> Answer:
    """One request.

    Raises:
        OSError, http.client.HTTPException: no answer.
    """
    sent = {"Content-Type": content_type} if content_type else {}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    sent |= headers or {}
    connection = http.client.HTTPConnection(reachable(host), port, timeout=timeout_s)
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, response.getheader("Content-Type", ""), response.read())
    finally:
        connection.close()


def reachable(host: str) -> str:
    """The address by which what listens on `host` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a comparison
