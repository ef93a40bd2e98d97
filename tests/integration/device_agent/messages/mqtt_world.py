"""A mosquitto with a user and a password, behind a cable, with a client on the other side: the world of `mqtt`."""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from device_agent.messages.mqtt.mqtt_transport import MqttTransport
from device_agent.messages.settings import MqttSettings
from tests.integration.device_agent.messages.mosquitto_server import HOST, Cable, MosquittoServer
from tests.integration.device_agent.messages.transport_contract import Upstream

SECRET = "s3cret-of-the-test"


class Peer:
    """Who sends inputs and gets results: paho as it is usually used, with a thread."""

    def __init__(self, port: int, client_id: str = "peer") -> None:
        self.messages: list[MQTTMessage] = []
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set("agent", SECRET)
        self._client.max_inflight_messages_set(0)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe([("out", 1), ("edgepack/+/status", 1)])
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _userdata, message: self.messages.append(message)
        self._client.connect(HOST, port)
        self._client.loop_start()
        assert subscribed.wait(5)

    def send(
        self, topic: str, body: bytes, *, qos: int = 1, retain: bool = False, fields: Mapping[str, Any] | None = None
    ) -> None:
        """Publish, and wait until the broker has it. `fields` are properties by paho's names."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in (fields or {}).items():
            setattr(properties, name, value)
        self._client.publish(topic, body, qos, retain, properties).wait_for_publish(5)

    def under(self, topic: str) -> list[bytes]:
        """The bodies that came under this topic."""
        return [bytes(message.payload) for message in self.messages if message.topic == topic]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


class MqttWorld:
    """See transport_contract.World. `lines` are added to the broker's configuration."""

    secret = SECRET

    def __init__(self, folder: Path, version: str, lines: Sequence[str] = ()) -> None:
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "agent", SECRET], check=True)
        self.version = version
        self.has_properties = version == "5"
        self.server = MosquittoServer(folder, ["allow_anonymous false", f"password_file {passwords}", *lines]).start()
        self.cable = Cable(self.server.port)
        self.peer = Peer(self.server.port)

    def close(self) -> None:
        """End everything."""
        self.server.thaw()
        self.peer.close()
        self.cable.close()
        self.server.kill()

    def transport(
        self,
        *,
        keep_alive_s: int = 60,
        window: int = 100,
        is_trusted: bool = True,
        port: int = 0,
        input_name: str = "in",
        client_id: str = "agent-1",
    ) -> MqttTransport:
        """See World."""
        settings = MqttSettings(
            host=HOST,
            port=port or self.cable.port,
            user="agent",
            password=SECRET if is_trusted else f"wrong-{SECRET}",
            version=self.version,
        )
        return MqttTransport(settings, client_id, input_name, keep_alive_s=keep_alive_s, window=window)

    def inject(self, body: bytes, message_id: str = "", properties: Mapping[str, str] | None = None) -> None:
        """See World."""
        pairs = [*(properties or {}).items()] + ([("message-id", message_id)] if message_id else [])
        self.peer.send("in", body, fields={"UserProperty": pairs} if pairs else None)

    def upstream(self) -> list[Upstream]:
        """See World."""
        return [_upstream(message) for message in self.peer.messages if message.topic == "out"]

    def cut(self) -> None:
        """See World."""
        self.cable.cut()

    def cut_after(self, count_bytes: int) -> None:
        """See World."""
        self.cable.cut_after(count_bytes)

    def freeze(self) -> None:
        """See World."""
        self.server.freeze()

    def thaw(self) -> None:
        """See World."""
        self.server.thaw()

    def restart(self) -> None:
        """See World."""
        self.server.restart()


def _upstream(message: MQTTMessage) -> Upstream:
    pairs = tuple(getattr(message.properties, "UserProperty", ()))
    own = dict(pairs)
    return Upstream(
        bytes(message.payload),
        message.topic,
        own.get("message-id", ""),
        getattr(message.properties, "CorrelationData", b"").decode(),
        tuple(pair for pair in pairs if pair[0] not in ("message-id", "correlation-id")),
        getattr(message.properties, "ContentType", ""),
    )
