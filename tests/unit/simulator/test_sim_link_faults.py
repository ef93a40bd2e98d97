"""Lasting and passing faults of a link, laid over each other."""

from simulator.hub.links import LinkCondition, Network
from simulator.link_faults import LinkFaults


def test_a_passing_fault_leaves_the_lasting_one() -> None:
    network = Network()
    faults = LinkFaults(network)
    faults.set("upstream", {"loss": 0.02})
    burst = faults.begin("upstream", {"loss": 0.2})
    assert network.condition("upstream").loss == 0.2
    faults.end(burst)
    faults.end(burst)
    assert network.condition("upstream") == LinkCondition(loss=0.02)


def test_overlapping_outages_last_until_the_last_one_ends() -> None:
    network = Network()
    faults = LinkFaults(network)
    first = faults.begin("modules", {"up": False})
    second = faults.begin("modules", {"up": False})
    faults.end(first)
    assert not network.condition("modules").up
    faults.end(second)
    assert network.condition("modules").is_perfect


def test_online_ends_what_took_the_link_away_and_nothing_else() -> None:
    network = Network()
    faults = LinkFaults(network)
    faults.set("devices", {"half_open": True})
    faults.set("devices", {"latency_ms": 5})
    outage = faults.begin("devices", {"up": False})
    faults.begin("devices", {"loss": 0.5})
    faults.begin("upstream", {"up": False})
    faults.online("devices")
    assert network.condition("devices") == LinkCondition(latency_ms=5, loss=0.5)
    assert not network.condition("upstream").up
    faults.end(outage)
    faults.clear()
    assert network.condition("devices").is_perfect
    assert network.condition("upstream").is_perfect
