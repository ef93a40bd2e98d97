"""A local service as values: what is asked for, what is asked to change, and what it is at a moment. Pure.

States are those of SDK v1. `deploying`: made or started, not ready for the first time; `running`: it answers;
`failed`: it does not run, and nothing is at work to change that; `unknown`: it should run, but does not answer as a
service that is ready does; `deleted`. What is not `running` has a reason, for people.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack.models.naming import ModelReference, pairs_problems, text_problems

DEPLOYING, RUNNING, FAILED, UNKNOWN, DELETED = "deploying", "running", "failed", "unknown", "deleted"
PROCESS, DOCKER = "process", "docker"
RUNNERS = (PROCESS, DOCKER)
LOOPBACK = "127.0.0.1"
PRIMARY, SECONDARY = "primary", "secondary"
READY_WITHIN_S = 300.0
LOG_LINES = 5000

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_LENGTH = range(3, 33)
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class AccessKeys:
    """The two keys of a service; either is good, so that clients can change from one to the other."""

    primary: str = field(repr=False)
    secondary: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A service to deploy.

    `inference_config` is a file in the v1 schema, or such a document; the paths in a document start at `folder` (or
    are absolute). None: the one model is an ONNX model, served without a script. `port` None: a free one. `host` is
    the address to listen on; anything but loopback needs a key. `needs_key`: requests must show one; `keys` None: two
    are made up. `variables` are those of the agent, where the inference configuration does not say otherwise.
    """

    name: str
    models: tuple[ModelReference, ...] = ()
    inference_config: Path | Mapping[str, Any] | None = None
    folder: Path = field(default_factory=Path.cwd)
    port: int | None = None
    host: str = LOOPBACK
    runner: str = PROCESS
    needs_key: bool = False
    keys: AccessKeys | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What is to be another than now; None: stays. `properties` are added (and never change).

    Tags are removed, then added or replaced, each for itself, so that two changes at once do not undo each other.
    `needs_key` False takes the keys away, True makes some up where there are none. `variables` are all that a
    deployment configuration sets, as in a request; its `port` is there to be checked, as a service keeps its port.
    `collects` turns v1's data collection on or off in them.
    """

    models: tuple[ModelReference, ...] | None = None
    inference_config: Path | Mapping[str, Any] | None = None
    folder: Path | None = None
    description: str | None = None
    add_tags: Mapping[str, str] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    properties: Mapping[str, str] | None = None
    needs_key: bool | None = None
    port: int | None = None
    variables: Mapping[str, str] | None = None
    collects: bool | None = None

    @property
    def makes_an_image(self) -> bool:
        """Whether the service has to be built anew for it."""
        return self.models is not None or self.inference_config is not None


@dataclass(frozen=True, slots=True)
class Service:
    """A service as it is now. URIs are None as long as its port is not known; `image` is the digest of the image.

    `process_id` is that of the process, `container` the name of the container, as its runner goes.
    """

    name: str
    state: str
    reason: str
    runner: str
    models: tuple[str, ...]
    scoring_uri: str | None
    swagger_uri: str | None
    port: int | None
    host: str
    needs_key: bool
    description: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    created_utc: str
    updated_utc: str
    image: str | None
    process_id: int | None
    container: str | None

    def document(self) -> dict[str, Any]:
        """For `--json`; the keys are those of the v1 service object where it had them."""
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason or None,
            "computeType": "Local",
            "runner": self.runner,
            "scoringUri": self.scoring_uri,
            "swaggerUri": self.swagger_uri,
            "port": self.port,
            "host": self.host,
            "authEnabled": self.needs_key,
            "models": list(self.models),
            "description": self.description,
            "tags": dict(self.tags),
            "properties": dict(self.properties),
            "createdTime": self.created_utc,
            "updatedTime": self.updated_utc,
            "image": self.image,
            "pid": self.process_id,
            "container": self.container,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered to a request."""

    status: int
    content_type: str
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Voice:
    """Where a command that works on a service says what it does: lines, warnings, what is true just now, and what was
    asked for and has no effect (`note`).
    """

    say: Callable[[str], None] = field(default=lambda _text: None)
    warn: Callable[[str], None] = field(default=lambda _text: None)
    show: Callable[[str], None] = field(default=lambda _text: None)
    note: Callable[[str], None] = field(default=lambda _text: None)


SILENT = Voice()


def request_problems(request: ServiceRequest) -> tuple[str, ...]:
    """All that is wrong with a request as far as it can be told without looking at anything."""
    problems = list(name_problems(request.name))
    if request.port is not None and request.port not in _PORTS:
        problems.append(f"port {request.port} is not one of 1 to 65535")
    if request.runner not in RUNNERS:
        problems.append(f"runner {request.runner!r} is not known: choose one of {', '.join(RUNNERS)}")
    try:
        is_loopback = ipaddress.ip_address(request.host).is_loopback
    except ValueError:
        problems.append(f"host {request.host!r} is not an IP address of this machine, such as {LOOPBACK} or 0.0.0.0")
    else:
        if not is_loopback and not request.needs_key:
            problems.append(
                f"host {request.host}: whoever reaches this machine could call it: add --key, or stay on {LOOPBACK}"
            )
    for what, pairs in (("tag", request.tags), ("property", request.properties)):
        problems += pairs_problems(pairs, what)
    problems += text_problems(request.description, "the description")
    return tuple(problems)


def name_problems(name: str) -> tuple[str, ...]:
    """Say why `name` cannot be a service's; empty when it can (v1's rule)."""
    if len(name) in _NAME_LENGTH and _NAME.fullmatch(name):
        return ()
    return (
        f"service name {name!r} is not allowed: use 3 to 32 lower-case letters, digits and '-', beginning with a "
        "letter and not ending with '-'",
    )
