"""Topics of IoT Hub and edgeHub, as the servers see them. Pure; whatever a topic holds, reading gives a value or None.

devices/D[/modules/M]/messages/events[/PROPERTIES]       received: telemetry, an output of a module
$iothub/twin/GET/?$rid=R                                 received; answered by $iothub/twin/res/STATUS/?$rid=R
$iothub/twin/PATCH/properties/reported/?$rid=R           received; answered in the same way
$iothub/methods/res/STATUS/?$rid=R                       received: the answer to a direct method
devices/D/modules/M/inputs/INPUT/PROPERTIES              sent to a module
devices/D/messages/devicebound/PROPERTIES                sent to a device
$iothub/twin/PATCH/properties/desired/?$version=N        sent
$iothub/methods/POST/NAME/?$rid=R                        sent
"""

import re
from typing import NamedTuple
from urllib.parse import quote

from device_agent.messages.iothub.topics import (
    DESIRED_PATCHES,
    METHODS,
    TWIN_ANSWERS,
    encode_properties,
    parse_properties,
    root_topic,
)
from simulator.message import OUTPUT, HubMessage, Pairs
from simulator.mqtt.encoding import LONGEST_TEXT_BYTES

SENDER_DEVICE, SENDER_MODULE, RECIPIENT = "$.cdid", "$.cmid", "$.to"
_LONGEST_REQUEST_ID = 1024
_NOT_PASSED_ON = (OUTPUT, SENDER_DEVICE, SENDER_MODULE)
_MOST_BYTES_A_CHARACTER = 12  # four bytes of UTF-8, each percent-encoded


class Telemetry(NamedTuple):
    """A message for the hub."""

    properties: Pairs
    properties_bytes: int


class TwinGet(NamedTuple):
    """The twin is asked for."""

    request_id: str


class TwinReport(NamedTuple):
    """A patch of the reported properties."""

    request_id: str


class MethodAnswer(NamedTuple):
    """What a direct method came to."""

    status: int
    request_id: str


class ClientTopics:
    """The topics of one identity."""

    def __init__(self, device_id: str, module_id: str) -> None:
        self._root = root_topic(device_id, module_id)
        self._events = f"{self._root}/messages/events/"
        self._own = (
            f"{self._root}/inputs/#" if module_id else f"{self._root}/messages/devicebound/#",
            TWIN_ANSWERS,
            DESIRED_PATCHES,
            METHODS,
        )
        self._device_id = device_id

    def read(self, topic: str) -> Telemetry | TwinGet | TwinReport | MethodAnswer | None:
        """What a topic that was published to says; None: nothing that the hub knows, or another client's."""
        if topic.startswith(self._events):
            text = topic[len(self._events) :]
            return Telemetry(parse_properties(text.removesuffix("/")), len(text))
        if topic == self._events[:-1]:
            return Telemetry((), 0)
        return _read_service_topic(topic) if topic.startswith("$iothub/") else None

    def may_subscribe(self, name: str) -> bool:
        """Whether a filter asks only for what this client may have."""
        return name in self._own or any(_lies_below(name, own[:-1]) for own in (*self._own, f"{self._root}/#"))

    def input_topic(self, input_name: str, message: HubMessage) -> str:
        """The topic of an input: the message's properties but for its output name, and who really sent it."""
        return f"{self._root}/inputs/{quote(input_name, safe='')}/{encode_properties(_delivered(message))}"

    def devicebound_topic(self, properties: Pairs) -> str:
        """The topic of a message from the cloud."""
        to = (RECIPIENT, f"/devices/{self._device_id}/messages/devicebound")
        return f"{self._root}/messages/devicebound/{encode_properties([*properties, to])}"


def _lies_below(name: str, prefix: str) -> bool:
    """Whether a filter covers only topics that begin with this."""
    return name.startswith(prefix) and bool(name[len(prefix) :])


def _delivered(message: HubMessage) -> Pairs:
    sender: Pairs = ((SENDER_DEVICE, message.device_id),)
    if message.module_id:
        sender += ((SENDER_MODULE, message.module_id),)
    return tuple(pair for pair in message.properties if pair[0] not in _NOT_PASSED_ON) + sender


def input_topic_fits(device_id: str, module_id: str, input_name: str, message: HubMessage) -> bool:
    """Whether the topic of this input is one for MQTT. A sender may write shorter than it is passed on: not encoded."""
    characters = len(input_name) + sum([len(name) + len(value) for name, value in message.properties])
    if (characters + 1000) * _MOST_BYTES_A_CHARACTER < LONGEST_TEXT_BYTES:
        return True
    return len(ClientTopics(device_id, module_id).input_topic(input_name, message)) <= LONGEST_TEXT_BYTES


def _read_service_topic(topic: str) -> TwinGet | TwinReport | MethodAnswer | None:
    path, _, query = topic.partition("?")
    request_id = next((value for name, value in parse_properties(query) if name == "$rid"), "")
    if len(request_id) > _LONGEST_REQUEST_ID:
        return None
    path = path.removesuffix("/")
    if path == "$iothub/twin/GET":
        return TwinGet(request_id)
    if path == "$iothub/twin/PATCH/properties/reported":
        return TwinReport(request_id)
    if found := re.fullmatch(r"\$iothub/methods/res/(-?[0-9]{1,9})", path):
        return MethodAnswer(int(found[1]), request_id)
    return None


def twin_answer_topic(status: int, request_id: str, version: int | None = None) -> str:
    """The topic of the answer to a request about the twin."""
    suffix = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={quote(request_id, safe='')}{suffix}"


def desired_patch_topic(version: int) -> str:
    """The topic of a change of the desired properties."""
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def method_topic(name: str, request_id: str) -> str:
    """The topic of a call of a direct method."""
    return f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={request_id}"


def system_names(properties: Pairs) -> tuple[dict[str, str], dict[str, str]]:
    """Properties as routes name them: the system's (`messageId`, `contentType`, ...) and the application's.

    Who sent a message is not for its sender to say: `$.cdid` and `$.cmid` do not count.
    """
    system, application = {}, {}
    for name, value in properties:
        if not name.startswith("$."):
            application[name] = value
        elif name in _SYSTEM:
            system[_SYSTEM[name]] = value
    return system, application


_SYSTEM = {
    "$.mid": "messageId",
    "$.cid": "cid",
    "$.uid": "userId",
    "$.to": "to",
    "$.ct": "contentType",
    "$.ce": "contentEncoding",
    "$.on": "outputName",
    "$.exp": "absolute-expiry-time",
    "$.schema": "messageSchema",
    "$.ctime": "creationTime",
    "$.ifid": "iothub-interface-id",
    "$.sub": "dt-subject",
}
