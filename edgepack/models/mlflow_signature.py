"""The signature of an MLflow model: its columns or tensors, and the parameters that a request may set. Pure.

Source: MLflow's documentation of signatures, and `MLmodel` files of its versions 1 to 3.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.errors import InputError

_SCALARS = frozenset("boolean integer long float double string binary datetime".split())
_DTYPES = frozenset("bool float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 str string".split())


@dataclass(frozen=True, slots=True)
class MlflowColumn:
    """One input of a signature by columns: its name, MLflow's type, and whether it may be left out."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class MlflowTensor:
    """One input of a signature by tensors: numpy's type, sizes (-1: any); a single input may have no name."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MlflowParam:
    """A parameter: MLflow's type (or `object`), what it is if a request does not set it, and whether it is a list."""

    name: str
    type: str
    default: Any
    is_list: bool


@dataclass(frozen=True, slots=True)
class MlflowSignature:
    """`columns` or `tensors`; neither where there is no signature, or one of other inputs (arrays, objects, no names).

    `is_hint`: made of type hints, so that the model checks its input itself.
    """

    columns: tuple[MlflowColumn, ...] = ()
    tensors: tuple[MlflowTensor, ...] = ()
    params: tuple[MlflowParam, ...] = ()
    is_hint: bool = False


def parse_signature(document: Mapping[str, Any], where: str) -> MlflowSignature:
    """The signature in the document of an `MLmodel`.

    Raises:
        InputError: it is damaged, starting with `where`.
    """
    signature = document.get("signature")
    signature = signature if isinstance(signature, dict) else {}
    inputs = _listed(signature.get("inputs"), f"{where}: signature.inputs", "columns or tensors")
    params = tuple(_params(_listed(signature.get("params"), f"{where}: signature.params", "parameters"), where))
    if document.get("is_signature_from_type_hint"):
        return MlflowSignature(params=params, is_hint=True)
    return MlflowSignature(_columns(inputs, where), _tensors(inputs, where), params)


def _listed(value: Any, where: str, of_what: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    try:
        listed = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InputError(f"{where} must be a list of {of_what}")
    return listed


def _columns(inputs: list[dict[str, Any]], where: str) -> tuple[MlflowColumn, ...]:
    if not all(isinstance(each.get("name"), str) and _is_one_of(each.get("type"), _SCALARS) for each in inputs):
        return ()
    if len({each["name"] for each in inputs}) != len(inputs):
        raise InputError(f"{where}: signature.inputs names a column twice")
    return tuple(
        MlflowColumn(each["name"], each["type"], bool(each.get("required", not each.get("optional", False))))
        for each in inputs
    )


def _tensors(inputs: list[dict[str, Any]], where: str) -> tuple[MlflowTensor, ...]:
    if not all(each.get("type") == "tensor" for each in inputs):
        return ()
    found = []
    for each in inputs:
        spec, name = each.get("tensor-spec"), each.get("name")
        shape = spec.get("shape") if isinstance(spec, dict) else None
        if not isinstance(shape, list) or not all(type(size) is int and size >= -1 for size in shape):
            raise InputError(f"{where}: signature.inputs: {each} is no tensor with `tensor-spec: {{dtype, shape}}`")
        dtype = spec.get("dtype") if isinstance(spec, dict) else None
        if not _is_one_of(dtype, _DTYPES):  # objects, dates: the model takes them as they come
            return ()
        found.append(MlflowTensor(name if isinstance(name, str) else None, str(dtype), tuple(shape)))
    names = [tensor.name for tensor in found]
    if len(set(names)) != len(names):
        raise InputError(f"{where}: signature.inputs: several tensors need a name each")
    return tuple(found)


def _params(listed: list[dict[str, Any]], where: str) -> Iterator[MlflowParam]:
    for each in listed:
        kind = each.get("type", each.get("dtype"))
        if not isinstance(each.get("name"), str) or not isinstance(kind, str) or "default" not in each:
            raise InputError(f"{where}: signature.params: {each} must have `name`, `type` and `default`")
        yield MlflowParam(each["name"], kind, each["default"], each.get("shape") is not None)


def _is_one_of(value: Any, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known
