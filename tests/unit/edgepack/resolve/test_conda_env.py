"""Conda files as requirements of the Python index."""

from collections.abc import Mapping
from typing import Any

import pytest

from edgepack.errors import InputError
from edgepack.resolve.conda_env import parse_conda_file
from edgepack.resolve.package_requests import PackageRequests, python_fits, with_requirements


def parse(*dependencies: str, pip: tuple[str, ...] = (), files: Mapping[str, str] | None = None) -> PackageRequests:
    lines = ["name: x", "channels: [conda-forge]", "dependencies:", *(f"- '{one}'" for one in dependencies)]
    if pip:
        lines += ["- pip:", *(f'  - "{one}"' for one in pip)]
    return parse_conda_file("\n".join(lines), "env.yml", lambda name: dict(files or {})[name])


def problems(*dependencies: str, pip: tuple[str, ...] = (), files: Mapping[str, str] | None = None) -> tuple[str, ...]:
    def read(name: str) -> str:
        try:
            return dict(files or {})[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    lines = ["dependencies:", *(f"- '{one}'" for one in dependencies)]
    if pip:
        lines += ["- pip:", *(f'  - "{one}"' for one in pip)]
    with pytest.raises(InputError) as caught:
        parse_conda_file("\n".join(lines), "env.yml", read)
    assert all(problem.startswith("env.yml: ") for problem in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    ("spec", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy=1.20", "numpy==1.20.*"),
        ("numpy=1.20.*", "numpy==1.20.*"),
        ("numpy==1.20.3", "numpy==1.20.3"),
        ("numpy==1.20.*", "numpy==1.20.*"),
        ("numpy 1.20.3", "numpy==1.20.3"),
        ("numpy 1.20*", "numpy==1.20.*"),
        ("numpy=1.10.*", "numpy==1.10.*"),
        ("numpy *", "numpy"),
        ("numpy>=1.20", "numpy>=1.20"),
        ("numpy >=1.20,<2", "numpy<2,>=1.20"),
        ("numpy>=1.20, <2.0", "numpy<2.0,>=1.20"),
        ("numpy!=1.21", "numpy!=1.21"),
        ("numpy~=1.20", "numpy~=1.20"),
        ("numpy=1.20=py38h_0", "numpy==1.20"),
        ("numpy 1.20 py38h_0", "numpy==1.20"),
        ("numpy==1.20.3=py38h_0", "numpy==1.20.3"),
        ("conda-forge::numpy=1.20", "numpy==1.20.*"),
        ("conda-forge/linux-64::numpy", "numpy"),
        ('numpy[version=">=1.20"]', "numpy>=1.20"),
        ("NumPy=1.20", "numpy==1.20.*"),
        ("scikit-learn=0.24.2", "scikit-learn==0.24.2.*"),
        ("python_dateutil", "python-dateutil"),
        ("pytorch=2.1", "torch==2.1.*"),
        ("opencv", "opencv-python-headless"),
        ("msgpack-python>=1", "msgpack>=1"),
    ],
)
def test_a_conda_package(spec: str, requirement: str) -> None:
    found = parse(spec)
    assert found.requirements == (requirement,)
    assert len(found.from_conda) == 1
    assert found.channels == ("conda-forge",)


@pytest.mark.parametrize(
    ("spec", "note"),
    [
        ("numpy=1.20=py38h_0", "the build is conda's own"),
        ("defaults::numpy", "not from channel defaults"),
        ("pytorch", "called torch"),
        ('numpy[version=">=1.20",md5=12]', "md5 in brackets"),
        ("numpy=1.20|1.21", "of these versions 1.21 is used"),
        ("mkl=2021", "left out"),
        ("libgcc-ng", "left out"),
        ("pip=21.0", "left out"),
    ],
)
def test_what_is_changed_or_dropped_is_noted(spec: str, note: str) -> None:
    notes = parse(spec).notes
    assert any(note in one for one in notes), notes


@pytest.mark.parametrize(
    ("spec", "pin"),
    [
        ("python", None),
        ("python=3.8", "3.8"),
        ("python==3.8.5", "3.8.5"),
        ("python 3.8", "3.8"),
        ("python=3.8.*", "3.8.*"),
        ("python>=3.8,<3.12", ">=3.8,<3.12"),
        ("python=3.8.5=h12_0", "3.8.5"),
    ],
)
def test_python_is_a_pin_and_no_package(spec: str, pin: str | None) -> None:
    found = parse(spec)
    assert (found.python, found.requirements) == (pin, ())


@pytest.mark.parametrize(
    ("pin", "python", "fits"),
    [
        ("3.11", "3.11", True),
        ("3.11.4", "3.11", True),
        ("3", "3.11", True),
        ("3.*", "3.11", True),
        ("3.1", "3.11", False),
        ("3.8", "3.11", False),
        (">=3.8", "3.11", True),
        (">=3.8,<3.11", "3.11", False),
        (">=3.8,<3.12", "3.11", True),
        ("banana", "3.11", False),
    ],
)
def test_which_python_answers_a_pin(pin: str, python: str, fits: bool) -> None:
    assert python_fits(pin, python) is fits


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("numpy==1.20.3", "numpy==1.20.3"),
        ("numpy >= 1.20 , < 2", "numpy<2,>=1.20"),
        ("requests[socks]>=2", "requests[socks]>=2"),
        ("numpy # why", "numpy"),
        ("Some_Name", "Some_Name"),
        ("six; python_version < '3.12'", "six; python_version < '3.12'"),
    ],
)
def test_a_pip_line(line: str, requirement: str) -> None:
    found = parse(pip=(line,))
    assert [one.replace('"', "'") for one in found.requirements] == [requirement]
    assert found.from_conda == frozenset()


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("-i https://example.com/simple", ("--index-url", "https://example.com/simple")),
        ("--index-url https://example.com/simple", ("--index-url", "https://example.com/simple")),
        ("--index-url=https://example.com/simple", ("--index-url", "https://example.com/simple")),
        ("--extra-index-url=https://example.com/?a=b", ("--extra-index-url", "https://example.com/?a=b")),
        ("-f wheels", ("--find-links", "wheels")),
        ("--find-links ./wheels/", ("--find-links", "wheels")),
        ("--no-index", ("--no-index",)),
        ("--pre", ("--prerelease", "allow")),
        ("", ()),
        ("# only a remark", ()),
    ],
)
def test_a_pip_option(line: str, options: tuple[str, ...]) -> None:
    assert parse(pip=(line, "numpy")).options == options


