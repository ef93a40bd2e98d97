"""What the user's own model is, told from its files, and how it is registered: nothing in them is loaded or run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepack.errors import InputError
from edgepack.models.file_facts import read_pickle_facts
from edgepack.models.mlflow_source import is_mlflow, mlflow_request
from edgepack.models.pickle_facts import PICKLE_ENDINGS
from edgepack.models.request import RegisterRequest
from edgepack.models.source import shown

CUSTOM = "Custom"

_NO_MODELS = {  # .txt and .json are, of LightGBM and XGBoost; archives and .npy may be
    "source code": ".py .pyi .ipynb .r .sh .bat .ps1 .c .h .cc .cpp .cs .go .java .js .ts .rs .sql",
    "a document": ".md .rst .pdf .html .htm .doc .docx .tex",
    "settings": ".yaml .yml .toml .ini .cfg .conf .env",
    "data": ".csv .tsv .jsonl .parquet .arrow .xls .xlsx",
    "a picture": ".png .jpg .jpeg .gif .svg .webp",
    "a log": ".log",
}
_KIND_OF_ENDING = {ending: kind for kind, endings in _NO_MODELS.items() for ending in endings.split()}
_KIND_OF_NAME = dict.fromkeys(("license", "licence", "notice", "readme", "changelog"), "a document") | dict.fromkeys(
    ("requirements.txt", "dockerfile", "makefile", "mlproject"), "settings"
)
_POINTER = b"version https://git-lfs.github.com/spec/"
_MOST_POINTER_BYTES = 1024
_SHOWN = 5


def framework_of_files(path: Path) -> str:
    """The framework of a file or folder: one ONNX file, one file that scikit-learn wrote, or neither."""
    files = _files(path)
    if len([file for file in files if file.suffix == ".onnx"]) == 1:
        return "Onnx"
    pickles = [file for file in files if file.name.endswith(PICKLE_ENDINGS)]
    try:
        is_sklearn = len(pickles) == 1 and read_pickle_facts(pickles[0]).version is not None
    except OSError as error:
        raise InputError(f"{pickles[0]}: cannot be read: {error.strerror}") from error
    return "ScikitLearn" if is_sklearn else CUSTOM


@contextmanager
def request_for(source: str, framework: str | None, name: str) -> Iterator[RegisterRequest]:
    """What to register as `name` for the model at `source`: an MLflow folder or name, a file, another folder.

    Raises:
        InputError: `source` is an MLflow model, and a framework is named; or it cannot be read; or what is there is no
            model: empty, a pointer to what was not fetched, or, if no framework is named, of a kind that no model is.
        RemoteError: the tracking server cannot be reached, or does not have it.
    """
    path = Path(source)
    InputError.raise_if_any(_pointer_problems(path))
    if is_mlflow(source):
        if framework is not None:
            raise InputError(f"{source} is an MLflow model, which names its framework: leave out --framework")
        with mlflow_request(RegisterRequest(name, path), source) as request:
            yield request
        return
    InputError.raise_if_any(_no_model_problems(path, is_named=framework is not None))
    yield RegisterRequest(name, path, framework=framework or framework_of_files(path))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]


def _pointer_problems(path: Path) -> Iterator[str]:
    for file in _files(path):
        if file.stat().st_size <= _MOST_POINTER_BYTES and _head(file).startswith(_POINTER):
            yield f"{shown(file)}: is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`"


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_POINTER))
    except OSError:  # told when it is registered
        return b""


def _no_model_problems(path: Path, *, is_named: bool) -> Iterator[str]:
    """Why none of the files is a model; nothing if one may be, or there are none, which registering tells."""
    reasons = {file: _other_kind(file, is_named=is_named) for file in _files(path)}
    if not reasons or None in reasons.values():
        return
    if path.is_file():
        reason, advice = reasons[path], "name the file of the model"
    else:
        told = [f"{shown(file.relative_to(path))} is {kind}" for file, kind in reasons.items()]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        reason, advice = f"a folder without a model: {', '.join(told[:_SHOWN])}{more}", "name the folder of the model"
    also = (
        "" if is_named or set(reasons.values()) == {"empty"} else ", or, if it is one, say so with --framework Custom"
    )
    yield f"{shown(path)}: is {reason}, from which no project can be made: {advice}{also}"


def _other_kind(file: Path, *, is_named: bool) -> str | None:
    """What a file is that is no model; None: it may be one."""
    if file.stat().st_size == 0:
        return "empty"
    name = file.name.lower()
    if is_named:
        return None
    if name.startswith("."):
        return "a hidden file"
    return _KIND_OF_NAME.get(name) or _KIND_OF_ENDING.get(file.suffix.lower())
