"""What is read from a deployment's file, whole or layered, and what is wrong with it."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.deployment.content import read_content
from edgepack.errors import InputError
from tests.fakes.edge_deployments import desired, module

HUB = {"schemaVersion": "1.1", "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": 60}}


def whole(**modules: dict[str, Any]) -> dict[str, Any]:
    return {
        "$edgeAgent": {"properties.desired": desired(**modules)},
        "$edgeHub": {"properties.desired": HUB},
        "scorer": {"properties.desired": {"threshold": 0.5, "gone": None}},
    }


LAYER: dict[str, Any] = {
    "$edgeAgent": {"properties.desired.modules.filter": module()},
    "$edgeHub": {"properties.desired.routes.up": "FROM /messages/modules/scorer/* INTO $upstream"},
    "filter": {"properties.desired.limits.low": 1},
    "scorer": {"properties.desired": {"threshold": 0.7}},
}


def test_a_whole_manifest_is_read_from_where_tools_put_it() -> None:
    modules = whole(scorer=module())
    for document in (
        {"modulesContent": modules},
        {"content": {"modulesContent": modules}, "id": "x"},
        {"moduleContent": modules},
    ):
        content, odd = read_content(json.dumps(document), "d.json")
        assert content.document == {"modulesContent": modules}
        assert not content.is_layer
        assert content.desired()["scorer"] == {"threshold": 0.5}
        assert ("old spelling" in str(odd)) == ("moduleContent" in document)
    _, odd = read_content(json.dumps({"$comment": "4", "modulesContent": modules}), "d.json")
    assert "d.json: only modulesContent is sent; left out: $comment" in odd


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "d.json:1:2: "),
        ('{"modulesContent": {"a": NaN}}', "d.json:1:"),
        ("[" * 100_000, "d.json:1:"),
        ("[]", "d.json:1:1: "),
        ("null", "d.json:1:1: "),
        ('{"modulesContent": {}}', "/modulesContent"),
        ('{"modulesContent": "x"}', "needs 'modulesContent'"),
        ('{"content": []}', "d.json:1:1: "),
    ],
)
def test_what_is_no_deployment_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_content(text, "d.json")
    assert told in str(caught.value)


def test_a_template_is_to_be_rendered_first() -> None:
    document = {"$schema-template": "4.0.0", "modulesContent": whole(scorer=module("${MODULES.scorer}"))}
    with pytest.raises(InputError, match="is a template: expand it with `edgepack manifest render` first"):
        read_content(json.dumps(document), "d.json")


def test_a_layer_is_put_in_its_places_and_is_right_without_its_base() -> None:
    content, odd = read_content(json.dumps({"modulesContent": LAYER}), "d.json")
    assert content.is_layer
    assert ["must be in the deployment below this layer" in sentence for sentence in odd] == [True]
    assert content.desired() == {
        "$edgeAgent": {"modules": {"filter": module()}},
        "$edgeHub": {"routes": {"up": "FROM /messages/modules/scorer/* INTO $upstream"}},
        "filter": {"limits": {"low": 1}},
        "scorer": {"threshold": 0.7},
    }


def test_what_is_wrong_in_a_layer_is_told_where_it_stands() -> None:
    layer = {"$edgeAgent": {"properties.desired.modules.filter": module() | {"status": "on"}}}
    with pytest.raises(InputError) as caught:
        read_content(json.dumps({"modulesContent": layer}), "d.json")
    (problem,) = caught.value.problems
    assert "/modulesContent/$edgeAgent/properties.desired.modules.filter/status" in problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["modulesContent", "moduleContent", "content", "$edgeAgent", "properties.desired", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_document_is_read_or_refused(document: Any) -> None:
    with contextlib.suppress(InputError):
        content, _ = read_content(json.dumps(document), "d.json")
        content.desired()
