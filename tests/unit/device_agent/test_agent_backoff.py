"""Delays double, start at the first, and stay below the limit."""

from hypothesis import given
from hypothesis import strategies as st

from device_agent.backoff import delay_s


def test_delays_double_up_to_the_limit() -> None:
    assert [delay_s(attempt, first_s=0.5, limit_s=3.0) for attempt in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(0, 10**9))
def test_any_number_of_attempts_stays_within_the_limit(attempt: int) -> None:
    assert 0.0 <= delay_s(attempt, first_s=0.1, limit_s=30.0) <= 30.0
