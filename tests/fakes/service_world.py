"""A small hub behind its service interface: one edge device, one plain device, policies with known keys, a fake of
what calls methods. Calls go in as values, no socket.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import quote

from simulator.cloud.configurations import Configurations
from simulator.cloud.method_invoker import MethodTimeout, NotConnected
from simulator.cloud.registry import Registry
from simulator.cloud.service_access import policies_of
from simulator.cloud.service_request import Hub, MethodCall, Reply, Request
from simulator.cloud.service_rules import answer
from simulator.cloud.throttle import Throttle

NOW_S = 1_767_225_600.0
OWNER_KEY = b"owner key of thirty-two bytes..."
VERSION = "2021-04-12"


def token(audience: str, key: bytes, policy: str = "", expiry_s: int = int(NOW_S) + 3600) -> str:
    """A token for `HOST/...`."""
    sr = quote(audience, safe="")
    signature = base64.b64encode(hmac.new(key, f"{sr}\n{expiry_s}".encode(), hashlib.sha256).digest()).decode()
    text = f"SharedAccessSignature sr={sr}&sig={quote(signature, safe='')}&se={expiry_s}"
    return f"{text}&skn={policy}" if policy else text


def manifest(*modules: str, threshold: float = 0.5) -> dict[str, Any]:
    """A deployment of these modules."""
    docker = {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "image:1"}}
    agent = {"schemaVersion": "1.1", "runtime": {"type": "docker", "settings": {}}, "systemModules": {}}
    return {
        "modulesContent": {
            "$edgeAgent": {"properties.desired": {**agent, "modules": dict.fromkeys(modules, docker)}},
            "$edgeHub": {"properties.desired": {"schemaVersion": "1.1", "routes": {"up": "FROM /* INTO $upstream"}}},
            **{name: {"properties.desired": {"threshold": threshold}} for name in modules},
        }
    }


class FakeInvoker:
    """Answers `echo` with its payload; `absent` is not connected, `slow` never answers, `odd` answers no JSON."""

    def __init__(self) -> None:
        self.calls: list[MethodCall] = []

    async def invoke_method(
        self, client_id: str, name: str, payload: Any, response_timeout_s: float, connect_timeout_s: float
    ) -> tuple[int, Any]:
        """As the name of the method says."""
        self.calls.append(MethodCall(client_id, name, payload, int(response_timeout_s), int(connect_timeout_s)))
        if name == "absent":
            raise NotConnected
        if name == "slow":
            raise MethodTimeout
        return 200, float("nan") if name == "odd" else payload


class ServiceWorld:
    """The hub, and calls to it."""

    def __init__(self, *, throttled: bool = False) -> None:
        numbers = count(1)
        self.now_s = NOW_S
        self.registry = Registry(
            lambda: self.now_s, lambda: b"key number %021d" % next(numbers), lambda: f"g{next(numbers)}"
        )
        self.registry.add_device("edge-1", is_edge=True)
        self.registry.add_device("sensor-1", parent="edge-1")
        keys = dict.fromkeys(("iothubowner", "service", "registryRead", "registryReadWrite"), (OWNER_KEY, b""))
        self.hub = Hub(self.registry, Configurations(), policies_of(keys), throttle=Throttle() if throttled else None)

    def raw(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: str
    ) -> Reply | MethodCall:
        """The answer to a call with exactly these headers. `path` is without the first slash."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return answer(
            self.hub, Request(method, tuple(path.split("/")), query, dict(headers or {}), content, self.now_s)
        )

    def call(
        self, method: str, path: str, body: Any = None, *, policy: str = "iothubowner", etag: str = "", **headers: str
    ) -> Reply:
        """The answer to a call of a service; `_` in names of headers stands for `-`."""
        sent = {"authorization": token("localhost", OWNER_KEY, policy)}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if etag:
            sent["if-match"] = etag
        found = self.raw(method, path, body, headers=sent, **{"api-version": VERSION})
        assert isinstance(found, Reply)
        return found

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The first page of the answer to a query."""
        reply = self.call("POST", "devices/query", {"query": query})
        assert reply.status == 200, reply.document
        rows: list[dict[str, Any]] = reply.document
        return rows
