"""One device: a source, a schedule and a session, and what the cloud can tell it. Pure; its owner has clock and socket.

The owner calls `turn` when something is due, and `digest` after everything that it has told the session. A device whose
backlog is full does not measure: what it would have sent is counted in `not_produced`, and no number is left out.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from device_agent.messages.iothub import topics
from simulator.devices.addressing import Addressing
from simulator.devices.reading import Reading, Source, SourceEnded
from simulator.devices.remote_control import RemoteControl, asks_for_reset
from simulator.devices.schedule import Schedule
from simulator.devices.session import Acknowledged, Incoming, Opened, Session, Telemetry

_MOST_A_TURN = 500
_CONTROL_INPUTS = ("", "control")


class Counts(NamedTuple):
    """What a device has done: messages made, acknowledged, sent as a copy, sent again, not made for want of room."""

    produced: int = 0
    acknowledged: int = 0
    copies: int = 0
    repeats: int = 0
    not_produced: int = 0


class Habits(NamedTuple):
    """How a device sends. `interval_s` (simulated seconds); `copy_share`: messages sent twice, 0 to 1.

    `first_sequence` is the number of its first message. `is_hub`: the other side has twins and direct methods.
    """

    interval_s: float = 1.0
    copy_share: float = 0.0
    first_sequence: int = 1
    is_hub: bool = True


class Device:
    """See the module. `chance` gives numbers from 0 to 1; `module_id` is "" for a leaf device."""

    def __init__(
        self,
        device_id: str,
        source: Source,
        session: Session,
        addressing: Addressing,
        schedule: Schedule,
        habits: Habits,
        chance: Callable[[], float],
        module_id: str = "",
    ) -> None:
        self.device_id = device_id
        self.session = session
        self.schedule = schedule
        self.problems: list[str] = []
        """Sentences for whoever runs the device, who takes them out."""
        self.last: Reading | None = None
        self.has_ended = False
        self._module_id = module_id
        self._source = source
        self._addressing = addressing
        self._habits = habits
        self._chance = chance
        self._control = RemoteControl()
        self._next = habits.first_sequence
        self._acknowledged = self._copies = self._not_produced = 0
        self._requests = 0

    @property
    def counts(self) -> Counts:
        """What it has done so far."""
        produced = self._next - self._habits.first_sequence
        return Counts(produced, self._acknowledged, self._copies, self.session.repeats, self._not_produced)

    @property
    def interval_s(self) -> float:
        """Seconds between messages, unless the source says otherwise."""
        return self._control.interval_s or self._habits.interval_s

    def turn(self, now_s: float, clock_s: float, created_s: float, latest_s: float) -> float | None:
        """Make what is due at `now_s`; when something is due next, None when nothing ever is.

        `clock_s` is the device's clock and `created_s` the machine's, both seconds since 1970. What is due since more
        than `latest_s` seconds is left out and counted.
        """
        schedule = self.schedule
        if now_s - schedule.due_s > latest_s:
            self._not_produced += schedule.skip_to(now_s, self.interval_s)
        made = 0
        while schedule.due_s <= now_s and made < _MOST_A_TURN and not self.has_ended:
            if schedule.is_burst():
                messages = schedule.burst_messages()
                for _ in range(messages):
                    self._produce(clock_s, created_s)
                made += messages
            else:
                reading = self._produce(clock_s, created_s)
                interval_s = self.interval_s
                if reading is not None and reading.interval_s is not None and self._control.interval_s is None:
                    interval_s = reading.interval_s
                schedule.advance(interval_s)
                made += 1
        return None if self.has_ended else schedule.due_s

    def digest(self) -> list[Telemetry]:
        """Look at what the session has to tell, and obey; the messages that were acknowledged."""
        acknowledged = []
        for event in self.session.poll():
            if type(event) is Acknowledged:
                if not event.message.is_copy:
                    acknowledged.append(event.message)
            elif isinstance(event, Opened):
                self._opened(event)
            elif isinstance(event, Incoming):
                self._received(event)
        self._acknowledged += len(acknowledged)
        return acknowledged

    def _produce(self, clock_s: float, created_s: float) -> Reading | None:
        if self.has_ended or not self._control.sends:
            return None
        if not self.session.has_room:
            self._not_produced += 1
            return None
        sequence = self._next
        try:
            reading = self._source.measure(sequence, clock_s)
        except SourceEnded as end:
            self.has_ended = True
            if end.problem:
                self.problems.append(end.problem)
            return None
        if reading is None:
            return None
        self._next += 1
        self.last = reading
        addressing = self._addressing
        message = Telemetry(
            addressing.message_id(sequence), sequence, created_s, addressing.topic(sequence, reading), reading.body
        )
        self.session.offer(message)
        if self._habits.copy_share and self._chance() < self._habits.copy_share:
            self._copies += self.session.offer(message._replace(is_copy=True))
        return reading

    def _opened(self, event: Opened) -> None:
        for name in event.refused_filters:
            self.problems.append(f"the subscription to {name} was refused")
        if self._habits.is_hub:
            self._requests += 1
            self.session.say(topics.twin_get_topic(f"g{self._requests}"), b" ")

    def _received(self, event: Incoming) -> None:
        parsed = topics.parse_topic(self.device_id, self._module_id, event.topic) if self._habits.is_hub else None
        if isinstance(parsed, topics.TwinAnswer):
            if parsed.request_id == f"g{self._requests}" and parsed.status == 200:
                self._desired(_object(_object(_json(event.payload)).get("desired")))
            elif parsed.status >= 300:
                self.problems.append(f"a request about its twin was answered with {parsed.status}")
        elif isinstance(parsed, topics.DesiredPatch):
            self._desired(_object(_json(event.payload)))
        elif isinstance(parsed, topics.MethodTopic):
            is_known = parsed.name == "reset"
            if is_known:
                self._source.reset()
            payload = {} if is_known else {"message": f"There is no method {parsed.name}: expected reset"}
            topic = topics.method_answer_topic(200 if is_known else 404, parsed.request_id)
            self.session.say(topic, json.dumps(payload).encode())
        elif isinstance(parsed, topics.InputTopic) and parsed.input_name in _CONTROL_INPUTS:
            self._command(event.payload)

    def _command(self, body: bytes) -> None:
        if asks_for_reset(body):
            self._source.reset()

    def _desired(self, properties: dict[str, Any]) -> None:
        problems: list[str] = []
        report = self._control.desired(properties, problems)
        for problem in problems:
            self.problems.append(problem)
        if report:
            self.session.say(topics.twin_report_topic(f"r{self._requests}"), json.dumps(report).encode())


def _json(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
