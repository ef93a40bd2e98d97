"""Store and forward as clients of the unmodified SDK see it: offline, priorities, time to live."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.simulator.sdk_world import (
    DEVICE,
    GATEWAY,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SimulationUnderTest,
    running_simulation,
    sdk_message,
    until,
)

pytestmark = SDK_WARNINGS


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path) as running:
        yield running


def waiting(sim: SimulationUnderTest) -> dict[tuple[str, int], int]:
    """How many messages wait at the gateway, by endpoint and priority."""
    edge_hub = sim.world.gateways[GATEWAY].edge_hub
    return sim.call(lambda: {(place, priority): count for place, priority, count in edge_hub.waiting() if count})


def test_offline_messages_are_taken_and_arrive_in_order_later(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer:
        sim.do("offline")
        for number in range(150):
            scorer.send_message_to_output(sdk_message(str(number)), "up")
        assert sim.arrived.messages == []
        assert sum(waiting(sim).values()) == 150
        sim.do("online")
        sim.until_arrived(150)
    assert sim.bodies() == list(range(150))
    until(lambda: not waiting(sim), "nothing waits")


def test_a_store_survives_a_restart_of_the_hub(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer:
        sim.do("offline")
        scorer.send_message_to_output(sdk_message("1"), "up")
        sim.do("restart_hub", for_s=0.2)
        until(lambda: not sim.is_connected(SCORER), "the restart")
        sim.do("online")
        sim.until_arrived(1)


def test_messages_of_a_higher_priority_go_first(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer:
        sim.do("offline")
        for number in range(5):
            scorer.send_message_to_output(sdk_message(str(number)), "up")
            scorer.send_message_to_output(sdk_message(str(100 + number)), "urgent")
        sim.do("online")
        sim.until_arrived(10)
    assert sim.bodies() == [100, 101, 102, 103, 104, 0, 1, 2, 3, 4]


def test_what_outlives_its_time_is_dropped(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer:
        sim.do("offline")
        for number in range(3):
            scorer.send_message_to_output(sdk_message(str(number)), "brief")
        scorer.send_message_to_output(sdk_message('"keeps"'), "up")
        until(lambda: sum(waiting(sim).values()) == 1, "the end of their time")
        sim.do("online")
        sim.until_arrived(1)
        scorer.send_message_to_output(sdk_message('"in time"'), "brief")
        sim.until_arrived(2)
    assert sim.bodies() == ["keeps", "in time"]
    assert sim.call(sim.world.ledger.figures, True).expired == 3


def test_modules_go_on_while_the_gateway_is_offline(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer, sim.client(LEAF) as leaf:
        scorer.on_message_received = lambda message: scorer.send_message_to_output(sdk_message(message.data), "up")
        sim.do("offline")
        for number in range(20):
            leaf.send_message(str(number))
        until(lambda: sum(waiting(sim).values()) == 20, "the scorer's outputs")
        assert sim.arrived.messages == []
        sim.do("online")
        sim.until_arrived(20)
    assert sorted(sim.bodies()) == list(range(20))


def test_a_device_of_iot_hub_has_nobody_who_stores(sim: SimulationUnderTest) -> None:
    with sim.client(DEVICE) as device:
        sim.do("offline")
        until(lambda: not device.connected, "the cut")
        with pytest.raises(Exception, match="IoTHub"):
            device.send_message("1")
        sim.do("online")
        until(lambda: device.connected, "back")
        device.send_message("2")
        sim.until_arrived(1)
    assert sim.bodies() == [2]


def test_new_routes_count_for_new_messages(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer:
        scorer.send_message_to_output(sdk_message("1"), "later")
        sim.set_desired(
            f"{GATEWAY}/$edgeHub", {"routes": {"later": "FROM /messages/modules/scorer/outputs/later INTO $upstream"}}
        )
        scorer.send_message_to_output(sdk_message("2"), "later")
        sim.until_arrived(1)
    assert sim.bodies() == [2]
