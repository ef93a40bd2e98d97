"""One device in virtual time: it measures when it is due, obeys the cloud, and never loses a number."""

import json
from collections.abc import Callable

from device_agent.messages.iothub.topics import parse_properties
from simulator.devices.addressing import HubAddressing
from simulator.devices.device import Device, Habits
from simulator.devices.reading import Reading, SourceEnded
from simulator.devices.schedule import Burst, Schedule
from simulator.devices.session import Session, SessionSettings
from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import Connack, Packet, Puback, Publish
from simulator.mqtt.reading import PacketReader


class Counting:
    """A source that gives its numbers. See Source."""

    def __init__(self, last: int = 1000, problem: str = "", interval_s: float | None = None) -> None:
        self.resets = 0
        self.clocks: list[float] = []
        self._last = last
        self._problem = problem
        self._interval_s = interval_s

    def measure(self, sequence: int, now_s: float) -> Reading | None:
        """See Source."""
        if sequence > self._last:
            raise SourceEnded(self._problem)
        self.clocks.append(now_s)
        return Reading(b"%d" % sequence, interval_s=self._interval_s)

    def reset(self) -> None:
        """See Source."""
        self.resets += 1


class World:
    """A device and the other side, which acknowledges everything when asked."""

    def __init__(
        self,
        source: Counting | None = None,
        habits: Habits = Habits(1.0),  # noqa: B008 - frozen
        *,
        backlog: int = 100,
        burst: Burst | None = None,
        chance: Callable[[], float] = lambda: 0.0,
        module_id: str = "",
    ) -> None:
        self.source = source or Counting()
        self.session = Session(SessionSettings("d", backlog=backlog))
        schedule = Schedule(habits.interval_s, chance, burst=burst)
        addressing = HubAddressing("d", module_id, "out")
        self.device = Device("d", self.source, self.session, addressing, schedule, habits, chance, module_id)

    def turn(self, now_s: float, latest_s: float = 1e9) -> float | None:
        """Make what is due."""
        return self.device.turn(now_s, 1000 + now_s, 2000 + now_s, latest_s)

    def sent(self) -> list[Publish]:
        """What was sent."""
        return [packet for packet in PacketReader().feed(self.session.take(0.0)) if isinstance(packet, Publish)]

    def comes(self, *packets: Packet) -> None:
        """These come from the other side."""
        self.session.feed(b"".join(map(encode, packets)), 0.0)
        self.device.digest()

    def up(self) -> list[Publish]:
        """Connect; what is sent then."""
        self.session.open(None, 0.0)
        self.comes(Connack(0, True))
        return self.sent()

    def says(self, topic: str, document: object) -> list[Publish]:
        """The cloud says something; the answer."""
        self.comes(Publish(topic, json.dumps(document).encode()))
        return self.sent()


def test_it_measures_when_it_is_due() -> None:
    world = World()
    world.up()
    assert world.turn(0.0) == 1.0
    assert world.turn(0.5) == 1.0
    assert world.turn(3.2) == 4.0
    assert world.source.clocks == [1000.0, 1003.2, 1003.2, 1003.2]
    sent = world.sent()
    assert [packet.payload for packet in sent] == [b"1", b"2", b"3", b"4"]
    ids = [dict(parse_properties(packet.topic.rpartition("/")[2]))["$.mid"] for packet in sent]
    assert ids == [f"d-{number:09d}" for number in range(1, 5)]


def test_a_full_backlog_costs_no_number() -> None:
    world = World(backlog=3)
    world.turn(9.0)
    assert world.device.counts._asdict() == {
        "produced": 3,
        "acknowledged": 0,
        "copies": 0,
        "repeats": 0,
        "not_produced": 7,
    }
    sent = world.up()[:3]
    world.comes(*(Puback(packet.mid) for packet in sent if packet.mid))
    world.turn(10.0)
    assert [packet.payload for packet in world.sent()] == [b"4"]
    assert world.device.counts.acknowledged == 3


