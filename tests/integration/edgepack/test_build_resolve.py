"""Conda files resolved by the real resolver against folders and servers of fake wheels, without the internet."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack.errors import EdgepackError, InputError, RemoteError
from edgepack.oci.platform import AMD64, ARM64
from edgepack.resolve.conda_env import parse_conda_file
from edgepack.resolve.index import resolve
from edgepack.resolve.lock import Target
from edgepack.resolve.package_requests import PackageRequests
from tests.fakes.http_server import FileServer, Reply
from tests.fakes.wheels import FakeWheel, for_machines, index_files

BOTH = tuple(Target(platform, "3.11", "3.11.2", 36) for platform in (AMD64, ARM64))


def wheels_to_choose_from() -> list[FakeWheel]:
    return [
        FakeWheel("plain", "1.0"),
        FakeWheel("plain", "2.0", requires=("six-like>=1",)),
        FakeWheel("six-like", "1.5"),
        FakeWheel("six-like", "1.9rc1"),
        *for_machines("native", "1.0"),
        *for_machines("native", "1.1"),
        *for_machines("native", "2.0", machines=["x86_64"]),
        *for_machines("late", "1.0", machines=["x86_64"]),
        *for_machines("late", "1.1"),
        *for_machines("never", "1.0", machines=["x86_64"]),
        FakeWheel("wants-old", requires=("plain<2",)),
        FakeWheel("wants-new", requires=("plain>=2",)),
        FakeWheel(
            "by-machine", requires=("plain; platform_machine == 'aarch64'", "native<2; platform_machine == 'x86_64'")
        ),
        FakeWheel("by-system", requires=("missing-there; sys_platform == 'win32'", "plain; python_version < '3'")),
        FakeWheel("torch-like", requires=("nvidia-cublas-cu12", "triton", "plain")),
        FakeWheel("other-python", "1.0", "cp312-cp312-manylinux_2_17_x86_64"),
        FakeWheel("new-glibc", "1.0", "cp311-cp311-manylinux_2_39_x86_64"),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in wheels_to_choose_from():
        (folder / wheel.filename).write_bytes(wheel.build())
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with FileServer(index_files(wheels_to_choose_from())) as server:
        yield server


@pytest.fixture(autouse=True)
def own_resolver(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "uv-cache"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def requests(folder: Path, *lines: str) -> PackageRequests:
    return PackageRequests(tuple(lines), options=("--no-index", "--find-links", str(folder)))


def names(folder: Path, *lines: str) -> list[list[str]]:
    found = resolve(requests(folder, *lines), BOTH, "env.yml")
    return [[f"{wheel.name} {wheel.version}" for wheel in found[target]] for target in BOTH]


def error_text(kind: type[EdgepackError], asked: PackageRequests, *, offline: bool = False) -> str:
    with pytest.raises(kind) as caught:
        resolve(asked, BOTH, "env.yml", offline=offline)
    return str(caught.value)


def test_each_platform_gets_its_wheel(folder: Path) -> None:
    found = resolve(requests(folder, "plain", "native<2"), BOTH, "env.yml")
    for target, machine in zip(BOTH, ("x86_64", "aarch64"), strict=True):
        native, plain, six = found[target]
        assert native.filename == f"native-1.1-cp311-cp311-manylinux_2_17_{machine}.whl"
        assert native.url == (folder / native.filename).as_uri()
        assert len(native.sha256) == 64
        assert (plain.version, six.version) == ("2.0", "1.5")


def test_an_index_on_a_server(server: FileServer) -> None:
    asked = PackageRequests(("plain", "native<2"), options=("--index-url", f"{server.url}/simple/"))
    found = resolve(asked, BOTH, "env.yml")
    assert [wheel.url for wheel in found[BOTH[1]]] == [
        f"{server.url}/simple/files/{name}"
        for name in (
            "native-1.1-cp311-cp311-manylinux_2_17_aarch64.whl",
            "plain-2.0-py3-none-any.whl",
            "six_like-1.5-py3-none-any.whl",
        )
    ]


def test_a_folder_beside_the_conda_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wheels").symlink_to(folder)
    text = "dependencies:\n- pip:\n  - --no-index\n  - --find-links wheels\n  - plain==1.0\n"
    asked = parse_conda_file(text, "env.yml", str)
    from dataclasses import replace

    (wheel,) = resolve(replace(asked, folder=str(tmp_path)), BOTH, "env.yml")[BOTH[0]]
    assert wheel.version == "1.0"


def test_markers_are_those_of_the_target(folder: Path) -> None:
    assert names(folder, "by-machine") == [
        ["by-machine 1.0", "native 1.1"],
        ["by-machine 1.0", "plain 2.0", "six-like 1.5"],
    ]
    assert names(folder, "by-system") == [["by-system 1.0"]] * 2


def test_a_preliminary_version_only_if_asked_for(folder: Path) -> None:
    assert names(folder, "six-like") == [["six-like 1.5"]] * 2
    asked = requests(folder, "six-like")
    asked = PackageRequests(asked.requirements, options=(*asked.options, "--prerelease", "allow"))
    assert resolve(asked, BOTH, "env.yml")[BOTH[0]][0].version == "1.9rc1"


def test_libraries_for_graphics_processors_are_left_out(folder: Path) -> None:
    assert names(folder, "torch-like") == [["plain 2.0", "six-like 1.5", "torch-like 1.0"]] * 2


def test_the_same_answer_every_time(folder: Path) -> None:
    assert resolve(requests(folder, "plain", "native<2"), BOTH, "x") == resolve(
        requests(folder, "native<2", "plain"), BOTH, "x"
    )


def test_no_wheel_for_a_platform_suggests_an_older_version(folder: Path) -> None:
    text = error_text(InputError, requests(folder, "native==2.0"))
    assert "env.yml: native 2.0 has no wheel for linux/arm64 (Python 3.11, glibc 2.36)" in text
    assert "linux/amd64" not in text
    assert "ask for native==1.1" in text


def test_no_wheel_for_a_platform_suggests_a_newer_version(folder: Path) -> None:
    text = error_text(InputError, requests(folder, "late==1.0"))
    assert "late 1.0 has no wheel for linux/arm64" in text
    assert "ask for late==1.1" in text


def test_no_wheel_of_any_version(folder: Path) -> None:
    text = error_text(InputError, requests(folder, "never"))
    assert "never 1.0 has no wheel for linux/arm64" in text
    assert "leave the platform out with --platform" in text


@pytest.mark.parametrize(("name", "platform"), [("other-python", "linux/amd64"), ("new-glibc", "linux/arm64")])
def test_a_wheel_for_another_python_or_glibc(folder: Path, name: str, platform: str) -> None:
    text = error_text(InputError, requests(folder, name))
    assert f"env.yml: {name} 1.0 has no wheel for {platform} (Python 3.11, glibc 2.36)" in text


def test_a_wheel_for_a_newer_glibc_on_both_platforms(tmp_path: Path) -> None:
    for machine in ("x86_64", "aarch64"):
        wheel = FakeWheel("new", "1.0", f"cp311-cp311-manylinux_2_39_{machine}")
        (tmp_path / wheel.filename).write_bytes(wheel.build())
    text = error_text(InputError, requests(tmp_path, "new"))
    assert "env.yml: new 1.0 has no wheel for linux/amd64 and linux/arm64 (Python 3.11, glibc 2.36)" in text


def test_an_unknown_conda_package_names_its_channel(folder: Path) -> None:
    asked = PackageRequests(
        ("libfoo",), frozenset({"libfoo"}), ("conda-forge",), ("--no-index", "--find-links", str(folder))
    )
    text = error_text(InputError, asked)
    assert "conda package 'libfoo' (from conda-forge)" in text


def test_unknown_packages(server: FileServer, folder: Path) -> None:
    assert "package 'nowhere' is not on the Python index" in error_text(InputError, requests(folder, "nowhere"))
    asked = PackageRequests(("nowhere",), options=("--index-url", f"{server.url}/simple/"))
    assert "package 'nowhere' is not on the Python index" in error_text(InputError, asked)


def test_a_version_that_does_not_exist(folder: Path) -> None:
    text = error_text(InputError, requests(folder, "plain==7.0"))
    assert text.startswith("env.yml: the packages do not fit together")
    assert "plain==7.0" in text


def test_packages_that_contradict_each_other(folder: Path) -> None:
    text = error_text(InputError, requests(folder, "wants-old", "wants-new"))
    assert text.startswith("env.yml: the packages do not fit together")
    assert "plain" in text
    assert "your environment" in text
    assert "edgepack-image" not in text


def test_offline_without_a_cache() -> None:
    asked = PackageRequests(("plain",), options=("--index-url", "http://127.0.0.1:1/simple/"))
    text = error_text(RemoteError, asked, offline=True)
    assert "run once without --offline" in text


def test_offline_from_a_folder(folder: Path) -> None:
    assert len(resolve(requests(folder, "plain"), BOTH, "x", offline=True)[BOTH[0]]) == 2


def test_no_connection() -> None:
    asked = PackageRequests(("plain",), options=("--index-url", "http://127.0.0.1:1/simple/"))
    assert "the Python index cannot be reached" in error_text(RemoteError, asked)


@pytest.mark.parametrize("status", [500, 503])
def test_an_index_that_fails(server: FileServer, status: int) -> None:
    server.script["/bad/plain/"] = [Reply(status)] * 20
    asked = PackageRequests(("plain",), options=("--index-url", f"{server.url}/bad/"))
    assert "the Python index cannot be reached" in error_text(RemoteError, asked)
    server.script.clear()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    text = error_text(InputError, requests(tmp_path / "nowhere", "plain"))
    assert "nowhere" in text


def test_packages_linked_to_gpu_wheels_keep_them(tmp_path: Path) -> None:
    """`torch` cannot be imported without the wheels that others do without."""
    for wheel in (FakeWheel("torch", requires=("nvidia-cublas-cu12",)), FakeWheel("nvidia-cublas-cu12")):
        (tmp_path / wheel.filename).write_bytes(wheel.build())
    assert names(tmp_path, "torch") == [["nvidia-cublas-cu12 1.0", "torch 1.0"]] * 2


def test_advice_for_a_package_that_another_asks_for(folder: Path, tmp_path: Path) -> None:
    wheel = FakeWheel("asks-for-late", requires=("late==1.0",))
    (tmp_path / wheel.filename).write_bytes(wheel.build())
    asked = requests(folder, "asks-for-late")
    options = (*asked.options, "--find-links", str(tmp_path))
    text = error_text(InputError, PackageRequests(asked.requirements, options=options))
    assert "late 1.0 has no wheel for linux/arm64" in text
    assert "ask for late==" not in text


def test_wheels_built_for_numpy_1_get_numpy_1(tmp_path: Path) -> None:
    for wheel in (
        FakeWheel("numpy", "1.26.4"),
        FakeWheel("numpy", "2.4.0"),
        FakeWheel("scikit-learn", "1.2.2", requires=("numpy>=1.17",)),
        FakeWheel("scikit-learn", "1.7.0", requires=("numpy>=1.22",)),
    ):
        (tmp_path / wheel.filename).write_bytes(wheel.build())
    assert names(tmp_path, "numpy", "scikit-learn==1.2.2") == [["numpy 1.26.4", "scikit-learn 1.2.2"]] * 2
    assert names(tmp_path, "numpy", "scikit-learn") == [["numpy 2.4.0", "scikit-learn 1.7.0"]] * 2
