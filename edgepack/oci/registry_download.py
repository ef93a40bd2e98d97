"""One blob from a registry to a file: checked while it is written, going on after a cut where it was."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from edgepack.errors import RemoteError
from edgepack.files import NewFile, new_file
from edgepack.oci.descriptor import Descriptor
from edgepack.oci.registry_connection import Call, Connection
from edgepack.oci.registry_fault import RegistryRefusal
from edgepack.oci.registry_headers import parse_content_range


class Download:
    """A blob that is being fetched by `call`; `moved` is told how many bytes are there."""

    def __init__(
        self, connection: Connection, call: Call, descriptor: Descriptor, moved: Callable[[int], None]
    ) -> None:
        self._connection = connection
        self._call = call
        self._wanted = descriptor
        self._moved = moved
        self._have = 0
        self._digest = hashlib.sha256()

    def write(self, path: Path) -> None:
        """Fetch it; `path` appears complete and checked.

        Raises:
            RemoteError: it cannot be had, or has another digest, after all attempts.
        """
        backoff = self._connection.backoff()
        with new_file(path) as file:
            while True:
                before = self._have
                try:
                    self._fetch(file)
                    return
                except RemoteError as error:
                    if isinstance(error, RegistryRefusal) and error.status == 416:
                        self._begin(file)
                        error.retryable = True
                    if self._have > before:
                        backoff.reset()
                    backoff.wait(error)

    def _fetch(self, file: NewFile) -> None:
        headers = {**self._call.headers, **({"Range": f"bytes={self._have}-"} if self._have else {})}
        call = Call(self._call.what, self._call.method, self._call.url, self._call.scopes, headers)
        with self._connection.stream(call) as response:
            start = parse_content_range(response.headers.get("content-range", ""))
            if response.status_code != 206 or start != self._have:
                self._begin(file)
                if response.status_code == 206 and start != 0:
                    raise RemoteError(f"{self._call.what}: the registry gave another part than was asked for")
            for piece in response.iter_raw():
                file.write(piece)
                self._digest.update(piece)
                self._have += len(piece)
                self._moved(self._have)
                if self._have > self._wanted.size:
                    break
        if f"sha256:{self._digest.hexdigest()}" == self._wanted.digest:
            return
        if self._have < self._wanted.size:
            raise RemoteError(f"{self._call.what}: ended after {self._have} of {self._wanted.size} bytes")
        got = f"{self._have} bytes with digest sha256:{self._digest.hexdigest()}"
        self._begin(file)
        raise RemoteError(f"{self._call.what}: the registry gave {got}")

    def _begin(self, file: NewFile) -> None:
        self._have, self._digest = 0, hashlib.sha256()
        file.stream.seek(0)
        file.stream.truncate()
