"""The ledger: every message from its sender to the cloud, accounted for by id. Pure.

A message is accounted under the id of the one that began it: a module's output counts for the input that its
correlation id names, over any number of modules. What no sender has given an id is followed as far as the hub sees it.
Ids are their sender's own: where several have used the same, a module's output counts for the oldest of these messages
that it has taken, that it has not answered, and that is outstanding.

What became of a message, the first that holds:

delivered     it, or what a module made of it, arrived in the cloud
outstanding   a copy waits in edgeHub, or a module that took it still owes an answer
expired       a copy's time to live ended in edgeHub
unrouted      no route took it, or what was made of it; or only such as could not pass it on (see EdgeHub)
consumed      a module acknowledged it
lost          outstanding when the run has ended, and all that was accepted before `close_books` had its time to arrive

A module that took a message owes an answer if anything that comes from it can reach the cloud. It has answered when an
output of it, with that correlation id, was stored for an endpoint from which the cloud can be reached (from then on the
copies of that output count), or when a route of this module that leads there has a condition that the output does not
meet. Nothing else excuses it: not that another copy of the message expired, nor that it made another output, such as
one for debugging, that no route takes or that went to a module that sends nothing upstream. So outputs without a route
make a message `unrouted` only where the module has no other way to the cloud.

Repeated arrivals are `duplicated`: one is counted for each beyond the first of the same id (where there is one) from
the same last sender and output. `misordered`: a first arrival whose message was accepted before one that has already
arrived, of the same device and from the same last sender and output. Latency: from a device's creation of a message, or
its acceptance where that is not known, to its first arrival, in real time.

A message takes some 350 bytes, of which its id is a good part: runs have millions.
"""

import math
import sys
from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from simulator.hub.account import UPSTREAM
from simulator.message import CORRELATION_ID, MESSAGE_ID, OUTPUT, HubMessage
from simulator.snapshot import LedgerFigures

_RECENT = 2000
_DELIVERED, _OUTSTANDING = "delivered", "outstanding"


class Entry:
    """The account of one message. `number` counts messages in the order of acceptance.

    `since_s`: when it was created or else accepted, in real seconds. `arrival` and `arrivals` are hashes of what has
    arrived for it first (0: nothing) and later. `taken`: modules that have acknowledged it, `answered`: those that have
    made something of it that can reach the cloud; both are empty when it is delivered.
    """

    __slots__ = (
        "answered",
        "arrival",
        "arrivals",
        "device",
        "expired",
        "fate",
        "live",
        "number",
        "since_s",
        "taken",
        "unrouted",
    )

    def __init__(self, device: str, number: int, since_s: float) -> None:
        self.device = device
        self.number = number
        self.since_s = since_s
        self.arrival = 0
        self.arrivals: tuple[int, ...] = ()
        self.live = 0
        self.taken: tuple[str, ...] = ()
        self.answered: tuple[str, ...] = ()
        self.expired = 0
        self.unrouted = 0
        self.fate = _OUTSTANDING


