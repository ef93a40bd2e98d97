"""A program: several senders of numbered messages, and a receiver of what comes of them; at a broker, MQTT 5, QoS 1.

    traffic.py PORT SENDERS MESSAGES PER_S REPORT

Senders wait for a PUBACK for everything and send again what was not acknowledged, under the same message id. The
receiver keeps a session. It ends when a result of every message has come and nothing more came for a second, or when
nothing has come for a minute; the report is JSON: for each sender, numbers and message ids in the order in which
results came.
"""

import contextlib
import json
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

IN_FLIGHT = 50
QUIET_S = 60.0


def client(name: str, port: int) -> mqtt.Client:
    """A client that reconnects, with a session that the broker keeps."""
    made = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    made.reconnect_delay_set(1, 1)
    lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    lasting.SessionExpiryInterval = 0xFFFFFFFF
    made.connect_async("127.0.0.1", port, clean_start=False, properties=lasting)
    return made


def send(name: str, port: int, messages: int, per_s: float) -> None:
    """All messages of one sender, in order: after a reconnect, everything from the first that is not confirmed.

    A new client for every connection: paho itself may send its newest message before those that it repeats.
    """
    confirmed = [0]
    begun_s = time.monotonic()
    while confirmed[0] < messages:
        sender = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        sender.max_inflight_messages_set(2 * IN_FLIGHT)
        sender.on_publish = lambda *_: confirmed.__setitem__(0, confirmed[0] + 1)
        number = confirmed[0]
        try:
            sender.connect("127.0.0.1", port)
            while sender.loop(0.005) == mqtt.MQTT_ERR_SUCCESS and confirmed[0] < messages:
                due = min(messages, int((time.monotonic() - begun_s) * per_s), confirmed[0] + IN_FLIGHT)
                while sender.is_connected() and number < due:
                    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                    properties.UserProperty = [("message-id", f"{name}-{number}"), ("sender", name)]
                    sender.publish("in", json.dumps({"sender": name, "number": number}), 1, properties=properties)
                    number += 1
            sender.disconnect()
        except OSError:
            time.sleep(0.1)


def main(port: int, senders: int, messages: int, per_s: float, report: Path) -> int:
    """See the module."""
    came: dict[str, list[tuple[int, str]]] = {f"sender-{number}": [] for number in range(senders)}
    others: list[str] = []
    last_s = [time.monotonic()]

    def on_message(_: object, __: object, message: mqtt.MQTTMessage) -> None:
        last_s[0] = time.monotonic()
        properties = dict(getattr(message.properties, "UserProperty", []))
        with contextlib.suppress(ValueError, KeyError):
            body = json.loads(message.payload)
            came[body["sender"]].append((body["number"], properties["message-id"]))
            return
        others.append(repr((message.topic, message.payload[:200], properties)))

    receiver = client("receiver", port)
    receiver.on_message = on_message
    receiver.on_connect = lambda who, *_: who.subscribe([("out", 1), ("amlError", 1)])
    receiver.loop_start()
    while not receiver.is_connected():
        time.sleep(0.05)
    threads = [threading.Thread(target=send, args=(name, port, messages, per_s / senders)) for name in came]
    for thread in threads:
        thread.start()
    missing = senders * messages
    while time.monotonic() - last_s[0] < (QUIET_S if missing else 1.0):
        time.sleep(0.25)
        missing = sum(messages - len({number for number, _ in results}) for results in list(came.values()))
        print(missing, flush=True)
    receiver.disconnect()
    receiver.loop_stop()
    report.write_text(json.dumps({"came": came, "others": others}))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5])))
