"""createOptions survive the cut, and the manifest check survives any document."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.deployment.create_options import chunk, join, merge, minified, parse, read_options
from edgepack.deployment.loose_json import strict_json
from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from edgepack.deployment.validate import problems
from edgepack.errors import InputError
from tests.examples import examples

KEYS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        "modulesContent content $edgeAgent $edgeHub properties.desired schemaVersion runtime settings systemModules "
        "modules edgeAgent edgeHub routes env value image createOptions createOptions01 registryCredentials address "
        "route priority storeAndForwardConfiguration timeToLiveSecs storeLimits HostConfig a".split()
    ),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(["1.0", "1.1", "docker", "FROM /* INTO $upstream", '{"HostConfig": {"PortBindings": []}}', "{}"]),
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)
JSON_OBJECTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.one_of(st.booleans(), st.integers(), st.text(max_size=50)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    ),
    max_size=5,
)
GOOD = deployment_manifest([ModuleSpec("scorer", "r.example/x", "sha256:" + "a" * 64, desired={"t": [1, {"a": "b"}]})])


@given(st.text(max_size=300), st.integers(3, 40))
def test_what_is_cut_is_put_together_again(text: str, size: int) -> None:
    pieces = chunk(text, size)
    assert join({"image": "x"} | dict(reversed(pieces.items()))) == text
    assert all(len(piece) <= size for piece in pieces.values())


@given(JSON_OBJECTS)
def test_options_survive_the_way_to_the_agent(options: dict[str, Any]) -> None:
    assert parse(join(chunk(minified(options), 20 if len(minified(options)) < 2000 else 512))) == options


@given(JSON_OBJECTS, st.sampled_from([None, 1]), st.booleans())
def test_json_is_what_the_agent_reads_as_it_is(options: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(options, indent=indent, ensure_ascii=ascii_only)
    assert strict_json(text) == (text, list(range(len(text) + 1)), ())


@given(st.text("{}[]\"':,/*\\\n ab1$", max_size=60) | st.text(max_size=40))
def test_any_text_is_made_json_or_left_wrong(text: str) -> None:
    strict, origins, oddities = strict_json(text)
    assert len(origins) == len(strict) + 1
    assert origins == sorted(origins)
    assert all(0 <= origin <= len(text) for origin in origins)
    assert oddities or "\\'" in text or strict == text
    with contextlib.suppress(InputError):
        assert read_options(text).oddities in ((), oddities)


@given(JSON_OBJECTS, JSON_OBJECTS)
def test_what_is_given_wins(defaults: dict[str, Any], given_: dict[str, Any]) -> None:
    merged = merge(defaults, given_)
    assert set(merged) == set(defaults) | set(given_)
    assert all(merged[key] == value for key, value in given_.items() if not isinstance(value, dict))
    assert merge(merged, given_) == merged


@given(DOCUMENTS)
def test_the_check_never_raises(document: Any) -> None:
    for problem in problems(document):
        assert problem.message
        assert problem.pointer == "" or problem.pointer.startswith("/")


@settings(max_examples=examples(200))
@given(st.data())
def test_the_check_never_raises_on_a_manifest_with_one_broken_place(data: st.DataObject) -> None:
    document = json.loads(json.dumps(GOOD))
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    place[key] = data.draw(DOCUMENTS)
    for problem in problems(document):
        assert problem.severity in ("error", "warning")
