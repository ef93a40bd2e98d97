"""The Python of the SDK v1 article, and notebooks of v1, with real processes; images are made without an index."""

import json
import re
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgepack import CondaDependencies, Environment, InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from edgepack.azureml.exceptions import WebserviceException
from edgepack.cli.main import cli
from edgepack.services import workshop
from edgepack.services.ports import port_problem
from tests.fakes.notebooks import cells, run_cells
from tests.fakes.service_images import make_fake_image

ROOT = Path(__file__).parent.parent.parent.parent.parent
NOTEBOOKS = sorted((ROOT / "tests" / "notebooks").iterdir())
SCRIPT = """\
import json
import os
import pickle


def init():
    global words
    with open(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "./models/words.pkl"), "rb") as handle:
        words = pickle.load(handle)


def run(data):
    text = json.loads(data)["text"]
    assert "EXAMPLE_ENV_VAR" not in os.environ
    return {"label": LABEL if any(word in words for word in text.lower().split()) else "NEGATIVE"}


LABEL = "POSITIVE"
"""


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    import pickle

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEPACK_WORKSPACE", raising=False)
    monkeypatch.setattr(workshop, "_make_image", make_fake_image)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "words.pkl").write_bytes(pickle.dumps({"great"}, protocol=4))
    (tmp_path / "score.py").write_text(SCRIPT)
    made = Workspace.from_config()
    yield made
    for service in Webservice.list(made):
        service.delete()
    assert not (made.folder / "services").exists()


def post(uri: str, text: str, key: str | None = None) -> tuple[int, str]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(uri, text.encode(), headers), timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def config() -> InferenceConfig:
    myenv = Environment(name="myenv")
    conda_dep = CondaDependencies()
    conda_dep.add_conda_package("numpy")
    conda_dep.add_pip_package("azureml-defaults")
    myenv.python.conda_dependencies = conda_dep
    return InferenceConfig(entry_script="score.py", environment=myenv)


