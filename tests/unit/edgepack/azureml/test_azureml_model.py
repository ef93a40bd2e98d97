"""`Model` and `Workspace` over the registry."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from edgepack.azureml.core import Model, ResourceConfiguration, Workspace
from edgepack.azureml.core.model_registration import references
from edgepack.azureml.core.webservice import AciWebservice, AksWebservice, LocalWebservice, Webservice
from edgepack.azureml.core.webservice.deployment import DeploymentConfiguration
from edgepack.azureml.exceptions import ModelNotFoundException, UserErrorException, WebserviceException


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    Path("models/sub").mkdir(parents=True)
    Path("models/a.pkl").write_bytes(pickle.dumps(1))
    Path("models/sub/b.json").write_text("{}")
    return Workspace.from_config()


def test_register_and_look_up(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    model = Model.register(model_path="./models", model_name="sentiment", description="d", workspace=ws)
    assert capsys.readouterr().out == "Registering model sentiment\n"
    assert (model.id, model.name, model.version, model.description) == ("sentiment:1", "sentiment", 1, "d")
    Model.register(ws, "models", "sentiment", tags={"stage": "test"}, model_framework=Model.Framework.SCIKITLEARN)
    for _ in range(9):
        Model.register(ws, "models", "sentiment", tags={"stage": "old"}, properties={"a": "b"})
    assert Model(ws, "sentiment").version == 11, "the largest number, not the largest text"
    assert Model(ws, id="sentiment:2").version == 2
    assert Model(ws, "sentiment", version=3).version == 3
    assert Model(ws, name="sentiment", tags=["stage"]).version == 11
    assert Model(ws, name="sentiment", tags=[["stage", "test"]]).version == 2
    assert Model(ws, name="sentiment", model_framework="ScikitLearn").version == 2
    assert [each.version for each in Model.list(ws, properties=[["a", "b"]])] == list(range(3, 12))
    assert [each.version for each in Model.list(ws, "sentiment", latest=True)] == [11]
    assert (Model.list(ws, run_id="x"), Model.list(ws, dataset_id="x"), Model.list(ws, "other")) == ([], [], [])
    assert {name: each.version for name, each in ws.models.items()} == {"sentiment": 11}
    model.delete()
    with pytest.raises(ModelNotFoundException, match=r"^ModelNotFound: Model with name sentiment has no version 1"):
        Model(ws, "sentiment", version=1)


@pytest.mark.parametrize(
    "given",
    [{"name": "x"}, {"id": "x:1"}, {"name": "there", "tags": ["no"]}, {"name": "there", "run_id": "r"}],
)
def test_not_found(ws: Workspace, given: dict[str, Any]) -> None:
    Model.register(ws, "models", "there")
    with pytest.raises(WebserviceException, match=r"^ModelNotFound: Model with name (x|there) ") as caught:
        Model(ws, **given)
    assert caught.value.message == str(caught.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"model_name": "-x"}, "model name '-x' is not allowed"),
        ({"tags": ["a"]}, "tags must be a dict, not list"),
        ({"properties": {"a": 1}}, "properties must be texts: 'a'"),
        ({"child_paths": ["nothing"]}, 'provided child path "nothing" cannot be found'),
        ({"model_framework_version": "1"}, "Model framework version cannot be provided without a valid framework"),
        ({"model_framework": "Sklearn"}, "did you mean ScikitLearn"),
        ({"datasets": [1]}, r"datasets must be a list of \(relationship, dataset\)"),
        ({"sample_input_dataset": object()}, "a sample is the path of a file"),
    ],
)
def test_what_cannot_be_registered(ws: Workspace, given: dict[str, Any], text: str) -> None:
    with pytest.raises(WebserviceException, match=text):
        Model.register(**{"workspace": ws, "model_path": "models", "model_name": "m", **given})
    assert Model.list(ws) == []


def test_a_path_that_is_not_there(ws: Workspace) -> None:
    with pytest.raises(FileNotFoundError, match=r"^Path does not exist"):
        Model.register(ws, "nowhere", "m")


def test_all_that_can_be_said_of_a_model(ws: Workspace) -> None:
    Path("sample.json").write_text("{}")
    model = Model.register(
        ws,
        "models",
        "m",
        datasets=[("training", "set:1")],
        child_paths=["sub"],
        model_framework="Onnx",
        model_framework_version="1.17",
        sample_input_dataset="sample.json",
        resource_configuration=ResourceConfiguration(cpu=0.5, memory_in_gb=1, gpu=0),
    )
    said = model.serialize()
    assert sorted(said) == sorted(
        "createdTime createdBy description id mimeType name framework frameworkVersion tags properties unpack url "
        "version experimentName runId runDetails datasets resourceConfiguration sampleInputDatasetId "
        "sampleOutputDatasetId".split()
    )
    assert said["datasets"] == [{"name": "training", "id": "set:1"}]
    assert said["resourceConfiguration"] == {"cpu": 0.5, "memoryInGB": 1, "gpu": 0}
    assert json.loads(json.dumps(said)) == said
    assert [each.id for each in Model.list(ws, dataset_id="set:1")] == ["m:1"]
    assert Path(model.download("out")) == Path("out/models")
    assert [path.name for path in Path("out").rglob("*.*")] == ["b.json"]
    with pytest.raises(WebserviceException, match="exists"):
        model.download("out")
    model.download("out", exist_ok=True)
    with pytest.raises(WebserviceException, match="use download"):
        model.get_sas_urls()
    with pytest.raises(WebserviceException, match="must be a number not below 0"):
        ResourceConfiguration(cpu=-1)
    with pytest.raises(WebserviceException, match="must be a number, not 'x'"):
        ResourceConfiguration(gpu="x")  # type: ignore[arg-type]


def test_changes(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    model = Model.register(ws, "models", "m", tags={"a": "1", "b": "2"}, properties={"p": "1"})
    model.add_tags({"b": "3", "c": "4"})
    capsys.readouterr()
    model.remove_tags(["a", "z"])
    assert capsys.readouterr().out == "Tag with key z not found.\n"
    assert model.tags == {"b": "3", "c": "4"}
    model.add_properties({"q": "2"})
    with pytest.raises(
        WebserviceException, match=r"^properties are immutable, the following keys cannot be added/modified: p, q"
    ):
        model.add_properties({"q": "2", "p": "2", "r": "3"})
    model.update(tags={"only": "1"}, description="new", resource_configuration=ResourceConfiguration(1))
    model.update(tags={}, description="")
    found = Model(ws, "m")
    assert (found.tags, found.description, found.properties) == ({"only": "1"}, "new", {"p": "1", "q": "2"})
    assert found.resource_configuration.cpu == 1
    model.update_tags_properties({"x": "1"}, ["only"])
    assert Model(ws, "m").tags == {"x": "1"}
    with pytest.raises(WebserviceException, match="page_count must be 20 to 255"):
        Model.list(ws, page_count=300)


def test_where_a_model_can_be_read(ws: Workspace) -> None:
    Model.register(ws, "models", "m")
    Model.register(ws, "models/a.pkl", "m")
    assert pickle.loads(Path(Model.get_model_path("m")).read_bytes()) == 1
    first = Model.get_model_path("m", version=1, _workspace=ws)
    assert Path(first).name == "models"
    assert Path(first, "sub", "b.json").is_file()
    assert Model.get_model_path("models") == "./models"
    with pytest.raises(ModelNotFoundException):
        Model.get_model_path("none")
    with pytest.raises(WebserviceException, match="has no version 3") as caught:
        Model.get_model_path("m", version=3)
    assert type(caught.value) is WebserviceException
    with pytest.raises(WebserviceException, match="version should be an int"):
        Model.get_model_path("m", version="1")  # type: ignore[arg-type]


def test_paths_stand_for_models(ws: Workspace) -> None:
    name = "a model with a very, very long name.pkl"
    Path(name).write_bytes(b"1")
    first = references(ws.folder, [name])
    assert str(first[0]) == "a-model-with-a-very--very-long:1"
    assert references(ws.folder, [name]) == first, "the same content is the same version"
    Path(name).write_bytes(b"2")
    assert references(ws.folder, [name]) != first
    Model.register(ws, name, "registered")
    assert references(ws.folder, ["registered:1"]) == references(ws.folder, [Model(ws, id="registered:1")])
    with pytest.raises(WebserviceException, match="there is no file or folder registered:2, and no registered model"):
        references(ws.folder, ["registered:2"])
    with pytest.raises(WebserviceException, match="there is no file or folder nothing"):
        references(ws.folder, ["nothing"])
    with pytest.raises(WebserviceException, match="not int"):
        references(ws.folder, [1])


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (AciWebservice.deploy_configuration(cpu_cores=1), r"ACI \(Azure Container Instances\).*LocalWebservice"),
        (AksWebservice.deploy_configuration(num_replicas=2), r"AKS \(Azure Kubernetes Service\).*Model\.package"),
        ({"computeType": "local"}, "must be what deploy_configuration.* gives, not dict"),
    ],
)
def test_deployments_elsewhere_name_what_works(ws: Workspace, config: Any, text: str) -> None:
    with pytest.raises(WebserviceException, match=text):
        Model.deploy(ws, "myservice", [], None, config)
    if isinstance(config, DeploymentConfiguration):
        assert len(config.settings) == 1


def test_what_cannot_be_deployed(ws: Workspace) -> None:
    with pytest.raises(WebserviceException, match="compute targets"):
        Model.deploy(ws, "myservice", [], deployment_target="gpu")
    with pytest.raises(WebserviceException, match="exactly one model"):
        Model.deploy(ws, "myservice", [])
    for port in (0, 70000, True, "80"):
        with pytest.raises(WebserviceException, match="port must be 1 to 65535"):
            LocalWebservice.deploy_configuration(port=port)  # type: ignore[arg-type]
    with pytest.raises(WebserviceException, match="runner 'podman'"):
        LocalWebservice.deploy_configuration(runner="podman")
    for kind in (Webservice, LocalWebservice, AciWebservice):
        with pytest.raises(WebserviceException, match=r"^WebserviceNotFound: Webservice with name none not found"):
            kind(ws, "none")
    assert (Webservice.list(ws), ws.webservices) == ([], {})
    absent = LocalWebservice(ws, "none", must_exist=False)
    assert (absent.state, absent.error) == ("deleted", None)
    with pytest.raises(WebserviceException, match=r"^WebserviceNotFound"):
        absent.wait_for_deployment()


def test_a_workspace_has_the_names_of_its_file(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ws.name, ws.folder) == ("local", tmp_path / "workspace")
    names = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
    (tmp_path / "config.json").write_text(json.dumps(names))
    monkeypatch.chdir(tmp_path / "models" / "sub")
    found = Workspace.from_config()
    assert (found.subscription_id, found.resource_group, found.name) == ("s", "g", "w")
    assert found.folder == tmp_path / "workspace"
    assert found.get_details()["id"] == "/subscriptions/s/resourceGroups/g/workspaces/w"
    Workspace.get("other", resource_group="h").write_config(str(tmp_path / "sub"))
    assert Workspace.from_config(str(tmp_path / "sub")).resource_group == "h"
    assert Workspace.from_config(str(tmp_path / "config.json")).name == "w"
    assert Workspace.create("new", location="x").name == "new"
    (tmp_path / "broken.json").write_text("[")
    with pytest.raises(UserErrorException, match="not the configuration of a workspace"):
        Workspace.from_config(str(tmp_path / "broken.json"))
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserErrorException, match="without `path` none is needed"):
        Workspace.from_config(str(tmp_path / "models"))
