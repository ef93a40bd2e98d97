"""Which names share a layer: small changes change few groups."""

import random
from collections.abc import Mapping

import pytest

from edgepack.layer_groups import GROUP_BYTES, group_names, title_of

MB = 1_000_000


def sizes_of(count: int, seed: int, least: int, most: int) -> dict[str, int]:
    chance = random.Random(seed)  # noqa: S311 - no secret
    return {f"file-{number}": chance.randint(least, most) for number in range(count)}


def new_groups(before: Mapping[str, int], after: Mapping[str, int], most: int = 1000) -> list[tuple[str, ...]]:
    known = set(group_names(before, most))
    return [group for group in group_names(after, most) if group not in known]


def test_every_name_is_in_one_group() -> None:
    for seed, most in ((1, 40), (2, 7), (3, 1)):
        sizes = sizes_of(300, seed, 0, 3 * GROUP_BYTES)
        groups = group_names(sizes, most)
        assert len(groups) <= most
        assert sorted(name for group in groups for name in group) == sorted(sizes)


def test_small_files_are_one_group_and_large_ones_groups_of_their_own() -> None:
    assert group_names({}, 5) == []
    assert group_names({"b": 1, "a": 2, "c": 0}, 5) == [("a", "b", "c")]
    assert group_names({"b": 1, "a": 2, "y": GROUP_BYTES // 2, "x": 9 * GROUP_BYTES}, 5) == [("x",), ("y",), ("a", "b")]


def test_no_group_of_several_is_large() -> None:
    sizes = sizes_of(60, 4, 0, GROUP_BYTES)
    groups = group_names(sizes, 1000)
    assert max(sum(sizes[name] for name in group) for group in groups if len(group) > 1) <= GROUP_BYTES


@pytest.mark.parametrize("seed", range(20))
def test_one_that_comes_goes_or_grows_changes_its_own_group(seed: int) -> None:
    sizes = sizes_of(50, seed, MB, 3 * MB)
    gone = {name: size for name, size in sizes.items() if name != "file-7"}
    for before, after in ((sizes, gone), (gone, sizes), (sizes, {**sizes, "file-7": 5 * GROUP_BYTES})):
        changed = new_groups(before, after)
        assert sum(after[name] for group in changed for name in group if name != "file-7") <= GROUP_BYTES


def test_titles() -> None:
    assert title_of(["a"]) == "a"
    assert title_of(["a", "b"]) == "a, b"
    assert title_of(["a", "b", "c", "d"]) == "a, b and 2 more"
