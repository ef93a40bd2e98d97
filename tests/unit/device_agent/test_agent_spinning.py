"""Spinning is given up where it does not pay, and taken up again where it does."""

from hypothesis import given
from hypothesis import strategies as st

from device_agent.spinning import MOST_SKIPPED, PATIENCE, Spinning


def _tries(spinning: Spinning, requests: int, *, found: bool) -> int:
    tries = 0
    for _ in range(requests):
        if spinning.is_worth_a_try():
            tries += 1
            spinning.tell(found=found)
    return tries


def test_where_it_finds_something_it_is_always_tried() -> None:
    assert _tries(Spinning(2), 1000, found=True) == 1000


def test_where_it_never_does_it_is_tried_less_and_less() -> None:
    spinning = Spinning(2)
    assert _tries(spinning, PATIENCE + 1, found=False) == PATIENCE + 1
    assert _tries(spinning, 100_000, found=False) < 100_000 / MOST_SKIPPED + 20


def test_one_success_brings_it_back() -> None:
    spinning = Spinning(4)
    _tries(spinning, 10_000, found=False)
    assert _tries(spinning, MOST_SKIPPED + 1, found=True) >= 1
    assert _tries(spinning, 100, found=True) == 100


def test_with_a_single_processor_it_is_never_tried() -> None:
    assert _tries(Spinning(1), 100, found=True) == 0


@given(st.lists(st.booleans(), max_size=200))
def test_it_is_never_given_up_for_good(luck: list[bool]) -> None:
    spinning = Spinning(2)
    for found in luck:
        if spinning.is_worth_a_try():
            spinning.tell(found=found)
    assert any(spinning.is_worth_a_try() for _ in range(MOST_SKIPPED + 1))
