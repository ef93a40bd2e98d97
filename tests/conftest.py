"""The profile of property tests in the fast suite, and which tests of a parallel run share a process."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent

# Fewer examples where a test does not say how many; a busy machine is no finding.
settings.register_profile("fast", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("all", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("all")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are shared out to the processes whole. Some go together: there is to be one Docker engine, and those who
    number addresses of loopback (clients of IoT Hub know the port 8883 only) must not do so twice.
    """
    for item in items:
        match item.path.relative_to(TESTS).parts:
            case ("e2e", *_):
                group = "engine"
            case ("integration", "device_agent" | "simulator", *_):
                group = "loopback"
            case parts:
                group = "/".join(parts)
        item.add_marker(pytest.mark.xdist_group(group))
