"""Whose fault a failed prediction is: what an estimator's own library raises of its input is the caller's. Pure.

scikit-learn has no error of its own for unfit input: its checks raise ValueError, like any code. So it counts where the
error was raised: the innermost frame that is not of a library which estimators compute with. In a library of
estimators, a ValueError is about the values given; in code of the model's author (a transformer, a function of a
FunctionTransformer), it may be anything, and stays a failure. Of what joblib ran elsewhere, the frames are in a text.
Errors of other types are broken models more often than input, but for those that rise out of the conversion of the
input. Errors of native code may be anything, and count by their text.
"""

import re
import sys

_ESTIMATORS = frozenset({"sklearn", "lightgbm", "xgboost"})
_COMPUTING = frozenset({"numpy", "scipy", "pandas", "joblib", "threadpoolctl"}) | sys.stdlib_module_names
_CONVERSION = "sklearn.utils.validation"
_NO_VALUES = "NotFittedError"  # a ValueError, too, about the model
_NATIVE = frozenset({"LightGBMError", "XGBoostError"})
_NATIVE_COLUMNS = re.compile(r"number of (features|columns)", re.IGNORECASE)
_NATIVE_VALUES = re.compile(
    r"input data contains|category not in the training set|data type doesn't match", re.IGNORECASE
)
_COLUMNS = re.compile(
    "X has [0-9]+ feature|X does not contain any features|The feature names should match|columns are missing|"
    "Found array with 0 feature|Found array with dim|Expected 2D array|"
    "Feature shape mismatch|feature_names mismatch|data did not contain feature names|"
    "Input numpy.ndarray or list must be 2 dim"
)
_FILE = re.compile(r'^  File "(.+)", line \d+, in ', re.MULTILINE)
_MOST_LETTERS = 400


def refusal_of_input(error: Exception, *, fits: bool) -> str | None:
    """What an estimator says against its input, in one line; None: the error is no refusal, but a failure.

    `fits`: the input has the columns that the model as a whole expects. If one of its parts then complains of their
    number or names, another part gave it others.
    """
    modules = _modules(error)
    raised_in = next((name for name in reversed(modules) if _library(name) not in _COMPUTING), "")
    if _library(raised_in) not in _ESTIMATORS or type(error).__name__ == _NO_VALUES:
        return None
    text = str(error)
    is_native = type(error).__name__ in _NATIVE
    is_of_columns = bool(_NATIVE_COLUMNS.search(text) if is_native else _COLUMNS.match(text))
    is_of_values = bool(_NATIVE_VALUES.search(text)) if is_native else _is_of_values(error, modules)
    if (is_of_columns and fits) or not (is_of_columns or is_of_values):
        return None
    if is_native or "NaN" in text:  # a native stack follows, or pages of advice for who trains
        text = text.partition("\n")[0]
    line = " ".join(text.split())
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}.."


def _is_of_values(error: Exception, modules: list[str]) -> bool:
    return isinstance(error, ValueError) or (isinstance(error, TypeError | OverflowError) and _CONVERSION in modules)


def _modules(error: Exception) -> list[str]:
    """The names of the modules whose code was running, innermost last; none, if they cannot be told."""
    found = []
    frames = error.__traceback__
    while frames is not None:
        found.append(str(frames.tb_frame.f_globals.get("__name__", "")))
        frames = frames.tb_next
    if type(error.__cause__).__name__.lstrip("_") != "RemoteTraceback":
        return found
    elsewhere = _modules_elsewhere(str(error.__cause__), str(error))
    return found + elsewhere if elsewhere else []


def _modules_elsewhere(text: str, message: str) -> list[str]:
    """The same of the traceback that a process or thread of joblib left as a text, which ends with the message."""
    if "RemoteTraceback: " in text:  # of one within another, the last frames are not the innermost
        return []
    frames = text.rpartition(message)[0].rpartition("Traceback (most recent call last):\n")[2]
    return [_module_of(path) for path in _FILE.findall(frames)]


def _module_of(path: str) -> str:
    folders = [folder.rstrip("/") for folder in sys.path if folder and path.startswith(f"{folder.rstrip('/')}/")]
    relative = path.removeprefix(max(folders, key=len, default=""))
    return relative.strip("/").removesuffix(".py").replace("/", ".")


def _library(module: str) -> str:
    return module.partition(".")[0]
