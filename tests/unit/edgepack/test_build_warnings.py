"""What a build warns of: models that another version of scikit-learn wrote."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.base.base_image import SuppliedPackage
from edgepack.build_warnings import build_warnings
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.oci.platform import AMD64, ARM_V7, Platform
from edgepack.oci.reference import parse_image_reference
from edgepack.project import Recipe
from edgepack.project_file import ModuleOptions
from edgepack.resolve.lock import PlatformLock, Wheel
from edgepack.resolve.package_requests import PackageRequests
from edgepack.script_folder import Script


def recipe(python: str | None = None, *requirements: str) -> Recipe:
    image, options = parse_image_reference("x"), ModuleOptions("x")
    requests = PackageRequests(requirements, python=python)
    platforms = (AMD64, ARM_V7)
    return Recipe("x", (), None, requests, {}, platforms, "debian:bookworm", image, options, Path(), "env.yml")


def model(framework: str = "ScikitLearn", version: str | None = None) -> ModelRecord:
    return ModelRecord(
        "iris",
        1,
        (ModelFile("iris.pkl", 1, "0" * 64),),
        "2026-11-01T00:00:00Z",
        framework=framework,
        framework_version=version,
    )


def locks(amd64: str, arm: str) -> dict[Platform, PlatformLock]:
    wheel = Wheel("scikit-learn", amd64, "x.whl", "", "0" * 64)
    plain = PlatformLock("linux/amd64", "", (), "", "debian:bookworm", "3.11", (), (wheel,))
    supplied = (SuppliedPackage("scikit-learn", arm, "python3-sklearn"),)
    return {
        AMD64: plain,
        ARM_V7: PlatformLock("linux/arm/v7", "", (), "", "debian:bookworm", "3.11", (), (), None, supplied),
    }


def warnings(models: list[ModelRecord], found: dict[Platform, PlatformLock], python: str | None = None) -> list[str]:
    return list(build_warnings([(recipe(python), models, found)]))


def test_nothing_to_warn_of() -> None:
    assert warnings([model(version="1.2.1")], locks("1.2.1", "1.2.1"), "3.11") == []


def test_another_version_for_each_platform() -> None:
    (text,) = warnings([model()], locks("1.9.1", "1.2.1"))
    assert "scikit-learn has another version for each platform (1.9.1 for linux/amd64, 1.2.1 for linux/arm/v7)" in text
    assert "(iris:1)" in text


def test_another_version_than_the_model_was_made_with() -> None:
    (text,) = warnings([model(version="1.9.1")], locks("1.2.1", "1.2.1"))
    assert "model iris:1 was made with scikit-learn 1.9.1" in text
    assert "1.2.1 for linux/amd64, 1.2.1 for linux/arm/v7" in text
    assert "pin scikit-learn==1.9.1" in text


def test_only_the_platform_that_differs_is_named() -> None:
    text = warnings([model(version="1.9.1")], locks("1.9.1", "1.2.1"))[-1]
    assert "the image has 1.2.1 for linux/arm/v7:" in text


@pytest.mark.parametrize("framework", ["Onnx", "Custom"])
def test_models_of_other_frameworks(framework: str) -> None:
    assert warnings([model(framework, "1.0")], locks("1.2.1", "1.2.1")) == []


def test_a_python_that_the_base_has_not() -> None:
    (text,) = warnings([], locks("1.2.1", "1.2.1"), "3.8")
    assert "env.yml asks for Python 3.8; debian:bookworm has Python 3.11" in text


def test_an_old_python_and_packages_of_today() -> None:
    asked = ("Scikit_learn[extra]; python_version > '3'", "absent", "numpy==1.0")
    (text,) = build_warnings([(recipe("3.6.2", *asked), [], locks("1.2.1", "1.2.1"))])
    assert text.endswith("and so the newest: Scikit_learn 1.2.1; pin what was trained with")
    text = next(build_warnings([(recipe("3.6.2", *asked), [], locks("1.9.1", "1.2.1"))]))
    assert "Scikit_learn 1.9.1 and 1.2.1;" in text
    assert list(build_warnings([(recipe("3.11", *asked), [], locks("1.2.1", "1.2.1"))])) == []


def test_a_drift_baseline_that_is_not_in_the_image() -> None:
    named = "iris.pkl, azureml-models/iris/1/iris.pkl, /mnt/b.json, limits.json, score/limits.json, nowhere.json"
    script = Script("score.py", (("limits.json", Path("limits.json"), False),), "score")
    watching = replace(recipe(), script=script, module=ModuleOptions("x", env={"EDGEPACK_DRIFT_BASELINE": named}))
    (text,) = build_warnings([(watching, [model(version="1.2.1")], locks("1.2.1", "1.2.1"))])
    assert text.startswith("EDGEPACK_DRIFT_BASELINE names nowhere.json, which is neither beside the script nor with")


def test_requests_kept_as_parquet_without_pyarrow() -> None:
    found = locks("1.2.1", "1.2.1")
    asked = replace(recipe(), module=ModuleOptions("x", env={"EDGEPACK_CAPTURE_FORMAT": "parquet"}))
    (text,) = build_warnings([(asked, [], found)])
    assert "pyarrow is not among the packages (linux/amd64, linux/arm/v7)" in text
    assert "add pyarrow to env.yml" in text
    wheel = Wheel("pyarrow", "23.0.1", "x.whl", "", "0" * 64)
    complete = {platform: replace(lock, wheels=(*lock.wheels, wheel)) for platform, lock in found.items()}
    assert list(build_warnings([(asked, [], complete)])) == []
