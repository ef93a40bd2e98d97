"""Debian's texts: versions, release files, package lists, dependencies."""

from datetime import UTC, datetime

import pytest

from edgepack.base.apt import PackageLists, close_dependencies, compare_versions, parse_release
from edgepack.errors import DamagedDataError, InputError

# Debian Policy 5.6.12, and what its sentences mean: "~ sorts before everything, even the end of a part", "letters sort
# earlier than all non-letters", "an empty revision is the revision 0", "numbers are compared as numbers".
LOWER_FIRST = [
    ("1.0~~", "1.0~~a"),
    ("1.0~~a", "1.0~"),
    ("1.0~", "1.0"),
    ("1.0", "1.0a"),
    ("1.0a", "1.0+"),
    ("1.0", "1.0-0.1"),
    ("1.0-1~bpo12+1", "1.0-1"),
    ("1.0-1", "1.0-1+b1"),
    ("1.0-1+deb12u9", "1.0-1+deb12u10"),
    ("1.9", "1.10"),
    ("1.0", "1:0.1"),
    ("2:1.0", "10:0.9"),
    ("1.0-1", "1.0.1-1"),
    ("1.2-3", "1.2-3-1"),
    ("1-3", "1-2-3"),
    ("20230311", "20230311+deb12u1"),
    ("3.11.2-6+deb12u4", "3.11.2-6+deb12u5"),
    ("1.0.", "1.0.1"),
    ("1.0-1a~b+", "1.0-a"),
]
EQUAL = [("1.0", "1.0-0"), ("0:1.0-1", "1.0-1"), ("1.00", "1.0"), ("1.0-01", "1.0-1"), ("1.", "1.0")]


@pytest.mark.parametrize(("lower", "higher"), LOWER_FIRST)
def test_versions_are_ordered_as_policy_says(lower: str, higher: str) -> None:
    assert compare_versions(lower, higher) == -1
    assert compare_versions(higher, lower) == 1
    assert compare_versions(lower, lower) == 0


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_versions_that_are_equal(one: str, other: str) -> None:
    assert compare_versions(one, other) == compare_versions(other, one) == 0


RELEASE = """\
Origin: Debian
Suite: oldstable
Codename: bookworm
Date: Sat, 05 Sep 2026 09:41:06 UTC
Acquire-By-Hash: yes
Architectures: all amd64 arm64
MD5Sum:
 0123 12 main/binary-amd64/Packages.xz
SHA256:
 aaaa   12 main/binary-amd64/Packages.xz
 bbbb 3456 main/binary-arm64/Packages.xz
"""


def test_a_release_file() -> None:
    found = parse_release(RELEASE, "x")
    assert (found.suite, found.codename, found.architectures) == ("oldstable", "bookworm", ("all", "amd64", "arm64"))
    assert found.date == datetime(2026, 9, 5, 9, 41, 6, tzinfo=UTC)
    assert found.valid_until is None
    assert found.files == {
        "main/binary-amd64/Packages.xz": ("aaaa", 12),
        "main/binary-arm64/Packages.xz": ("bbbb", 3456),
    }
    until = parse_release(f"Valid-Until: Sat, 12 Sep 2026 09:41:06 UTC\n{RELEASE}", "x").valid_until
    assert until == datetime(2026, 9, 12, 9, 41, 6, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Suite", "Codename", "Date", "Architectures"])
def test_a_release_file_without_a_needed_field(name: str) -> None:
    text = "\n".join(line for line in RELEASE.splitlines() if not line.startswith(f"{name}:"))
    with pytest.raises(DamagedDataError, match=rf"^here: not a Debian release file.*{name}"):
        parse_release(text, "here")


@pytest.mark.parametrize("date", ["soon", "", "Sat, 05 Sep 99999 09:41:06 UTC", "Fri, 31 Dec 9999 23:59:59 -2300"])
def test_a_release_file_with_a_wrong_date(date: str) -> None:
    with pytest.raises(DamagedDataError, match=r"^here: "):
        parse_release(RELEASE.replace("Sat, 05 Sep 2026 09:41:06 UTC", date), "here")


def stanza(name: str, version: str = "1", architecture: str = "amd64", **fields: str) -> str:
    more = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in fields.items())
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{more}"
        f"Filename: pool/{name}_{version}.deb\nSize: 10\nSHA256: {'0' * 64}\n"
    )


def lists(*stanzas: str, architecture: str = "amd64") -> PackageLists:
    return PackageLists([("\n".join(stanzas), "main")], architecture)


