"""Every test of the contract runs once for each kind of server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.cases import Case
from tests.contract.servers import KINDS, Servers, Setup, unavailable

_MARKS = {"peer": [pytest.mark.network]}


@pytest.fixture(scope="module", params=[pytest.param(kind, marks=_MARKS.get(kind, [])) for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> str:
    """Which server: peer, agent, or command. Skips where it cannot be had."""
    chosen: str = request.param
    if why_not := unavailable(chosen):
        pytest.skip(why_not)
    return chosen


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of one module, ended after it."""
    running = Servers(tmp_path_factory.mktemp("servers"), list(_setups(request)))
    yield running
    running.end()


def _setups(request: pytest.FixtureRequest) -> Iterator[tuple[str, Setup]]:
    """The servers that the module's tests name as parameters, in their order."""
    for item in request.session.items:
        if item.getparent(pytest.Module) is request.node and isinstance(item, pytest.Function):
            values: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
            for value in values.values():
                setup = value.setup if isinstance(value, Case) else value
                if isinstance(setup, Setup) and not unavailable(values["kind"]):
                    yield values["kind"], setup
