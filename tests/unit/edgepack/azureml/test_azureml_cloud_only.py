"""What is Azure's alone: it can be imported, and says so when it is used."""

import copy
import importlib
import inspect
import json
import pickle
import pydoc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_type_hints

import pytest

from edgepack import azureml
from edgepack.azureml.cloud_only import CloudOnly, refuse
from edgepack.azureml.cloud_table import COMPUTE, DATA, TABLE, TRAINING
from edgepack.azureml.core import Datastore, Experiment, Run, Workspace
from edgepack.azureml.core.authentication import InteractiveLoginAuthentication
from edgepack.azureml.exceptions import (
    AzureMLException,
    RunEnvironmentException,
    UserErrorException,
    WebserviceException,
)

ROWS = [(module, names.split(), instead) for instead, rows in TABLE.items() for module, names in rows.items()]
# The import cells of notebooks for clusters of Azure; only `azureml` has become `edgepack.azureml`.
CELLS = (
    """
    import edgepack.azureml.core
    from edgepack.azureml.core import Workspace, Experiment, Environment, ScriptRunConfig, Dataset, Datastore, Keyvault
    from edgepack.azureml.core.compute import AksCompute, AmlCompute, ComputeInstance, ComputeTarget
    from edgepack.azureml.core.compute_target import ComputeTargetException
    from edgepack.azureml.core.environment import CondaDependencies, SparkPackage
    from edgepack.azureml.core.webservice import AciWebservice, AksWebservice, Webservice
    from edgepack.azureml.core.image import ContainerImage, Image
    from edgepack.azureml.core.model import InferenceConfig, Model
    edgepack.azureml.core.VERSION, edgepack.azureml.core.compute.ComputeTarget
    try:
        raise ComputeTargetException("none")
    except ComputeTargetException:
        pass
    """,
    """
    from edgepack.azureml.core.run import Run, _OfflineRun
    from edgepack.azureml.core.runconfig import DEFAULT_CPU_IMAGE, CondaDependencies, MpiConfiguration, RunConfiguration
    from edgepack.azureml.data.data_reference import DataReference
    from edgepack.azureml.pipeline.core import Pipeline, PipelineData, PublishedPipeline
    from edgepack.azureml.pipeline.core.graph import PipelineParameter
    from edgepack.azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep, PythonScriptStep
    from edgepack.azureml.train.hyperdrive import BanditPolicy, HyperDriveConfig, choice, loguniform
    from edgepack.azureml.train.automl import AutoMLConfig
    from edgepack.azureml.automl.core.shared import constants
    from edgepack.azureml.widgets import RunDetails
    from edgepack.azureml.opendatasets import MNIST
    from edgepack.azureml.interpret import ExplanationClient
    from edgepack.azureml.core.container_registry import ContainerRegistry
    from edgepack.azureml.core.environment import Environment
    env = Environment("e")
    env.docker.base_image = DEFAULT_CPU_IMAGE
    env.docker.base_image_registry = ContainerRegistry()
    """,
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path))
    return Workspace()


def test_refusing() -> None:
    with pytest.raises(UserErrorException, match=r"^Model\.profile is Azure's, and not here: measure it$"):
        refuse("Model.profile", "measure it")
    with pytest.raises(WebserviceException, match=r"here: use Model\.deploy$"):
        refuse("Webservice.deploy_from_image", "use Model.deploy", WebserviceException)


@pytest.mark.parametrize("cell", CELLS)
def test_the_imports_of_notebooks(cell: str) -> None:
    exec(inspect.cleandoc(cell), {})  # noqa: S102 - as a notebook does


@pytest.mark.parametrize(("module", "names", "instead"), ROWS)
def test_every_name_of_the_table(module: str, names: list[str], instead: str) -> None:
    loaded = importlib.import_module(f"edgepack.azureml.{module}")
    for name in names:
        found = getattr(loaded, name)
        assert isinstance(found, CloudOnly)
        assert found.__name__ == name
        with pytest.raises((UserErrorException, WebserviceException)) as refusal:
            found(workspace=None)
        assert str(refusal.value) == refusal.value.message == f"{name} is Azure's, and not here: {instead}"


def test_each_name_is_one_class_wherever_it_comes_from() -> None:
    compute = importlib.import_module("edgepack.azureml.core.compute")
    assert compute.AmlCompute is importlib.import_module("edgepack.azureml.core.compute.amlcompute").AmlCompute
    assert Run is importlib.import_module("edgepack.azureml.core.run").Run
    assert pickle.loads(pickle.dumps(compute.AmlCompute)) is compute.AmlCompute
    assert copy.deepcopy(compute.AmlCompute) is compute.AmlCompute
    assert azureml.pipeline.steps.PythonScriptStep.__module__ == "edgepack.azureml.pipeline.steps.python_script_step"


def test_what_was_mistyped_is_not_imported() -> None:
    for line, text in (
        ("from edgepack.azureml.core import Modle", "cannot import name 'Modle' from 'edgepack.azureml.core'"),
        ("from edgepack.azureml.core.compute import Aml", "cannot import name 'Aml' from 'edgepack.azureml.core.comp"),
        ("from edgepack.azureml.core.environment import Sparks", "cannot import name 'Sparks'"),
        ("import edgepack.azureml.core.computer", "No module named 'edgepack.azureml.core.computer'"),
        ("import edgepack.azureml.widgets.typo", "No module named 'edgepack.azureml.widgets.typo'"),
        ("from edgepack.azureml import trian", "cannot import name 'trian'"),
    ):
        with pytest.raises(ImportError, match=text):
            exec(line, {})  # noqa: S102


