"""Lets `datetime.date` samples of inference-schema 1.8 work: the package parses them with a method that few
Pythons have.

Affects only scripts that have imported the package, and only its parsing of dates: text of the form
YYYY-MM-DD.
"""

import sys
from datetime import date
from typing import Any

_MODULE = "inference_schema.parameter_types.standard_py_parameter_type"
_MARK = "_edgepack_accepts_dates"


def accept_dates() -> None:
    """Wrap the conversion of standard Python types, if the package has been imported. May be called more than
    once.
    """
    module = sys.modules.get(_MODULE)
    kind: Any = getattr(module, "StandardPythonParameterType", None)
    if kind is None or hasattr(kind, _MARK):
        return
    original = kind.deserialize_input

    def deserialize_input(self: Any, input_data: Any) -> Any:
        """Dates here, everything else as before. Raises ValueError for text that is no date."""
        if self.sample_data_type is date:
            if not isinstance(input_data, str) or len(input_data) != 10:
                raise ValueError(f"expected a date of the form YYYY-MM-DD, found {input_data!r}")
            return date.fromisoformat(input_data)
        return original(self, input_data)

    kind.deserialize_input = deserialize_input
    setattr(kind, _MARK, True)