@pytest.mark.parametrize("line", ["--trusted-host example.com", "--prefer-binary", "--no-cache-dir"])
def test_an_option_without_a_meaning_is_noted(line: str) -> None:
    found = parse(pip=(line,))
    assert found.options == ()
    assert line in found.notes[0]


@pytest.mark.parametrize(
    "line", ["-e", "-c", "--hash=sha256:00", "--index-url", "-r", "--no-index x", "--pre x", "--no-deps"]
)
def test_an_option_that_is_not_supported(line: str) -> None:
    assert problems(pip=(line,)) == (
        f"env.yml: pip option {line!r} is not supported; write packages by name and version",
    )


@pytest.mark.parametrize(
    "line",
    [
        "git+https://example.com/x.git",
        "./local",
        "../local",
        "/absolute/x",
        "-e .",
        "-e git+https://example.com/x.git#egg=x",
        "x @ git+https://example.com/x.git@v1",
        "https://example.com/x.tar.gz",
        "x @ https://example.com/x.zip",
        "file:///x",
    ],
)
def test_a_line_that_is_no_package_of_an_index(line: str) -> None:
    (problem,) = problems(pip=(line,))
    assert "--find-links" in problem


@pytest.mark.parametrize("name", ["azureml-defaults", "azureml_core", "azureml-sdk==1.30", "azureml-contrib-services"])
def test_packages_of_azure_ml_are_replaced(name: str) -> None:
    found = parse(pip=(name,))
    assert found.requirements == ()
    assert found.replaced == (name.replace("_", "-").split("=")[0],)
    assert "replaced by what the device agent offers" in found.notes[0]


