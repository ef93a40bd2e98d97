"""`python -m simulator.devices.sensor_module`: the public temperature sensor as a module of an edge device.

It stands in for the image of that name when a deployment is simulated: the same output `temperatureOutput`, messages,
variables, desired properties, input `control` and method `reset` (see `sensor` and `remote_control`). Who it is comes
from the environment, as for every module (see device_agent.messages.iothub.identity).

    MessageCount                              messages to send, -1 without end (500)
    MessageDelay                              between two of them, hours:minutes:seconds (00:00:05)
    machineTempMin, machineTempMax            21, 100
    machinePressureMin, machinePressureMax    1, 10
    ambientTemp                               21

Message ids begin with the module's name and a part of the run's GUID, so a restarted module repeats none. SIGTERM: at
most five seconds for what is not acknowledged yet, then the end. What was not by then is lost, as with the original.
Exit codes: 0; 2 when the environment is wrong.
"""

import asyncio
import contextlib
import logging
import os
import random
import re
import signal
import sys
import time
from collections.abc import Mapping

from device_agent.errors import SettingsError
from device_agent.messages.iothub.identity import Identity, find_identity
from device_agent.messages.settings import parse_message_settings
from simulator.devices.addressing import HubAddressing
from simulator.devices.device import Device, Habits
from simulator.devices.device_client import ClientSettings, DeviceClient
from simulator.devices.entrance import Entrance
from simulator.devices.fleet import hub_filters
from simulator.devices.schedule import Schedule
from simulator.devices.sensor import OUTPUT, SensorSettings, TemperatureSensor
from simulator.devices.session import Session, SessionSettings, Telemetry
from simulator.devices.sources import batch_id

_DRAIN_S = 5.0
_WAKE_S = 0.5
_WRONG_INPUT = 2
_NUMBERS = {
    "machineTempMin": "machine_temperature_min",
    "machineTempMax": "machine_temperature_max",
    "machinePressureMin": "machine_pressure_min",
    "machinePressureMax": "machine_pressure_max",
    "ambientTemp": "ambient_temperature",
}
_log = logging.getLogger("sensor")


def parse_variables(environment: Mapping[str, str], problems: list[str]) -> tuple[SensorSettings, float]:
    """The sensor's settings and the seconds between messages; a sentence in `problems` for everything that is wrong."""
    numbers: dict[str, float] = {}
    for variable, field in _NUMBERS.items():
        if text := environment.get(variable, ""):
            try:
                numbers[field] = float(text)
            except ValueError:
                problems.append(f"{variable} is {text[:80]!r}: expected a number")
    count = environment.get("MessageCount", "") or "500"
    if not re.fullmatch(r"-1|[0-9]{1,12}", count):
        problems.append(f"MessageCount is {count[:80]!r}: expected a whole number, or -1 for no end")
        count = "500"
    delay = environment.get("MessageDelay", "") or "00:00:05"
    found = re.fullmatch(r"(?:([0-9]{1,5}):)?([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,7})?)", delay)
    delay_s = int(found[1] or 0) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0
    if not delay_s:
        problems.append(f"MessageDelay is {delay[:80]!r}: expected hours:minutes:seconds, more than 0")
    settings = SensorSettings(message_count=int(count))._replace(**numbers)  # type: ignore[arg-type]
    if not settings.machine_temperature_min < settings.machine_temperature_max:
        problems.append("machineTempMax must be above machineTempMin")
    return settings, delay_s or 5.0


class _Log:
    """Tells the module's log what happens. See ClientEvents."""

    def acknowledged(self, client: DeviceClient, messages: list[Telemetry]) -> None:
        for message in messages:
            _log.info("Sent message %d: %s", message.sequence, message.body.decode())

    def changed(self, client: DeviceClient) -> None:
        _log.info("Connected" if client.is_connected else "Not connected")

    def problem(self, name: str, reason: str) -> None:
        _log.warning("%s: %s", name, reason)


async def run(identity: Identity, settings: SensorSettings, delay_s: float) -> None:
    """Send until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    chance = random.Random()  # noqa: S311 - what a sensor measures
    batch = batch_id(chance)
    prefix = f"{identity.module_id or identity.device_id}-{batch[:8]}"
    filters = hub_filters(identity.device_id, identity.module_id)
    device = Device(
        identity.device_id,
        TemperatureSensor(settings, batch, chance.random),
        Session(SessionSettings(identity.client_id, identity.user_name, filters)),
        HubAddressing(identity.device_id, identity.module_id, OUTPUT, prefix),
        Schedule(delay_s, lambda: 0.0),
        Habits(delay_s),
        chance.random,
        identity.module_id,
    )
    client = DeviceClient(device, identity, ClientSettings(), Entrance(identity.server), _Log(), chance.random)
    client.start()
    start_s = loop.time()
    while not stop.is_set():
        now_s = loop.time() - start_s
        wall_s = time.time()
        next_s = device.turn(now_s, wall_s, wall_s, device.interval_s)
        client.flush()
        client.wake(loop.time())
        pause_s = _WAKE_S if next_s is None else min(_WAKE_S, max(0.0, next_s - now_s))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stop.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while device.session.held:
                await asyncio.sleep(0.01)
    await client.stop()
    await asyncio.sleep(0)


def main() -> int:
    """Run the module that the environment describes; the exit code."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    problems: list[str] = []
    settings, delay_s = parse_variables(os.environ, problems)
    try:
        identity = find_identity(parse_message_settings(os.environ, problems), os.environ)
    except SettingsError as error:
        problems += error.problems
    for problem in problems:
        _log.error("%s", problem)
    if problems:
        return _WRONG_INPUT
    asyncio.run(run(identity, settings, delay_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
