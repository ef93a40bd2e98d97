"""Which format a file of packages is in, and what its keys mean."""

from pathlib import Path

import pytest

from edgepack.errors import InputError
from edgepack.resolve.package_requests import PackageRequests, python_fits
from edgepack.resolve.packages_file import parse_packages_file
from edgepack.resolve.url_variables import UrlVariables, find_variables, variables_in, without_log_in, without_secrets


def parse(text: str, name: str = "env.yml") -> PackageRequests:
    return parse_packages_file(text, name, lambda file: f"from-{Path(file).stem}\n")


def problems(text: str, name: str = "env.yml") -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        parse(text, name)
    return caught.value.problems


def notes(text: str, name: str = "env.yml") -> str:
    return "\n".join(parse(text, name).notes)


@pytest.mark.parametrize("name", ["requirements.txt", "reqs.in", "packages", "env.yml"])
def test_a_requirements_file_under_any_name(name: str) -> None:
    found = parse("numpy>=1.26 \\\n  --hash=sha256:" + "0" * 64 + "\n-r more.txt\n# remark\npandas[x] # why\n", name)
    assert found.requirements == ("from-more", "numpy>=1.26", "pandas[x]")


def test_an_empty_requirements_file() -> None:
    assert parse("\n# nothing\n", "requirements.txt") == PackageRequests()


def test_an_explicit_list() -> None:
    found = parse(
        "# platform: linux-64\n@EXPLICIT\n"
        "https://conda.example.com/forge/linux-64/numpy-1.26.4-py311h64a7726_0.conda#0123\n"
        "https://conda.example.com/forge/linux-64/libcurl-8.5.0-hca28451_0.conda\n"
        "https://conda.example.com/forge/linux-64/strange-1.0-habcdef12_0.tar.bz2\n"
        "https://conda.example.com/forge/noarch/typing-extensions-4.9.0-hd8ed1ab_0.conda\n"
        "https://conda.example.com/forge/linux-64/python-3.11.7-hab00c5b_1_cpython.conda\n"
    )
    assert found.requirements == ("numpy==1.26.4", "typing-extensions==4.9.0")
    assert (found.python, found.system) == ("3.11.7", ())
    assert "other packages needed it" in "\n".join(found.notes)
    assert "no Python package" in "\n".join(found.notes)
    (problem,) = problems("@EXPLICIT\nnumpy\n")
    assert "'numpy' is no line" in problem


def test_a_list_for_export() -> None:
    found = parse("# conda create --name <env> --file <this file>\nnumpy=1.26.4=py311_0\nuvicorn=0.30.0=pypi_0\n")
    assert found.requirements == ("numpy==1.26.4", "uvicorn==0.30.0")
    assert found.from_conda == {"numpy"}


LOCK = """
version: 1
metadata: {platforms: [osx-64, linux-64]}
package:
- {name: numpy, version: 1.26.3, manager: conda, platform: osx-64}
- {name: numpy, version: 1.26.4, manager: conda, platform: linux-64, url: "https://x/linux-64/numpy-1.26.4-py311_0.conda"}
- {name: zlib, version: 1.2.13, manager: conda, platform: linux-64}
- {name: odd-lib, version: "1", manager: conda, platform: linux-64, url: "https://x/linux-64/odd-lib-1-habcdef1_0.conda"}
- {name: uvicorn, version: 0.30.0, manager: pip, platform: linux-64}
- {name: pytest, version: 8.0.0, manager: conda, platform: linux-64, category: dev}
"""


def test_a_lock_of_conda() -> None:
    found = parse(LOCK)
    assert found.requirements == ("numpy==1.26.4", "uvicorn==0.30.0")
    (problem,) = problems("metadata: x\npackage: [{name: 5}]\n")
    assert "no package of a conda lock" in problem


def test_an_environment_of_mlflow() -> None:
    found = parse(
        "python: 3.10.4\nbuild_dependencies: [pip==23]\ndependencies: [-r requirements.txt]\n", "python_env.yaml"
    )
    assert (found.requirements, found.python) == (("from-requirements",), "3.10.4")
    assert "list of lines for pip" in problems("build_dependencies: []\ndependencies: x\n")[0]


