"""The parameters of a request to the built-in model server, checked against those of the model's signature. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from device_agent.errors import BadInput
from device_agent.table_request import fitted


@dataclass(frozen=True)
class Param:
    """A parameter of a signature: MLflow's type or `object`, its default, and whether it is a list of such values."""

    name: str
    kind: str
    default: Any = None
    is_list: bool = False

    def __str__(self) -> str:
        return f"{self.name!r} {'list of ' if self.is_list else ''}{self.kind}"


def params_of(given: Any, signature: Sequence[Param]) -> dict[str, Any]:
    """The parameters that a request sets, each as its type has it; null is a value of any type, as with MLflow.

    Raises:
        BadInput: unknown names and values of another type, all of them.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadInput("params must be an object of values by name.")
    known = {param.name: param for param in signature}
    values, problems = {}, []
    for name, value in given.items():
        if name not in known:
            problems.append(f"Unknown parameter {name!r}.")
            continue
        try:
            values[name] = _fitted(value, known[name])
        except ValueError as error:
            problems.append(f"Parameter {name!r}: {error}.")
    if problems:
        listing = "; ".join(map(str, signature)) or "no parameters"
        raise BadInput(f"{' '.join(problems)} The model takes: {listing}.")
    return values


def with_defaults(values: dict[str, Any], signature: Sequence[Param]) -> dict[str, Any]:
    """All parameters of the signature: those that a request sets, and the defaults of the others."""
    return {param.name: param.default for param in signature} | values


def _fitted(value: Any, param: Param) -> Any:
    if not param.is_list:
        return None if value is None else fitted(value, param.kind)
    if not isinstance(value, list):
        raise ValueError("expected a list")
    return [None if each is None else fitted(each, param.kind) for each in value]
