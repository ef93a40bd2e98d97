"""A part of a fleet that several processes make up: which devices are its own, and a blocking client for each.

The file of connection strings has one a line; empty lines and lines that begin with # do not count. Part `place` (from
0) of `of` takes every `of`-th of them, so that no two processes are the same device. For a plain broker there is no
file: devices are `device-PLACE-NUMBER`.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from device_agent.messages.iothub.connection_string import ConnectionString, Endpoint, parse_connection_string
from device_agent.messages.iothub.identity import Identity, KeySigner
from device_agent.messages.iothub.sas_token import TTL_S, Claim, encode_token, sign_with_key, text_to_sign
from edgepack.errors import InputError
from simulator.devices.addressing import Addressing, HubAddressing, TemplateAddressing, check_template
from simulator.devices.blocking_client import BlockingClient, BlockingSettings
from simulator.devices.device import Device, Habits
from simulator.devices.fleet import hub_filters, read_authorities
from simulator.devices.plan import SourceChoice
from simulator.devices.schedule import Schedule
from simulator.devices.sensor import SensorSettings
from simulator.devices.session import Session, SessionSettings
from simulator.devices.sources import open_sources

_PORTS = {"mqtt": 1883, "mqtts": 8883}


class FleetOptions(NamedTuple):
    """What the fleet was told. `url` is mqtt[s]://host[:port]; "" for the hosts of the connection strings."""

    devices_file: str = ""
    topic: str = ""
    url: str = ""
    ca_file: str = ""
    rate_per_s: float = 1.0
    qos: int = 1
    body_bytes: int = 0
    source_file: str = ""
    seed: int = 0

    def check(self) -> None:
        """Raises InputError with everything that is wrong; reads no file."""
        problems: list[str] = []
        if bool(self.devices_file) == bool(self.topic):
            problems.append("give either --fleet-devices, for a hub, or --fleet-topic, for a broker")
        if self.topic:
            check_template(self.topic, "--fleet-topic", problems)
            if not self.url:
                problems.append("--fleet-topic needs --host, such as mqtts://localhost:8883")
        if self.url and self.server() is None:
            problems.append(f"--host is {self.url[:80]!r}: expected mqtt[s]://host[:port]")
        elif self.devices_file and self.url.startswith("mqtt:"):
            problems.append("--host begins with mqtt://, but a hub takes TLS only: use mqtts://")
        if self.ca_file and self.url.startswith("mqtt:"):
            problems.append("--fleet-ca is given, but --host begins with mqtt://: mqtts:// uses certificates")
        if not 1e-6 <= self.rate_per_s <= 10_000:
            problems.append(f"--fleet-rate is {self.rate_per_s}: expected more than 0, and at most 10000")
        if self.qos not in (0, 1):
            problems.append(f"--fleet-qos is {self.qos}: expected 0 or 1")
        if not 0 <= self.body_bytes <= 250_000:
            problems.append(f"--fleet-body-bytes is {self.body_bytes}: expected 0 to 250000")
        InputError.raise_if_any(problems)

    def server(self) -> Endpoint | None:
        """Host and port of the URL; None when it has none."""
        try:
            parts = urlsplit(self.url)
            if parts.scheme in _PORTS and parts.hostname and parts.path in ("", "/"):
                return Endpoint(parts.hostname, parts.port or _PORTS[parts.scheme])
        except ValueError:
            pass
        return None

    def source(self) -> SourceChoice:
        """What the devices send."""
        if not self.source_file:
            return SourceChoice(sensor=SensorSettings(body_bytes=self.body_bytes))
        kind = "generator" if self.source_file.endswith(".py") else "replay"
        return SourceChoice(kind, file=self.source_file)


