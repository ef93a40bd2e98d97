"""The profile of property tests in the fast suite, and which tests of a parallel run share a process."""

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.examples import FAST

# Fewer examples where a test does not say how many; a busy machine is no finding.
settings.register_profile(FAST, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("all", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("all")


class ByPlace(LoadScopeScheduling):  # type: ignore[misc]  # without types
    """Files are shared out to the processes whole. Some go together: there is to be one Docker engine, and those of a
    package that number addresses of loopback (clients of IoT Hub know the port 8883 only) must not do so twice.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        match file.split("/"):
            case ("tests", "e2e", "test_e2e_docs.py" | "test_e2e_served_models.py" | "test_e2e_tutorial.py"):
                return file  # long, and without the engine
            case ("tests", "e2e", *_):
                return "engine"
            case ("tests", "integration", "device_agent" | "simulator" as package, *_):
                return f"loopback of {package}"
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByPlace:
    """How the tests are shared out."""
    return ByPlace(config, log)
