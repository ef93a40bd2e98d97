"""The run of a script that nobody submitted, as v1 had it: what is logged is printed, and kept nowhere."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

_MOST_SHOWN = 200
_CALLS = frozenset(
    "add_properties cancel complete fail flush log log_accuracy_table log_confusion_matrix log_image log_list "
    "log_predictions log_residuals log_row log_table set_tags tag upload_file upload_files upload_folder".split()
)


class OfflineRun:
    """What `Run.get_context()` gives outside of a run; `id` begins with `OfflineRun`, by which scripts know it."""

    def __init__(self) -> None:
        """A new one."""
        self.id = f"OfflineRun_{uuid4()}"

    def child_run(self, *_args: Any, **_kwargs: Any) -> "OfflineRun":
        """Another of the kind."""
        return OfflineRun()

    def __getattr__(self, name: str) -> Callable[..., None]:
        """The methods that keep something. What a real run has besides (`experiment`) is an `AttributeError`."""
        if name not in _CALLS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: there is no run here")

        def tell(*args: Any, **kwargs: Any) -> None:
            given = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
            shown = given if len(given) <= _MOST_SHOWN else f"{given[:_MOST_SHOWN]}..."
            print(f"run.{name}({shown}): not kept, there is no run here")

        return tell
