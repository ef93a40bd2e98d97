"""A buffer in memory: the real interface and the same rules, bounded by a sum of sizes. Nothing survives `close`."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Sequence

from device_agent.messages.buffer.interface import Applied, BufferFailure, Figures
from device_agent.messages.message import SET_ASIDE, SPARE, Message, Stored, key_lane, key_number, message_key

ROW_BYTES = 64


def size_bytes(message: Message) -> int:
    """What a message takes here."""
    texts = [message.output, message.message_id, message.correlation_id, message.content_type, message.content_encoding]
    texts += [text for pair in message.properties for text in pair]
    lengths = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    return ROW_BYTES + len(message.body) + len(message.origin) + sum(lengths)


class MemoryBuffer:
    """`failure`: while it is not "", every call raises BufferFailure with it. `clock_s` is what `now_s` says."""

    def __init__(
        self, max_bytes: int = 2**28, policy: str = "refuse", clock: Callable[[], float] | None = None
    ) -> None:
        self.failure = ""
        self.clock_s = 0.0
        self.commits = 0
        self._clock = clock
        self._max_bytes = max_bytes
        self._policy = policy
        self._rows: dict[int, tuple[float, Message]] = {}
        self._keys: list[int] = []
        self._size_bytes = 0
        self._number = 0
        self._oldest_s = 0.0
        self._meta: dict[str, str] = {}

    @property
    def largest_bytes(self) -> int:
        """The longest message."""
        return self._max_bytes - ROW_BYTES

    def is_half_free(self, messages: Sequence[Message]) -> bool:
        """See Buffer."""
        self._check()
        return self._size_bytes + sum(map(size_bytes, messages)) <= self._max_bytes // 2

    def now_s(self) -> float:
        """Its clock."""
        return self._clock() if self._clock else self.clock_s

    def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
        """See Buffer."""
        self._check()
        self.commits += 1
        for key in removals:
            self._remove(key)
        stored: list[Stored] = []
        dropped: list[int] = []
        now_s = self.now_s()
        for message in appends:
            size = size_bytes(message)
            if size > self._max_bytes:
                break
            while self._size_bytes + size > self._max_bytes and message.priority != SPARE:
                first = min(self._keys, key=_goes_first)
                if self._policy != "drop_oldest" and key_lane(first) != SPARE:
                    break
                dropped.append(first)
                self._remove(first)
            if self._size_bytes + size > self._max_bytes:
                break
            self._number += 1
            key = message_key(message.priority, self._number)
            self._add(key, now_s, message)
            stored.append(self._stored(key))
        return Applied(stored, dropped)

    def read(self, after: int, until: int, limit: int, limit_bytes: int) -> list[Stored]:
        """See Buffer."""
        self._check()
        found: list[Stored] = []
        total = 0
        for key in self._keys[bisect_right(self._keys, after) : bisect_right(self._keys, until)][:limit]:
            if found and total >= limit_bytes:
                break
            found.append(self._stored(key))
            total += len(found[-1].message.body)
        return found

    def expire(self) -> list[int]:
        """See Buffer."""
        self._check()
        now_s = self.now_s()
        expired: list[int] = []
        lane = -1
        is_front = True
        for key in self._keys:
            if key_lane(key) != lane:
                lane, is_front = key_lane(key), True
            stored = self._stored(key)
            is_front = is_front and 0 < stored.deadline_s <= now_s
            if is_front:
                expired.append(key)
        for key in expired:
            self._remove(key)
        return expired

    def set_aside(self, key: int) -> list[int]:
        """See Buffer."""
        self._check()
        self._move(key, SET_ASIDE)
        return [key]

    def restore(self) -> int:
        """See Buffer."""
        self._check()
        keys = self._keys[bisect_left(self._keys, message_key(SET_ASIDE, 0)) :]
        for key in keys:
            self._move(key, self._rows[key][1].priority)
        return len(keys)

    def origins(self, limit: int) -> list[tuple[bytes, str]]:
        """See Buffer."""
        self._check()
        newest = sorted(self._keys, key=key_number, reverse=True)[:limit]
        messages = [self._rows[key][1] for key in newest]
        return [(message.origin, message.message_id) for message in messages if message.origin]

    def figures(self) -> Figures:
        """See Buffer."""
        self._check()
        self._oldest_s = 0.0
        if self._keys:
            self._oldest_s = self.now_s() - self._rows[min(self._keys, key=key_number)][0]
        return self.known_figures()

    def known_figures(self) -> Figures:
        """See Buffer."""
        aside = len(self._keys) - bisect_left(self._keys, message_key(SET_ASIDE, 0))
        return Figures(len(self._keys) - aside, aside, self._size_bytes, self._oldest_s)

    def change_policy(self, policy: str) -> None:
        """See Buffer."""
        self._policy = policy

    def meta_get(self, name: str) -> str | None:
        """See Buffer."""
        self._check()
        return self._meta.get(name)

    def meta_set(self, name: str, value: str) -> None:
        """See Buffer."""
        self._check()
        self._meta[name] = value

    def tidy(self) -> bool:
        """Nothing to do."""
        self._check()
        return False

    def probe(self) -> None:
        """See Buffer."""
        self._check()

    def close(self) -> None:
        """Nothing to do."""

    def _check(self) -> None:
        if self.failure:
            raise BufferFailure(self.failure)

    def _stored(self, key: int) -> Stored:
        arrival_s, message = self._rows[key]
        return Stored(key, arrival_s + message.ttl_s if message.ttl_s else 0.0, message)

    def _add(self, key: int, arrival_s: float, message: Message) -> None:
        insort(self._keys, key)
        self._rows[key] = arrival_s, message
        self._size_bytes += size_bytes(message)

    def _remove(self, key: int) -> None:
        if key in self._rows:
            self._size_bytes -= size_bytes(self._rows.pop(key)[1])
            del self._keys[bisect_left(self._keys, key)]

    def _move(self, key: int, lane: int) -> None:
        if key in self._rows and key_lane(key) != lane:
            arrival_s, message = self._rows[key]
            self._remove(key)
            self._add(message_key(lane, key_number(key)), arrival_s, message)


def _goes_first(key: int) -> tuple[bool, bool, int]:
    return key_lane(key) != SPARE, key_lane(key) != SET_ASIDE, key_number(key)
