"""A Python file as a source: `def generate(device_id, sequence, now_s)` says what a device sends.

It may return a dict, list, number or text that JSON knows (sent as JSON), bytes (sent as they are), None (nothing this
time), or a pair of one of these and a dict of application properties. `now_s` is the device's clock (since 1970).
When `generate` is a generator function, it is called once for each device with the arguments of the first message, and
receives `(sequence, now_s)` of the following ones from `yield`; its end is the end of that device's messages.

The file is run once for all devices of the process, on the loop: what takes long delays them all. An error ends the
messages of the device where it happened, and is told with the file and the line.
"""

import inspect
import json
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from edgepack.errors import InputError
from simulator.devices.reading import Pairs, Reading, SourceEnded

_ARGUMENTS = 3


class GeneratorFile:
    """A file with `generate`, loaded. Raises InputError: it cannot be read or run, or has no such function."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            code = compile(path.read_bytes(), str(path), "exec")
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        except SyntaxError as error:
            raise InputError(f"{path}, line {error.lineno}: {error.msg}") from error
        except ValueError as error:
            raise InputError(f"{path}: no Python: {error}") from error
        names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
        try:
            exec(code, names)  # noqa: S102 - the user's own file, which they asked us to run
        except BaseException as error:
            raise InputError(_told(path, error)) from error
        generate = names.get("generate")
        if not callable(generate):
            raise InputError(f"{path}: has no function generate(device_id, sequence, now_s)")
        self.generate: Callable[..., Any] = generate
        self.is_generator = inspect.isgeneratorfunction(generate)
        try:
            inspect.signature(generate).bind(*range(_ARGUMENTS))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: generate must take (device_id, sequence, now_s): {error}") from error


class Generated:
    """What the file says for one device. See Source."""

    def __init__(self, file: GeneratorFile, device_id: str) -> None:
        self._file = file
        self._device_id = device_id
        self._running: Generator[Any, Any, None] | None = None

    def measure(self, sequence: int, now_s: float) -> Reading | None:
        """See Source."""
        try:
            return _reading(self._call(sequence, now_s))
        except StopIteration:
            raise SourceEnded from None
        except _Unsendable as error:
            raise SourceEnded(f"{self._file.path}: generate gave what cannot be sent: {error}") from None
        except BaseException as error:  # user code; SystemExit included
            if isinstance(error, KeyboardInterrupt):
                raise
            raise SourceEnded(_told(self._file.path, error)) from error

    def reset(self) -> None:
        """See Source: a generator function is called anew."""
        self._running = None

    def _call(self, sequence: int, now_s: float) -> Any:
        if not self._file.is_generator:
            return self._file.generate(self._device_id, sequence, now_s)
        if self._running is None:
            self._running = self._file.generate(self._device_id, sequence, now_s)
            return next(self._running)
        return self._running.send((sequence, now_s))


class _Unsendable(Exception):
    """Neither JSON nor bytes."""


def _reading(given: Any) -> Reading | None:
    properties: Pairs = ()
    if isinstance(given, tuple):
        if len(given) != 2 or not isinstance(given[1], dict):
            raise _Unsendable("a tuple must be a pair: (body, properties), properties being a dict")
        given, named = given
        properties = tuple(sorted((str(name), str(value)) for name, value in named.items()))
        system = [name for name, _ in properties if name.startswith("$.")]
        if system:
            raise _Unsendable(f"the property {system[0]!r}: names that begin with $. are the system's")
    if given is None:
        return None
    if isinstance(given, bytes | bytearray):
        return Reading(bytes(given), properties, {}, content_type="application/octet-stream", content_encoding="")
    try:
        body = json.dumps(given, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _Unsendable(str(error)) from error
    values = given if isinstance(given, dict) else {"value": given}
    shown = [(str(key), value) for key, value in values.items() if isinstance(value, int | float)]
    return Reading(body, properties, dict(shown[:4]))


def _told(path: Path, error: BaseException) -> str:
    """The error and the last line of the user's file that it came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{place}: {type(error).__name__}: {str(error)[:500]}"
