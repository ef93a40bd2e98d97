"""From what a plan says devices send to a source for each of them. Reads the files, once."""

import random
import uuid
from collections.abc import Callable
from pathlib import Path

from edgepack.errors import InputError
from simulator.devices.generator import Generated, GeneratorFile
from simulator.devices.plan import SourceChoice
from simulator.devices.reading import Source
from simulator.devices.replay import Recording, Replay, parse_recording
from simulator.devices.sensor import TemperatureSensor

MakeSource = Callable[[str, random.Random], Source]


def open_sources(choice: SourceChoice) -> MakeSource:
    """What makes the source of a device, from its id and its own chance.

    Raises:
        InputError: with everything that is wrong in the file.
    """
    if choice.kind == "replay":
        recording = read_recording(Path(choice.file), choice.time_column)
        return lambda _, __: Replay(recording, loops=choice.loops)
    if choice.kind == "generator":
        file = GeneratorFile(Path(choice.file))
        return lambda device_id, _: Generated(file, device_id)
    return lambda _, chance: TemperatureSensor(choice.sensor, batch_id(chance), chance.random)


def read_recording(path: Path, time_column: str) -> Recording:
    """Read and check a file. Raises InputError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_recording(content, str(path), time_column)


def batch_id(chance: random.Random) -> str:
    """The GUID of a run."""
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
