"""Whose fault a failed prediction is: what an estimator's own library raises of its input is the caller's. Pure.

scikit-learn has no error of its own for unfit input: its checks raise ValueError, like any code. So it counts where the
error was raised: the innermost frame that is not of a library which estimators compute with. In a library of
estimators, a ValueError is about the values given; in code of the model's author (a transformer, a function of a
FunctionTransformer), it may be anything, and stays a failure. Errors of other types are broken models more often than
input, but for those that rise out of the conversion of the input.
"""

import sys
from types import TracebackType

_ESTIMATORS = frozenset({"sklearn", "lightgbm", "xgboost"})
_COMPUTING = frozenset({"numpy", "scipy", "pandas", "joblib", "threadpoolctl"}) | sys.stdlib_module_names
_CONVERSION = "sklearn.utils.validation"
_NO_VALUES = "NotFittedError"  # a ValueError, too, about the model
_LIKE_VALUES = "LightGBMError"  # no ValueError, but what it raises where the number of columns is another
_MOST_LETTERS = 400


def refusal_of_input(error: Exception) -> str | None:
    """What an estimator says against its input, in one line; None: the error is no refusal, but a failure."""
    modules = _modules(error.__traceback__)
    raised_in = next((name for name in reversed(modules) if _library(name) not in _COMPUTING), "")
    if _library(raised_in) not in _ESTIMATORS or type(error).__name__ == _NO_VALUES:
        return None
    is_converting = _CONVERSION in modules and isinstance(error, TypeError | OverflowError)
    if not isinstance(error, ValueError) and not is_converting and type(error).__name__ != _LIKE_VALUES:
        return None
    text = str(error)
    if "NaN" in text:  # pages of advice for who trains follow
        text = text.partition("\n")[0]
    line = " ".join(text.split())
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}.."


def _modules(frames: TracebackType | None) -> list[str]:
    """The names of the modules whose code was running, innermost last."""
    found = []
    while frames is not None:
        found.append(str(frames.tb_frame.f_globals.get("__name__", "")))
        frames = frames.tb_next
    return found


def _library(module: str) -> str:
    return module.partition(".")[0]
