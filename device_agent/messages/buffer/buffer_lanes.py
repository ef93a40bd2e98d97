"""The lanes of the buffer: one a priority, spare messages, and those set aside. Pure."""

from collections.abc import Mapping

from device_agent.messages.message import PRIORITIES, SET_ASIDE, SPARE

LANES = (*range(PRIORITIES), SET_ASIDE, SPARE)
"""In the order in which their counts are saved."""


def filled(counts: Mapping[int, int]) -> list[int]:
    """Those with messages."""
    return [lane for lane, count in counts.items() if count > 0]


def lanes_to_drop(counts: Mapping[int, int], drops: bool) -> list[int]:
    """Where to make room: spare messages go in any case, those set aside and all others only if the policy `drops`."""
    if counts[SPARE]:
        return [SPARE]
    if not drops:
        return []
    return [SET_ASIDE] if counts[SET_ASIDE] else filled(counts)
