"""Package specifications of conda and their versions, as the Python index says them."""

import pytest

from edgepack.resolve.match_spec import MatchSpec, parse_match_spec, to_pep440


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x", MatchSpec("x")),
        ("X-y_z.1", MatchSpec("x-y_z.1")),
        ("x=1.2", MatchSpec("x", "=1.2")),
        ("x = 1.2", MatchSpec("x", "=1.2")),
        ("x==1.2.3", MatchSpec("x", "==1.2.3")),
        ("x 1.2.*", MatchSpec("x", "1.2.*")),
        ("x >= 1 , < 2", MatchSpec("x", ">=1,<2")),
        ("x=1.2=py36_0", MatchSpec("x", "=1.2", "py36_0")),
        ("x 1.2 py36_0", MatchSpec("x", "1.2", "py36_0")),
        ("x >=1.2 *_cpu", MatchSpec("x", ">=1.2", "*_cpu")),
        ("x=*=cuda*", MatchSpec("x", "=*", "cuda*")),
        ("forge::x=1", MatchSpec("x", "=1", channel="forge")),
        ("forge/linux-64::x >=1", MatchSpec("x", ">=1", channel="forge/linux-64")),
        ("x[version='>=1,<2',build=abc*]", MatchSpec("x", ">=1,<2", "abc*")),
        (
            'x[version=">=1", channel=forge, subdir=linux-64, md5=0f]',
            MatchSpec("x", ">=1", "", "forge/linux-64", ("md5",)),
        ),
        ("x =1.2  # [linux]", MatchSpec("x", "=1.2")),
        ("_libgcc_mutex=0.1=main", MatchSpec("_libgcc_mutex", "=0.1", "main")),
    ],
)
def test_a_specification(text: str, spec: MatchSpec) -> None:
    assert parse_match_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no conda package specification"),
        ("_", "is no conda package specification"),
        ("=1.0", "is no conda package specification"),
        ("-r x.txt", "is no conda package specification"),
        ("x(>1)", "is no conda package specification"),
        ("a b c d", "too many parts"),
        ("x[extra]", "list x[...] under `pip:`"),
        ("https://example.com/x-1-0.conda", "package file of conda"),
        ("./x-1.0-py36_0.tar.bz2", "package file of conda"),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_match_spec(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("", ""),
        ("*", ""),
        ("=*", ""),
        ("=1.2", "==1.2.*"),
        ("=1.2.*", "==1.2.*"),
        ("1.2*", "==1.2.*"),
        ("1.2", "==1.2"),
        ("==1.2", "==1.2"),
        ("!=1.2", "!=1.2"),
        ("!=1.2.*", "!=1.2.*"),
        ("~=1.2.3", "~=1.2.3"),
        (">=1.2.*", ">=1.2"),
        ("<1.2.*", "<1.2"),
        (">=1,<2,!=1.5", ">=1,<2,!=1.5"),
        ("(>=1,<2)", ">=1,<2"),
        ("=1.1.post1", "==1.1.post1"),
        ("=1.0rc1", "==1.0rc1"),
        ("=1!2.0", "==1!2.0.*"),
    ],
)
def test_versions(version: str, specifier: str) -> None:
    assert to_pep440(version) == (specifier, None)


def test_a_version_with_a_build_is_exact() -> None:
    assert to_pep440("=1.2", exact=True) == ("==1.2", None)
    assert to_pep440("=1.2.*", exact=True) == ("==1.2.*", None)


@pytest.mark.parametrize(
    ("version", "chosen"),
    [
        ("1.2|1.10", ("==1.10", "1.10")),
        ("=1.2|=1.3", ("==1.3.*", "=1.3")),
        (">=1,<2|>=3,<4", (">=3,<4", ">=3,<4")),
        (">=3|>=2", (">=2", ">=2")),
        ("1.2.*|>=1.4", (">=1.4", ">=1.4")),
        ("1.2|*", ("", None)),
    ],
)
def test_of_alternatives_the_highest(version: str, chosen: tuple[str, str | None]) -> None:
    assert to_pep440(version) == chosen


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.0.2t", "version of conda's"),
        ("=2020a", "version of conda's"),
        ("1..2", "version of conda's"),
        (">=1<2", "a comma between"),
        (">=1,", "between its commas"),
        ("=", "missing"),
        ("=>1", "missing"),
        ("~=1", "two parts"),
        ("~=1.2.*", "two parts"),
        ("^1.2$", "regular expressions"),
        ("1.*.2", "version of conda's"),
        ("(1|2),!=1", "in parentheses"),
        (">=1.2+cpu", "cannot be said"),
    ],
)
def test_versions_that_the_index_cannot_say(version: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        to_pep440(version)
    assert reason in str(caught.value)
