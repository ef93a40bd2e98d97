"""Asks a module on loopback: waits until it is ready, sends requests, gives the answers as one JSON document.

It is run as a program by the Python of the image itself, in the container, and imported where the module is a process
of this machine. Nothing but the standard library, and no syntax newer than Python 3.7.
"""

import base64
import http.client
import json
import sys
import time
from typing import Any

_PAUSE_S = 0.1


def ask(port: int, bodies: Any, limit_s: float, has_ended: Any = lambda: False) -> Any:
    """Answers to `bodies` (bytes each), as {"answers": [{"status", "body"}], "problem": text or None}.

    `body` is base64. `limit_s` is for all of it; `has_ended` tells whether it is of no use to go on waiting.
    """
    deadline = time.monotonic() + limit_s
    result: Any = {"answers": [], "problem": None}
    reason = "no answer"
    while True:
        try:
            status, body = _call(port, "GET", "/readyz", None, min(10.0, max(1.0, deadline - time.monotonic())))
            if status in (200, 401):  # behind access keys only those who have one are told
                break
            reason = f"{status} {body.decode('utf-8', 'replace').strip()}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error)
        if has_ended():
            result["problem"] = "the module ended before it was ready"
            return result
        if time.monotonic() > deadline:
            result["problem"] = f"the module is not ready after {limit_s:g} s ({reason})"
            return result
        time.sleep(_PAUSE_S)
    for body in bodies:
        try:
            status, answer = _call(port, "POST", "/score", body, max(0.1, deadline - time.monotonic()))
        except (OSError, http.client.HTTPException) as error:
            timed_out = time.monotonic() >= deadline
            result["problem"] = (
                f"the module has not answered within {limit_s:g} s" if timed_out else f"no answer: {error}"
            )
            return result
        result["answers"].append({"status": status, "body": base64.b64encode(answer).decode()})
    return result


def _call(port: int, method: str, path: str, body: Any, timeout_s: float) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


if __name__ == "__main__":
    request = json.loads(sys.stdin.buffer.readline())
    requests = [base64.b64decode(body) for body in request["bodies"]]
    print(json.dumps(ask(request["port"], requests, request["limit_s"])))
