"""Stand-ins for Azure packages: found only when the real ones are not, and as strict as they."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def _python(code: str, folder: Path, **environment: str) -> str:
    """Standard output of `code` in a fresh interpreter with the shims installed."""
    start = "from device_agent.shims import install_shims; install_shims(); install_shims()\n"
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({root!r})\n{start}{textwrap.dedent(code)}"],
        cwd=folder,
        env={"PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _model(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / "azureml-models" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")


def test_get_model_path_follows_the_rules(tmp_path: Path) -> None:
    app = tmp_path / "app"
    _model(app, "one/2/a.pkl", "one/10/model/b.pkl", "two/1/a", "two/1/b")
    (tmp_path / "local.pkl").write_text("")
    code = """
        from azureml.core.model import Model
        from azureml.core import Model as Same
        import azureml.core.model
        from azureml.exceptions import ModelNotFoundException, WebserviceException
        assert Model is Same is azureml.core.model.Model
        def outcome(*args, **kwargs):
            try:
                return Model.get_model_path(*args, **kwargs)
            except (ModelNotFoundException, WebserviceException) as error:
                return f"{type(error).__name__}: {error.message}"
        print(outcome("one"))
        print(outcome(model_name="one", version=2, _workspace=None))
        print(outcome("one", "2"))
        print(outcome("two"))
        print(outcome("local.pkl"))
        print(outcome("none"))
        print(outcome("none", 3))
    """
    lines = _python(code, tmp_path, AML_APP_ROOT=str(app)).splitlines()
    models = app / "azureml-models"
    assert lines[0] == str(models / "one/10/model")
    assert lines[1] == str(models / "one/2/a.pkl")
    assert lines[2].startswith("WebserviceException: version should be an int")
    assert lines[3] == f"WebserviceException: Dir {models}/two/1 can contain only 1 file or folder. Found ['a', 'b']"
    assert lines[4] == "./local.pkl"
    assert lines[5].startswith("ModelNotFoundException: Model none not found")
    assert lines[6].startswith("WebserviceException: Model none version 3 not found")


def test_without_an_app_root_models_are_in_the_working_directory(tmp_path: Path) -> None:
    _model(tmp_path, "m/1/a.onnx")
    code = "from azureml.core.model import Model; print(Model.get_model_path('m'))"
    assert _python(code, tmp_path) == "azureml-models/m/1/a.onnx\n"


@pytest.mark.parametrize("real", ["azureml/core/model.py", "azureml/core/__init__.py", "azureml/__init__.py"])
def test_what_is_installed_wins(tmp_path: Path, real: str) -> None:
    file = tmp_path / real
    file.parent.mkdir(parents=True)
    file.write_text("ORIGIN = 'installed'\n")
    name = real.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert _python(f"import {name}; print({name}.ORIGIN)", tmp_path) == "installed\n"


def test_a_part_that_is_missing_beside_an_installed_part_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "azureml" / "other").mkdir(parents=True)
    (tmp_path / "azureml" / "other" / "__init__.py").write_text("")
    code = "import azureml.other; from azureml.core.model import Model; print(Model.__module__)"
    assert _python(code, tmp_path) == "azureml.core.model\n"


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    code = """
        for name in ("azureml.nothing", "device_agent.nothing", "azureml_other"):
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                print(error)
    """
    assert _python(code, tmp_path).count("No module named") == 3


_FORMS = """
    import azureml.contrib.services
    import azureml.contrib.services.aml_request
    import azureml.contrib.services.aml_request as request_module
    import azureml_inference_server_http.api.aml_request
    import azureml_inference_server_http.api.aml_response as response_module
    from azureml.contrib.services import AMLRequest, AMLResponse, rawhttp
    from azureml.contrib.services import aml_request, aml_response
    from azureml.contrib.services.aml_request import *
    from azureml.contrib.services.aml_response import *
    from azureml.contrib.services.aml_request import rawhttp as one, AMLRequest as first
    from azureml.contrib.services.aml_response import AMLResponse as two
    from azureml_inference_server_http.api import aml_request as server_module
    from azureml_inference_server_http.api.aml_request import rawhttp as three
    from azureml_inference_server_http.api.aml_response import AMLResponse as four
    assert one is three is rawhttp is request_module.rawhttp is server_module.rawhttp
    assert rawhttp is azureml.contrib.services.rawhttp
    assert two is four is AMLResponse is response_module.AMLResponse is aml_response.AMLResponse
    assert first is AMLRequest is azureml.contrib.services.aml_request.AMLRequest
    @rawhttp
    def run(request):
        pass
    assert run.__name__ == "run"
    print(AMLResponse.__mro__[1].__module__, AMLResponse("x", 200).mimetype)
