"""The temperature sensor that everybody knows as SimulatedTemperatureSensor: its messages, drift and settings.

    {"machine": {"temperature": 21.4, "pressure": 1.05}, "ambient": {"temperature": 20.9, "humidity": 25},
     "timeCreated": "2026-01-01T12:00:00.123456Z"}

with the application properties `sequenceNumber` ("1" ...) and `batchId` (a GUID of the run).

- The machine begins at its lowest temperature; each step is uniform in [-0.25, 1.25] until it is above its highest,
  then in [-0.5, 0.5]. Pressure follows the temperature along a straight line. The ambient temperature is within 0.5 of
  its setting, humidity a whole number from 24 to 26.
- `MessageCount` messages, -1 for no end.

Pure: chance is a function that gives numbers from 0 to 1. Numbers have four decimals.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from simulator.devices.reading import Reading, SourceEnded

OUTPUT = "temperatureOutput"
_LEAST_HUMIDITY, _HUMIDITIES = 24, 3


class SensorSettings(NamedTuple):
    """What can be set. `body_bytes`: a shorter body is filled up with a field `padding`; 0 for none."""

    message_count: int = -1
    machine_temperature_min: float = 21.0
    machine_temperature_max: float = 100.0
    machine_pressure_min: float = 1.0
    machine_pressure_max: float = 10.0
    ambient_temperature: float = 21.0
    body_bytes: int = 0


class TemperatureSensor:
    """See the module, and Source."""

    def __init__(self, settings: SensorSettings, batch_id: str, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._chance = chance
        self._batch = ("batchId", batch_id)
        self._temperature = settings.machine_temperature_min
        span = settings.machine_temperature_max - settings.machine_temperature_min
        self._slope = (settings.machine_pressure_max - settings.machine_pressure_min) / span

    def measure(self, sequence: int, now_s: float) -> Reading:
        """See Source."""
        settings, chance = self._settings, self._chance
        if 0 <= settings.message_count < sequence:
            raise SourceEnded
        if self._temperature > settings.machine_temperature_max:
            self._temperature += chance() - 0.5
        else:
            self._temperature += chance() * 1.5 - 0.25
        temperature = self._temperature
        pressure = settings.machine_pressure_min + (temperature - settings.machine_temperature_min) * self._slope
        ambient = settings.ambient_temperature + chance() - 0.5
        humidity = _LEAST_HUMIDITY + min(int(chance() * _HUMIDITIES), _HUMIDITIES - 1)
        text = (
            f'{{"machine": {{"temperature": {temperature:.4f}, "pressure": {pressure:.4f}}}, '
            f'"ambient": {{"temperature": {ambient:.4f}, "humidity": {humidity}}}, "timeCreated": "{utc_text(now_s)}"'
        )
        missing = settings.body_bytes - len(text) - len(', "padding": ""}')
        text += f', "padding": "{"x" * missing}"}}' if missing > 0 else "}"
        properties = (self._batch, ("sequenceNumber", str(sequence)))
        return Reading(text.encode(), properties, {"temperature": round(temperature, 4)})

    def reset(self) -> None:
        """See Source: the machine is cold again."""
        self._temperature = self._settings.machine_temperature_min


def utc_text(now_s: float) -> str:
    """A time (seconds since 1970) as ISO 8601 with microseconds."""
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
