"""Images through a parent gateway, and variables of templates, as the product and the known tools have them."""

import copy
from typing import Any

import pytest

from edgepack.deployment.validate import check, errors, problems
from simulator.simulation import DEFAULT_MANIFEST


def with_image(image: str, **more: Any) -> dict[str, Any]:
    """A deployment of one module with this image."""
    document: dict[str, Any] = copy.deepcopy(dict(DEFAULT_MANIFEST))
    module = {"type": "docker", "status": "running", "restartPolicy": "always", "version": "1.0"}
    agent = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    agent["modules"]["scorer"] = {**module, "settings": {"image": image, "createOptions": ""}}
    return {**document, **more}


@pytest.mark.parametrize(
    ("image", "is_fine"),
    [("$upstream:8000/team/x:1", True), ("$upstream/team/x:1", False), ("$Upstream:8000/team/x:1", False)],
)
def test_the_parent_gateway_needs_its_port(image: str, is_fine: bool) -> None:
    assert bool(errors(problems(with_image(image)))) is not is_fine


@pytest.mark.parametrize("image", ["$CONTAINER_REGISTRY_myacr/x:1", "$reg_lower/x:1", "${reg}/x:1", "$REGISTRY/x:1"])
def test_a_template_may_have_variables_of_any_case(image: str) -> None:
    template = with_image(image, **{"$schema-template": "4.0.0"})
    assert errors(check(template).problems) == ()
    assert errors(problems(with_image(image)))
