"""The order of Debian versions is that of dpkg, and a total order."""

import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.base.apt import compare_versions, parse_release
from edgepack.errors import DamagedDataError
from tests.examples import examples

PARTS = st.from_regex(r"[0-9][0-9a-zA-Z.+~]{0,6}", fullmatch=True)
REVISIONS = st.from_regex(r"[0-9a-zA-Z.+~]{1,5}", fullmatch=True)
VERSIONS = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "12:"]),
    PARTS | st.builds("{}-{}".format, PARTS, PARTS),
    st.just("") | REVISIONS.map("-{}".format),
)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
@settings(max_examples=examples(60), deadline=None)
@given(st.lists(VERSIONS, min_size=2, max_size=2) | st.lists(PARTS, min_size=2, max_size=2))
def test_dpkg_agrees(versions: list[str]) -> None:
    one, other = versions
    expected = {-1: "lt", 0: "eq", 1: "gt"}[compare_versions(one, other)]
    done = subprocess.run(["dpkg", "--compare-versions", one, expected, other], check=False, capture_output=True)
    assert done.returncode == 0, (one, expected, other, done.stderr)


@settings(deadline=None)
@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_total(one: str, other: str, third: str) -> None:
    assert compare_versions(one, other) == -compare_versions(other, one)
    if compare_versions(one, other) <= 0 and compare_versions(other, third) <= 0:
        assert compare_versions(one, third) <= 0


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["Suite", "Codename", "Date", "Valid-Until", "Architectures", "SHA256", " aa", " aa 1 b", "MD5"]
        )
        | st.text(max_size=8)
    ),
    st.sampled_from([":", ": x", ": Sat, 05 Sep 2026 09:41:06 UTC", " ²", ""]),
)
def test_any_text_is_a_release_file_or_refused(lines: list[str], end: str) -> None:
    with suppress(DamagedDataError):
        parse_release("\n".join(line + end for line in lines), "x")
