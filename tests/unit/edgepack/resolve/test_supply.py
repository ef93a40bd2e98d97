"""What a platform takes from Debian: what is asked for, what the resolver's refusals name, what it is told."""

import zipfile
from pathlib import Path

import pytest

from edgepack.base.base_image import SuppliedPackage
from edgepack.oci.platform import AMD64, ARM_V7
from edgepack.resolve.lock import NoWheel, Target
from edgepack.resolve.supply import Patches, Supply, absence, asked_versions, decide, missing_wheels
from edgepack.resolve.uv import Question

ARM = Target(ARM_V7, "3.11", "3.11.2", 36)
INTEL = Target(AMD64, "3.11", "3.11.2", 36)
NUMPY = SuppliedPackage("numpy", "1.24.2", "python3-numpy")
SUPPLY = Supply(
    "bookworm",
    {"numpy": NUMPY}.get,
    lambda _names: frozenset(),
    lambda name: [("trixie", "1.21.0")] if name == "onnxruntime" else [],
)
ARMS = "platform_machine == 'armv7l' and sys_platform == 'linux'"


@pytest.mark.parametrize(
    ("requirements", "wanted"),
    [
        ((), ""),
        (("numpy",), ""),
        (("numpy>=1.20", "other==1"), ">=1.20"),
        (("NumPy>=1.20 ; platform_machine == 'armv7l'", "numpy<2"), ">=1.20,<2"),
        (("numpy>=1.20 ; platform_machine == 'x86_64'", "numpy<2 ; extra == 'x'"), ""),
    ],
)
def test_what_is_asked_for(requirements: tuple[str, ...], wanted: str) -> None:
    assert {str(each) for each in asked_versions(requirements, "numpy", ARM)} == set(filter(None, wanted.split(",")))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"Because onnxruntime==1.32.0 has no `{ARMS}`-compatible wheels and x depends", [("onnxruntime", "1.32.0")]),
        (f"And because onnxruntime>=1.15.0 has no `{ARMS}`-compatible wheels", [("onnxruntime", "")]),
        (f"Because ai-edge-litert>=1.0,<3 has\n no `{ARMS}`-compatible wheels", [("ai-edge-litert", "")]),
        (f"Because all versions of torch have no `{ARMS}`-compatible wheels", [("torch", "")]),
        ("Because x==1 has no `platform_machine == 'aarch64'`-compatible wheels", []),
        ("Because numpy was not found in the package registry", []),
    ],
)
def test_what_a_refusal_names(text: str, names: list[tuple[str, str]]) -> None:
    assert [(each.name, each.version) for each in missing_wheels(text, [ARM])] == names
    assert missing_wheels(text, []) == []


def question(*requirements: str) -> Question:
    return Question(requirements, (INTEL, ARM))


def test_what_debian_has_and_is_asked_for_is_taken() -> None:
    patches = Patches()
    decide(patches, NoWheel("numpy", "2.4", ARM, True), SUPPLY, question("numpy>=1.20"))
    assert patches.supplied == {(ARM, "numpy"): NUMPY}
    assert patches.constraints() == (
        "numpy==1.24.2+debian ; sys_platform == 'linux' and platform_machine == 'armv7l'",
        "numpy!=1.24.2+debian ; platform_machine != 'armv7l'",
    )
    assert patches.overrides() == ()


@pytest.mark.parametrize(("name", "requirement"), [("numpy", "numpy>=2"), ("onnxruntime", "onnxruntime")])
def test_what_debian_has_not_is_absent(name: str, requirement: str) -> None:
    patches = Patches()
    decide(patches, NoWheel(name, "2.4", ARM, True), SUPPLY, question(requirement))
    assert list(patches.absent) == [(ARM, name)]
    assert patches.overrides() == (f"{name} ; platform_machine != 'armv7l'",)
    assert patches.has(ARM, name)
    assert not patches.has(INTEL, name)


def test_absence_says_what_there_is_and_what_to_do() -> None:
    text = absence(NoWheel("onnxruntime", "", ARM, False), SUPPLY, ("onnxruntime",))
    assert "Debian bookworm has no package of it either (debian:trixie has 1.21.0: choose it with --base)" in text
    assert "--find-links" in text
    text = absence(NoWheel("numpy", "2.4", ARM, True), SUPPLY, ("numpy>=2",))
    assert "Debian bookworm has 1.24.2, which is not >=2; ask for numpy==1.24.2" in text


def test_a_wheel_without_content_is_a_wheel(tmp_path: Path) -> None:
    patches = Patches(supplied={(ARM, "scikit-learn"): SuppliedPackage("scikit-learn", "1.2.1", "python3-sklearn")})
    assert patches.write_stubs(tmp_path) == ("--find-links", str(tmp_path))
    with zipfile.ZipFile(tmp_path / "scikit_learn-1.2.1+debian-py3-none-any.whl") as archive:
        text = archive.read("scikit_learn-1.2.1+debian.dist-info/METADATA").decode()
    assert "Name: scikit-learn\nVersion: 1.2.1+debian\n" in text
    assert Patches().write_stubs(tmp_path) == ()
