"""Whatever comes to the cloud side of the simulated hub is taken or refused: nothing else is raised, or half done."""

import json
import re
from typing import Any
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from device_agent.messages.iothub.twin import merge
from simulator.cloud.condition import parse_condition
from simulator.cloud.content import check_desired, desired_of, parse_content
from simulator.cloud.hub_error import HubError
from simulator.cloud.query import parse_query, run_query
from simulator.cloud.query_text import QueryError
from simulator.cloud.registry import Registry
from simulator.cloud.service_request import MethodCall, Reply
from simulator.cloud.service_rules import ROUTES
from simulator.cloud.tokens import Refusal, Verified, verify_token
from simulator.cloud.twin import Twin, TwinError
from tests.fakes.service_world import OWNER_KEY, VERSION, ServiceWorld, manifest, token

any_text = st.text(st.characters(), max_size=20)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_text)
keys = (
    st.sampled_from(["a", "b", "properties", "desired", "tags", "modulesContent", "$edgeAgent", "a.b", ""]) | any_text
)
anything: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=10
)


@given(st.lists(anything, max_size=5), st.sampled_from(["patch_desired", "replace_desired", "patch_reported"]))
def test_any_patch_of_a_twin_is_taken_whole_or_refused(patches: list[Any], call: str) -> None:
    twin = Twin(0.0)
    for patch in patches:
        before = json.dumps([twin.service_properties(), twin.etag], allow_nan=False)
        try:
            getattr(twin, call)(patch, 1.0)
        except TwinError:
            assert json.dumps([twin.service_properties(), twin.etag], allow_nan=False) == before
        else:
            assert json.dumps([twin.service_properties(), twin.etag], allow_nan=False) != before


values = st.recursive(
    st.integers(0, 2) | st.none(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
small = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(st.lists(st.tuples(st.booleans(), small), max_size=6))
def test_who_merges_what_a_watcher_hears_has_the_twin(changes: list[tuple[bool, dict[str, Any]]]) -> None:
    registry = Registry(lambda: 0.0, lambda: b"key", lambda: "id")
    registry.add_device("d")
    copy: dict[str, Any] = {}
    versions = [1]

    def follow(change: Any) -> None:
        nonlocal copy
        copy = merge(copy, change.patch)
        versions.append(change.version)

    registry.watch(follow)
    for replaces, document in changes:
        (registry.replace_desired if replaces else registry.patch_desired)("d", document)
        assert copy == registry.twin("d").desired
    assert versions == list(range(1, len(changes) + 2))


TOKEN = token("localhost/devices/d", b"key")
_VALUES = {place for found in re.finditer(r"(?<==)[^&]+", TOKEN) for place in range(*found.span())}


@given(any_text | st.binary().map(lambda raw: "SharedAccessSignature " + raw.decode("latin-1")))
def test_any_text_is_no_token(text: str) -> None:
    assert isinstance(verify_token(text, hosts=["localhost"], client_id="d", keys=[b"key", b""], now_s=0), Refusal)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_a_token_with_another_character_is_no_longer_good(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    found = verify_token(changed, hosts=["localhost"], client_id="d", keys=[b"key"], now_s=0)
    if isinstance(found, Verified) and unquote(changed) != unquote(TOKEN):  # %3D may be written %3d
        last = TOKEN.index("%3D&se=") - 1
        assert place not in _VALUES or place == last, "in a value, only bits that base64 leaves unused"


words = st.sampled_from(
    "SELECT FROM WHERE AND OR NOT IN NIN ( ) [ ] , = != < >= * count is_defined array_contains deviceId tags.a 'x' "
    "1 -2.5 true null devices devices.modules TOP AS [[a]] tags.[[a-b]] .".split()
)


@given(any_text | st.lists(words | any_text, max_size=12).map(" ".join))
def test_any_text_is_a_query_and_a_condition_or_is_not(text: str) -> None:
    document = {"deviceId": "d", "tags": {"a": [1, "x"]}}
    for read in (parse_condition, parse_query):
        try:
            found: Any = read(text)
        except QueryError:
            continue
        else:
            if read is parse_condition:
                found.fits(document)
            else:
                run_query(found, lambda _: [document])


@given(anything | st.dictionaries(st.just("modulesContent"), st.dictionaries(keys, anything)))
def test_any_content_is_a_deployment_or_is_not(content: Any) -> None:
    try:
        desired = desired_of([manifest("m")["modulesContent"], parse_content(content)])
        check_desired(desired)
    except HubError:
        return
    json.dumps(desired, allow_nan=False)


ids = st.sampled_from(["edge-1", "sensor-1", "$edgeHub", "new", "dep", "query", "testQueries"]) | any_text
shapes = st.fixed_dictionaries(
    {},
    optional={
        "tags": anything,
        "properties": st.dictionaries(st.just("desired"), anything),
        "methodName": any_text,
        "query": any_text | st.just("SELECT * FROM devices"),
        "targetCondition": any_text | st.just("*"),
        "content": anything | st.just(manifest("scorer")),
        "modulesContent": anything | st.just(manifest("scorer")["modulesContent"]),
        "priority": leaves,
        "authentication": anything,
        "capabilities": st.dictionaries(st.just("iotEdge"), leaves),
        "parentScopes": anything,
        "metrics": st.dictionaries(st.just("queries"), anything),
        "responseTimeoutInSeconds": leaves,
    },
)
header_names = ["if-match", "x-ms-max-item-count", "x-ms-continuation", "x-ms-edge-moduleid"]
calls = st.tuples(
    st.sampled_from(ROUTES),
    st.lists(ids, min_size=2, max_size=2),
    st.one_of(st.binary(), shapes, anything),
    st.dictionaries(st.sampled_from(header_names), st.sampled_from(["*", '"*"', "1"]) | any_text),
    st.dictionaries(st.sampled_from(["top", "api-version"]), any_text),
)


@given(st.lists(calls, max_size=6))
def test_any_calls_are_answered(sequence: list[Any]) -> None:
    world = ServiceWorld()
    for route, names, body, headers, query in sequence:
        path = "/".join(names.pop() if part.startswith("{") else part for part in route.path.split("/"))
        sent = {"authorization": token("localhost", OWNER_KEY, "iothubowner"), **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = world.raw(route.method, path, content, headers=sent, **{"api-version": VERSION, **query})
        if isinstance(reply, MethodCall):
            assert world.registry.identity(reply.client_id) is not None
            continue
        assert isinstance(reply, Reply)
        json.dumps(reply.document, allow_nan=False)
        if reply.status >= 400:
            assert reply.document["Message"].startswith("ErrorCode:")
    for twin in world.call("POST", "devices/query", {"query": "SELECT * FROM devices.modules"}).document:
        json.dumps(twin, allow_nan=False)