"""


def test_raw_http_in_every_import_form(tmp_path: Path) -> None:
    assert _python(_FORMS, tmp_path) == "flask.wrappers text/html\n"


def test_raw_http_without_flask(tmp_path: Path) -> None:
    hidden = "    import sys\n    sys.modules['flask'] = None\n"
    assert _python(hidden + _FORMS, tmp_path) == "werkzeug.wrappers.response text/html\n"


def test_the_classes_that_a_logging_file_names(tmp_path: Path) -> None:
    code = """
        import logging
        from azureml_inference_server_http.log_config import AMLLogFormatter, RootAccessFilter
        record = logging.LogRecord("a.b", logging.WARNING, "x.py", 1, "GET / HTTP/1.1", (), None)
        record.created, record.msecs, record.process = 1714564800.0, 123.0, 42
        print(AMLLogFormatter().format(record))
        print(AMLLogFormatter("{levelname}", None, "{").format(record))
        print(RootAccessFilter().filter(record))
    """
    assert _python(code, tmp_path, TZ="Asia/Tokyo").splitlines() == [
        "2024-05-01 12:00:00,123 W [42] a.b - GET / HTTP/1.1",
        "WARNING",
        "False",
    ]


def test_what_needs_a_workspace_is_imported_and_refused(tmp_path: Path) -> None:
    code = """
        import inspect
        import azureml.core.run
        from azureml.core import Dataset, Environment, Experiment, Keyvault, Model, Run, Workspace
        from azureml.core.authentication import ServicePrincipalAuthentication
        from azureml.core.dataset import Dataset as Same
        from azureml.core.webservice import Webservice
        from azureml.core.workspace import *
        from azureml.exceptions import AzureMLException, UserErrorException
        def prepare(run: Run | None, workspace: "Workspace") -> list[Dataset]: ...
        assert Dataset is Same and Run is azureml.core.run.Run and not isinstance(1, Run)
        assert not hasattr(Run, "list") and inspect.signature(Run) and inspect.getmembers(Workspace)
        for use in (Run, lambda: Run.list(None), lambda: Workspace.from_config(), lambda: Dataset("x")):
            try:
                use()
            except UserErrorException as error:
                assert isinstance(error, AzureMLException) and str(error) == error.message
                print(error)
        try:
            from azureml.core import Modle
        except ImportError as error:
            print(error)
        try:
            import azureml.core.computers
        except ImportError as error:
            print(error)
    """
    lines = _python(code, tmp_path).splitlines()
    why = "needs a workspace, and where a model is served there is none: models are below AZUREML_MODEL_DIR"
    for line, name in zip(lines, ("Run", "Run.list", "Workspace.from_config", "Dataset"), strict=False):
        assert line.startswith(f"{name} {why}")
    assert lines[4].startswith("cannot import name 'Modle' from 'azureml.core'")
    assert lines[5:] == ["No module named 'azureml.core.computers'"]


def test_a_served_script_has_an_offline_run(tmp_path: Path) -> None:
    code = """
        from azureml.core.run import Run, _OfflineRun
        from azureml.exceptions import RunEnvironmentException
        run = Run.get_context()
        assert isinstance(run, _OfflineRun) and run.id.startswith("OfflineRun_")
        run.log("accuracy", value=0.5)
        try:
            run.experiment
        except AttributeError as error:
            print(error)
        try:
            Run.get_context(allow_offline=False)
        except RunEnvironmentException as error:
            print(error.message)
    """
    assert _python(code, tmp_path).splitlines() == [
        "run.log('accuracy', value=0.5): not kept, there is no run here",
        "'OfflineRun' object has no attribute 'experiment': there is no run here",
        "no run was submitted: this script is served",
    ]


def test_installed_parts_win_over_what_needs_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "azureml" / "core").mkdir(parents=True)
    (tmp_path / "azureml" / "core" / "run.py").write_text("class Run: ORIGIN = 'installed'\n")
    code = "from azureml.core.run import Run; print(Run.ORIGIN)"
    assert _python(code, tmp_path) == "installed\n"
