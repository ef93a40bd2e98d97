"""Translated versions say what conda's own matching says, for versions that both know; nothing is lost silently.

The model is conda's documented order and operators for release numbers: numbers compare part by part, missing parts
are zero, `=1.2`, `1.2.*` mean the parts before are the same, a bare number is equality, `,` binds before `|`.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from edgepack.errors import InputError
from edgepack.resolve.conda_env import read_conda_document
from edgepack.resolve.match_spec import to_pep440

NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
TWO_PARTS = st.lists(st.integers(0, 12), min_size=2, max_size=3).map(lambda parts: ".".join(map(str, parts)))
CONSTRAINTS = st.one_of(
    st.tuples(st.sampled_from(["", "=", "==", "!=", "<", "<=", ">", ">="]), NUMBERS, st.just("")),
    st.tuples(st.sampled_from(["", "=", "!="]), NUMBERS, st.just(".*")),
    st.tuples(st.just(">="), NUMBERS, st.just(".*")),
    st.tuples(st.just("~="), TWO_PARTS, st.just("")),
    st.just(("", "*", "")),
)


def key(number: str) -> tuple[int, ...]:
    parts = [int(part) for part in number.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


def begins(version: str, number: str) -> bool:
    count = len(number.split("."))
    return key(version)[:count] == key(number)[:count]


def matches(version: str, constraint: tuple[str, str, str]) -> bool:
    operator, number, star = constraint
    if number == "*":
        return True
    if operator == "~=":
        return key(version) >= key(number) and begins(version, number.rpartition(".")[0])
    if operator == "=" or (star and operator == ""):
        return begins(version, number)
    if operator == "!=" and star:
        return not begins(version, number)
    one, other = key(version), key(number)
    return {
        "": one == other,
        "==": one == other,
        "!=": one != other,
        "<": one < other,
        "<=": one <= other,
        ">": one > other,
        ">=": one >= other,
    }[operator]


def write(constraints: list[tuple[str, str, str]]) -> str:
    return ",".join("".join(parts) for parts in constraints)


@settings(deadline=None)
@given(st.lists(CONSTRAINTS, min_size=1, max_size=3), st.lists(NUMBERS, min_size=1, max_size=8))
def test_all_of_some_constraints(constraints: list[tuple[str, str, str]], versions: list[str]) -> None:
    specifier, chosen = to_pep440(write(constraints))
    assert chosen is None
    near = [number for _, number, _ in constraints if number != "*"]
    for version in [*versions, *near, *(f"{number}.1" for number in near if number.count(".") < 3)]:
        assert SpecifierSet(specifier).contains(version) == all(matches(version, each) for each in constraints)


@settings(deadline=None)
@given(st.lists(st.lists(CONSTRAINTS, min_size=1, max_size=2), min_size=2, max_size=3), st.lists(NUMBERS, max_size=8))
def test_of_alternatives_one_is_taken_whole(choices: list[list[tuple[str, str, str]]], versions: list[str]) -> None:
    specifier, chosen = to_pep440("|".join(map(write, choices)))
    asked = [each for each in choices if write(each) == chosen] if chosen else [[("", "*", "")]]
    assert asked
    for version in versions:
        taken = SpecifierSet(specifier).contains(version)
        assert taken == all(matches(version, each) for each in asked[0])
        assert not taken or any(all(matches(version, each) for each in choice) for choice in choices)


WORDS = "x X-y py_z 1 1.2 * .* = == != >= < ~= , | : :: / [ ] ( ) ' # $ ^ ! + a rc1 post1 version= build= md5= forge"
PARTS = st.sampled_from([*WORDS.split(), " ", '"'])


@settings(deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=9).map("".join))
def test_any_specification_is_a_requirement_or_refused_by_name(text: str) -> None:
    try:
        found = read_conda_document({"dependencies": [text]}, "env.yml", str)
    except InputError as error:
        (problem,) = error.problems
        assert problem.startswith("env.yml: ")
        assert repr(text.strip()) in problem
        return
    for requirement in found.requirements:
        Requirement(requirement)
    assert found.requirements or found.notes or found.system or found.python is not None or "python" in text


@pytest.mark.parametrize(("version", "other"), [("1.2", "1.20"), ("1.2.0", "1.2")])
def test_the_model_knows_parts_from_digits(version: str, other: str) -> None:
    assert begins(other, version) is (key(other) == key(version))
