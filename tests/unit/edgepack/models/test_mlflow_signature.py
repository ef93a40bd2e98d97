"""Signatures of MLflow models: columns, tensors, parameters, and what is neither."""

import json
from typing import Any

import pytest

from edgepack.errors import InputError
from edgepack.models.mlflow_signature import MlflowColumn, MlflowParam, MlflowSignature, MlflowTensor, parse_signature

TENSOR = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}


def signature(inputs: object = None, params: object = None, **more: object) -> MlflowSignature:
    document = {"signature": {"inputs": json.dumps(inputs), "params": json.dumps(params)}, **more}
    return parse_signature(document, "MLmodel")


def test_columns_and_whether_they_may_be_left_out() -> None:
    inputs = [{"name": "a", "type": "double"}, {"name": "b", "type": "string", "required": False}]
    assert signature(inputs).columns == (MlflowColumn("a", "double", True), MlflowColumn("b", "string", False))
    assert signature([{"name": "a", "type": "long", "optional": True}]).columns == (MlflowColumn("a", "long", False),)


def test_tensors_with_names_and_without() -> None:
    assert signature([TENSOR]).tensors == (MlflowTensor(None, "float64", (-1, 4)),)
    named = [{**TENSOR, "name": "a"}, {**TENSOR, "name": "b", "tensor-spec": {"dtype": "int64", "shape": []}}]
    assert signature(named).tensors == (MlflowTensor("a", "float64", (-1, 4)), MlflowTensor("b", "int64", ()))


def test_parameters_with_their_defaults() -> None:
    params = [
        {"name": "n", "type": "long", "default": 3, "shape": None},
        {"name": "names", "dtype": "string", "default": ["a"], "shape": [-1]},
    ]
    assert signature(params=params).params == (
        MlflowParam("n", "long", 3, False),
        MlflowParam("names", "string", ["a"], True),
    )


@pytest.mark.parametrize(
    "inputs",
    [
        [{"type": "double"}],
        [{"name": "a", "type": "array", "items": {"type": "double"}}],
        [{"type": "tensor", "tensor-spec": {"dtype": "object", "shape": [-1]}}],
        [TENSOR, {"name": "a", "type": "double"}],
    ],
    ids=["no names", "arrays", "objects", "both"],
)
def test_inputs_that_the_model_takes_as_they_come(inputs: object) -> None:
    assert signature(inputs) == MlflowSignature()


def test_type_hints_are_checked_by_the_model() -> None:
    found = signature([{"name": "a", "type": "double"}], is_signature_from_type_hint=True)
    assert found == MlflowSignature(is_hint=True)


def test_no_signature() -> None:
    assert parse_signature({}, "") == parse_signature({"signature": None}, "") == signature() == MlflowSignature()


@pytest.mark.parametrize(
    ("inputs", "params", "said"),
    [
        ([TENSOR, TENSOR], None, "several tensors need a name each"),
        ([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": "x"}}], None, "is no tensor"),
        ([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-2]}}], None, "is no tensor"),
        ([{"type": "tensor"}], None, "is no tensor"),
        ([{"name": "a", "type": "long"}] * 2, None, "names a column twice"),
        (None, [{"name": "n"}], "must have `name`, `type` and `default`"),
        (None, {"n": 1}, "signature.params must be a list of parameters"),
        (7, None, "signature.inputs must be a list of columns or tensors"),
    ],
)
def test_damage_is_named(inputs: Any, params: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        signature(inputs, params)
    assert str(caught.value).startswith("MLmodel: signature.")
    assert said in str(caught.value)
