"""Whatever a conda file says, it is requirements of the standard's form or an input error."""

from contextlib import suppress

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from edgepack.errors import InputError
from edgepack.inference_config import parse_inference_config
from edgepack.resolve.conda_env import parse_conda_file, read_conda_document
from tests.examples import examples

WORDS = "numpy python pip 1 1.2 * .* = == >= < , | [ ] :: - -r -i --index-url --pre # ; @ ' ~= ! a b . / git+ .whl"
MARKS = [" ", ": ", "\n", "\n- ", "dependencies:\n", "channels: ", "- pip:\n  - ", "{", "}", "&a ", "*a", "!!int ", '"']
PIECES = st.lists(st.sampled_from([*WORDS.split(), *MARKS, "2020-13-01"]), max_size=12).map("".join)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | PIECES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["dependencies", "channels", "pip", "name", "environment", "entryScript"]), inner
        )
    ),
    max_leaves=8,
)


def read_text(name: str) -> str:
    if "a" in name:
        raise FileNotFoundError(name)
    return "-r 1\n-r b\nsix\n"


@settings(max_examples=examples(300), deadline=None)
@given(PIECES | st.text(max_size=40) | DOCUMENTS.map(yaml.safe_dump))
def test_any_text(text: str) -> None:
    with suppress(InputError):
        for requirement in parse_conda_file(text, "x", read_text).requirements:
            Requirement(requirement)
    with suppress(InputError):
        parse_inference_config(text, "x")


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(PIECES | DOCUMENTS, max_size=4), st.lists(PIECES | DOCUMENTS, max_size=4))
def test_any_packages(conda: list[object], pip: list[object]) -> None:
    with suppress(InputError):
        found = read_conda_document({"dependencies": [*conda, {"pip": pip}]}, "x", read_text)
        assert list(found.requirements) == sorted(found.requirements)
        for requirement in found.requirements:
            Requirement(requirement)
