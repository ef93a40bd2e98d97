"""Which version `auto` speaks, after everything that can happen to an attempt."""

import pytest

from device_agent.messages.mqtt.version_choice import VersionChoice
from device_agent.messages.transport import Loss

REFUSED = (Loss.REFUSED, 0x84)
HUNG_UP = (Loss.CLOSED, None)


def begun(wanted: str = "auto") -> VersionChoice:
    """A choice in its first attempt."""
    choice = VersionChoice(wanted)
    choice.begin()
    return choice


def test_a_refusal_is_followed_at_once_and_for_good() -> None:
    choice = begun()
    assert choice.version == "5"
    assert choice.failed(*REFUSED)
    assert choice.version == "3.1.1"
    assert choice.accepted()
    choice.begin()
    assert choice.version == "3.1.1"
    assert not choice.accepted(), "it is told once"


def test_the_second_hang_up_in_a_row_is_followed_and_5_is_tried_first_the_next_time() -> None:
    choice = begun()
    assert not choice.failed(*HUNG_UP)
    choice.begin()
    assert choice.failed(*HUNG_UP)
    assert choice.version == "3.1.1"
    assert choice.accepted()
    choice.begin()
    assert choice.version == "5"
    assert choice.failed(*HUNG_UP)
    assert not choice.accepted(), "no change"
    choice.begin()
    assert not choice.accepted()
    choice.begin()
    assert choice.version == "5"
    assert not choice.failed(*HUNG_UP), "a broker that has spoken it"


@pytest.mark.parametrize("between", [(Loss.SILENT, None), (Loss.UNREACHABLE, None), (Loss.REFUSED, 0x88)])
def test_anything_else_between_two_hang_ups_begins_the_count_again(between: tuple[Loss, int | None]) -> None:
    choice = begun()
    for outcome in (HUNG_UP, between, HUNG_UP):
        assert not choice.failed(*outcome)
        choice.begin()
    assert choice.failed(*HUNG_UP)


def test_an_attempt_that_we_end_ourselves_says_nothing_about_the_broker() -> None:
    choice = begun()
    for _ in range(3):
        choice.given_up()
        assert not choice.failed(*HUNG_UP)
        choice.begin()


def test_an_old_broker_that_was_renewed_is_spoken_to_in_5_again() -> None:
    choice = begun()
    choice.failed(*REFUSED)
    choice.accepted()
    choice.begin()
    assert not choice.failed(*REFUSED)
    choice.begin()
    assert choice.version == "5"
    assert not choice.accepted()


@pytest.mark.parametrize("wanted", ["5", "3.1.1"])
def test_a_version_that_was_asked_for_is_kept(wanted: str) -> None:
    choice = begun(wanted)
    for outcome in (REFUSED, HUNG_UP, HUNG_UP, HUNG_UP):
        assert not choice.failed(*outcome)
        choice.begin()
        assert choice.version == wanted
    assert not choice.accepted()
