"""One blob to a registry: in one piece if it is small, else in pieces, going on after a fault where the registry is.

After a piece that is refused with 416, or whose connection ended, the registry is asked for the upload's state (GET of
its location), and the upload goes on from there; one that the registry has forgotten is begun anew. Registries that do
not take pieces get the whole in one PUT. The registry checks the digest at the end: it never holds a blob that is not
what its name says.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from edgepack.errors import RemoteError
from edgepack.oci.registry_access import Scopes
from edgepack.oci.registry_connection import Body, Call, Connection, Reply
from edgepack.oci.registry_fault import RegistryRefusal
from edgepack.oci.registry_headers import encode_content_range, parse_upload_range, with_digest

PIECE_BYTES = 16 * 1024 * 1024  # the largest that every known registry takes
_READ_BYTES = 256 * 1024
_BINARY = {"Content-Type": "application/octet-stream"}
_NO_PIECES = {400, 404, 405, 411, 415, 501}


class Upload:
    """An upload under way. `begin` starts one at the registry; `open` gives the blob's bytes, several times.

    `moved` is told how many bytes of the blob the registry has or is being sent; it may fall after a fault.
    """

    def __init__(
        self,
        connection: Connection,
        scopes: Scopes,
        digest: str,
        size: int,
        open: Callable[[], BinaryIO],
        begin: Callable[[], Reply],
        is_there: Callable[[], bool],
        moved: Callable[[int], None],
        *,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._connection = connection
        self._scopes = scopes
        self._digest = digest
        self._size = size
        self._open = open
        self._begin = begin
        self._is_there = is_there
        self._moved = moved
        self._piece_bytes = piece_bytes
        self._what = f"uploading {digest[:19]}"
        self._location = ""
        self._offset = 0
        self._best = 0
        self._takes_pieces = size > piece_bytes
        self.sent_bytes = 0

    def run(self, begun: Reply | None = None) -> None:
        """Carry it out; `begun` is an upload that has been begun already.

        Raises:
            RemoteError: it cannot be done.
        """
        backoff = self._connection.backoff()
        if begun is not None:
            self._take(begun, restart=True)
        while True:
            try:
                self._go_on()
                return
            except RemoteError as error:
                if self._offset > self._best:
                    self._best = self._offset
                    backoff.reset()
                if not self._can_recover(error):
                    self._give_up()
                    raise
                backoff.wait(_as_retryable(error))
                if self._is_there():
                    return
                self._find_state()

    def _go_on(self) -> None:
        if not self._location:
            self._take(self._begin(), restart=True)
        while self._takes_pieces and self._offset < self._size:
            length = min(self._piece_bytes, self._size - self._offset)
            headers = {**_BINARY, "Content-Range": encode_content_range(self._offset, length)}
            reply = self._send("PATCH", self._location, self._offset, length, headers)
            self._take(reply, at_least=self._offset + length)
        start = self._offset
        length = self._size - start
        reply = self._send("PUT", with_digest(self._location, self._digest), start, length, _BINARY)
        stored = reply.headers.get("docker-content-digest", self._digest)
        if stored.startswith("sha256:") and stored != self._digest:
            raise RemoteError(f"{self._what}: {self._connection.host} says that it stored {stored}", retryable=False)
        self._moved(self._size)

    def _send(self, method: str, url: str, start: int, length: int, headers: dict[str, str]) -> Reply:
        sized = {**headers, "Content-Length": str(length)}
        body = self._body(start, length) if length else None
        return self._connection.attempt(Call(self._what, method, url, self._scopes, sized, body))

    def _body(self, start: int, length: int) -> Body:
        def pieces() -> Iterator[bytes]:
            left = length
            with self._open() as file:
                file.seek(start)
                while left and (piece := file.read(min(_READ_BYTES, left))):
                    yield piece
                    left -= len(piece)
                    self.sent_bytes += len(piece)
                    self._moved(start + length - left)

        return pieces

    def _take(self, reply: Reply, *, restart: bool = False, at_least: int = 0) -> None:
        """Where to go on, from an answer to the beginning of an upload, to a piece, or to a question for the state."""
        location = reply.headers.get("location", "")
        if location:
            self._location = self._connection.follow(self._what, reply.url, location)
        elif restart:
            raise RemoteError(f"{self._what}: {self._connection.host} began an upload, but not where", retryable=False)
        if restart:
            self._offset = 0
            least = reply.headers.get("oci-chunk-min-length", "")
            if least.isascii() and least.isdigit():
                self._piece_bytes = max(self._piece_bytes, int(least[:12]))
                self._takes_pieces = self._takes_pieces and self._size > self._piece_bytes
            return
        known = parse_upload_range(reply.headers.get("range", ""))
        self._offset = at_least if known is None else known
        if self._offset > self._size:
            self._location, self._offset = "", 0

    def _can_recover(self, error: RemoteError) -> bool:
        """Whether going on, or beginning anew, may help; changes to one piece where pieces are not taken."""
        if error.retryable or not isinstance(error, RegistryRefusal):
            return error.retryable
        if error.status == 416 or {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID"} & set(error.codes):
            if "DIGEST_INVALID" in error.codes:
                self._location = ""  # garbled on its way: from the beginning
            return True
        if self._takes_pieces and error.status in _NO_PIECES:
            self._takes_pieces, self._location = False, ""
            return True
        if error.status == 404 and self._location:
            self._location = ""
            return True
        return False

    def _find_state(self) -> None:
        """Ask the registry what it has; begin anew where it knows of no upload, or where only the whole is taken."""
        location, self._location, self._offset = self._location, "", 0
        if not location or not self._takes_pieces:
            return
        try:
            reply = self._connection.call(Call(self._what, "GET", location, self._scopes))
        except RegistryRefusal as error:
            if error.retryable:
                raise
            return
        self._location = location
        self._take(reply)

    def _give_up(self) -> None:
        """Tell the registry that it need not keep what it has; no matter whether that works."""
        if self._location:
            try:
                self._connection.attempt(Call(self._what, "DELETE", self._location, self._scopes))
            except RemoteError:
                return


def _as_retryable(error: RemoteError) -> RemoteError:
    """A refusal after which another attempt is made all the same."""
    error.retryable = True
    return error
