"""The Docker engine that `DOCKER_HOST` or the usual socket reaches, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgepack.errors import RemoteError

CALL_TIMEOUT_S = 600
_ARCHITECTURES = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "armv7l": "linux/arm/v7", "arm": "linux/arm/v7"}


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered: its client, version and own platform (`linux/amd64`)."""

    client: Any  # docker.DockerClient: the library is imported only when an engine is needed
    version: str
    platform: str


@contextmanager
def engine(purpose: str = "take the image", timeout_s: int = CALL_TIMEOUT_S) -> Iterator[Engine]:
    """Yield the engine; `purpose` completes "the Docker engine does not ..." in errors.

    Raises:
        RemoteError: none answers, or it refuses what the block asks of it.
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    client = None
    try:
        client = docker.from_env(timeout=timeout_s)
        about = client.version()
        architecture = str(about.get("Arch", ""))
        platform = _ARCHITECTURES.get(architecture, f"linux/{architecture}")
        yield Engine(client, str(about.get("Version", "")), platform)
    except (DockerException, RequestException, HTTPError) as error:
        raise RemoteError(
            f"the Docker engine does not {purpose} ({error}); is it running, and may you use it? DOCKER_HOST names "
            "another one"
        ) from error
    finally:
        if client is not None:
            client.close()
