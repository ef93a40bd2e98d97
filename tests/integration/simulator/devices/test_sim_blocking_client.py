"""Devices on blocking sockets, as Locust runs them: lost connections, restarts, ends."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgepack.errors import InputError
from simulator.devices.blocking_client import BlockingClient
from simulator.devices.session import Telemetry
from simulator.devices.spread_fleet import FleetOptions, SpreadFleet, read_connection_strings
from tests.fakes.fake_iot_hub import FakeIotHub
from tests.integration.simulator.devices.fleet_under_test import KEY

DEADLINE_S = 30.0


class Running:
    """A client, what it has told, and a way to let it run."""

    def __init__(self, fleet: SpreadFleet) -> None:
        self.acknowledged: list[Telemetry] = []
        self.connects: list[float] = []
        self.problems: list[str] = []
        self.client: BlockingClient = fleet.next_client(lambda: 0.1, self.connects.append, self.problems.append)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let it run until something is true."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}; {self.problems}"
            self.acknowledged += self.client.step(0.05)

    def more(self, count: int) -> None:
        """Let it run for so many more messages."""
        goal = len(self.acknowledged) + count
        self.until(lambda: len(self.acknowledged) >= goal, "messages flow")


@pytest.fixture
def hub() -> Iterator[FakeIotHub]:
    """A hub with two devices and a module."""
    with FakeIotHub(dict.fromkeys(["d-0", "d-1", "d-2/m"], KEY)) as running:
        yield running


@pytest.fixture
def options(hub: FakeIotHub, tmp_path: Path) -> FleetOptions:
    """A fleet of them."""
    key = base64.b64encode(KEY).decode()
    ends = ("d-0", "d-1", "d-2;ModuleId=m")
    lines = [f"HostName={hub.hub_name};DeviceId={end};SharedAccessKey={key}" for end in ends]
    (tmp_path / "devices").write_text("\n".join(lines))
    (tmp_path / "ca.pem").write_text(hub.ca_pem)
    url = f"mqtts://localhost:{hub.port}"
    return FleetOptions(str(tmp_path / "devices"), url=url, ca_file=str(tmp_path / "ca.pem"), rate_per_s=50)


def test_nothing_is_lost_when_connections_break(hub: FakeIotHub, options: FleetOptions) -> None:
    running = Running(SpreadFleet(options, 0, 1))
    running.more(50)
    hub.drop("d-0")
    running.more(50)
    hub.stop()
    running.until(lambda: len(running.problems) >= 3, "attempts that fail")
    hub.start()
    running.more(50)
    running.acknowledged += running.client.drain(DEADLINE_S)
    assert running.client.device.session.held == 0
    assert len(running.connects) == 3
    arrived = [event.property("$.mid") for event in hub.events]
    told = [message.message_id for message in running.acknowledged]
    assert len(set(told)) == len(told)
    assert set(told) == set(arrived)
    first = list(dict.fromkeys(arrived))
    assert first == sorted(str(name) for name in first)
    assert not hub.refusals


def test_tokens_are_renewed(hub: FakeIotHub, options: FleetOptions) -> None:
    running = Running(SpreadFleet(options, 0, 1, token_ttl_s=4))
    running.until(lambda: len(running.connects) >= 3, "two renewals")
    running.client.drain(DEADLINE_S)
    assert not running.problems
    assert not hub.refusals


def test_shares_do_not_overlap_and_end(options: FleetOptions, hub: FakeIotHub) -> None:
    parts = [SpreadFleet(options, place, 2) for place in range(2)]
    found = [Running(parts[0]), Running(parts[0]), Running(parts[1])]
    assert sorted(running.client.device.device_id for running in found) == ["d-0", "d-1", "d-2"]
    for part in parts:
        with pytest.raises(InputError, match="more users than devices"):
            Running(part)
    module = next(running for running in found if running.client.device.device_id == "d-2")
    module.more(3)
    module.client.drain(DEADLINE_S)
    assert hub.events[0].property("$.on") == "temperatureOutput"


def test_wrong_files_are_told_whole(tmp_path: Path) -> None:
    path = tmp_path / "devices"
    key = base64.b64encode(KEY).decode()
    good = f"HostName=h;DeviceId=d;SharedAccessKey={key}"
    path.write_text(f"{good}\n# a comment\nHostName=h\n{good}\nHostName=h;DeviceId=e;x509=true\n")
    with pytest.raises(InputError) as error:
        read_connection_strings(path)
    text = str(error.value)
    assert "line 3" in text
    assert "line 4: d is there twice" in text
    assert "line 5: a certificate" in text
    path.write_text("\n")
    with pytest.raises(InputError, match="no connection string"):
        read_connection_strings(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_connection_strings(tmp_path / "none")
