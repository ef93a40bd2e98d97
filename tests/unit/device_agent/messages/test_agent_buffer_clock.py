"""The buffer's clock: wall clocks that jump, boots, and what is saved in between."""

import itertools

import pytest

from device_agent.messages.buffer.buffer_clock import BufferClock, ClockState, Readings, parse_state

DAY_S = 86400.0


class Machine:
    """Its clocks, moved by hand."""

    def __init__(self, boot_id: str = "first") -> None:
        self.boot_id = boot_id
        self.boot_s = 50.0
        self.wall_s = 1_700_000_000.0

    def clock(self) -> BufferClock:
        """A new process."""
        return BufferClock(Readings(lambda: self.boot_s, lambda: self.wall_s, self.boot_id))

    def passes(self, seconds: float) -> None:
        """Time."""
        self.boot_s += seconds
        self.wall_s += seconds

    def boots(self, boot_id: str, off_s: float) -> None:
        """It was off for so long."""
        self.boot_id, self.boot_s = boot_id, 10.0
        self.wall_s += off_s


@pytest.fixture
def machine() -> Machine:
    return Machine()


def again(machine: Machine, clock: BufferClock) -> BufferClock:
    """The clock of the next process, which reads what this one has saved."""
    following = machine.clock()
    following.resume(parse_state(clock.state().text()))
    return following


def test_it_begins_at_0_and_follows_time(machine: Machine) -> None:
    clock = machine.clock()
    clock.resume(ClockState())
    assert clock.now_s() == 0
    machine.passes(12.5)
    assert clock.now_s() == 12.5


@pytest.mark.parametrize("jump_s", [-1e9, -3600, 3600, 5 * DAY_S, 1e9])
def test_a_wall_clock_that_is_set_while_it_runs_or_between_runs_changes_nothing(
    machine: Machine, jump_s: float
) -> None:
    clock = machine.clock()
    machine.passes(100)
    state = clock.state()
    machine.wall_s += jump_s
    assert clock.now_s() == 100
    assert clock.was_wall_set(state)
    machine.passes(20)
    following = machine.clock()
    following.resume(state)
    assert following.now_s() == 120


def test_over_a_boot_the_wall_clock_tells(machine: Machine) -> None:
    clock = machine.clock()
    machine.passes(100)
    saved = clock.state()
    machine.boots("second", 3 * DAY_S)
    following = machine.clock()
    following.resume(saved)
    assert following.now_s() == 100 + 3 * DAY_S


@pytest.mark.parametrize("off_s", [-1, -1e9, 31 * DAY_S, 1e9])
def test_over_a_boot_a_wall_clock_that_cannot_be_right_adds_nothing(machine: Machine, off_s: float) -> None:
    clock = machine.clock()
    machine.passes(100)
    saved = clock.state()
    machine.boots("second", off_s)
    following = machine.clock()
    following.resume(saved)
    assert following.now_s() == 100


def test_without_a_boot_id_every_start_is_a_boot() -> None:
    machine = Machine("")
    clock = machine.clock()
    machine.passes(100)
    saved = clock.state()
    machine.passes(50)
    machine.boot_s = 3.0
    following = machine.clock()
    following.resume(saved)
    assert following.now_s() == 150
    machine.wall_s -= 500
    following = again(machine, following)
    assert following.now_s() == 150


def test_it_is_never_before_the_newest_arrival_nor_before_what_it_said(machine: Machine) -> None:
    clock = machine.clock()
    clock.resume(ClockState(), at_least_s=77)
    assert clock.now_s() == 77
    machine.passes(5)
    assert clock.now_s() == 82
    clock.resume(ClockState())
    assert clock.now_s() == 82
    machine.boot_s -= 30
    assert clock.now_s() == 82


def test_any_sequence_of_jumps_never_goes_back(machine: Machine) -> None:
    clock = machine.clock()
    before_s = 0.0
    for number, (jump_s, boots) in enumerate(itertools.product((-1e9, -5, 0, 5, DAY_S, 1e9), (False, True))):
        machine.passes(1)
        machine.wall_s += jump_s
        if boots:
            machine.boots(f"boot {number}", jump_s)
        clock = again(machine, clock)
        assert before_s <= clock.now_s() <= before_s + 2 * DAY_S + 10
        before_s = clock.now_s()


@pytest.mark.parametrize("text", ["", "x", "[]", '["a", 1]', '{"a": 1}', '["a", "b", 1, 2]', "[1, null, 2, 3]"])
def test_a_saved_state_that_is_none_is_a_new_one(text: str) -> None:
    assert parse_state(text) == ClockState()


def test_the_machine_s_own_clock_runs() -> None:
    clock = BufferClock()
    first_s = clock.now_s()
    assert 0 <= first_s <= clock.now_s() < 60
    assert not clock.was_wall_set(clock.state())
    assert clock.state().boot_id
