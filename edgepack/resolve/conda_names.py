"""Which package of the Python index a conda package is, and what becomes of packages that a device needs otherwise.

Names that are the same in both worlds are not listed. The table beside this file is the reduced form of the one that
conda-pypi ships (see scripts/update-conda-names); the exceptions here win over it.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from packaging.utils import canonicalize_name

# conda name, normalised: name on the Python index; more than the table has, or another choice
RENAMED = {
    "bleach-with-css": "bleach",
    "brotli-python": "brotli",
    "cachecontrol-with-filecache": "cachecontrol",
    "faiss": "faiss-cpu",
    "faiss-gpu": "faiss-cpu",
    "geopandas-base": "geopandas",
    "geoviews-core": "geoviews",
    "google-api-core-grpc": "google-api-core",
    "googleapis-common-protos-grpc": "googleapis-common-protos",
    "jsonschema-with-format": "jsonschema",
    "jsonschema-with-format-nongpl": "jsonschema",
    "jupyterhub-base": "jupyterhub",
    "jupyterhub-singleuser": "jupyterhub",
    "lightgbm-cpu": "lightgbm",
    "nbconvert-core": "nbconvert",
    "nbconvert-pandoc": "nbconvert",
    "onnxruntime-cpu": "onnxruntime",
    "opencv": "opencv-python-headless",
    "panel-core": "panel",
    "py-lightgbm": "lightgbm",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyarrow-core": "pyarrow",
    "pyct-core": "pyct",
    "python-lmdb": "lmdb",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "pytorch-scatter": "torch-scatter",
    "tensorflow-base": "tensorflow",
    "tensorflow-cpu": "tensorflow",
    "tensorflow-eigen": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "torchvision-cpu": "torchvision",
}

# Versions of these have a further number on the index: conda's 4.5.5 is one of 4.5.5.*.
FINER_ON_INDEX = frozenset({"opencv-python-headless"})


@cache
def _table() -> dict[str, str]:
    text = files(__package__).joinpath("conda_names.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return dict(rows)


def is_renamed(conda_name: str) -> bool:
    """Is it known which package of the Python index this is, under another name?"""
    return index_name(conda_name) != canonicalize_name(conda_name)


def index_name(conda_name: str) -> str:
    """The name on the Python index, normalised."""
    name = canonicalize_name(conda_name)
    return RENAMED.get(name) or _table().get(name, name)


@dataclass(frozen=True, slots=True)
class ScoringFate:
    """What becomes of a package: `kind` is replaced, dropped or refused."""

    kind: str
    reason: str


_REPLACED = ScoringFate("replaced", "replaced by what the device agent offers")
_CLOUD = ScoringFate("dropped", "left out, it works with Azure ML's cloud, which scoring on a device does not")
_AUTO_ML = ScoringFate(
    "refused",
    "a model of automated ML needs it where it runs, and it has no wheels for devices; register the model's ONNX form "
    "(`enable_onnx_compatible_models` when it was trained)",
)
_EXPLAIN = ScoringFate(
    "refused", "it explains models with Azure ML's cloud; use interpret-community, or take it out if only training did"
)

# Modules that older Pythons did not have; the packages have no use, and some of them no wheel.
_IN_PYTHON = frozenset("argparse asyncio dataclasses enum34 futures pathlib typing uuid".split())
_OLD = ScoringFate("dropped", "left out, it is part of Python")

# Packages of Azure ML, by name or pattern; the first that fits counts.
_SCORING = (
    *(
        (name, _REPLACED)
        for name in (
            "azureml-ai-monitoring azureml-contrib-services azureml-core azureml-defaults"
            " azureml-inference-server-http azureml-monitoring azureml-sdk"
        ).split()
    ),
    *(
        (name, _AUTO_ML)
        for name in (
            "azureml-automl-dnn-* azureml-automl-runtime azureml-train-automl azureml-train-automl-runtime"
        ).split()
    ),
    *((name, _EXPLAIN) for name in "azureml-interpret azureml-explain-model azureml-contrib-interpret".split()),
    *(
        (name, _CLOUD)
        for name in (
            "azureml-automl-core azureml-cli-common azureml-contrib-* azureml-datadrift azureml-dataprep*"
            " azureml-dataset-runtime azureml-featurestore azureml-fsspec azureml-mlflow azureml-opendatasets"
            " azureml-pipeline* azureml-responsibleai azureml-telemetry azureml-tensorboard azureml-train*"
            " azureml-widgets azure-ml-component azure-cli-ml mldesigner mltable"
        ).split()
    ),
)

# Never to be installed, not even because another package asks for them.
NOT_ON_DEVICES = tuple(name for name, fate in _SCORING if fate.kind == "replaced")


def fate_in_scoring(name: str) -> ScoringFate | None:
    """What becomes of a package that a device needs otherwise or not at all, by its normalised name; else None."""
    if name in _IN_PYTHON:
        return _OLD
    return next((fate for pattern, fate in _SCORING if fnmatchcase(name, pattern)), None)


# Modules that came with azureml-defaults though the script's own environment never named them.
CAME_ALONG = {
    "cryptography": "cryptography",
    "dateutil": "python-dateutil",
    "flask": "flask",
    "inference_schema": "inference-schema",
    "numpy": "numpy",
    "pandas": "pandas",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "pytz": "pytz",
    "requests": "requests",
    "yaml": "pyyaml",
}

# Packages whose Linux wheels are linked against the graphics-processor wheels below and cannot be imported without.
LINKED_TO_GPU = frozenset({"torch"})

# The first version whose wheels work with numpy 2; older ones do not say that they cannot, and fail at import.
NUMPY_2_SINCE = {
    "gensim": "4.3.3",
    "h5py": "3.11",
    "matplotlib": "3.8.4",
    "onnxruntime": "1.19",
    "opencv-contrib-python-headless": "4.10",
    "opencv-python-headless": "4.10",
    "pandas": "2.2.2",
    "pyarrow": "16",
    "scikit-learn": "1.4.2",
    "statsmodels": "0.14.2",
}

# The same software without windows on a screen, which need libraries that neither wheels nor the base have.
HEADLESS = {
    "opencv-python": "opencv-python-headless",
    "opencv-contrib-python": "opencv-contrib-python-headless",
}

# Wheels for graphics processors that others load only if there is one: left out, unless asked for by name.
_CUDA_PARTS = (
    "cublas cuda-cccl cuda-cupti cuda-nvcc cuda-nvrtc cuda-runtime cudnn cufft cufile curand cusolver cusparse"
    " cusparselt nccl nvjitlink nvshmem nvtx"
).split()
GPU_ONLY = tuple(
    sorted(
        {f"nvidia-{part}{suffix}" for part in _CUDA_PARTS for suffix in ("", "-cu11", "-cu12", "-cu13")}
        | {"cuda-bindings", "cuda-pathfinder", "cuda-python", "cuda-toolkit", "triton"}
    )
)
