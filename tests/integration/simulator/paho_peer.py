"""A client of MQTT itself (paho) for what azure-iot-device never does: acknowledge by hand, wills, clean sessions."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device_agent.messages.iothub.sas_token import Claim, encode_token, sign_with_key, text_to_sign
from tests.integration.simulator.sdk_world import SimulationUnderTest, until


def user_name(sim: SimulationUnderTest, client_id: str) -> str:
    """As every client of a hub says who it is."""
    return f"{sim.host}/{client_id}/?api-version=2021-04-12"


def password(sim: SimulationUnderTest, client_id: str, *, key: bytes = b"", host: str = "", of: str = "") -> str:
    """A token for an hour, of this client; or signed with another key, for another host, for another identity."""
    identity = sim.call(sim.world.registry.identity, client_id)
    device_id, _, module_id = (of or client_id).partition("/")
    claim = Claim(host or sim.host, device_id, module_id, int(time.time()) + 3600)
    key = key or (identity.primary_key if identity else b"?")
    return encode_token(claim, sign_with_key(key, text_to_sign(claim)))


class PahoPeer:
    """See the module. Connected when it is made; `connack` is the code of the answer."""

    def __init__(self, sim: SimulationUnderTest, client_id: str, *, clean: bool = False, **more: Any) -> None:
        self.messages: list[MQTTMessage] = []
        self.granted: list[int] = []
        self.connack: int | None = None
        self.has_session = False
        self.is_over = False
        version = more.get("version", MQTTProtocolVersion.MQTTv311)
        only_3 = {"clean_session": clean} if version is MQTTProtocolVersion.MQTTv311 else {}
        kind: Any = Client
        self.client = kind(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=version,
            manual_ack=True,
            reconnect_on_failure=False,
            **only_3,
        )
        secret = more["password"] if "password" in more else password(sim, client_id)
        self.client.username_pw_set(more.get("user", user_name(sim, client_id)), secret)
        self.client.tls_set_context(ssl.create_default_context(cadata=sim.ca_pem))
        if "will" in more:
            self.client.will_set(*more["will"])
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._ended
        self.client.on_message = lambda _client, _userdata, message: self.messages.append(message)
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(code.value for code in codes)
        self.client.connect(sim.host, 8883, more.get("keep_alive_s", 60))
        self.client.loop_start()
        until(lambda: self.connack is not None or self.is_over, "an answer to CONNECT")

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """Subscribe to each; what was granted."""
        for name in filters:
            count = len(self.granted)
            self.client.subscribe(name, qos)
            until(lambda count=count: len(self.granted) > count, f"SUBACK for {name}")  # type: ignore[misc]
        return self.granted

    def publish(self, topic: str, body: bytes = b"", qos: int = 1, retain: bool = False) -> Any:
        """Publish; `wait` tells when it is acknowledged."""
        return self.client.publish(topic, body, qos, retain)

    def until_messages(self, count: int) -> list[MQTTMessage]:
        """Wait for so many."""
        until(lambda: len(self.messages) >= count, f"{count} messages at the client")
        return self.messages

    def acknowledge(self, message: MQTTMessage) -> None:
        """PUBACK."""
        self.client.ack(message.mid, message.qos)

    def until_over(self) -> None:
        """Wait until the hub has ended the connection."""
        until(lambda: self.is_over, "the end of the connection")

    def tear(self) -> None:
        """End the connection without a DISCONNECT.

        Shut down and not closed: a socket that is closed while the client's thread waits in `select` for it stays open
        until that wait ends, and the thread then says nothing.
        """
        socket.socket.shutdown(self.client.socket(), socket.SHUT_RDWR)
        self.until_over()

    def close(self) -> None:
        """End it in order, and the thread."""
        self.client.disconnect()
        self.client.loop_stop()

    def _connected(self, _client: Any, _userdata: Any, flags: Any, reason: Any, _properties: Any) -> None:
        self.connack = reason.value
        self.has_session = flags.session_present

    def _ended(self, *_: Any) -> None:
        self.is_over = True


@contextmanager
def paho_peer(sim: SimulationUnderTest, client_id: str, **options: Any) -> Iterator[PahoPeer]:
    """A peer until the block ends."""
    peer = PahoPeer(sim, client_id, **options)
    try:
        yield peer
    finally:
        peer.close()
