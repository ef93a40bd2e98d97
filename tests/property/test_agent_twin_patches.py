"""Merge patches: the difference of two documents leads from one to the other, and says nothing else."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from device_agent.messages.iothub.twin import Desired, difference, follow, merge, parse_desired

keys = st.sampled_from(["a", "b", "c"])
leaves = st.one_of(st.booleans(), st.integers(-2, 2), st.text(max_size=2), st.lists(st.integers(0, 1), max_size=2))
documents: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(keys, leaves, max_size=3),
    lambda inner: st.dictionaries(keys, st.one_of(leaves, inner), max_size=3),
    max_leaves=8,
)


def same(one: object, other: object) -> bool:
    """Equal, and true is not 1."""
    return repr(_sorted(one)) == repr(_sorted(other))


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return sorted((key, _sorted(inner)) for key, inner in value.items())
    return value


@given(documents, documents)
def test_the_difference_leads_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert same(merge(before, difference(before, after)), after)
    assert difference(after, after) == {}


@given(documents, documents)
def test_merging_changes_neither(document: dict[str, Any], patch: dict[str, Any]) -> None:
    texts = repr(document), repr(patch)
    merge(document, patch)
    assert (repr(document), repr(patch)) == texts


@given(st.lists(documents, min_size=1), st.data())
def test_following_patches_gives_the_document_or_a_gap(states: list[dict[str, Any]], data: st.DataObject) -> None:
    known = Desired(1, states[0])
    for version, state in enumerate(states[1:], 2):
        patch = Desired(version, difference(states[version - 2], state))
        if data.draw(st.booleans(), label="lost"):
            after = follow(known, patch._replace(version=version + 1))
            assert after is None
            known = Desired(version, state)
        else:
            after = follow(known, patch)
            assert after is not None
            assert same(after.properties, state)
            assert follow(after, patch) is after, "twice is once"
            known = after


@given(st.recursive(st.none() | leaves, lambda inner: st.dictionaries(st.sampled_from(["$version", "a"]), inner)))
def test_any_document_is_desired_properties_or_not(document: object) -> None:
    desired = parse_desired(document)
    assert desired is None or "$version" not in desired.properties
