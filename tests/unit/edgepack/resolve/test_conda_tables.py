"""The tables of names: in canonical form, sensible, and reduced as the script says."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from edgepack.resolve import conda_names
from edgepack.resolve.conda_names import NOT_ON_DEVICES, RENAMED, fate_in_scoring, index_name
from edgepack.resolve.system_names import debian_packages, fate_of

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "edgepack" / "resolve"


def rows(name: str) -> list[list[str]]:
    lines = (FOLDER / name).read_text().splitlines()
    assert lines[0].startswith("#")
    assert not any(line.startswith("#") for line in lines[1:])
    return [line.split("\t") for line in lines[1:]]


def test_conda_names_are_in_canonical_form() -> None:
    found = rows("conda_names.tsv")
    assert found == sorted(found)
    assert len({conda for conda, _ in found}) == len(found) > 100
    for conda, index in found:
        assert (canonicalize_name(conda), canonicalize_name(index)) == (conda, index)
        assert conda != index
    assert "MIT License" in (FOLDER / "conda_names.LICENSE").read_text()


def test_own_exceptions_are_in_canonical_form_and_needed() -> None:
    table = dict(rows("conda_names.tsv"))
    for conda, index in RENAMED.items():
        assert canonicalize_name(conda) == conda != index
        assert table.get(conda) != index, f"{conda} is in the table"


def test_the_reduction() -> None:
    spec = importlib.util.spec_from_file_location("reduce_conda_names", ROOT / "scripts" / "reduce_conda_names.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reduce_rows: Callable[[list[tuple[str, str]]], list[tuple[str, str]]] = module.reduce_rows
    assert reduce_rows(
        [
            ("same", "same"),
            ("Same_too", "same.too"),
            ("py_torch", "Torch"),
            ("two", "one-of-them"),
            ("two", "the-other"),
            ("own", "own"),
            ("own", "stranger"),
            ("junk", "0164e082b29777fbc56c2373b68da93d"),
            ("a-core", "a"),
        ]
    ) == [("a-core", "a"), ("py-torch", "torch")]


@pytest.mark.parametrize(
    ("conda", "index"),
    [
        ("pytorch", "torch"),
        ("msgpack-python", "msgpack"),
        ("typing_extensions", "typing-extensions"),
        ("PyYAML", "pyyaml"),
        ("opencv", "opencv-python-headless"),
        ("cyipopt", "cyipopt"),
        ("python-graphviz", "graphviz"),
    ],
)
def test_index_names(conda: str, index: str) -> None:
    assert index_name(conda) == index


def test_system_names_are_in_canonical_form() -> None:
    found = rows("system_names.tsv")
    assert found == sorted(found)
    assert len({row[0] for row in found}) == len(found)
    kinds = {"base", "wheels", "build", "conda", "gpu", "screen", "windows", "debian", "refused", "absent", "python"}
    for name, kind, *text in found:
        assert name == name.lower()
        assert kind in kinds
        assert bool(text) is (kind in ("debian", "refused", "absent")), name
    assert all(package == package.lower() and " " not in package for package in debian_packages())


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("libsndfile", "libsndfile1"),
        ("libfoo", "wheels bring"),
        ("openssl", "the base has it"),
        ("gcc_linux-64", "compiled"),
        ("_openmp_mutex", "conda's own"),
        ("cudatoolkit", "graphics processors"),
        ("libcublas-dev", "graphics processors"),
        ("pyqt", "screen"),
        ("vs2015_runtime", "another system"),
        ("r-ggplot2", "no R"),
        ("gdal", "rasterio"),
    ],
)
def test_the_fate_of_what_is_not_python(name: str, part: str) -> None:
    fate = fate_of(name)
    assert fate is not None
    assert part in fate.reason


@pytest.mark.parametrize("name", ["numpy", "librosa", "libcst", "mesa", "ray-core", "gcsfs", "rasterio", "cmaes"])
def test_what_is_python(name: str) -> None:
    assert fate_of(name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "replaced") for name in NOT_ON_DEVICES),
        ("azureml-dataset-runtime", "dropped"),
        ("azureml-train-core", "dropped"),
        ("azureml-pipeline-steps", "dropped"),
        ("azureml-train-automl-client", "dropped"),
        ("azureml-contrib-fairness", "dropped"),
        ("azureml-train-automl-runtime", "refused"),
        ("azureml-interpret", "refused"),
        ("uuid", "dropped"),
    ],
)
def test_packages_of_azure_ml(name: str, kind: str) -> None:
    fate = fate_in_scoring(name)
    assert fate is not None
    assert fate.kind == kind


@pytest.mark.parametrize("name", ["inference-schema", "azure-iot-device", "azureml-model-management-sdk", "mlflow"])
def test_what_is_kept(name: str) -> None:
    assert fate_in_scoring(name) is None
    assert name not in conda_names.GPU_ONLY
