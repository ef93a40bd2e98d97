"""What edgeAgent makes of the desired properties, and the statuses with which it refuses them."""

from typing import Any

import pytest

from simulator.edge_agent.deployment import DeploymentError, parse_deployment
from tests.fakes.edge_deployments import desired, module


def refusal(document: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(document)
    return caught.value.status, caught.value.text


def test_modules_come_in_startup_order_with_defaults() -> None:
    late, early = module(), module("b:2", startupOrder=3, env={"A": {"value": True}, "B": {"value": 1.5}})
    del late["restartPolicy"]
    deployment = parse_deployment({**desired(late=late, early=early), "$version": 4})
    assert [one.name for one in deployment.modules] == ["early", "late"]
    first, last = deployment.modules
    assert first.environment == {"A": "true", "B": "1.5"}
    assert (last.restart_policy, last.startup_order) == ("on-unhealthy", 4294967295)
    assert deployment.system["edgeHub"].restart_policy == "always"


def test_create_options_are_compared_after_parsing() -> None:
    one = {"createOptions": '{"HostConfig":{"Binds":["a:/a"],', "createOptions01": '"Init":true}}'}
    other = {"createOptions": '{ "HostConfig": {"Init": true, "Binds": ["a:/a"]}}'}
    found = [parse_deployment(desired(m=module(settings=settings))).modules[0] for settings in (one, other)]
    assert found[0] == found[1]
    assert found[0].settings != found[1].settings


def test_values_are_taken_in_the_forms_that_the_agent_takes() -> None:
    loose = module(
        status="Stopped", restartPolicy="On-Failure", imagePullPolicy="NEVER", startupOrder="3", version=1.5,
        env={"A": {"value": None}, "B": {}}, settings={"createOptions": {"hostconfig": {"binds": ["a:/b"]}}},
    )  # fmt: skip
    clean = module(
        status="stopped", restartPolicy="on-failure", imagePullPolicy="never", startupOrder=3, version="1.5",
        env={"A": {"value": ""}, "B": {"value": ""}}, settings={"createOptions": '{"HostConfig":{"Binds":["a:/b"]}}'},
    )  # fmt: skip
    found = [parse_deployment(desired(m=one)).modules[0] for one in (loose, clean)]
    assert found[0] == found[1]
    assert parse_deployment(desired(m=module(env=None, settings={"createOptions": None}))).modules[0].environment == {}


def test_an_empty_document_is_status_417() -> None:
    text = "This device has an empty configuration for the edge agent. Please set a deployment manifest."
    assert refusal({}) == (417, text)
    assert refusal({"$version": 1, "$metadata": {}}) == (417, text)


def test_an_unreadable_document_is_status_400_with_all_reasons() -> None:
    wrong = module("bad image:::", status="paused", settings={"createOptions": "{"})
    status, text = refusal(desired(m=wrong))
    assert status == 400
    assert text.startswith("Agent configuration format is invalid. ")
    for pointer in ("/modules/m/status: ", "/modules/m/settings/image: ", "/modules/m/settings/createOptions: "):
        assert pointer in text
    assert refusal({"modules": {}})[0] == 400
    assert refusal(desired() | {"runtime": {"type": "windows", "settings": {}}})[0] == 400


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.0.7", "1.1.0"])
def test_schema_versions_that_are_taken(version: str) -> None:
    assert parse_deployment(desired(version)).schema_version == version


@pytest.mark.parametrize("version", ["1.1.1", "1.1.0.0", "1.3", "2.0", "0.9"])
def test_schema_versions_of_others_are_status_412(version: str) -> None:
    text = f"The desired properties schema version {version} is not compatible with the expected version 1.1.0"
    assert refusal(desired(version)) == (412, text)


@pytest.mark.parametrize("version", ["1", "", "one", "1.1.1.1.1"])
def test_what_is_no_version_is_status_412(version: str) -> None:
    assert refusal(desired(version)) == (412, f"Invalid desired properties schema version {version}")
