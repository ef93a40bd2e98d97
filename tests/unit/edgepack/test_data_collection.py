"""Data collection in deployment configurations: what it comes to on the device; what is said explicitly wins."""

import math
from pathlib import Path
from typing import Any

import pytest

from edgepack.deployment_config import read_deployment_config
from edgepack.deployment_targets import IotDeployment, LocalDeployment
from edgepack.edge_assembly import edge_assembly
from edgepack.errors import InputError
from edgepack.project import BuildOptions

IOT = {"computeType": "iot", "amlModule": {"moduleName": "m"}, "routes": {}, "iotDeviceId": "d"}
ON = {"enabled": True}


def variables(document: dict[str, Any]) -> dict[str, str]:
    """Those that a deployment gives the agent."""
    found = read_deployment_config(document, "dc.json")
    assert isinstance(found, LocalDeployment | IotDeployment)
    return dict(found.variables)


@pytest.mark.parametrize("start", [{"computeType": "local"}, IOT])
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, {}),
        ({"dataCollection": {"storageEnabled": True}}, {"AML_MODEL_DC_STORAGE_ENABLED": "true"}),
        ({"dataCollection": {"storageEnabled": False}}, {}),
        ({"data_collector": {"collections": {"request": ON, "response": ON}}}, {"EDGEPACK_CAPTURE_PERCENT": "100"}),
        (
            {"modelDataCollection": {"collections": {"response": {"enabled": "True"}}, "sampling_rate": 0.25}},
            {"EDGEPACK_CAPTURE_PERCENT": "25"},
        ),
        (
            {"data_collector": {"collections": {"request": ON}, "sampling_rate": 0.01}},
            {"EDGEPACK_CAPTURE_PERCENT": "1"},
        ),
        ({"data_collector": {"collections": {"request": ON}, "sampling_rate": 0}}, {"EDGEPACK_CAPTURE_PERCENT": "0"}),
        ({"data_collector": {"collections": {"request": {"enabled": "False"}, "response": {}}}}, {}),
        (
            {"data_collector": {"collections": {"model_inputs": ON}, "sampling_rate": 0.5, "rolling_rate": "hour"}},
            {"AZUREML_MDC_ENABLED": "true", "AZUREML_MDC_SAMPLE_RATE": "50"},
        ),
    ],
)
def test_what_is_collected_becomes_variables(
    start: dict[str, Any], said: dict[str, Any], wanted: dict[str, str]
) -> None:
    assert variables({**start, **said}) == wanted


def test_all_that_is_wrong_is_told() -> None:
    document = {
        "computeType": "local",
        "dataCollection": {"storageEnable": True},
        "modelDataCollection": {},
        "data_collector": {
            "collections": {"request": "yes", "response": {"enabled": "on", "datas": 1}},
            "sampling_rate": 50,
            "rolling_rate": "day",
            "request_logging": {"capture_headers": ["X-Key"]},
        },
    }
    with pytest.raises(InputError) as caught:
        read_deployment_config(document, "dc.json")
    told = "\n".join(caught.value.problems)
    for text in (
        "did you mean `storageEnabled`?",
        "`data_collector` and `modelDataCollection` are the same",
        "`data_collector.sampling_rate` is 50, not 0 or one of 0.01 to 1",
        "`data_collector.rolling_rate` is 'day': there are files by the hour alone",
        "`data_collector.request_logging`: headers are never kept here",
        "`data_collector.collections.request` must be a mapping",
        "did you mean `data`?",
        "`data_collector.collections.response.enabled` is 'on'",
    ):
        assert text in told


def test_what_the_module_or_the_inference_configuration_says_wins(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    document = {
        **IOT,
        "amlModule": {"moduleName": "m", "environmentVariables": {"EDGEPACK_CAPTURE_PERCENT": 7}},
        "dataCollection": {"storageEnabled": True},
        "data_collector": {"collections": {"request": ON, "model_inputs": ON}},
    }
    deployment = read_deployment_config(document, "dc.json")
    assert isinstance(deployment, IotDeployment)
    config = {
        "entryScript": "score.py",
        "environment": {
            "python": {"condaDependencies": {"dependencies": ["python=3.11"]}},
            "environmentVariables": {"AZUREML_MDC_ENABLED": "false"},
        },
    }
    options = BuildOptions(workspace=tmp_path / "workspace", image="m")
    assembly = edge_assembly(deployment, options, config, tmp_path).assembly
    (recipe,) = assembly.recipes.values()
    assert dict(recipe.module.env) == {
        "AML_MODEL_DC_STORAGE_ENABLED": "true",
        "EDGEPACK_CAPTURE_PERCENT": 7,
        "AZUREML_MDC_SAMPLE_RATE": "100",
    }


@pytest.mark.parametrize("rate", [0.001, 0.015, 0.999, -0.5, 1.01, math.nan, math.inf])
def test_a_share_that_is_no_whole_percent_is_refused_rather_than_made_another(rate: float) -> None:
    document = {"computeType": "local", "data_collector": {"collections": {"request": ON}, "sampling_rate": rate}}
    with pytest.raises(InputError, match=f"{rate}, not 0 or one of 0.01 to 1: shares are whole percents"):
        read_deployment_config(document, "dc.json")


def test_every_whole_percent_is_a_share() -> None:
    for percent in range(101):
        said = {"collections": {"request": ON}, "sampling_rate": percent / 100}
        assert variables({**IOT, "data_collector": said}) == {"EDGEPACK_CAPTURE_PERCENT": str(percent)}


def test_a_text_is_no_share() -> None:
    with pytest.raises(InputError, match=r"`data_collector\.sampling_rate` must be a number, not a text"):
        read_deployment_config({"computeType": "local", "data_collector": {"sampling_rate": "x"}}, "dc.json")
