"""`CondaDependencies`: defaults, pins, entries that replace each other, the file."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.azureml.core.conda_dependencies import CondaDependencies
from edgepack.azureml.exceptions import UserErrorException
from tests.examples import examples


def test_a_new_one_has_the_defaults_of_v1() -> None:
    assert CondaDependencies().as_dict() == {
        "name": "project_environment",
        "channels": ["anaconda", "conda-forge"],
        "dependencies": ["python=3.8.13", {"pip": ["azureml-defaults"]}],
    }
    assert CondaDependencies().get_default_number_of_packages() == (1, 1)


def test_create_pins_the_sdk_and_another_python() -> None:
    assert CondaDependencies.create().as_dict()["dependencies"] == [
        "python=3.10.18",
        {"pip": ["azureml-defaults~=1.61.0"]},
    ]
    made = CondaDependencies.create(
        pip_indexurl="https://index.example/simple",
        pip_packages=["azureml-defaults", "azureml-core[x]>=1", "joblib==1.3", "azureml-inference-server-http"],
        conda_packages=["numpy", "numpy=1.26", "scikit-learn"],
        python_version="3.11",
    )
    assert made.conda_packages == ["python=3.11", "numpy=1.26", "scikit-learn"]
    assert made.pip_packages == [
        "azureml-defaults~=1.61.0",
        "azureml-core[x]~=1.61.0",
        "joblib==1.3",
        "azureml-inference-server-http",
    ]
    assert made.pip_options == ["--index-url https://index.example/simple"]
    assert CondaDependencies.create(pip_packages=[]).pip_packages == []
    assert CondaDependencies.create(pin_sdk_version=False).pip_packages == ["azureml-defaults"]


def test_the_article() -> None:
    packages = CondaDependencies()
    for name in ("tensorflow", "numpy", "scikit-learn"):
        packages.add_conda_package(name)
    for name in ("azureml-defaults", "keras", "gensim"):
        packages.add_pip_package(name)
    assert packages.as_dict()["dependencies"] == [
        "python=3.8.13",
        "tensorflow",
        "numpy",
        "scikit-learn",
        {"pip": ["azureml-defaults", "keras", "gensim"]},
    ]


def test_an_entry_replaces_the_first_of_its_name() -> None:
    packages = CondaDependencies()
    packages.add_conda_package("conda-forge::NumPy>=1.2")
    packages.add_conda_package("scipy")
    packages.add_conda_package("numpy=1.26")
    packages.add_pip_package("scikit_learn[all]==1.0 ; python_version > '3'")
    packages.add_pip_package("Scikit.Learn")
    assert packages.conda_packages == ["python=3.8.13", "numpy=1.26", "scipy"]
    assert packages.pip_packages == ["azureml-defaults", "Scikit.Learn"]
    packages.remove_conda_package("numpy>2")
    packages.remove_pip_package("scikit-learn")
    packages.remove_pip_package("never-there")
    assert packages.conda_packages == ["python=3.8.13", "scipy"]
    assert packages.pip_packages == ["azureml-defaults"]


def test_python_channels_and_options() -> None:
    packages = CondaDependencies()
    packages.set_python_version("3.11")
    packages.add_channel("pytorch")
    packages.add_channel("pytorch")
    packages.remove_channel("anaconda")
    packages.set_pip_index_url("https://a.example")
    packages.set_pip_index_url("https://b.example")
    packages.set_pip_option("--extra-index-url https://c.example")
    assert packages.get_python_version() == "3.11"
    assert packages.conda_packages == ["python=3.11"]
    assert packages.conda_channels == ["conda-forge", "pytorch"]
    assert packages.pip_options == ["--extra-index-url https://c.example", "--index-url https://b.example"]
    assert packages.pip_packages == ["azureml-defaults"]
    packages.remove_pip_option("--extra-index-url")
    packages.set_pip_requirements(["joblib"])
    assert (packages.pip_options, packages.pip_packages) == ([], ["joblib"])
    packages.add_tensorflow_pip_package("cpu", "2.16.1")
    assert packages.pip_packages == ["joblib", "tensorflow==2.16.1"]


def test_a_file_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "myenv.yml"
    path.write_text("name: mine\ndependencies:\n- numpy\n")
    packages = CondaDependencies(str(path))
    assert packages.conda_packages == ["python=3.10.18", "numpy"]
    packages.add_pip_package("joblib")
    assert packages.save_to_file(str(tmp_path), "out/conda.yml") == "out/conda.yml"
    written = yaml.safe_load((tmp_path / "out" / "conda.yml").read_text())
    assert written == {"name": "mine", "dependencies": ["python=3.10.18", "numpy", {"pip": ["joblib"]}]}
    assert yaml.safe_load(packages.serialize_to_string()) == written
    assert packages.save_to_file(str(tmp_path)) == "conda_dependencies.yml"
    assert CondaDependencies(str(tmp_path / "conda_dependencies.yml")).as_dict() == written


@pytest.mark.parametrize("text", ["- numpy\n", "dependencies: numpy\n", "dependencies: [1]\n", "a: [\n", "\xff"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "myenv.yml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserErrorException, match=r"myenv\.yml"):
        CondaDependencies(str(path))
    with pytest.raises(FileNotFoundError):
        CondaDependencies(str(tmp_path / "other.yml"))


def test_a_structure_is_not_shared() -> None:
    given_structure: dict[str, object] = {"dependencies": ["python=3.11"]}
    packages = CondaDependencies(_underlying_structure=given_structure)
    packages.add_conda_package("numpy")
    packages.as_dict()["dependencies"].append("x")
    assert given_structure == {"dependencies": ["python=3.11"]}
    assert packages.conda_packages == ["python=3.11", "numpy"]
    with pytest.raises(UserErrorException, match="a package is a text"):
        packages.add_conda_package("")


names = st.sampled_from(["numpy", "scipy", "py", "python-dateutil", "pip-tools", "x1"])


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(names, st.sampled_from(["", "=1", ">=2,<3", "==1.0"])), max_size=8))
def test_each_name_stands_once_as_it_was_added_last(added: list[tuple[str, str]]) -> None:
    packages = CondaDependencies(_underlying_structure={"dependencies": []})
    for name, version in added:
        packages.add_conda_package(name + version)
        packages.add_pip_package(name + version)
    last = {name: name + version for name, version in added}
    assert sorted(packages.conda_packages) == sorted(packages.pip_packages) == sorted(last.values())
    again = CondaDependencies(_underlying_structure=yaml.safe_load(packages.serialize_to_string()))
    assert again.as_dict() == packages.as_dict()


@pytest.mark.parametrize("given", ["https://a.b/simple", "--index-url https://a.b/simple"])
def test_an_index_is_a_url_or_the_whole_option(given: str) -> None:
    packages = CondaDependencies()
    packages.set_pip_index_url(given)
    assert packages.pip_options == ["--index-url https://a.b/simple"]
