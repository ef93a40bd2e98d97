"""Whatever an HTTP server hands to the service interface is answered, in the hub's shape where it is refused."""

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulator.cloud.service_api import service_app
from tests.fakes.service_world import OWNER_KEY, FakeInvoker, ServiceWorld, token

OWNER = token("localhost", OWNER_KEY, "iothubowner").encode()

segments = st.sampled_from(["devices", "twins", "modules", "configurations", "methods", "edge-1", "%24edgeHub"])
paths = st.lists(segments | st.text(st.characters(max_codepoint=255), max_size=4), max_size=6).map("/".join)
names = st.sampled_from([b"if-match", b"x-ms-max-item-count", b"x-ms-continuation", b"x-ms-edge-moduleid"])
queries = st.sampled_from([b"api-version=2021-04-12", b"api-version=2021-04-12&top=0", b"", b"&=%"])
bodies = st.sampled_from([b"{}", b"[]", b'{"query": 1}', b'{"methodName": "echo"}'])


def answer(scope: dict[str, Any], chunks: list[bytes]) -> tuple[int, bytes]:
    """The status and body that the application sends for a request in these chunks."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        world = ServiceWorld()
        await service_app(world.hub, FakeInvoker(), lambda: world.now_s)(scope, receive, send)

    asyncio.run(main())
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=paths,
    query=queries | st.binary(max_size=9),
    headers=st.dictionaries(names, st.binary(max_size=9)),
    authorization=st.sampled_from([OWNER, OWNER, OWNER, b""]) | st.binary(max_size=9),
    chunks=st.lists(st.binary() | bodies, max_size=2),
)
def test_any_request_is_answered(
    method: str, path: str, query: bytes, headers: dict[bytes, bytes], authorization: bytes, chunks: list[bytes]
) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": f"/{path}",
        "raw_path": f"/{path}".encode("latin-1"),
        "query_string": query,
        "headers": [*headers.items(), (b"authorization", authorization)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    status, body = answer(scope, chunks)
    assert status < 500
    if status >= 400:
        assert json.loads(body)["Message"].startswith("ErrorCode:")
