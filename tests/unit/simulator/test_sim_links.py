"""What a link does to bytes: times, order, losses."""

import itertools
import random

import pytest

from simulator.hub.links import Channel, LinkCondition, Network


def never() -> float:
    """Chance that never takes anything."""
    return 0.999999


def test_a_perfect_link_takes_no_time() -> None:
    assert LinkCondition().is_perfect
    assert Channel().arrival_s(LinkCondition(), 10_000, 5.0, never) == 5.0


def test_latency_and_jitter() -> None:
    condition = LinkCondition(latency_ms=100, jitter_ms=50)
    assert Channel().arrival_s(condition, 1, 5.0, lambda: 0.5) == pytest.approx(5.125)


def test_bandwidth_is_a_queue() -> None:
    condition, channel = LinkCondition(bandwidth_kbit=8), Channel()
    assert channel.arrival_s(condition, 1000, 0.0, never) == pytest.approx(1.0)
    assert channel.arrival_s(condition, 1000, 0.5, never) == pytest.approx(2.0)
    assert channel.arrival_s(condition, 1000, 10.0, never) == pytest.approx(11.0)


def test_a_loss_is_a_delay_that_doubles() -> None:
    condition = LinkCondition(loss=0.5)
    for losses, late_s in ((0, 0.0), (1, 0.2), (2, 0.6), (3, 1.4)):
        chances = itertools.chain([0.0], [0.1] * losses, itertools.repeat(0.9))
        assert Channel().arrival_s(condition, 10, 0.0, chances.__next__) == pytest.approx(late_s)


def test_too_many_losses_end_the_connection() -> None:
    assert Channel().arrival_s(LinkCondition(loss=0.5), 10, 0.0, lambda: 0.0) is None


def test_nothing_overtakes() -> None:
    chance = random.Random(1).random  # noqa: S311
    condition, channel = LinkCondition(latency_ms=10, jitter_ms=500, loss=0.1), Channel()
    found = [channel.arrival_s(condition, 100, number / 100, chance) for number in range(1000)]
    arrivals = [arrival for arrival in found if arrival is not None]
    assert arrivals == sorted(arrivals)
    assert len(arrivals) > 990
    assert arrivals == [max(first, 0.0) for first in arrivals]


def test_a_network_tells_of_changes() -> None:
    network, told = Network(), []
    network.watch(lambda link, condition: told.append((link, condition)))
    network.change("modules", latency_ms=5)
    network.change("modules", up=False)
    assert told == [("modules", LinkCondition(latency_ms=5)), ("modules", LinkCondition(up=False, latency_ms=5))]
    assert network.condition("upstream").is_perfect
    with pytest.raises(KeyError):
        network.condition("nowhere")