def test_requirements_files_and_what_they_refer_to() -> None:
    files = {
        "reqs/base.txt": "numpy>=1.20\n-r common.txt\n--find-links wheels\n\n# remark\n",
        "reqs/common.txt": "six\n-r base.txt\n-r ../top.txt\n",
        "top.txt": "pyyaml\r\n-r top.txt\n",
    }
    found = parse(pip=("-r reqs/base.txt", "--requirement=reqs/common.txt"), files=files)
    assert found.requirements == ("numpy>=1.20", "pyyaml", "six")
    assert found.options == ("--find-links", "reqs/wheels")


def test_a_requirements_file_that_is_missing() -> None:
    assert problems(pip=("-r nowhere.txt", "./x")) == (
        "env.yml: -r nowhere.txt: cannot be read (nowhere.txt)",
        problems(pip=("./x",))[0],
    )


def test_one_package_in_both_sections_asks_for_both() -> None:
    assert parse("numpy>=1.20", pip=("numpy<2",)).requirements == ("numpy<2,>=1.20",)
    assert parse("numpy", "numpy").requirements == ("numpy",)


def test_one_package_with_several_markers() -> None:
    found = parse(pip=("six==1.0; python_version < '3.8'", "six==2.0; python_version >= '3.8'"))
    assert len(found.requirements) == 2
    assert len(with_requirements(found, ["six"]).requirements) == 3


def test_requirements_are_added() -> None:
    found = with_requirements(parse("numpy>=1.20", pip=("-i https://example.com",)), ["NumPy[x]<3", "uvicorn>=0.35"])
    assert found.requirements == ("numpy[x]<3,>=1.20", "uvicorn>=0.35")
    assert found.options == ("--index-url", "https://example.com")
    assert found.channels == ("conda-forge",)


@pytest.mark.parametrize(
    "spec", ["", "numpy==", "numpy=>1", "nu mpy", "=1.0", "numpy>=1.x.y!", "numpy=1..2", "_", "a b c d"]
)
def test_what_is_no_package(spec: str) -> None:
    assert len(problems(spec)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a conda file is a mapping"),
        ("- numpy", "a conda file is a mapping"),
        ("dependencies: numpy", "`dependencies` must be a list"),
        ("channels: 5", "`channels` must be a list"),
        ("channels: [5]", "`channels` must be a list"),
        ("dependencies: [5]", "5 is neither a package nor"),
        ("dependencies: [null]", "None is neither a package nor"),
        ("dependencies: [[a]]", "is neither a package nor"),
        ("dependencies: [{npm: [x]}]", "is neither a package nor"),
        ("dependencies: [{pip: numpy}]", "is neither a package nor"),
        ("dependencies: [{pip: [x], conda: [y]}]", "is neither a package nor"),
        ("dependencies: [{pip: [null]}]", "None under `pip:` is not a text"),
        ("dependencies: [{pip: [1.5]}]", "1.5 under `pip:` is not a text"),
        ("dependencies: [{pip: [{numpy: 1}]}]", "under `pip:` is not a text"),
        ("a: [", "not YAML"),
        ("a: 2020-99-99", "not YAML"),
        ("a: !!int x", "not YAML"),
        ("a: !!timestamp x", "not YAML"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("\x00", "not YAML"),
        ("[" * 500, "not YAML"),
    ],
)
def test_files_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_conda_file(text, "env.yml", str)
    assert str(caught.value).startswith("env.yml: ")


def test_empty_sections() -> None:
    for text in ("name: x", "dependencies:", "dependencies: [{pip: null}]", "dependencies: [{pip: []}]"):
        assert parse_conda_file(text, "env.yml", str) == PackageRequests()


def test_all_problems_are_reported_together() -> None:
    found: Any = problems("numpy=1a", "x y z w", pip=("-e .", "./local", "six==x", "numpy"))
    assert len(found) == 5


def test_what_needs_a_screen_or_nothing_at_all() -> None:
    found = parse("cpuonly", "nodefaults", pip=("opencv-python==4.10.0.84",))
    assert found.requirements == ("opencv-python-headless==4.10.0.84",)
    assert any("opencv-python-headless" in note for note in found.notes)
