"""The quick answer of `manifest validate`: the same as that of the whole command line, or none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.cli.start import quick_lines
from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from tests.fakes.command_line import command_line

GOOD = deployment_manifest([ModuleSpec("scorer", "registry.example/x", "sha256:" + "a" * 64)])
LAYER = {"modulesContent": {"scorer": {"properties.desired.speed": 1}}}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.json").write_text(json.dumps(GOOD), encoding="utf-8-sig")
    (tmp_path / "layer.json").write_text(json.dumps(LAYER))
    (tmp_path / "a.template.json").write_text(json.dumps(GOOD))
    (tmp_path / "warned.json").write_text(json.dumps({**GOOD, "more": 1}))
    (tmp_path / "latin").write_bytes(b"\xff")
    return tmp_path


def test_files_in_which_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["manifest", "validate", "good.json", "layer.json", "a.template.json"]
    lines = quick_lines(arguments)
    assert lines is not None
    assert "".join(f"{line}\n" for line in lines) == command_line(capsys)(*arguments).out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["manifest"],
        ["manifest", "validate"],
        ["manifest", "render", "good.json"],
        ["manifest", "validate", "-"],
        ["manifest", "validate", "good.json", "--strict"],
        ["manifest", "validate", "good.json", "warned.json"],
        ["manifest", "validate", "latin"],
        ["manifest", "validate", "nofile.json"],
        ["manifest", "validate", "a\0b"],
    ],
)
def test_everything_else_is_for_the_whole_command_line(arguments: list[str]) -> None:
    assert quick_lines(arguments) is None


def test_the_command_line_library_is_not_loaded() -> None:
    program = (
        "import sys; from edgepack.cli.start import main; sys.argv[1:] = ['manifest', 'validate', 'good.json']; "
        "main(); assert 'click' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "good.json: deployment manifest, no problems\n"), done.stderr