class SpreadFleet:
    """One process's part. Reads the files; raises InputError."""

    def __init__(self, options: FleetOptions, place: int, of: int, token_ttl_s: float = TTL_S) -> None:
        self._token_ttl_s = token_ttl_s
        self._options = options
        self._place = place
        self._taken = 0
        strings = read_connection_strings(Path(options.devices_file)) if options.devices_file else None
        self._strings = None if strings is None else strings[place::of]
        self._make_source = open_sources(options.source())
        self._tls = None if options.url.startswith("mqtt:") else read_authorities(options.ca_file)

    def next_client(
        self, chance: Callable[[], float], connected: Callable[[float], None], problem: Callable[[str], None]
    ) -> BlockingClient:
        """A client for the next device. Raises InputError when there are no more."""
        number, self._taken = self._taken, self._taken + 1
        if self._strings is None:
            return self._broker_client(f"device-{self._place}-{number}", chance, connected, problem)
        if number >= len(self._strings):
            raise InputError(
                f"there are more users than devices: the part of this process is {len(self._strings)} of "
                f"{self._options.devices_file}"
            )
        return self._hub_client(self._strings[number], chance, connected, problem)

    def _hub_client(
        self,
        string: ConnectionString,
        chance: Callable[[], float],
        connected: Callable[[float], None],
        problem: Callable[[str], None],
    ) -> BlockingClient:
        server = self._options.server() or string.gateway or string.hub
        hub, device_id, module_id = string.hub.host, string.device_id, string.module_id
        identity = Identity(hub, server, device_id, module_id, KeySigner(string.key))

        def password(expiry_s: int) -> bytes:
            claim = Claim(hub, device_id, module_id, expiry_s)
            return encode_token(claim, sign_with_key(string.key, text_to_sign(claim))).encode()

        session = SessionSettings(identity.client_id, identity.user_name, hub_filters(device_id, module_id))
        addressing = HubAddressing(device_id, module_id, "temperatureOutput" if module_id else "")
        device = self._device(device_id, module_id, session, addressing, is_hub=True)
        return BlockingClient(
            device, BlockingSettings(server, self._tls, password, self._token_ttl_s), chance, connected, problem
        )

    def _broker_client(
        self,
        device_id: str,
        chance: Callable[[], float],
        connected: Callable[[float], None],
        problem: Callable[[str], None],
    ) -> BlockingClient:
        server = self._options.server()
        if server is None:
            raise InputError("there is no host")
        addressing = TemplateAddressing(self._options.topic, device_id)
        device = self._device(device_id, "", SessionSettings(device_id), addressing, is_hub=False)
        return BlockingClient(device, BlockingSettings(server, self._tls), chance, connected, problem)

    def _device(
        self, device_id: str, module_id: str, settings: SessionSettings, addressing: Addressing, *, is_hub: bool
    ) -> Device:
        chance = random.Random(f"{self._options.seed}/{settings.client_id}")  # noqa: S311 - what a sensor measures
        interval_s = 1 / self._options.rate_per_s
        return Device(
            device_id,
            self._make_source(device_id, chance),
            Session(settings._replace(qos=self._options.qos)),
            addressing,
            Schedule(interval_s, chance.random),
            Habits(interval_s, is_hub=is_hub),
            chance.random,
            module_id,
        )


def read_connection_strings(path: Path) -> list[ConnectionString]:
    """All devices of a file.

    Raises:
        InputError: with everything that is wrong in it.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    problems: list[str] = []
    found: dict[tuple[str, str], ConnectionString] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        parsed = parse_connection_string(line, f"{path}, line {number}", problems)
        if parsed is None:
            continue
        if not parsed.key:
            problems.append(f"{path}, line {number}: a certificate signs in (x509=true), which is not supported here")
        if found.setdefault((parsed.device_id, parsed.module_id), parsed) is not parsed:
            problems.append(f"{path}, line {number}: {parsed.device_id} is there twice")
    if not found and not problems:
        problems.append(f"{path}: holds no connection string")
    InputError.raise_if_any(problems)
    return list(found.values())
