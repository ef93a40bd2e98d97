"""Calls about twins, direct methods and queries. Pure but for the registry they change.

A PATCH merges what it has of tags and desired properties; a PUT replaces both. What else stands in the body, such as
reported properties of a twin that was read before, is left alone. A change is taken as a whole or not at all.
"""

import base64
import binascii
import functools
import hashlib
from typing import Any

from device_agent.messages.iothub.twin import merge
from simulator.cloud.documents import twin_document, twin_documents
from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import Identity
from simulator.cloud.query import Documents, parse_query, run_query
from simulator.cloud.service_identities import known
from simulator.cloud.service_request import (
    Hub,
    MethodCall,
    Reply,
    Request,
    check_etag,
    etag_header,
    member,
    read_object,
    whole_number,
)
from simulator.cloud.twin_limits import LARGEST_HALF_BYTES, LARGEST_TAGS_BYTES, check_change, check_size

PAGE, LARGEST_PAGE = 100, 1000
LARGEST_PAYLOAD_BYTES = 128 * 1024
_SYSTEM = ("$version", "$metadata")


def get_twin(hub: Hub, request: Request, device_id: str, module_id: str = "") -> Reply:
    """The twin of a device or module."""
    return _shown(hub, known(hub, device_id, module_id))


def patch_twin(hub: Hub, request: Request, device_id: str, module_id: str = "") -> Reply:
    """Merge into tags and desired properties."""
    return _change(hub, request, known(hub, device_id, module_id), replaces=False)


def put_twin(hub: Hub, request: Request, device_id: str, module_id: str = "") -> Reply:
    """Replace tags and desired properties."""
    return _change(hub, request, known(hub, device_id, module_id), replaces=True)


def post_method(hub: Hub, request: Request, device_id: str, module_id: str = "") -> MethodCall:
    """Call a direct method; the shell does it and answers."""
    identity = known(hub, device_id, module_id)
    body = read_object(request)
    name = member(body, "methodName", str, "")
    if not 0 < len(name) <= 100:
        raise HubError(400, "methodName must be a text of 1 to 100 characters")
    if len(request.body) > LARGEST_PAYLOAD_BYTES:
        raise HubError(413, f"the call has more than {LARGEST_PAYLOAD_BYTES} bytes")
    response_s = whole_number(body.get("responseTimeoutInSeconds") or 30, "responseTimeoutInSeconds", 5, 300)
    connect_s = whole_number(body.get("connectTimeoutInSeconds") or 0, "connectTimeoutInSeconds", 0, 300)
    return MethodCall(identity.client_id, name, body.get("payload"), response_s, connect_s)


def post_query(hub: Hub, request: Request) -> Reply:
    """A page of the answer to a query; x-ms-continuation is there as long as more is to come."""
    text = member(read_object(request), "query", str, "")
    query = parse_query(text)
    size = whole_number(request.headers.get("x-ms-max-item-count", PAGE), "x-ms-max-item-count", 1, LARGEST_PAGE)
    offset = _offset(request.headers.get("x-ms-continuation", ""), text)
    if not query.is_count:  # one row more says that there is another page
        needed = offset + size + 1
        query = query._replace(top=needed if query.top < 0 else min(query.top, needed))
    rows = run_query(query, lambda source: twin_documents(hub.registry, source, hub.configurations.statuses))
    headers = {"x-ms-item-type": "Raw" if query.items else "Twin"}
    if offset + size < len(rows):
        headers["x-ms-continuation"] = _continuation(offset + size, text)
    return Reply(200, rows[offset : offset + size], headers)


def documents_of(hub: Hub) -> Documents:
    """The twin documents that queries see, as they are at the first query for them."""
    return functools.cache(lambda source: list(twin_documents(hub.registry, source, hub.configurations.statuses)))


def _change(hub: Hub, request: Request, identity: Identity, *, replaces: bool) -> Reply:
    twin = hub.registry.twin(identity.client_id)
    check_etag(request, twin.etag)
    body = read_object(request)
    missing: dict[str, Any] | None = {} if replaces else None
    tags = member(body, "tags", dict, missing)
    desired = member(member(body, "properties", dict, {}), "desired", dict, missing)
    if tags is not None:
        check_size(merge({} if replaces else twin.tags, check_change(tags, "tags")), "tags", LARGEST_TAGS_BYTES)
    if desired is not None:
        desired = {key: value for key, value in desired.items() if key not in _SYSTEM}
        name, before = "properties.desired", {} if replaces else twin.desired
        check_size(merge(before, check_change(desired, name)), name, LARGEST_HALF_BYTES)
    if tags is not None:
        (hub.registry.replace_tags if replaces else hub.registry.patch_tags)(identity.client_id, tags)
    if desired is not None:
        (hub.registry.replace_desired if replaces else hub.registry.patch_desired)(identity.client_id, desired)
    return _shown(hub, identity)


def _shown(hub: Hub, identity: Identity) -> Reply:
    document = twin_document(hub.registry, identity, hub.configurations.statuses)
    return Reply(200, document, etag_header(document["etag"]))


def _continuation(offset: int, text: str) -> str:
    mark = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return base64.b64encode(f"{offset}:{mark}".encode()).decode()


def _offset(continuation: str, text: str) -> int:
    if not continuation:
        return 0
    try:
        offset = base64.b64decode(continuation, validate=True).decode().partition(":")[0]
        if continuation == _continuation(whole_number(offset, "the offset", 0, 10**9), text):
            return int(offset)
    except (binascii.Error, ValueError, HubError):
        pass
    raise HubError(400, "x-ms-continuation is not that of an answer to this query")