@pytest.mark.parametrize("name", ["pyproject.toml", "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "pixi.toml"])
def test_files_of_other_tools(name: str) -> None:
    (problem,) = problems("x", f"a/{name}")
    assert "neither a conda file nor a requirements file" in problem


EXPORT = "name: x\ndependencies:\n" + "".join(f"- python-like-{number}=1.0=py38_0\n" for number in range(9))


def test_an_exported_environment() -> None:
    found = parse(
        f"{EXPORT}- libcurl=7.1=h1_0\n- graphviz=2=h1_0\n- ffmpeg\n- esmf=8=nompi_h1234567_0\nprefix: /opt/x\n"
    )
    assert len(found.requirements) == 9
    assert found.system == ("ffmpeg",)
    text = "\n".join(found.notes)
    for part in ("libcurl=7.1=h1_0, graphviz=2=h1_0: left out, other", "esmf", "--from-history", "`prefix`"):
        assert part in text
    assert "graphviz" in problems("dependencies: [graphviz=2=h1_0]")[0]


def test_system_packages() -> None:
    found = parse("dependencies: [libsndfile, tesseract=5, libmagic, cmake, mkl, numpy]")
    assert found.system == ("libmagic1|libmagic1t64", "libsndfile1", "tesseract-ocr", "tesseract-ocr-eng")
    assert found.requirements == ("numpy",)
    assert "taken from Debian as libmagic1 or libmagic1t64" in "\n".join(found.notes)


def test_variables() -> None:
    assert parse("variables: {A: x, B: 1}").variables == (("A", "x"), ("B", "1"))
    assert len(problems("variables: {A: [], B: true, C: null, D=E: x}")) == 4
    assert "must be a mapping" in problems("variables: [A]")[0]


def test_keys() -> None:
    assert "did you mean `dependencies`?" in problems("dependecies: [numpy]")[0]
    assert "item of the list" in problems("pip: [numpy]")[0]
    for key in ("platforms: [linux-64]", "channel_priority: strict", "category: dev", "prefix: /x"):
        assert f"`{key.partition(':')[0]}`" in notes(f"{key}\ndependencies: [numpy]")


def test_a_key_that_stands_twice() -> None:
    (problem,) = problems("dependencies:\n- numpy\nname: x\ndependencies:\n- pandas\n")
    assert problem == "env.yml: key `dependencies` stands twice, in lines 1 and 4"
    assert "pip" in problems("dependencies:\n- pip: [a]\n  pip: [b]\n")[0]


def test_selectors() -> None:
    text = "dependencies:\n- numpy  # [linux]\n- pywin  # [win]\n- a # [not win]\n- b  # [osx and arm64]\n- c # [x]\n"
    found = parse(text)
    assert found.requirements == ("a", "c", "numpy")
    assert "pywin, b: left out, its selector is for another system" in found.notes


def test_channels() -> None:
    assert notes("channels: [defaults, nodefaults]\ndependencies: [numpy]") == ""
    found = parse("channels: [pytorch, https://me:secret@example.com/t/secret/own]\ndependencies: [pytorch, cpuonly]")
    assert found.requirements == ("torch",)
    assert found.channels == ("pytorch", "https://***@example.com/t/***/own")
    assert "secret" not in "\n".join(found.notes)
    assert "not used" in "\n".join(found.notes)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("dependencies: [{pip: numpy}]", "put `- ` before"),
        ("dependencies: [{python: 3.8}]", "write `- python=3.8`"),
        ("dependencies: ['uvicorn[standard]']", "under `pip:`"),
    ],
)
def test_common_mistakes(text: str, hint: str) -> None:
    assert hint in problems(text)[0]


def test_versions_of_opencv_are_finer_on_the_index() -> None:
    found = parse("dependencies: [opencv=4.10.0=py311_0, py-opencv==4.10.0]")
    assert found.requirements == ("opencv-python-headless==4.10.0.*",)


@pytest.mark.parametrize(("pin", "fits"), [("3.8|3.11", True), ("3.8|3.9", False), (">=3.6|<3", True), ("3.1*", False)])
def test_alternative_pythons(pin: str, fits: bool) -> None:
    assert python_fits(pin, "3.11") is fits


def test_variables_in_urls() -> None:
    text = "https://${USER_1}:${TOKEN}@example.com/${NONE}/$TOKEN/${lower}"
    assert variables_in(text) == ("USER_1", "TOKEN", "NONE")
    values = UrlVariables({"USER_1": "me", "TOKEN": "s3cr3t", "OTHER": "s3cr3tary"})
    expanded = values.expand(text)
    assert expanded == "https://me:s3cr3t@example.com/${NONE}/$TOKEN/${lower}"
    assert values.hide("got s3cr3t and s3cr3tary from me") == "got ${TOKEN} and ${OTHER} from me"
    with pytest.raises(InputError, match="NONE, which a URL in it names, is not set"):
        find_variables([text], {"USER_1": "me", "TOKEN": "x"}, "env.yml")


def test_urls_without_secrets() -> None:
    assert without_log_in("https://me:pw@example.com/a@b") == "https://example.com/a@b"
    assert without_log_in("https://example.com/a@b") == "https://example.com/a@b"
    told = without_secrets("see https://me:pw@example.com/x?sig=pw#egg=y and https://example.com/t/pw/z, a@b")
    assert told == "see https://***@example.com/x?***#egg=y and https://example.com/t/***/z, a@b"