class Ledger:
    """See the module; it is the hub's Account. `now_s`: real unix seconds.

    `reaches_cloud(module_id)`: whether anything that comes from a module can reach the cloud.
    """

    def __init__(self, now_s: Callable[[], float], reaches_cloud: Callable[[str], bool] = lambda _: True) -> None:
        self.entries: dict[str, Entry] = {}
        self.duplicated = 0
        self.misordered = 0
        self.resent = 0
        """Messages that their senders handed over again: the acknowledgement had not reached them."""
        self.latencies_ms = array("d")
        self.recent_ms: deque[float] = deque(maxlen=_RECENT)
        self.outputs: Counter[str] = Counter()
        """How many messages have arrived from each output of modules, `MODULE/OUTPUT`; repetitions not counted."""
        self.fates: Counter[str] = Counter()
        """How many messages there are of each fate."""
        self._now_s = now_s
        self._reaches_cloud = reaches_cloud
        self._roots: dict[str, str] = {}
        """What outputs that go on to modules count for, by their ids."""
        self._namesakes: dict[str, deque[str]] = {}
        """Of ids that several senders have used: all messages but the first, in order, until they are delivered."""
        self._latest: dict[tuple[str, str, str, str], int] = {}
        self._created: dict[str, float] = {}
        self._number = 0
        self._last = 0
        """The number of the last message that is judged when the run is over, 0: of all."""
        self._owed = 0

    # --- Account

    def accepted(self, message: HubMessage, endpoints: Sequence[str], is_filtered: bool = False) -> str:
        """See Account."""
        module_id, mid = message.module_id, message.value(MESSAGE_ID)
        cid = message.value(CORRELATION_ID) if module_id else ""
        root = self._root_of(cid, module_id) if cid else ""
        trace = root or self._name(mid, message)
        entry = self.entries.get(trace)
        if entry is None:
            self._number += 1
            entry = Entry(_sender(message), self._number, self._created.pop(trace, 0.0) or self._now_s())
            self.entries[trace] = entry
            self.fates[entry.fate] += 1
        elif not root:
            self.resent += 1
        if root and (is_filtered or any(map(self._leads_up, endpoints))):
            entry.answered = _with(entry.answered, module_id)
        if root and mid and any(endpoint != UPSTREAM for endpoint in endpoints):
            self._roots[mid] = root
        entry.live += len(endpoints)
        entry.unrouted += not endpoints
        self._judge(entry)
        return trace

    def taken(self, message: HubMessage, module_id: str) -> None:
        """See Account."""
        entry = self.entries[message.trace]
        entry.live -= 1
        entry.taken = _with(entry.taken, module_id)
        self._judge(entry)

    def arrived(self, message: HubMessage) -> None:
        """See Account."""
        entry = self.entries[message.trace]
        stream = (message.device_id, message.module_id, message.value(OUTPUT))
        arrival = hash((*stream, message.value(MESSAGE_ID))) or 1
        if arrival == entry.arrival or arrival in entry.arrivals:
            self.duplicated += 1
            return
        entry.live -= 1
        if message.module_id:
            self.outputs[f"{message.module_id}/{stream[2]}"] += 1
        key = (entry.device, *stream)
        if entry.number < self._latest.get(key, 0):
            self.misordered += 1
        else:
            self._latest[key] = entry.number
        if entry.arrival:
            entry.arrivals += (arrival,)
            return
        entry.arrival = arrival
        latency_ms = (self._now_s() - entry.since_s) * 1000
        self.latencies_ms.append(latency_ms)
        self.recent_ms.append(latency_ms)
        self._judge(entry)

    def expired(self, message: HubMessage) -> None:
        """See Account."""
        entry = self.entries[message.trace]
        entry.live -= 1
        entry.expired += 1
        self._judge(entry)

    # --- from the devices

    def created(self, message_id: str, created_s: float) -> None:
        """When a device made a message (unix seconds by its own clock)."""
        entry = self.entries.get(message_id)
        if entry is None:
            self._created[message_id] = created_s
        elif not entry.arrival:
            entry.since_s = created_s

    # --- what it comes to

    def close_books(self) -> None:
        """From now on messages are followed, but only those accepted so far can be lost: modules may never stop."""
        self._last, self._owed = self._number, self.fates[_OUTSTANDING]

    @property
    def owed(self) -> int:
        """How many messages are outstanding, of those accepted before the books were closed."""
        return self._owed if self._last else self.fates[_OUTSTANDING]

    def outstanding(self, most: int = 20) -> list[dict[str, Any]]:
        """Some of what is outstanding: id, device, which modules took it, copies that edgeHub still has, and how many
        outputs found no route.
        """
        found: list[dict[str, Any]] = []
        for trace, entry in self.entries.items():
            if len(found) == most:
                break
            if entry.fate == _OUTSTANDING and (not self._last or entry.number <= self._last):
                place = {"taken_by": sorted(entry.taken), "waiting_copies": entry.live, "unrouted": entry.unrouted}
                found.append({"id": trace, "device": entry.device, **place})
        return found

    def figures(self, is_over: bool) -> LedgerFigures:
        """The counts; what is outstanding is lost when the run is over."""
        left = self.fates[_OUTSTANDING]
        lost = self.owed if is_over else 0
        return LedgerFigures(
            sent=len(self.entries),
            delivered=self.fates[_DELIVERED],
            lost=lost,
            outstanding=left - lost,
            duplicated=self.duplicated,
            misordered=self.misordered,
            expired=self.fates["expired"],
            unrouted=self.fates["unrouted"],
            consumed=self.fates["consumed"],
        )

    def judge_again(self) -> None:
        """The routes have changed: whether a module's outputs can reach the cloud may have, too."""
        for entry in self.entries.values():
            if entry.fate != _DELIVERED:
                self._judge(entry)

    def _judge(self, entry: Entry) -> None:
        fate = self._fate(entry)
        if fate is _DELIVERED:
            entry.taken = entry.answered = ()
            entry.since_s = 0.0
        if fate != entry.fate:
            self.fates[entry.fate] -= 1
            self.fates[fate] += 1
            if entry.number <= self._last:
                self._owed += (fate is _OUTSTANDING) - (entry.fate is _OUTSTANDING)
            entry.fate = fate

    def _fate(self, entry: Entry) -> str:
        if entry.arrival:
            return _DELIVERED
        if entry.live > 0 or any(self._owes(entry, module_id) for module_id in entry.taken):
            return _OUTSTANDING
        if entry.expired:
            return "expired"
        if entry.unrouted:
            return "unrouted"
        return "consumed"

    def _owes(self, entry: Entry, module_id: str) -> bool:
        return module_id not in entry.answered and self._reaches_cloud(module_id)

    def _leads_up(self, endpoint: str) -> bool:
        return endpoint == UPSTREAM or self._reaches_cloud(endpoint.partition("/")[0])

    def _name(self, mid: str, message: HubMessage) -> str:
        """Under which name a message is accounted that begins here: its id, if it is the first with it."""
        sender, first = _sender(message), self.entries.get(mid)
        if mid and (first is None or first.device == sender):
            return mid
        name = f"{mid} of {sender}" if mid else f"#{self._number + 1}"
        while (known := self.entries.get(name)) is not None and not (mid and known.device == sender):
            name += "'"
        if mid and known is None:
            self._namesakes.setdefault(mid, deque()).append(name)
        return name

    def _root_of(self, message_id: str, module_id: str) -> str:
        """What an output of this module with this correlation id counts for; "" if nobody knows."""
        if message_id not in self.entries:
            return self._roots.get(message_id, "")
        names = self._namesakes.get(message_id)
        if names is None:
            return message_id
        while names and self.entries[names[0]].fate == _DELIVERED:
            names.popleft()
        best, best_rank = message_id, (True, True, True)
        for name in (message_id, *names):
            entry = self.entries[name]
            rank = (entry.fate != _OUTSTANDING, module_id in entry.answered, module_id not in entry.taken)
            if rank < best_rank:
                best, best_rank = name, rank
            if not any(rank):
                break
        return best


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


def _sender(message: HubMessage) -> str:
    return sys.intern(f"{message.device_id}/{message.module_id}") if message.module_id else message.device_id


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that is not below this share (0 to 1) of the values; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else None
