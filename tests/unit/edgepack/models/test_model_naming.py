"""What a model may be called and labelled."""

import pytest

from edgepack.errors import InputError
from edgepack.models.naming import (
    ModelReference,
    file_name_problem,
    framework_problems,
    name_problems,
    parse_model_reference,
    parse_pairs,
)


@pytest.mark.parametrize("name", ["a", "A1", "0-._x", "iris", "Iris", "a" * 255])
def test_names_that_are_allowed(name: str) -> None:
    assert name_problems(name) == ()


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", "a/b", "a b", "ä", "a\n", "a:1", "a" * 256])
def test_names_that_are_not(name: str) -> None:
    assert len(name_problems(name)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iris", ModelReference("iris")),
        ("iris:3", ModelReference("iris", 3)),
        ("a.b-c:12", ModelReference("a.b-c", 12)),
    ],
)
def test_references(text: str, expected: ModelReference) -> None:
    assert parse_model_reference(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["iris:", "iris:0", "iris:-1", "iris:x", "iris:1:2", "iris:٣", "iris:" + "9" * 5000])
def test_references_with_a_bad_version(text: str) -> None:
    with pytest.raises(InputError, match="is not a positive integer"):
        parse_model_reference(text)


def test_a_reference_tells_both_problems() -> None:
    with pytest.raises(InputError) as caught:
        parse_model_reference("!:x")
    assert len(caught.value.problems) == 2


def test_frameworks() -> None:
    assert framework_problems("Onnx", "1.17") == ()
    assert framework_problems(None, None) == ()
    assert "did you mean PyTorch?" in framework_problems("pytroch", None)[0]
    assert "did you mean Onnx?" in framework_problems("onnx", None)[0]
    assert "choose one of Custom" in framework_problems("zzzzzz", None)[0]
    assert framework_problems(None, "2")[0].startswith(
        "Model framework version cannot be provided without a valid framework"
    )


def test_pairs_split_at_the_first_equals_sign_and_are_trimmed() -> None:
    assert parse_pairs([" a = b=c ", "d=", "a=z"], "--tag") == {"a": "z", "d": ""}


def test_all_bad_pairs_are_told() -> None:
    with pytest.raises(InputError) as caught:
        parse_pairs(["a", "=b", "c=d", " =e"], "--tag")
    assert caught.value.problems == (
        "--tag 'a' has no '=': write KEY=VALUE",
        "--tag '=b' has an empty key: write KEY=VALUE",
        "--tag ' =e' has an empty key: write KEY=VALUE",
    )


@pytest.mark.parametrize("name", ["a\nb", "a\x7f", "\x1b[31m", "a\udcff"])
def test_file_names_that_cannot_be_stored(name: str) -> None:
    assert file_name_problem(name)


@pytest.mark.parametrize("name", ["Modell ä.onnx", "a b", "模型", "a'b\"c\\d"])
def test_file_names_that_can(name: str) -> None:
    assert file_name_problem(name) is None
