"""Variables from `.env` files."""

import pytest

from edgepack.deployment.dotenv import parse_dotenv
from edgepack.errors import InputError


def test_what_the_known_tools_write_and_read() -> None:
    text = """\
#
# CONTAINER REGISTRY
#
    # indented comment
CONTAINER_REGISTRY_SERVER="localhost:5000"
export USERNAME = me  # who
PASSWORD='a"b $x # no comment'
EMPTY=
QUOTED_EMPTY=""
HASH=a#b
ESCAPED="two\\nlines \\"x\\""
LINES="one
two"
IMAGE=${CONTAINER_REGISTRY_SERVER}/x:${TAG}${NOWHERE}
LAST=1"""
    assert parse_dotenv(text, ".env", {"TAG": "7"}) == {
        "CONTAINER_REGISTRY_SERVER": "localhost:5000",
        "USERNAME": "me",
        "PASSWORD": 'a"b $x # no comment',
        "EMPTY": "",
        "QUOTED_EMPTY": "",
        "HASH": "a#b",
        "ESCAPED": 'two\nlines "x"',
        "LINES": "one\ntwo",
        "IMAGE": "localhost:5000/x:7",
        "LAST": "1",
    }


def test_line_ends_of_windows() -> None:
    assert parse_dotenv("A=1\r\n\r\nB='2'\r\n", ".env", {}) == {"A": "1", "B": "2"}


def test_all_lines_that_are_no_variable() -> None:
    with pytest.raises(InputError) as caught:
        parse_dotenv("A=1\nno variable\nB=2\n=3\n", "x/.env", {})
    assert caught.value.problems == ("x/.env: line 2: expected NAME=VALUE", "x/.env: line 4: expected NAME=VALUE")
