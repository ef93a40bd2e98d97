"""Options of `edgepack build` that cannot be meant, refused before anything is built."""

from pathlib import Path

import pytest

from tests.fakes.command_line import Run, command_line

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in a project of a script alone."""
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "edgepack.yaml").write_text("name: x\ninference_config: {entryScript: score.py}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    return command_line(capsys)


def test_a_dockerfile_needs_an_engine(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM @{base}\n")
    refused = run("build", "--dockerfile", "Dockerfile", "--build-network", "host")
    assert refused.code == 2
    assert "Dockerfile: a Dockerfile is for an engine; add --builder docker" in refused.err
    assert "--build-network is for an engine; add --builder docker" in refused.err


def test_a_dockerfile_of_the_project_file(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "edgepack.yaml").open("a") as file:
        file.write("dockerfile: engine/Dockerfile\n")
    missing = run("build", "--builder", "docker")
    assert missing.code == 2
    assert f"edgepack.yaml: dockerfile: there is no file {tmp_path}/engine/Dockerfile" in missing.err


def test_a_check_without_a_request(run: Run, tmp_path: Path) -> None:
    refused = run("build", "--check")
    assert refused.code == 2
    assert f"there is no sample request to check the image with: write {tmp_path}/sample-request.json" in refused.err
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("option", ["--check-tolerance", "--check-timeout"])
def test_numbers_below_nothing(run: Run, option: str) -> None:
    assert run("build", "--check", option, "-1").code == 2


def test_platforms_between_commas_and_by_the_option_again(run: Run) -> None:
    refused = run("build", "--platform", "linux/mips", "--platform", "linux/arm64, linux/s390x")
    assert refused.code == 2
    assert "linux/mips" in refused.err
    assert "linux/s390x" in refused.err
