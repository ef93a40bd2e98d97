"""Environments of v1 with a base Dockerfile: what of it has no effect is told, and what cannot be done is refused."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack import CondaDependencies, Environment, InferenceConfig, Model, Webservice, Workspace
from edgepack.azureml.exceptions import WebserviceException
from edgepack.services import workshop
from tests.fakes.service_images import make_fake_image


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEPACK_WORKSPACE", raising=False)
    monkeypatch.setattr(workshop, "_make_image", make_fake_image)
    (tmp_path / "score.py").write_text("def init(): pass\n\n\ndef run(data): return data\n")
    made = Workspace.from_config()
    yield made
    for service in Webservice.list(made):
        service.delete()


def config(dockerfile: str) -> InferenceConfig:
    environment = Environment("mine")
    environment.docker.base_image, environment.docker.base_dockerfile = None, dockerfile
    environment.python.conda_dependencies = CondaDependencies.create(python_version="3.11")
    return InferenceConfig("score.py", environment=environment)


def test_a_base_dockerfile_is_told_once_and_steps_are_refused(
    ws: Workspace, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING, "edgepack.azureml")
    service = Model.deploy(ws, "plain", [], config("FROM ubuntu:22.04\n"))
    service.wait_for_deployment()
    [said] = [text for text in caplog.messages if "Dockerfile" in text]
    assert said.startswith("the inference configuration: docker.baseDockerfile is not used")
    assert "note:" not in capsys.readouterr().out
    with pytest.raises(WebserviceException, match=r"line 2: RUN apt-get install ffmpeg\) cannot be carried out"):
        Model.deploy(ws, "steps", [], config("FROM ubuntu:22.04\nRUN apt-get install ffmpeg\n"))
    service.update(inference_config=config("FROM debian\n"), wait=True)
    assert sum("docker.baseDockerfile is not used" in text for text in caplog.messages) == 2
