"""An IoT Hub (or edgeHub) on loopback: MQTT over TLS, tokens that are checked, inputs, twins, direct methods.

It has a thread and an event loop of its own, so that a client that blocks, or a hub that is frozen, is only that. All
public methods may be called from any thread. It keeps to what the public services do: sessions outlive connections,
one input at a time until it is acknowledged, redelivered with `dup`; patches go to those connected only; a connection
ends with its token; an older one of the same identity ends; QoS 2, unknown topics and packets over 256 KiB end it too.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, quote, unquote

import trustme

from tests.fakes import fake_mqtt as mqtt

HUB_NAME = "hub.example.net"


class Event(NamedTuple):
    """A message that a client sent: its properties in order, and whether it was sent before."""

    client_id: str
    properties: list[tuple[str, str]]
    body: bytes
    dup: bool

    def property(self, name: str) -> str | None:
        """The first property of this name."""
        return next((value for key, value in self.properties if key == name), None)


class Twin:
    """The twin of one identity."""

    def __init__(self) -> None:
        self.desired: dict[str, Any] = {}
        self.desired_version = 1
        self.reported: dict[str, Any] = {}
        self.reported_version = 1


class Session:
    """What the hub keeps for an identity."""

    def __init__(self) -> None:
        self.filters: dict[str, int] = {}
        self.inputs: list[mqtt.Publish] = []
        self.under_way: list[mqtt.Publish] = []
        self.writer: asyncio.StreamWriter | None = None
        self.mid = 0


class FakeIotHub:
    """See the module. A context manager; `keys`: the key of each client id. `host` is also the certificate's name."""

    def __init__(
        self,
        keys: dict[str, bytes],
        *,
        host: str = "localhost",
        port: int = 0,
        hub_name: str = HUB_NAME,
        inputs_at_a_time: int = 1,
        demands_certificates: bool = False,
        authority: trustme.CA | None = None,
    ) -> None:
        self.keys = keys
        self.host = host
        self.port = port
        self.hub_name = hub_name
        self.demands_certificates = demands_certificates
        """Clients need a certificate of the hub's own authority, and no token."""
        self.authority = authority or trustme.CA()
        self.sessions: dict[str, Session] = {}
        self.twins: dict[str, Twin] = {}
        self.events: list[Event] = []
        self.connects: list[mqtt.Connect] = []
        self.refusals: list[str] = []
        self.misdeeds: list[str] = []
        self.acknowledged: list[bytes] = []
        self.patches: list[dict[str, Any]] = []
        self.gets = 0
        self.twin_statuses: list[int] = []
        """Statuses that the next requests about twins get; 0: no answer."""
        self.refused_filters: set[str] = set()
        self.confirms = True
        self.confirms_after_s = 0.0
        self.is_frozen = False
        self._inputs_at_a_time = inputs_at_a_time
        self._method_answers: dict[str, tuple[int, Any]] = {}
        self._method_count = 0
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def ca_pem(self) -> str:
        """The authority of its certificate."""
        return self.authority.cert_pem.bytes().decode()

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def stop(self) -> None:
        """End all connections, and listen no more. Sessions and twins stay."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        """Wait until something is true of it; whatever it does is looked at at once."""
        deadline_s = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"not within {seconds} s: {what}"
                self._changed.wait(min(left_s, 0.1))

    def twin(self, client_id: str) -> Twin:
        """The twin of an identity."""
        return self.twins.setdefault(client_id, Twin())

    def send_input(
        self, client_id: str, input_name: str, body: bytes, properties: dict[str, str] | None = None
    ) -> None:
        """Queue an input message (for a device: from the cloud)."""
        device_id, _, module_id = client_id.partition("/")
        text = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in (properties or {}).items())
        topic = f"devices/{device_id}/messages/devicebound/{text}"
        if module_id:
            topic = f"devices/{device_id}/modules/{module_id}/inputs/{quote(input_name, safe='')}/{text}"
        self._do(lambda: self._queue(client_id, mqtt.Publish(topic, body, 1, False, 0)))

    def change_desired(self, client_id: str, patch: dict[str, Any], *, tells: bool = True) -> None:
        """Change desired properties; without `tells` the client is not told (the patch is lost)."""
        self._do(lambda: self._change_desired(client_id, patch, tells))

    def call_method(self, client_id: str, name: str, payload: object, *, raw: bytes | None = None) -> tuple[int, Any]:
        """Call a direct method; its status and what it answered."""
        self._method_count += 1
        rid = f"m{self._method_count}"
        body = json.dumps(payload).encode() if raw is None else raw
        self._do(
            lambda: self._send(client_id, mqtt.Publish(f"$iothub/methods/POST/{name}/?$rid={rid}", body, 0, False, 0))
        )
        self.wait_for(lambda: rid in self._method_answers, f"the answer of the method {name}")
        return self._method_answers[rid]

    def drop(self, client_id: str) -> None:
        """End the connection of an identity as if the network had."""
        self._do(lambda: self._abort(client_id))

    # On the hub's own loop.

    def _do(self, step: Callable[[], object]) -> None:
        async def run() -> None:
            step()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(self.host).configure_cert(context)
        if self.demands_certificates:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        address = "127.0.0.1" if self.host == "localhost" else self.host
        self._server = await asyncio.start_server(self._serve, address, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for client_id in list(self.sessions):
            self._abort(client_id)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        session: Session | None = None
        try:
            kind, _, body = await mqtt.read_packet(reader)
            if kind != mqtt.CONNECT:
                return
            connect = mqtt.parse_connect(body)
            session = self._admit(connect, writer)
            if session is not None:
                async with asyncio.timeout(self._token_life_s(connect.password)):
                    await self._converse(connect.client_id, session, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            if session is not None and session.writer is writer:
                session.writer = None
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _admit(self, connect: mqtt.Connect, writer: asyncio.StreamWriter) -> Session | None:
        problem = self._problem_of(connect)
        with self._changed:
            self.connects.append(connect)
            if problem:
                self.refusals.append(problem)
            self._changed.notify_all()
        if problem:
            writer.write(mqtt.packet(mqtt.CONNACK, 0, b"\0\5"))
            return None
        is_known = connect.client_id in self.sessions and not connect.clean
        session = self.sessions[connect.client_id] if is_known else Session()
        self.sessions[connect.client_id] = session
        if session.writer is not None:
            session.writer.transport.abort()
        session.writer = writer
        writer.write(mqtt.packet(mqtt.CONNACK, 0, bytes([is_known, 0])))
        session.under_way = [message._replace(dup=True) for message in session.under_way]
        for message in session.under_way:
            writer.write(mqtt.encode_publish(message))
        return session

    def _problem_of(self, connect: mqtt.Connect) -> str:
        """Why these credentials are refused; "" when they are good."""
        key = self.keys.get(connect.client_id)
        device_id, _, module_id = connect.client_id.partition("/")
        path = f"{device_id}/modules/{module_id}" if module_id else device_id
        if key is None:
            return f"unknown client id {connect.client_id}"
        if not connect.user.startswith(f"{self.hub_name}/{connect.client_id}/?api-version="):
            return f"bad user name {connect.user}"
        if not connect.password:
            return "" if self.demands_certificates else "neither a token nor a certificate"
        return self._problem_of_token(connect.password, f"{self.hub_name}/devices/{path}", key)

    @staticmethod
    def _problem_of_token(password: str, audience: str, key: bytes) -> str:
        """A verifier of its own: it signs the raw text of sr. Its clock allows nothing."""
        scheme, _, text = password.partition(" ")
        fields = dict(part.split("=", 1) for part in text.split("&"))
        if scheme != "SharedAccessSignature" or unquote(fields["sr"]) != audience:
            return f"the token is for {unquote(fields['sr'])}"
        digest = hmac.new(key, f"{fields['sr']}\n{fields['se']}".encode(), hashlib.sha256).digest()
        if base64.b64decode(unquote(fields["sig"])) != digest:
            return "bad signature"
        return "the token has ended" if int(fields["se"]) <= time.time() else ""

    def _token_life_s(self, password: str) -> float | None:
        if not password:
            return None
        return int(dict(parse_qsl(password.replace(" ", "&")))["se"]) - time.time()

    async def _converse(
        self, client_id: str, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            kind, flags, body = await mqtt.read_packet(reader)
            while self.is_frozen:
                await asyncio.sleep(0.01)
            if kind == mqtt.PINGREQ:
                writer.write(mqtt.packet(mqtt.PINGRESP, 0, b""))
            elif kind == mqtt.SUBSCRIBE:
                mid, filters = mqtt.parse_subscribe(body)
                codes = [0x80 if name in self.refused_filters else min(qos, 1) for name, qos in filters]
                session.filters |= {name: code for (name, _), code in zip(filters, codes, strict=True) if code < 0x80}
                writer.write(mqtt.packet(mqtt.SUBACK, 0, mid.to_bytes(2) + bytes(codes)))
                self._feed(client_id)
            elif kind == mqtt.PUBACK:
                self._take_acknowledgement(client_id, session, int.from_bytes(body))
            elif kind == mqtt.PUBLISH and len(body) <= 262_144 and flags >> 1 & 3 < 2:
                self._take(client_id, mqtt.parse_publish(flags, body), writer)
            elif kind == mqtt.DISCONNECT:
                return
            else:
                self._note(self.misdeeds, f"packet {kind} with flags {flags} of {len(body)} bytes")
                return
            await writer.drain()

    def _take_acknowledgement(self, client_id: str, session: Session, mid: int) -> None:
        for message in session.under_way:
            if message.mid == mid:
                session.under_way.remove(message)
                self._note(self.acknowledged, message.body)
                break
        self._feed(client_id)

    def _take(self, client_id: str, message: mqtt.Publish, writer: asyncio.StreamWriter) -> None:
        device_id, _, module_id = client_id.partition("/")
        root = f"devices/{device_id}/modules/{module_id}" if module_id else f"devices/{device_id}"
        path, _, query = message.topic.partition("?")
        rid = dict(parse_qsl(query)).get("$rid", "")
        if message.topic.startswith(f"{root}/messages/events/"):
            text = message.topic.removeprefix(f"{root}/messages/events/")
            pairs = [(unquote(name), unquote(value)) for name, _, value in (p.partition("=") for p in text.split("&"))]
            self._note(self.events, Event(client_id, pairs, message.body, message.dup))
        elif path == "$iothub/twin/GET/":
            self.gets += 1
            self._answer_get(client_id, rid)
        elif path == "$iothub/twin/PATCH/properties/reported/":
            self._answer_patch(client_id, rid, json.loads(message.body))
        elif path.startswith("$iothub/methods/res/"):
            answer = json.loads(message.body) if message.body else None
            with self._changed:
                self._method_answers[rid] = (int(path.split("/")[3]), answer)
                self._changed.notify_all()
        else:
            self._note(self.misdeeds, f"publish to {message.topic}")
            writer.close()
        if message.qos and self.confirms:
            confirmation = mqtt.packet(mqtt.PUBACK, 0, message.mid.to_bytes(2))
            if self.confirms_after_s:
                self._loop.call_later(self.confirms_after_s, writer.write, confirmation)
            else:
                writer.write(confirmation)

    def _answer_get(self, client_id: str, rid: str) -> None:
        twin = self.twin(client_id)
        status = self.twin_statuses.pop(0) if self.twin_statuses else 200
        document = {
            "desired": {**twin.desired, "$version": twin.desired_version},
            "reported": {**twin.reported, "$version": twin.reported_version},
        }
        self._answer(client_id, f"$iothub/twin/res/{status}/?$rid={rid}", status, json.dumps(document).encode())

    def _answer_patch(self, client_id: str, rid: str, patch: dict[str, Any]) -> None:
        twin = self.twin(client_id)
        status = self.twin_statuses.pop(0) if self.twin_statuses else 204
        if status == 204:
            twin.reported = _merge(twin.reported, patch)
            twin.reported_version += 1
            self._note(self.patches, patch)
        self._answer(client_id, f"$iothub/twin/res/{status}/?$rid={rid}&$version={twin.reported_version}", status, b"")

    def _answer(self, client_id: str, topic: str, status: int, body: bytes) -> None:
        if status:
            self._send(client_id, mqtt.Publish(topic, body if status < 300 else b"", 0, False, 0))

    def _change_desired(self, client_id: str, patch: dict[str, Any], tells: bool) -> None:
        twin = self.twin(client_id)
        twin.desired = _merge(twin.desired, patch)
        twin.desired_version += 1
        body = json.dumps({**patch, "$version": twin.desired_version}).encode()
        if tells:
            topic = f"$iothub/twin/PATCH/properties/desired/?$version={twin.desired_version}"
            self._send(client_id, mqtt.Publish(topic, body, 0, False, 0))

    def _queue(self, client_id: str, message: mqtt.Publish) -> None:
        self.sessions.setdefault(client_id, Session()).inputs.append(message)
        self._feed(client_id)

    def _feed(self, client_id: str) -> None:
        """Send inputs, as many at a time as it does."""
        session = self.sessions[client_id]
        while session.inputs and len(session.under_way) < self._inputs_at_a_time and session.writer is not None:
            if not any(mqtt.matches(name, session.inputs[0].topic) for name in session.filters):
                return
            session.mid = session.mid % 65535 + 1
            message = session.inputs.pop(0)._replace(mid=session.mid)
            session.under_way.append(message)
            session.writer.write(mqtt.encode_publish(message))

    def _send(self, client_id: str, message: mqtt.Publish) -> None:
        """Send what is not kept for later, if it is subscribed to."""
        session = self.sessions[client_id]
        if session.writer is not None and any(mqtt.matches(name, message.topic) for name in session.filters):
            session.writer.write(mqtt.encode_publish(message))

    def _abort(self, client_id: str) -> None:
        writer = self.sessions[client_id].writer
        if writer is not None:
            writer.transport.abort()

    def _note(self, place: list[Any], what: object) -> None:
        with self._changed:
            place.append(what)
            self._changed.notify_all()


def _merge(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = {name: value for name, value in document.items() if name not in patch}
    for name, value in patch.items():
        if isinstance(value, dict):
            before = document.get(name)
            merged[name] = _merge(before if isinstance(before, dict) else {}, value)
        elif value is not None:
            merged[name] = value
    return merged
