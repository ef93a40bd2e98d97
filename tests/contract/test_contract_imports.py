"""Imports of scripts that were written for the Azure packages (section 6.4)."""

import pytest

from tests.contract.cases import SCRIPT_ERROR, Case, check, message, post, result, script_error
from tests.contract.servers import Servers, Setup

MODELS = (
    ("azureml-models/one/1/model.onnx", ""),
    ("azureml-models/one/9/model.onnx", ""),
    ("azureml-models/one/10/folder/a", ""),
    ("azureml-models/two/1/a", ""),
    ("azureml-models/two/1/b", ""),
    ("local/a", ""),
)
EVALUATE = Setup("evaluate.py", texts=MODELS)
SHIMS = "section 6.4: the agent brings stand-ins, the peer has no Azure packages"
EVERY_FORM = "section 6.4: the peer redirects only `from ... import ...`"
BOTH = (
    "from azureml.contrib.services.aml_request import rawhttp",
    "from azureml.contrib.services.aml_request import AMLRequest, rawhttp",
    "from azureml.contrib.services.aml_response import AMLResponse",
    "from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp",
    "from azureml_inference_server_http.api.aml_response import AMLResponse",
)
AGENT_ONLY = (
    "import azureml.contrib.services.aml_request",
    "import azureml.contrib.services.aml_response",
    "import azureml.contrib.services.aml_request as aml_request; aml_request.rawhttp",
    "from azureml.contrib.services import rawhttp",
    "from azureml.contrib.services import aml_request; aml_request.AMLRequest",
)
STAND_INS = (
    "from azureml.core.model import Model",
    "from azureml.core import Model",
    "from azureml.exceptions import WebserviceException",
    "from azureml.monitoring import ModelDataCollector",
    "from azureml.ai.monitoring import Collector",
    "from azureml.ai.monitoring.context import BasicCorrelationContext",
)


def _statement(text: str) -> str:
    return f"exec({text!r})"


def _path(arguments: str) -> str:
    return f"os.path.relpath(__import__('azureml.core.model', fromlist=['x']).Model.get_model_path({arguments}))"


def _stand_in(name: str, expression: str, value: object) -> Case:
    return Case(name, post(expression), None, script_error(), result(value), SHIMS, EVALUATE)


IMPORTS = (
    *(Case(text, post(_statement(text)), result({}), setup=EVALUATE) for text in BOTH),
    *(
        Case(text, post(_statement(text)), None, script_error(), result({}), EVERY_FORM, EVALUATE)
        for text in AGENT_ONLY
    ),
    *(Case(text, post(_statement(text)), None, script_error(), result({}), SHIMS, EVALUATE) for text in STAND_INS),
)
PATHS = (
    _stand_in("latest is the largest integer", _path("'one'"), "azureml-models/one/10/folder"),
    _stand_in("a version", _path("'one', version=9"), "azureml-models/one/9/model.onnx"),
    _stand_in("by name", _path("model_name='one', version=1, _workspace=None"), "azureml-models/one/1/model.onnx"),
    _stand_in("the fourth rule", _path("'local'"), "local"),
)
COLLECTING = (
    _stand_in(
        "v1 without collection",
        "__import__('azureml.monitoring', fromlist=['x']).ModelDataCollector('m', designation='inputs').collect([1])",
        {},
    ),
    _stand_in(
        "v2 without collection",
        "(lambda m: m.Collector(name='c').collect(__import__('pandas').DataFrame({'a': [1]})) is not None)"
        "(__import__('azureml.ai.monitoring', fromlist=['x']))",
        True,
    ),
)


@pytest.mark.parametrize("case", [*IMPORTS, *PATHS, *COLLECTING], ids=lambda case: case.name)
def test_import(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


FAULTS = (
    ("two entries", "'two'", "can contain only 1 file or folder"),
    ("no such model", "'three'", "not found"),
    ("no such version", "'one', 2", ""),
    ("version is no integer", "'one', '1'", "version should be an int"),
)


@pytest.mark.parametrize(("arguments", "told"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_difference_model_paths_that_there_are_not(servers: Servers, kind: str, arguments: str, told: str) -> None:
    case = Case(arguments, post(_path(arguments)), message(500, SCRIPT_ERROR, failed="True"), setup=EVALUATE)
    check(servers, kind, case)
    server = servers.ready(kind, EVALUATE)
    server.wait_log(r"No module named 'azureml" if server.like == "peer" else rf"(?i)^[\w.]+: .*{told}")
