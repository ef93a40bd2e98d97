"""What comes of trying an image out: answers, or why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.oci.validate import PlatformContent

FOREIGN_CPU_FOLDER = "/sys/devices/system/cpu"
_MOST_LOG_LINES = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Trial:
    """An image was started: its answers, one a request, as far as they came; the problem that ended it; its output."""

    answers: tuple[Answer, ...]
    problem: str | None
    log: str
    how: str


@dataclass(frozen=True, slots=True)
class NotRunnable:
    """This way of running the image is not to be had here, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Started:
    """What of an image's configuration matters for running it."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_folder: str
    user: int
    volumes: tuple[str, ...]

    @property
    def port(self) -> int:
        """Where it listens for HTTP."""
        port = self.environment.get("EDGEPACK_HTTP", "").rpartition(":")[2]
        return int(port) if port.isdecimal() else 5001


def started(content: PlatformContent) -> Started:
    """How a platform's image is to be run."""
    config: dict[str, Any] = content.config.get("config") or {}
    command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    environment = dict(variable.partition("=")[::2] for variable in config.get("Env") or ())
    user = str(config.get("User") or "0").partition(":")[0]
    return Started(
        tuple(map(str, command)),
        environment,
        str(config.get("WorkingDir") or "/"),
        int(user) if user.isdecimal() else 0 if user == "root" else 1000,
        tuple(config.get("Volumes") or {}),
    )


def hides_processors(platform: str, own: str) -> bool:
    """Whether the description of this machine's processors must be hidden: emulated, onnxruntime crashes on it.

    For 64-bit ARM only: Debian's onnxruntime for 32 bits needs it.
    """
    return platform != own and platform.startswith("linux/arm64")


def last_lines(text: str) -> str:
    """The end of a log."""
    return "\n".join(text.splitlines()[-_MOST_LOG_LINES:])
