"""What is wrong with each link: lasting faults, and passing ones laid over them. Its condition is all of them.

A passing fault that ends takes nothing away but itself: a burst of loss on a lossy link leaves the link lossy. Of
several that set the same, the one that began last counts.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.hub.links import LinkCondition, Network

_WHOLE = LinkCondition()
_FIELDS = LinkCondition.__slots__


class PassingFault(NamedTuple):
    """A fault that will end. `number` tells it from others that are equal."""

    link: str
    number: int
    fields: Mapping[str, Any]


class LinkFaults:
    """Changes the conditions of a network's links."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._lasting: dict[str, dict[str, Any]] = {}
        self._passing: list[PassingFault] = []
        self._begun = 0

    def set(self, link: str, fields: Mapping[str, Any]) -> None:
        """From now on the link has these fields."""
        self._lasting.setdefault(link, {}).update(fields)
        self._apply(link)

    def begin(self, link: str, fields: Mapping[str, Any]) -> PassingFault:
        """A fault begins; `end` it."""
        self._begun += 1
        fault = PassingFault(link, self._begun, fields)
        self._passing.append(fault)
        self._apply(link)
        return fault

    def end(self, fault: PassingFault) -> None:
        """A fault is over. Nothing happens if it is over already."""
        if fault in self._passing:
            self._passing.remove(fault)
            self._apply(fault.link)

    def online(self, link: str) -> None:
        """The link is there and open, whatever took it away."""
        for name in ("up", "half_open"):
            self._lasting.get(link, {}).pop(name, None)
        self._passing = [
            fault for fault in self._passing if fault.link != link or not {"up", "half_open"} & set(fault.fields)
        ]
        self._apply(link)

    def clear(self) -> None:
        """All links are perfect."""
        links = {*self._lasting, *(fault.link for fault in self._passing)}
        self._lasting.clear()
        self._passing.clear()
        for link in links:
            self._apply(link)

    def _apply(self, link: str) -> None:
        fields = {name: getattr(_WHOLE, name) for name in _FIELDS} | self._lasting.get(link, {})
        for fault in self._passing:
            if fault.link == link:
                fields |= fault.fields
        self._network.change(link, **fields)
