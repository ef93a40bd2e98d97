"""Inference configuration files: what of them is told as not taken, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from edgepack.azureml.core import Environment
from edgepack.azureml.core.inference_config import environment_document
from edgepack.errors import InputError
from edgepack.inference_config import read_inference_config
from edgepack.project import BuildOptions
from edgepack.services.record import ServiceRequest
from edgepack.services.service_image import read_recipe
from tests.fakes.build_world import read_recipe as read_project

FROM_ONLY = "# our base\nARG TAG=1\nFROM mcr.example.com/base:$TAG\nLABEL a=b \\\n  RUN=no\nUSER root\n"


def with_dockerfile(text: str) -> dict[str, Any]:
    return {"entryScript": "score.py", "environment": {"name": "mine", "docker": {"baseDockerfile": text}}}


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        read_inference_config(document, "ic.json")
    return str(caught.value)


def test_a_base_dockerfile_without_steps_is_told() -> None:
    [note] = read_inference_config(with_dockerfile(FROM_ONLY), "ic.json").notes
    assert note.startswith("ic.json: docker.baseDockerfile is not used; the base is Debian's")


def test_variables_of_a_base_dockerfile_are_told() -> None:
    notes = read_inference_config(with_dockerfile(f"{FROM_ONLY}env LANG=C\n"), "ic.json").notes
    assert notes[1:] == ("ic.json: ENV of docker.baseDockerfile is not set: name it in environmentVariables",)


def test_steps_of_a_base_dockerfile_are_refused_with_their_lines() -> None:
    steps = "RUN apt-get update && \\\n    apt-get install -y libgl1\ncopy a /a\nADD https://example.com/x /x\n"
    told = refusal(with_dockerfile(FROM_ONLY + steps))
    assert "ic.json: docker.baseDockerfile (line 7: RUN apt-get update &&; line 9: copy a /a; line 10: ADD http" in told
    for part in (
        "libraries such as libgl or ffmpeg, in the conda file (docs/conda.md)",
        "edgepack build --builder docker --dockerfile FILE",
    ):
        assert part in told


def test_packages_that_only_the_image_would_have_are_told() -> None:
    document = {"entryScript": "score.py", "environment": {"python": {"userManagedDependencies": True}}}
    (note,) = read_inference_config(document, "ic.json").notes
    assert note.startswith("ic.json: userManagedDependencies has no effect: the packages of the image are not there")
    of_image = Environment.from_docker_image("e", "registry.example.com/with/packages:1")
    assert environment_document(of_image, Path())["python"]["userManagedDependencies"] is True


def test_a_base_dockerfile_is_a_text() -> None:
    assert "must be the text of a Dockerfile" in refusal(with_dockerfile(5))  # type: ignore[arg-type]
    assert read_inference_config(with_dockerfile(""), "ic.json").notes == ()


def test_a_base_dockerfile_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """v1 took the name of a file, too; it is held to the same."""
    monkeypatch.chdir(tmp_path)
    Path("score.py").write_text("def init(): pass\ndef run(data): pass\n")
    (tmp_path / "edgepack.yaml").write_text(
        "models: [m]\ninference_config: {entryScript: score.py, environment: {docker: {baseDockerfile: Dockerfile}}}\n"
    )
    with pytest.raises(InputError, match=r"Dockerfile cannot be read \(No such file"):
        read_project(tmp_path, BuildOptions())
    Path("Dockerfile").write_text("FROM x\nRUN y\n")
    with pytest.raises(InputError, match=r"Dockerfile \(line 2: RUN y\) cannot be carried out"):
        read_project(tmp_path, BuildOptions())
    Path("Dockerfile").write_text("FROM x\nENV MODE=fast\n")
    not_used, not_set = read_project(tmp_path, BuildOptions()).unheeded
    assert "docker.baseDockerfile is not used" in not_used
    assert "ENV of docker.baseDockerfile is not set" in not_set


def test_a_schema_file_is_told() -> None:
    assert read_inference_config({"entryScript": "score.py", "schemaFile": ""}, "ic.json").notes == ()
    assert read_inference_config({"entryScript": "score.py", "schemaFile": None}, "ic.json").notes == ()
    [note] = read_inference_config({"entryScript": "score.py", "schemaFile": "schema.json"}, "ic.json").notes
    assert note.startswith("ic.json: schemaFile is not used: /swagger.json describes the script")


def test_in_python_there_is_no_project_file(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): pass\n")
    request = ServiceRequest("scorer", inference_config=with_dockerfile(FROM_ONLY), folder=tmp_path)
    assert read_recipe(tmp_path, request).unheeded[0].startswith("the inference configuration: docker.baseDockerfile")