def test_the_article(ws: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Model.register(model_path="./models", model_name="sentiment", description="words", workspace=ws)
    deployment_config = LocalWebservice.deploy_configuration()
    model = Model(ws, name="sentiment")
    service = Model.deploy(ws, "myservice", [model], config(), deployment_config)
    assert isinstance(service, LocalWebservice)
    service.wait_for_deployment(True)
    assert capsys.readouterr().out == (
        "Registering model sentiment\nChecking container health...\n"
        f"Local webservice is running at http://localhost:{service.port}\n"
    )
    assert (service.state, service.error) == ("running", None)
    uri = service.scoring_uri
    assert uri == f"http://localhost:{service.port}/score"
    assert post(uri, '{"text": "Today is a great day"}') == (200, '{"label": "POSITIVE"}')
    assert service.run(json.dumps({"text": "Rain"})) == service.run(data=b'{"text": "Rain"}') == {"label": "NEGATIVE"}
    with pytest.raises(WebserviceException, match=r"^Error: Scoring was unsuccessful\. Status 500: .*scoring script"):
        service.run("no json")
    with pytest.raises(WebserviceException, match=r"use json\.dumps"):
        service.run({"text": "x"})  # type: ignore[arg-type]
    assert "POST /score 200" in service.get_logs()
    listed = CliRunner().invoke(cli, ["--json", "service", "list"])
    assert [each["scoringUri"] for each in json.loads(listed.stdout)] == [uri], "one folder for both"
    assert len(service.get_logs(num_lines=2).splitlines()) == 2

    (tmp_path / "score.py").write_text(SCRIPT.replace('LABEL = "POSITIVE"', 'LABEL = "GOOD"'))
    service.reload(wait=True)
    assert service.run('{"text": "great"}') == {"label": "GOOD"}
    assert [each.id for each in service.models] == ["sentiment:1"]
    assert service.serialize()["state"] == "running"
    with pytest.raises(WebserviceException, match="has no keys"):
        service.get_keys()

    with pytest.raises(WebserviceException, match="there is a service myservice already"):
        Model.deploy(ws, "myservice", [model], config(), deployment_config)
    port = service.port
    assert port is not None
    service.delete()
    assert service.state == "deleted"
    assert port_problem("127.0.0.1", port) is None
    with pytest.raises(WebserviceException, match=r"^WebserviceNotFound"):
        Webservice(ws, "myservice")


def test_a_failed_init_is_told_by_wait_for_deployment(ws: Workspace, tmp_path: Path) -> None:
    Model.register(ws, "models", "sentiment")
    (tmp_path / "score.py").write_text(SCRIPT.replace("words.pkl", "other.pkl"))
    service = Model.deploy(ws, "myservice", [Model(ws, "sentiment")], config())
    with pytest.raises(WebserviceException) as caught:
        service.wait_for_deployment()
    text = str(caught.value)
    assert text.startswith("Error: Container has crashed. Did your init method fail?\n")
    assert "in init" in text
    assert "FileNotFoundError" in text
    assert service.state == "failed"
    assert "FileNotFoundError" in (service.error or "")
    assert "FileNotFoundError" in service.get_logs()
    (tmp_path / "score.py").write_text(SCRIPT)
    service = Model.deploy(ws, "myservice", [Model(ws, "sentiment")], config())
    service.wait_for_deployment()
    assert service.state == "running"


def test_requests_wait_for_what_is_starting(ws: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As v1's did: notebooks call `run` right after `reload`."""
    model = Model.register(ws, "models", "sentiment")
    service = Model.deploy(ws, "myservice", ["sentiment:1"], config())
    body = '{"text": "great"}'
    assert service.run(body) == {"label": "POSITIVE"}
    assert f"Local webservice is running at http://localhost:{service.port}\n" in capsys.readouterr().out
    (tmp_path / "score.py").write_text(SCRIPT.replace('LABEL = "POSITIVE"', 'LABEL = "GOOD"'))
    service.reload()
    assert service.run(body) == {"label": "GOOD"}
    (tmp_path / "score.py").write_text(SCRIPT)
    service.update([model], None, None, False, config())
    assert service.run(body) == {"label": "POSITIVE"}
    with pytest.raises(WebserviceException) as caught:
        service.run("no json")
    assert caught.value.status_code == 500

    assert [each.name for each in LocalWebservice.list(ws, "sentiment")] == ["myservice"]
    assert LocalWebservice.list(ws, "other", all=True) == []
    assert LocalWebservice.deserialize(ws, service.serialize()).port == service.port
    assert service.created_time is not None
    assert service.updated_time is not None
    assert model.created_time <= service.created_time <= service.updated_time
    assert service.state == LocalWebservice.STATE_RUNNING
    assert (service.token_auth_enabled, service.image_id) == (False, service.serialize()["image"])
    with pytest.raises(WebserviceException, match="inference_config"):
        service.update([model], "an image")  # type: ignore[arg-type]
    for call in (service.deploy_to_cloud, Webservice.deploy_from_model, service.deploy_local_from_model, Model.profile):
        with pytest.raises(WebserviceException, match="not here"):
            call(ws, "x", [model])


def test_keys(ws: Workspace) -> None:
    deployment = LocalWebservice.deploy_configuration(auth_enabled=True)
    service = Model.deploy(ws, "myservice", ["models"], config(), deployment)
    service.wait_for_deployment()
    assert service.auth_enabled
    primary, secondary = service.get_keys()
    body, uri = '{"text": "great"}', str(service.scoring_uri)
    assert post(uri, body)[0] == 401
    assert post(uri, body, primary)[0] == post(uri, body, secondary)[0] == 200
    assert service.run(body) == {"label": "POSITIVE"}
    service.regen_key("Primary")
    assert service.get_keys()[0] != primary
    assert service.get_keys()[1] == secondary
    service.regen_key("Secondary", set_key="a-key-of-my-own")
    assert service.get_keys()[1] == "a-key-of-my-own"
    with pytest.raises(WebserviceException, match="the primary key: a key is at least 8"):
        service.regen_key("Primary", "short")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_move_by_their_import_lines(ws: Workspace, path: Path) -> None:
    assert "edgepack" not in path.read_text()
    code = cells(path)
    before = sum(len(text.splitlines()) for text in code)
    assert before > 10
    run_cells(code)
    assert Webservice.list(ws) == []


def test_the_examples_of_the_documentation(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "coming-from-sdk-v1.md").read_text()
    blocks = [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) >= 3
    run_cells(blocks)
    assert "Local webservice is running at" in capsys.readouterr().out