def test_what_is_too_late_is_not_made() -> None:
    world = World()
    world.turn(100.0, latest_s=2.0)
    assert world.device.counts.produced == 1
    assert world.device.counts.not_produced == 100


def test_bursts() -> None:
    world = World(burst=Burst(10.0, 5), habits=Habits(4.0))
    world.turn(5.0)
    assert world.device.counts.produced == 2 + 5


def test_copies_have_the_same_id_and_count_once() -> None:
    world = World(habits=Habits(1.0, copy_share=1.0))
    world.up()
    world.turn(0.0)
    first, second = world.sent()
    assert (first.topic, first.payload) == (second.topic, second.payload)
    assert first.mid != second.mid
    world.session.feed(encode(Puback(second.mid)), 0.0)
    assert world.device.digest() == []
    world.session.feed(encode(Puback(first.mid)), 0.0)
    assert [message.message_id for message in world.device.digest()] == ["d-000000001"]
    assert world.device.counts.copies == 1


def test_a_source_that_ends_says_why() -> None:
    world = World(Counting(2, "the file is wrong"))
    assert world.turn(10.0) is None
    assert world.device.has_ended
    assert world.device.problems == ["the file is wrong"]
    assert world.turn(20.0) is None
    assert world.device.counts.produced == 2


def test_a_recording_gives_its_own_intervals() -> None:
    world = World(Counting(interval_s=0.25))
    assert world.turn(1.0) == 1.25
    assert world.device.counts.produced == 5


def test_the_twin_is_read_obeyed_and_reported() -> None:
    world = World()
    assert [packet.topic for packet in world.up()] == ["$iothub/twin/GET/?$rid=g1"]
    document = {"desired": {"SendInterval": 5, "$version": 2}, "reported": {"$version": 1}}
    (report,) = world.says("$iothub/twin/res/200/?$rid=g1", document)
    assert report.topic == "$iothub/twin/PATCH/properties/reported/?$rid=r1"
    assert json.loads(report.payload) == {"SendInterval": 5}
    assert world.turn(0.0) == 5.0
    world.sent()
    (report,) = world.says("$iothub/twin/PATCH/properties/desired/?$version=3", {"SendData": False, "$version": 3})
    assert json.loads(report.payload) == {"SendData": False}
    world.turn(50.0)
    assert world.device.counts.produced == 1
    assert world.says("$iothub/twin/PATCH/properties/desired/?$version=4", {"SendData": 1}) == []
    assert "SendData" in world.device.problems[0]


def test_rubbish_from_the_cloud_does_no_harm() -> None:
    world = World()
    world.up()
    for topic in (
        "$iothub/twin/res/200/?$rid=g1",
        "$iothub/twin/PATCH/properties/desired/",
        "x",
        "$iothub/methods/POST/",
    ):
        for payload in (b"", b"{", b"[]", b"null", b'{"desired": 5}', b"\xff"):
            world.comes(Publish(topic, payload))
    assert not world.device.problems
    world.comes(Publish("$iothub/twin/res/429/?$rid=g1", b""))
    assert "429" in world.device.problems[0]


def test_methods_and_commands_reset_the_source() -> None:
    world = World()
    world.up()
    (answer,) = world.says("$iothub/methods/POST/reset/?$rid=7", {})
    assert (answer.topic, answer.payload) == ("$iothub/methods/res/200/?$rid=7", b"{}")
    (answer,) = world.says("$iothub/methods/POST/explode/?$rid=8", {})
    assert answer.topic == "$iothub/methods/res/404/?$rid=8"
    world.says("devices/d/messages/devicebound/%24.to=x", [{"command": "reset"}])
    world.says("devices/d/messages/devicebound/", {"command": "go"})
    assert world.source.resets == 2


def test_a_module_listens_to_its_input_control() -> None:
    world = World(module_id="m")
    world.up()
    world.says("devices/d/modules/m/inputs/other/", {"command": "reset"})
    world.says("devices/d/modules/m/inputs/control/a=b", {"command": "reset"})
    assert world.source.resets == 1
