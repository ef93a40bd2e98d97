"""Store and forward, without clock, socket, disk or chance: events in, actions out.

    state        event -> next state
    IDLE         start -> CONNECTING
    CONNECTING   connected -> CONNECTED     disconnected -> WAITING
    CONNECTED    disconnected -> WAITING, or at once CONNECTING when the loss was planned
    WAITING      the time has come, or hurry -> CONNECTING
    any          close -> CLOSED

Tell it what happened, then call `poll` and do what it says, in that order. Time is the buffer's clock.

Rules. Messages are sent in the order of their keys: by priority, then by arrival. At most `window` are sent and not
yet removed from the buffer, so at most so many are sent twice after a crash. What a lost connection left unconfirmed
is sent again, from the buffer, in the same order. Nothing is held here that is not on disk, and no more than a bounded
piece of it, however long the backlog. With `live_first`, what is stored while connected goes before what waited
(of the same priority). A message that is the oldest unconfirmed one when a connection breaks is a suspect: after a
break messages are sent one by one at first, and a message under which five connections in a row broke is set aside.
Only a connection ended by the other side, or one on which a message got no answer, counts. If the next message does no
better, the other side is at fault, and nothing more is set aside until something is delivered.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from device_agent.backoff import spread_delay_s
from device_agent.messages.delivery_actions import Action, Connect, Load, Publish, Remove, SetAside, State
from device_agent.messages.message import SPARE, Stored, key_lane, message_key
from device_agent.messages.transport import Loss

STEADY_S, CONNECTIONS_TO_BREAK = 60.0, 5
LOAD_MESSAGES = 500
LOAD_BYTES = 1024 * 1024
HELD_MESSAGES = 1000
HELD_BYTES = 4 * 1024 * 1024
_LAST_KEY = message_key(SPARE + 1, 0) - 1


class Delivery:
    """See the module. `window`: messages under way at a time, at least 1."""

    def __init__(self, *, window: int, live_first: bool = False) -> None:
        self.live_first = live_first
        self.state = State.IDLE
        self.failed_attempts = 0
        """Connections in a row that came to nothing."""
        self.wake_at_s: float | None = None
        """When to poll though nothing happened."""
        self._window = window
        self._allowed = window
        self._connected_at_s = 0.0
        self._has_delivered = False
        self._live: deque[Stored] = deque()
        self._ready: deque[Stored] = deque()
        self._held_bytes = 0
        self._in_flight: dict[int, Stored] = {}
        self._in_flight_bytes = 0
        self._known: set[int] = set()  # held, in flight, or on their way out of the buffer
        self._leaving: set[int] = set()
        self._cursor = 0  # what the buffer holds up to this key is known, and beyond it
        self._has_more = True  # there may be messages that are not
        self._loads = 0
        self._awaited_load = 0  # number of the load whose answer counts, 0: none
        self._has_stored = False  # something was stored since the load was asked for
        self._suspect = 0
        self._breaks = 0
        self._may_set_aside = True
        self._actions: list[Action] = []
        self._confirmed: list[int] = []

    @property
    def in_flight(self) -> int:
        """Messages sent and not confirmed."""
        return len(self._in_flight)

    @property
    def leaving(self) -> int:
        """Messages that are still to be removed from the buffer."""
        return len(self._leaving)

    # --- the connection

    def start(self) -> None:
        """Begin."""
        self._enter(State.CONNECTING, State.IDLE)

    def connected(self, now_s: float) -> None:
        """The transport can publish."""
        self._enter(State.CONNECTED, State.CONNECTING)
        self._connected_at_s = now_s
        self._has_delivered = False

    def disconnected(self, loss: Loss, now_s: float, chance: float) -> None:
        """There is no connection (any more). `chance` is a random number from 0 to 1."""
        was_connected = self.state is State.CONNECTED
        if self.state is State.CLOSED:
            return
        if was_connected:
            self._judge(loss)
            if self._has_delivered or now_s - self._connected_at_s >= STEADY_S:
                self.failed_attempts = 0
            self._forget()
        if was_connected and loss is Loss.PLANNED:
            self._enter(State.CONNECTING, State.CONNECTED)
            return
        self._enter(State.WAITING, State.CONNECTING, State.CONNECTED)
        self.wake_at_s = now_s + spread_delay_s(self.failed_attempts, chance)
        self.failed_attempts += 1

    def hurry(self) -> None:
        """Do not wait for the next attempt."""
        if self.state is State.WAITING:
            self._enter(State.CONNECTING, State.WAITING)

    def close(self) -> None:
        """Do nothing more."""
        self._enter(State.CLOSED, *State)
        self._forget()

    # --- the buffer

    def stored(self, messages: Sequence[Stored]) -> None:
        """These are on disk now."""
        self._has_stored = True
        for message in messages:
            if message.key in self._known:
                continue
            if self.state is not State.CONNECTED:
                self._leave_on_disk(message.key)
            elif self.live_first:
                self._hold(self._live, message)
            elif not self._has_more or message.key < self._cursor:
                self._hold(self._ready, message)
        self._trim()

    def loaded(self, number: int, messages: Sequence[Stored]) -> None:
        """This is what the Load of this number gave: the next messages in the buffer, none when there are no more."""
        if number != self._awaited_load:
            return  # what it began after is no longer what is known
        self._awaited_load = 0
        if not messages:
            self._has_more = self._has_stored
            return
        for message in messages:
            if message.key not in self._known:
                self._hold(self._ready, message)
        self._cursor = messages[-1].key

    def removed(self, keys: Iterable[int]) -> None:
        """These are gone from the buffer as asked."""
        self._leaving.difference_update(keys)
        self._known.difference_update(keys)

    def discarded(self, keys: Iterable[int]) -> int:
        """The buffer has dropped these by itself. Returns how many of them were not delivered before."""
        gone = set(keys)
        count = len(gone - self._leaving)
        if gone & self._known:
            for held in (self._live, self._ready):
                kept = [message for message in held if message.key not in gone]
                self._held_bytes -= sum(len(message.message.body) for message in held if message.key in gone)
                held.clear()
                held.extend(kept)
            self._known -= gone
            self._leaving -= gone
            for key in gone:
                self._land(key)
        return count

    def rescan(self) -> None:
        """Messages may be back in the buffer anywhere: look from the start."""
        self._let_go()
        self._cursor = 0
        self._awaited_load = 0
        self._has_more = True

    # --- the other side

    def published(self, key: int) -> None:
        """The other side has this message."""
        if not self._land(key):
            return
        self._has_delivered = self._may_set_aside = True
        self._allowed = min(self._window, self._allowed + 1)
        if key == self._suspect:
            self._suspect = self._breaks = 0
        self._leaving.add(key)
        self._confirmed.append(key)

    def unsendable(self, key: int) -> None:
        """This message can never be sent."""
        if self._land(key):
            self._leaving.add(key)
            self._actions.append(SetAside(key))

    def poll(self, now_s: float) -> list[Action]:
        """What to do now."""
        if self.state is State.WAITING and self.wake_at_s is not None and now_s >= self.wake_at_s:
            self._enter(State.CONNECTING, State.WAITING)
        if self.state is State.CONNECTED:
            self._send(now_s)
        actions, self._actions = self._actions, []
        if self._confirmed:
            actions.insert(0, Remove(self._confirmed))
            self._confirmed = []
        return actions

    # --- inside

    def _enter(self, state: State, *allowed: State) -> None:
        if self.state not in allowed:
            raise ValueError(f"a delivery that is {self.state.name} cannot become {state.name}")
        self.state = state
        self.wake_at_s = None
        if state is State.CONNECTING:
            self._actions.append(Connect())

    def _forget(self) -> None:
        """What is not confirmed is on disk: begin there again."""
        self._known.difference_update(self._in_flight)
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self.rescan()

    def _land(self, key: int) -> bool:
        """It is not in flight any more; whether it was."""
        message = self._in_flight.pop(key, None)
        if message is not None:
            self._in_flight_bytes -= len(message.message.body)
        return message is not None

    def _judge(self, loss: Loss) -> None:
        """After a connection has ended with messages unconfirmed: whose fault was it?"""
        if not self._in_flight or loss not in (Loss.CLOSED, Loss.SILENT):
            return
        self._allowed = 1
        oldest = next(iter(self._in_flight))
        self._breaks = self._breaks + 1 if oldest == self._suspect else 1
        self._suspect = oldest
        if self._breaks >= CONNECTIONS_TO_BREAK and self._may_set_aside:
            self._may_set_aside = False
            self._suspect = self._breaks = 0
            self._leaving.add(oldest)
            self._actions.append(SetAside(oldest))

    def _send(self, now_s: float) -> None:
        expired: list[int] = []
        while len(self._in_flight) < self._allowed and len(self._in_flight) + len(self._leaving) < self._window:
            message = self._take() if self._in_flight_bytes <= HELD_BYTES else None
            if message is None:
                break
            if message.deadline_s and now_s >= message.deadline_s:
                self._leaving.add(message.key)
                expired.append(message.key)
            else:
                self._in_flight[message.key] = message
                self._in_flight_bytes += len(message.message.body)
                self._actions.append(Publish(message))
        if expired:
            self._actions.append(Remove(expired, expired=True))
        if self._has_more and not self._awaited_load and self._has_room:
            self._loads += 1
            self._awaited_load = self._loads
            self._has_stored = False
            self._actions.append(Load(self._loads, self._cursor, _LAST_KEY, LOAD_MESSAGES, LOAD_BYTES))

    @property
    def _has_room(self) -> bool:
        is_small = self._held_bytes <= HELD_BYTES - LOAD_BYTES
        return is_small and len(self._ready) + len(self._live) <= HELD_MESSAGES - LOAD_MESSAGES

    def _let_go(self) -> None:
        """Hold nothing; it is on disk."""
        for held in (self._live, self._ready):
            self._known.difference_update(message.key for message in held)
            held.clear()
        self._held_bytes = 0

    def _take(self) -> Stored | None:
        """The next message to be sent; None when there is none in memory, or when a more urgent one may be on disk."""
        source = self._ready
        if self._live and (not self._ready or key_lane(self._live[0].key) <= key_lane(self._ready[0].key)):
            source = self._live
        if not source:
            return None
        if self._has_more and key_lane(source[0].key) > key_lane(self._cursor + 1):
            if not self._has_room:
                self._let_go()  # all of it lies beyond the cursor, and is found again
            return None
        message = source.popleft()
        self._held_bytes -= len(message.message.body)
        return message

    def _hold(self, held: deque[Stored], message: Stored) -> None:
        self._known.add(message.key)
        self._held_bytes += len(message.message.body)
        if not held or held[-1].key < message.key:
            held.append(message)
            return
        index = len(held)
        while index and held[index - 1].key > message.key:
            index -= 1
        held.insert(index, message)

    def _trim(self) -> None:
        """Hold no more than allowed: what comes last stays on disk for now."""
        while (held := len(self._ready) + len(self._live)) > HELD_MESSAGES or (
            held > 1 and self._held_bytes > HELD_BYTES
        ):
            is_live = self._live and (not self._ready or self._live[-1].key > self._ready[-1].key)
            message = (self._live if is_live else self._ready).pop()
            self._known.discard(message.key)
            self._held_bytes -= len(message.message.body)
            self._leave_on_disk(message.key)

    def _leave_on_disk(self, key: int) -> None:
        if self._has_more and self._cursor < key:
            return
        self._cursor = key - 1
        self._awaited_load = 0
        self._has_more = True
