"""Lines of requirements files: addresses, hashes, constraints, continuations, and what is refused."""

from collections.abc import Mapping

import pytest

from edgepack.errors import InputError
from edgepack.resolve.package_requests import PackageRequests
from edgepack.resolve.packages_file import parse_packages_file

HASH = "0" * 64
OTHER_HASH = "1" * 64


def parse(text: str, files: Mapping[str, str] | None = None) -> PackageRequests:
    return parse_packages_file(text, "requirements.txt", lambda name: dict(files or {})[name])


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return caught.value.problems


def test_a_file_as_pip_compile_writes_it() -> None:
    found = parse(
        "--index-url https://example.com/simple\n"
        "\n"
        "numpy==1.26.4 \\\n"
        f"    --hash=sha256:{HASH} \\\n"
        f"    --hash=sha256:{OTHER_HASH}\n"
        "    # via pandas\n"
        "six==1.16.0 ; python_version < '4'  # via nothing\n"
    )
    assert found.requirements == ("numpy==1.26.4", 'six==1.16.0; python_version < "4"')
    assert found.hashes == (("numpy", (HASH, OTHER_HASH)),)
    assert found.options == ("--index-url", "https://example.com/simple")
    assert (found.from_conda, found.python, found.notes) == (frozenset(), None, ())


def test_constraints_limit_and_do_not_ask() -> None:
    files = {"limits/c.txt": "numpy[x]<2\n-r more.txt\n", "limits/more.txt": "opencv-python==4.10.0.84\n"}
    found = parse("pandas\n-c limits/c.txt\n", files)
    assert found.requirements == ("pandas",)
    assert found.constraints == ("numpy<2", "opencv-python-headless==4.10.0.84")
    assert found.notes == ()


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("x @ https://example.com/x-1.0-py3-none-any.whl", "x@ https://example.com/x-1.0-py3-none-any.whl"),
        ("x[a]@ https://example.com/x-1.0-py3-none-any.whl", "x[a]@ https://example.com/x-1.0-py3-none-any.whl"),
        ("https://example.com/x-1.0-py3-none-any.whl#egg=x", "x@ https://example.com/x-1.0-py3-none-any.whl"),
        (
            "https://example.com/${KEY}/x-1.0-py3-none-any.whl?${SAS}",
            "x@ https://example.com/${KEY}/x-1.0-py3-none-any.whl?${SAS}",
        ),
        (
            "x @ https://example.com/x-1.0-py3-none-any.whl ; python_version > '3'",
            'x@ https://example.com/x-1.0-py3-none-any.whl ; python_version > "3"',
        ),
    ],
)
def test_a_wheel_by_address(line: str, requirement: str) -> None:
    (found,) = parse(line).requirements
    assert found.replace(" @ ", "@ ") == requirement


def test_the_hash_of_an_address() -> None:
    found = parse(f"https://example.com/x-1.0-py3-none-any.whl#sha256={HASH}")
    assert found.hashes == (("x", (HASH,)),)
    assert HASH not in found.requirements[0]


def test_wheels_for_each_machine_get_its_marker() -> None:
    lines = [f"https://example.com/x-1.0-cp311-cp311-manylinux_2_28_{each}.whl" for each in ("x86_64", "aarch64")]
    found = parse("\n".join(lines))
    assert [requirement.partition("; ")[2] for requirement in found.requirements] == [
        'platform_machine == "aarch64"',
        'platform_machine == "x86_64"',
    ]
    (problem,) = problems(f"{lines[0]}\n{lines[0].replace('1.0', '2.0')}")
    assert "from two addresses" in problem


@pytest.mark.parametrize("line", ["./wheels/x-1.0-py3-none-any.whl", "wheels/x-1.0-py3-none-any.whl"])
def test_a_wheel_in_a_folder(line: str) -> None:
    found = parse(line)
    assert (found.requirements, found.options) == (("x==1.0",), ("--find-links", "wheels"))


def test_a_wheel_beside_the_file_that_names_it() -> None:
    found = parse("-r deep/more.txt", {"deep/more.txt": "../a/x-1.0-py3-none-any.whl\nfile:///b/y-2-py3-none-any.whl"})
    assert found.requirements == ("x==1.0", "y==2")
    assert found.options == ("--find-links", "a", "--find-links", "/b")


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("-e .", "pip wheel --no-deps -w wheels '.'"),
        ("x @ git+https://example.com/x@v1", "'git+https://example.com/x@v1'"),
        ("git+ssh://git@example.com/x.git", "pip wheel"),
        ("https://example.com/x-1.0.tar.gz", "pip wheel"),
        ("y @ https://example.com/x-1.0-py3-none-any.whl", "one of x"),
        ("x @ ftp://example.com/x-1.0-py3-none-any.whl", "use http"),
        ("https://example.com/x.whl", "Invalid wheel filename"),
        ("x==${VERSION}", "in URLs only"),
        ("${PLACE}/x-1.0-py3-none-any.whl", "in URLs only"),
        ("x=1.0", "write `==`"),
        ("x --hash=md5:00", "SHA-256"),
        ("x --hash=sha256:00", "SHA-256"),
        ("x --pre", "is not supported"),
        ("-r https://example.com/x.txt", "download it"),
        ("--no-binary :all:", "only wheels"),
        ("--no-deps", "is not supported"),
        ("azureml-train-automl-runtime", "ONNX"),
    ],
)
def test_what_is_refused_says_what_to_do(line: str, advice: str) -> None:
    (problem,) = problems(line)
    assert problem.startswith("requirements.txt: ")
    assert advice in problem


@pytest.mark.parametrize(
    "line",
    [
        "--bogus https://me:secret@example.com/",
        "-r https://secret@example.com/x.txt",
        "x @ ftp://me:secret@example.com/x-1.0-py3-none-any.whl",
        "git+https://secret@example.com/x",
        "https://example.com/x.zip?key=secret",
        "-e git+https://me:secret@example.com/x?secret",
    ],
)
def test_problems_hide_secrets(line: str) -> None:
    assert "secret" not in problems(line)[0]


def test_what_only_a_build_needs_is_noted() -> None:
    found = parse("x --config-settings=a=b --global-option=c")
    assert found.requirements == ("x",)
    assert "only matters where a package is built" in found.notes[0]


def test_an_address_wins_over_a_version() -> None:
    (found,) = parse("x>=2\nx @ https://example.com/x-1.0-py3-none-any.whl").requirements
    assert found.replace(" @ ", "@ ") == "x@ https://example.com/x-1.0-py3-none-any.whl"
