"""`edgepack init` through the command line's root."""

from pathlib import Path

import pytest

from edgepack.models.registry import ModelRegistry
from tests.fakes.command_line import Run, command_line


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEPACK_WORKSPACE", raising=False)
    (tmp_path / "a.onnx").write_bytes(b"weights")
    return command_line(capsys)


def test_the_example_that_is_not_named_is_onnx(run: Run, tmp_path: Path) -> None:
    outcome = run("init", "scorer")
    assert outcome.code == 0
    assert "registered model digits:1\n" in outcome.out
    assert ModelRegistry(tmp_path / "scorer/.edgepack").get("digits").framework == "Onnx"
    assert "not empty" in run("init", "scorer").err


def test_a_model_of_ones_own(run: Run, tmp_path: Path) -> None:
    outcome = run("init", "one", "--from-model", "a.onnx")
    assert outcome.code == 0
    assert "one: edgepack.yaml\nregistered model one:1, served without a script (docs/models.md)\n" in outcome.out
    outcome = run("--json", "--workspace", "w", "init", "two", "--from-model", "a.onnx", "--with-script")
    files = ["conda.yml", "edgepack.yaml", "score.py"]
    assert outcome.document == {"folder": "two", "files": files, "model": "two:1", "script": True}
    assert ModelRegistry(tmp_path / "w").get("two").framework == "Onnx"
    outcome = run("init", "three", "--from-model", "a.onnx", "--framework", "Custom")
    assert "registered model three:1, served by score.py\n" in outcome.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from-model", "a.onnx", "--example", "onnx"], "leave out --example"),
        (["--with-script"], "name it with --from-model"),
        (["--framework", "Onnx"], "name it with --from-model"),
        (["--from-model", "b.onnx"], "b.onnx: path does not exist: did you mean"),
        (["--from-model", "a.onnx", "--framework", "ScikitLearn"], "exactly one file .joblib"),
    ],
)
def test_what_does_not_go_together(run: Run, tmp_path: Path, options: list[str], said: str) -> None:
    outcome = run("init", "scorer", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