def closure(available: PackageLists, *seeds: str, excluded: tuple[str, ...] = ()) -> list[str]:
    return [package.name for package in close_dependencies(seeds, available, excluded)]


def test_all_that_is_needed_is_taken() -> None:
    available = lists(
        stanza("a", Depends="b (>= 1.0), c:any | z", Pre_Depends="d"),
        stanza("b", Depends="e [amd64]", Recommends="x", Suggests="y"),
        stanza("c"),
        stanza("d"),
        stanza("e"),
        stanza("x"),
    )
    assert closure(available, "a") == ["a", "b", "c", "d", "e"]


def test_circles_end() -> None:
    available = lists(stanza("a", Depends="b"), stanza("b", Depends="c"), stanza("c", Depends="a, c"))
    assert closure(available, "c", "a") == ["a", "b", "c"]


def test_the_first_alternative_that_exists_is_taken() -> None:
    available = lists(stanza("a", Depends="gone | b | c"), stanza("b"), stanza("c"))
    assert closure(available, "a") == ["a", "b"]


def test_an_alternative_that_is_there_anyway_is_enough() -> None:
    available = lists(stanza("a", Depends="b | c"), stanza("b"), stanza("c"))
    assert closure(available, "a", "c") == ["a", "c"]


def test_a_virtual_package_is_the_first_that_provides_it() -> None:
    available = lists(
        stanza("a", Depends="mail-agent"),
        stanza("zmail", Provides="mail-agent"),
        stanza("mail", Provides="other, mail-agent (= 1.0)"),
    )
    assert closure(available, "a") == ["a", "mail"]


def test_a_virtual_package_that_a_chosen_one_provides_brings_no_other() -> None:
    available = lists(
        stanza("a", Depends="zmail, mail-agent"),
        stanza("zmail", Provides="mail-agent"),
        stanza("mail", Provides="mail-agent"),
    )
    assert closure(available, "a") == ["a", "zmail"]


def test_what_is_left_out_and_what_only_that_needs() -> None:
    available = lists(stanza("a", Depends="dpkg, b"), stanza("dpkg", Depends="tar"), stanza("tar"), stanza("b"))
    assert closure(available, "a", excluded=("dpkg",)) == ["a", "b"]


def test_an_alternative_to_what_is_left_out_is_not_taken() -> None:
    available = lists(stanza("a", Depends="debconf (>= 0.5) | debconf-2.0"), stanza("cdebconf", Provides="debconf-2.0"))
    assert closure(available, "a", excluded=("debconf",)) == ["a"]


def test_all_missing_packages_are_named() -> None:
    available = lists(stanza("a", Depends="x | v, b | y"), stanza("b", Depends="z | w"))
    with pytest.raises(InputError) as caught:
        closure(available, "a", "nothing")
    assert sorted(caught.value.problems) == [
        f"Debian package {name!r} is not in the archive" for name in ("nothing", "x", "z")
    ]


def test_the_newest_version_of_the_wanted_architecture() -> None:
    main = "\n".join([stanza("a", "1.9"), stanza("a", "1.11", "arm64"), stanza("a", "1.2", "all")])
    security = stanza("a", "1.10")
    found = PackageLists([(main, "main"), (security, "security")], "amd64").find("a")
    assert found is not None
    assert (found.package.version, found.package.archive) == ("1.10", "security")
    other = PackageLists([(main, "main"), (security, "security")], "arm64").find("a")
    assert other is not None
    assert other.package.version == "1.11"


def test_of_equal_versions_the_first_list_wins() -> None:
    found = PackageLists([(stanza("a"), "main"), (stanza("a"), "security")], "amd64").find("a")
    assert found is not None
    assert found.package.archive == "main"


@pytest.mark.parametrize("line", ["Version: 1\n", "Architecture: amd64\n", "Size: 10\n", f"SHA256: {'0' * 64}\n"])
def test_a_stanza_without_a_needed_field(line: str) -> None:
    with pytest.raises(DamagedDataError, match="package list: a stanza cannot be read"):
        lists(stanza("a").replace(line, "")).find("a")


@pytest.mark.parametrize("change", [("Size: 10", "Size: ten"), ("Version: 1", "Version: x:1")])
def test_a_stanza_with_a_wrong_figure(change: tuple[str, str]) -> None:
    available = lists(stanza("a").replace(*change), stanza("a", "2"))
    with pytest.raises(DamagedDataError, match="package list: a stanza cannot be read"):
        available.find("a")