def test_use_is_refused_in_the_words_of_the_thing() -> None:
    image = importlib.import_module("edgepack.azureml.core.image").ContainerImage
    uses: list[tuple[Callable[[], Any], type[AzureMLException], str]] = [
        (lambda: cast("Any", Run)(None, "x"), UserErrorException, "^Run is Azure's.*edgepack runs no training"),
        (lambda: Run.list(None), UserErrorException, r"^Run\.list is Azure's.*edgepack runs no training"),
        (lambda: Experiment(None, "x"), UserErrorException, "^Experiment is Azure's.*edgepack runs no training"),
        (lambda: Datastore.get(None, "x"), UserErrorException, r"^Datastore\.get is .*read files by their paths"),
        (lambda: image.image_configuration(), WebserviceException, r"^ContainerImage\.image_conf.*Model\.package"),
        (lambda: azureml.train.hyperdrive.choice(1, 2), UserErrorException, "^choice is Azure's"),
        (lambda: azureml.train.hyperdrive.PrimaryMetricGoal.MAXIMIZE, UserErrorException, r"^PrimaryMetricGoal\.MAX"),
    ]
    for use, kind, text in uses:
        with pytest.raises(kind, match=text):
            use()


def test_a_class_of_azure_can_be_asked_about() -> None:
    mine = type("Mine", (Experiment,), {})

    def annotated(run: Experiment | None, runs: list[Experiment]) -> None:
        """Takes runs."""

    assert not isinstance(object(), Experiment)
    assert issubclass(mine, Experiment)
    assert not issubclass(int, Experiment)
    assert get_type_hints(annotated)["run"] == Experiment | None
    assert not hasattr(Experiment, "list")
    assert getattr(Experiment, "_private", 1) == getattr(Experiment, "public", 1) == 1
    with pytest.raises(AttributeError, match=r"^type object 'Experiment' has no attribute '_repr_html_'$"):
        Experiment._repr_html_()
    with pytest.raises(UserErrorException, match=r"^Mine is Azure's"):
        mine()
    assert str(inspect.signature(Experiment)).startswith("(*args")
    assert inspect.getdoc(Experiment) == f"Azure's: {TRAINING}."
    assert "edgepack.azureml.core.experiment.Experiment" in repr(Experiment)


@pytest.mark.parametrize("thing", [Run, "core.compute", "core.run", "core", "data", "pipeline.steps"])
def test_help_is_written(thing: Any) -> None:
    named = importlib.import_module(f"edgepack.azureml.{thing}") if isinstance(thing, str) else thing
    assert "Azure" in pydoc.plain(pydoc.render_doc(named))
    assert inspect.getmembers(named)


def test_a_workspace_has_none_of_the_things_of_azure(workspace: Workspace) -> None:
    for name in ("compute_targets", "datasets", "datastores", "experiments", "images", "linked_services"):
        things = getattr(workspace, name)
        assert "aks" not in things
        assert things.get("aks") is None
        assert json.dumps(things) == repr(things) == "{}"
        with pytest.raises(KeyError) as missing:
            things["aks"]
        assert isinstance(missing.value, UserErrorException)
        assert str(missing.value).startswith(f"Workspace.{name}['aks'] is Azure's, and not here: ")
    with pytest.raises(UserErrorException, match="the only computer is this one"):
        workspace.compute_targets["aks"]
    assert COMPUTE in str(inspect.getdoc(Workspace.compute_targets))


def test_a_workspace_refuses_what_only_azure_can_do(workspace: Workspace) -> None:
    uses: list[tuple[Callable[[], Any], str]] = [
        (lambda: Workspace.list("subscription", resource_group="x"), r"^Workspace\.list is .*a workspace is a folder"),
        (lambda: workspace.get_default_datastore(), f"here: {DATA}$"),
        (lambda: workspace.get_default_keyvault().get_secret("x"), "secrets are environment variables"),
        (lambda: workspace.get_mlflow_tracking_uri(), "`edgepack model register --from-mlflow`"),
        (lambda: workspace.delete(delete_dependent_resources=True), r"^Workspace\.delete .*a workspace is a folder"),
        (lambda: workspace.get_run("id"), "edgepack runs no training"),
        (lambda: workspace.add_private_endpoint(None), "nothing of Azure is contacted"),
    ]
    for use, text in uses:
        with pytest.raises(UserErrorException, match=text):
            use()
    assert (workspace.location, workspace.sku, workspace.tags) == ("local", "local", {})


def test_who_logs_in_gets_no_token() -> None:
    login = InteractiveLoginAuthentication()
    with pytest.raises(UserErrorException, match=r"^get_authentication_header is .*nobody logs in"):
        login.get_authentication_header()


def test_a_script_that_nobody_submitted_has_an_offline_run(capsys: pytest.CaptureFixture[str]) -> None:
    from edgepack.azureml.core.run import _OfflineRun

    run = Run.get_context()
    assert isinstance(run, _OfflineRun)
    assert run.id.startswith("OfflineRun_")
    run.log("accuracy", 0.5)
    run.child_run().log_row("row", a=1)
    assert capsys.readouterr().out == (
        "run.log('accuracy', 0.5): not kept, there is no run here\n"
        "run.log_row('row', a=1): not kept, there is no run here\n"
    )
    assert not hasattr(run, "experiment")
    with pytest.raises(RunEnvironmentException):
        Run.get_context(allow_offline=False)
