"""Whose fault a failed run of an ONNX model is: what its operators say against shapes and values is the caller's. Pure.

What a model declares of its inputs is checked before it runs. Sizes that it leaves open, and values, only its operators
can judge, and onnxruntime has no error of its own for them: their complaints count by their text. Where a model leaves
no size open, one about shapes is about the model. One about memory is a failure in any case.
"""

import re
from collections.abc import Mapping, Sequence

from device_agent.array_input import ModelInput

_NODE = re.compile(r"while running (\w+) node\..*?Status Message: (.*)", re.DOTALL)
_PLACE = re.compile(r"^\S+\.(?:h|cc):\d+ (?:\w+ )?")  # in the source of onnxruntime
_SHAPES = re.compile(r"dimension|shape|batch size|broadcast|channels|num_features", re.IGNORECASE)
_VALUES = re.compile(r"unknown category|^sto[a-z]+$", re.IGNORECASE)  # stod: a text that is no number
_MEMORY = re.compile(r"allocat", re.IGNORECASE)


def refusal_of_run(error: str, shapes: Mapping[str, Sequence[int]], inputs: Sequence[ModelInput]) -> str | None:
    """What an operator says against inputs of these shapes; None: the error is no refusal, but a failure.

    `error` is the text of onnxruntime's error.
    """
    found = _NODE.search(error)
    if found is None or _MEMORY.search(error):
        return None
    operator, said = found[1], " ".join(found[2].rpartition(" was false. ")[2].split())
    said = _PLACE.sub("", said).rstrip(".")
    is_open = any(not spec.shape or not all(isinstance(size, int) for size in spec.shape) for spec in inputs)
    if not (_VALUES.search(said) or (is_open and _SHAPES.search(said))):
        return None
    rows = {
        spec.name: shapes[spec.name][0]
        for spec in inputs
        if spec.shape and not isinstance(spec.shape[0], int) and shapes.get(spec.name)
    }
    listing = ", ".join(f"{name!r} has {count}" for name, count in rows.items())
    uneven = f" The inputs have different numbers of rows: {listing}." if len(set(rows.values())) > 1 else ""
    return f"The model's {operator} does not take the input: {said}.{uneven}"
