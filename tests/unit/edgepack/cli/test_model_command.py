"""The `model` commands through the command line's root: output, exit codes, all problems at once."""

import json
import os
import pty
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from tests.fakes.command_line import Outcome, Run, command_line


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEPACK_WORKSPACE", raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/a.onnx").write_bytes(b"weights")

    return command_line(capsys)


def register(run: Run, *more: str) -> Outcome:
    return run("model", "register", "-n", "iris", "-p", "models", *more)


def test_an_empty_list_says_how_to_register(run: Run, tmp_path: Path) -> None:
    outcome = run("model", "list")
    assert outcome.code == 0
    assert "edgepack model register -n NAME" in outcome.out
    assert run("--json", "model", "list").document == []
    assert not (tmp_path / ".edgepack").exists()


def test_register_prints_the_reference(run: Run) -> None:
    assert register(run) == Outcome(0, "iris:1\n", "registered 1 file, 7 B\n")
    assert run("-q", "model", "register", "-n", "iris", "--path", "models/a.onnx") == Outcome(0, "iris:2\n", "")


def test_all_flags(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[1]")
    outcome = run(
        *("--json", "model", "register", "--name", "iris", "--model-path", "models", "--description", "d"),
        *("--tag", "a=b", "--tag", "c = d=e", "--property", "p=q", "--child-path", "a.onnx"),
        *("--model-framework", "Onnx", "--model-framework-version", "1.17"),
        *("--cpu-cores", "0.5", "--memory-gb", "1.5", "--gpu-cores", "1"),
        *("--sample-input", "in.json", "--sample-output", "in.json", "--output-metadata-file", "out.json"),
    )
    assert outcome.code == 0
    document = outcome.document
    assert json.loads((tmp_path / "out.json").read_text()) == document
    assert document["tags"] == {"a": "b", "c": "d=e"}
    assert (document["id"], document["cpu"], document["memoryInGB"], document["gpu"]) == ("iris:1", 0.5, 1.5, 1)
    assert document["sampleInput"]["path"] == "in.json"
    assert run("--json", "model", "show", "iris").document == document
    assert run("--json", "model", "list").document == [document]


def test_flags_of_the_old_command_line_are_ignored_with_a_note(run: Run) -> None:
    outcome = register(run, "-w", "ws", "-g", "group", "--subscription-id", "s", "-r", "1", "--asset-path", "x")
    assert (outcome.code, outcome.out) == (0, "iris:1\n")
    assert outcome.err.count("is ignored") == 5
    assert "--workspace-name is ignored" in outcome.err


def test_all_problems_at_once(run: Run) -> None:
    outcome = run("model", "register", "--tag", "x", "--property", "=y", "--model-framework", "onx", "--cc", "-1")
    assert (outcome.code, outcome.out) == (2, "")
    for text in ("no name", "-p PATH", "--tag 'x'", "--property '=y'", "did you mean Onnx", "cpu cores"):
        assert text in outcome.err
    assert "6 problems" in outcome.err
    outcome = run("model", "register", "-n", "!", "-p", "modles", "-t", "none/x.json", "--sample-input", "no")
    assert "4 problems" in outcome.err
    assert "did you mean models?" in outcome.err


@pytest.mark.parametrize("path", ["models", "", "none/out.json"])
def test_a_bad_output_file_is_found_before_anything_is_registered(run: Run, path: str) -> None:
    assert register(run, "-t", path).code == 2
    assert run("--json", "model", "list").document == []


def test_the_list_through_a_pipe_is_aligned_text(run: Run) -> None:
    register(run, "--tag", "a=b", "--model-framework", "Onnx")
    register(run, "--tag", "text=\x1b[31m\nred")
    lines = run("model", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "FRAMEWORK", "FILES", "SIZE", "CREATED", "TAGS"]
    assert len(lines) == 3
    assert lines[1].endswith("a=b")
    assert lines[2].endswith("text= [31m red")
    assert "\x1b" not in "".join(lines)


def test_the_list_is_filtered(run: Run) -> None:
    register(run, "--tag", "a=b", "--model-framework", "Onnx")
    register(run)
    assert "iris:1" in [each["id"] for each in run("--json", "model", "list", "--tag", "a").document]
    assert run("--json", "model", "list", "--tag", "a=c").document == []
    assert [each["id"] for each in run("--json", "model", "list", "-l").document] == ["iris:2"]
    assert [each["id"] for each in run("--json", "model", "list", "iris:1").document] == ["iris:1"]
    assert run("model", "list", "--model-framework", "Custom").out == "no registered model matches\n"


def test_the_list_on_a_terminal_is_a_table(run: Run, tmp_path: Path) -> None:
    register(run, "--tag", "a=[red]b")
    ours, theirs = pty.openpty()
    code = "from edgepack.cli.main import main; main(['model', 'list'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=theirs, cwd=tmp_path) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # a terminal's other end was closed
        assert process.wait(60) == 0
    os.close(ours)
    assert b"\x1b[1m" in shown
    assert b"a=[red]b" in shown


def test_show_says_everything(run: Run) -> None:
    register(run, "-d", "two\nlines", "--cc", "2", "--property", "p=q")
    text = run("model", "show", "iris:1").out
    for line in ("model:         iris:1", "description:   two lines", "cpu:           2.0", "properties:    p=q"):
        assert line in text
    assert "models/a.onnx" in text
    assert "sha256:" in text
    assert run("model", "show", "iris:2").code == 2
    assert "did you mean iris?" in run("model", "show", "irsi").err
    assert run("model", "show", "iris:x").code == 2


def test_download(run: Run, tmp_path: Path) -> None:
    register(run)
    assert run("model", "download", "iris", "-t", "out") == Outcome(0, "out/models\n", "")
    assert (tmp_path / "out/models/a.onnx").read_bytes() == b"weights"
    outcome = run("model", "download", "iris", "-t", "out")
    assert outcome.code == 2
    assert "--overwrite" in outcome.err
    assert run("model", "download", "iris:1", "-t", "out", "--overwrite").code == 0


def test_update(run: Run) -> None:
    register(run, "--tag", "a=b", "--property", "p=q")
    outcome = run("--json", "model", "update", "iris", "-d", "d", "--tag", "c=d", "--remove-tag", "a")
    assert outcome.document["tags"] == {"c": "d"}
    assert outcome.document["description"] == "d"
    assert "has no tag z" in run("model", "update", "iris:1", "--remove-tag", "z").err
    refused = run("model", "update", "iris", "--property", "p=r")
    assert refused.code == 2
    assert "properties are immutable" in refused.err
    assert "nothing to change" in run("model", "update", "iris").err
    assert "2 problems" in run("model", "update", "!", "--tag", "x").err


def test_delete_asks_which_of_several(run: Run) -> None:
    register(run)
    register(run)
    outcome = run("model", "delete", "iris")
    assert outcome.code == 2
    assert "iris:1, iris:2" in outcome.err
    assert run("model", "delete", "iris:1").out == "deleted iris:1\n"
    assert run("--json", "model", "delete", "iris").document == {"deleted": ["iris:2"], "freed_bytes": 7}
    register(run)
    register(run)
    assert run("model", "delete", "iris", "--all").out == "deleted iris:3\ndeleted iris:4\n"
    assert run("model", "delete", "iris").code == 2


def test_verify_exits_with_4_on_damage(run: Run, tmp_path: Path) -> None:
    register(run)
    assert run("model", "verify").out == "1 versions, 1 files, 7 B: no problems\n"
    assert run("--json", "model", "verify", "iris:1").document["problems"] == []
    (blob,) = (tmp_path / ".edgepack/models/blobs/sha256").iterdir()
    blob.chmod(0o644)
    blob.write_bytes(b"weightz")
    outcome = run("--json", "model", "verify")
    assert outcome.code == 4
    assert len(outcome.document["problems"]) == 1
    assert "is damaged" in outcome.err
    assert run("model", "download", "iris", "-t", "out").code == 4


def test_a_damaged_record_does_not_hide_the_others(run: Run, tmp_path: Path) -> None:
    register(run)
    register(run)
    (tmp_path / ".edgepack/models/records/iris/1.json").write_text("{}")
    outcome = run("--json", "model", "list")
    assert outcome.code == 4
    assert [each["id"] for each in outcome.document] == ["iris:2"]
    assert "1.json: the model's record is damaged" in outcome.err


def test_the_current_folder(run: Run, tmp_path: Path) -> None:
    with chdir(tmp_path / "models"):
        outcome = run("--json", "model", "register", "-n", "here", "-p", ".")
        assert [file["path"] for file in outcome.document["files"]] == ["models/a.onnx"]
        again = run("--json", "model", "register", "-n", "here", "-p", ".")
        assert again.document["files"] == outcome.document["files"]


def test_help_of_every_command(run: Run) -> None:
    for command in ("register", "list", "show", "download", "update", "delete", "verify"):
        assert run("model", command, "--help").code == 0
