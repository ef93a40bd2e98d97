"""One repository of a registry: manifests, blobs, referrers and tags, by the OCI distribution specification 1.1.

Everything that is read is checked against its digest; everything that is written is idempotent, so that whatever failed
may be done again. Names `DIGEST` are `sha256:HEX`. Threads may share an object.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self
from urllib.parse import quote

from edgepack.errors import DamagedDataError, RemoteError
from edgepack.files import CHUNK_BYTES
from edgepack.oci.descriptor import INDEX, Descriptor, digest_of, parse_descriptor
from edgepack.oci.media_types import DOCKER_SCHEMA_1, MANIFESTS
from edgepack.oci.reference import ImageReference
from edgepack.oci.referrers import fallback_tag, parse_referrers, with_referrer
from edgepack.oci.registry_access import Scopes, repository_scope
from edgepack.oci.registry_backoff import Clock
from edgepack.oci.registry_connection import Call, Connection, Reply
from edgepack.oci.registry_download import Download
from edgepack.oci.registry_fault import RegistryRefusal
from edgepack.oci.registry_headers import next_page
from edgepack.oci.registry_upload import PIECE_BYTES, Upload

if TYPE_CHECKING:
    import httpx

MOST_MANIFEST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PushedBlob:
    """How a blob came to be in the repository; `sent_bytes` went over the network for it."""

    kind: Literal["present", "mounted", "uploaded"]
    sent_bytes: int


class Registry:
    """The repository that `reference` names. A context manager.

    `insecure` allows plain HTTP and any certificate. `writes` asks for the right to write from the beginning, as is
    needed to read what may not be there yet. `say` is told of every repetition. `environment` is that of the
    process: where logins are kept. `clock` and `transport` stand in for time and network.
    """

    def __init__(
        self,
        reference: ImageReference,
        *,
        insecure: bool = False,
        writes: bool = False,
        say: Callable[[str], None] = lambda _text: None,
        environment: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        transport: "httpx.BaseTransport | None" = None,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self.reference = reference
        self._connection = Connection(
            reference, environment, insecure=insecure, say=say, clock=clock, transport=transport
        )
        self._piece_bytes = piece_bytes
        self._pull = frozenset({repository_scope(reference.repository, push=writes)})
        self._push = frozenset({repository_scope(reference.repository, push=True)})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def stop(self) -> None:
        """Make everything fail that is done with this object, also what other threads are waiting for."""
        self._connection.stop()

    def manifest(self, tag_or_digest: str) -> tuple[Descriptor, bytes]:
        """An index or manifest (of OCI or Docker) and its exact bytes, whose digest has been checked.

        Raises:
            RemoteError: there is none, it is of a kind that is too old, or the registry gives other bytes than it says.
        """
        what = f"{self.reference.name}: manifest {tag_or_digest}"
        reply = self._read(what, f"manifests/{tag_or_digest}", {"Accept": ", ".join(MANIFESTS)}, MOST_MANIFEST_BYTES)
        digest = digest_of(reply.body)
        said = reply.headers.get("docker-content-digest", digest)
        wanted = tag_or_digest if tag_or_digest.startswith("sha256:") else said
        if wanted.startswith("sha256:") and digest != wanted:
            raise RemoteError(f"{what}: the registry gave bytes with digest {digest} for {wanted}", retryable=False)
        document = _json_object(reply.body, what)
        media_type = str(document.get("mediaType") or reply.headers.get("content-type", "").partition(";")[0].strip())
        if media_type in DOCKER_SCHEMA_1 or document.get("schemaVersion") == 1:
            raise RemoteError(
                f"{what}: is in Docker's schema 1, which is no longer used; push it anew", retryable=False
            )
        if media_type not in MANIFESTS:
            raise RemoteError(f"{what}: has media type {media_type!r}, which is no image", retryable=False)
        return Descriptor(media_type, digest, len(reply.body)), reply.body

    def manifest_digest(self, tag_or_digest: str) -> str | None:
        """What a tag means now, without its content; None if it is not there, or the registry does not say."""
        try:
            reply = self._head(f"manifests/{tag_or_digest}", {"Accept": ", ".join(MANIFESTS)})
        except RegistryRefusal as error:
            if error.status == 404:
                return None
            raise
        return reply.headers.get("docker-content-digest")

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has the blob."""
        return self._has(f"blobs/{digest}", self._pull)

    def read_blob(self, descriptor: Descriptor, most_bytes: int) -> bytes:
        """A small blob, checked.

        Raises:
            RemoteError: it is not there, is larger than `most_bytes`, or has another digest.
        """
        what = f"{self.reference.name}: blob {descriptor.digest[:19]}"
        if descriptor.size > most_bytes:
            raise RemoteError(f"{what}: has {descriptor.size} bytes, more than {most_bytes}", retryable=False)
        body = self._read(what, f"blobs/{descriptor.digest}", {}, most_bytes).body
        if digest_of(body) != descriptor.digest:
            raise RemoteError(f"{what}: the registry gave bytes with digest {digest_of(body)}", retryable=False)
        return body

    def fetch_blob(
        self, descriptor: Descriptor, path: Path, moved: Callable[[int], None] = lambda _bytes: None
    ) -> None:
        """Write a blob to `path`, which appears complete and checked; goes on after a cut where it was.

        `moved` is told how many bytes have arrived.

        Raises:
            RemoteError: it cannot be had, or has another digest, after all attempts.
        """
        what = f"{self.reference.name}: blob {descriptor.digest[:19]}"
        call = Call(what, "GET", self._url(f"blobs/{descriptor.digest}"), self._pull)
        Download(self._connection, call, descriptor, moved).write(path)

    def push_blob(
        self,
        descriptor: Descriptor,
        open: Callable[[], BinaryIO],
        mount_from: str | None = None,
        moved: Callable[[int], None] = lambda _bytes: None,
    ) -> PushedBlob:
        """Have a blob in the repository: skipped if it is there, mounted from another repository, or uploaded.

        `open` gives its bytes, and may be called several times; they are checked before they are sent. `moved` is told
        how many bytes of the blob the registry has been sent.

        Raises:
            DamagedDataError: `open` gives other bytes than the descriptor says.
            RemoteError: the registry does not take it.
        """
        path = f"blobs/{descriptor.digest}"
        if self._has(path, self._push):
            return PushedBlob("present", 0)
        begun = self._mount(descriptor.digest, mount_from) if mount_from else None
        if begun is not None and begun.status == 201:
            return PushedBlob("mounted", 0)
        found = _digest_of_file(open)
        if found != descriptor.digest:
            raise DamagedDataError(f"blob {descriptor.digest}: its bytes have digest {found}; nothing was sent of it")
        upload = Upload(
            self._connection, self._push, descriptor.digest, descriptor.size, open,
            lambda: self._connection.call(self._post("blobs/uploads/", self._push)),
            lambda: self._has(path, self._push), moved, piece_bytes=self._piece_bytes,
        )  # fmt: skip
        upload.run(begun)
        return PushedBlob("uploaded", upload.sent_bytes)

    def push_manifest(self, content: bytes, media_type: str, reference: str) -> Descriptor:
        """Store a manifest or index under a tag or its digest; returns its descriptor.

        Where the registry keeps no lists of referrers, the list of a manifest's `subject` is kept from here: the index
        that the tag `sha256-HEX` of the subject names.

        Raises:
            RemoteError: the registry does not take it.
        """
        digest = digest_of(content)
        what = f"{self.reference.name}: pushing manifest {reference}"
        url = self._url(f"manifests/{reference}")
        headers = {"Content-Type": media_type, "Content-Length": str(len(content))}
        reply = self._connection.call(Call(what, "PUT", url, self._push, headers, lambda: iter((content,))))
        stored = reply.headers.get("docker-content-digest", digest)
        if stored.startswith("sha256:") and stored != digest:
            raise RemoteError(f"{what}: the registry says that it stored {stored} for {digest}", retryable=False)
        pushed = Descriptor(media_type, digest, len(content))
        document = _json_object(content, what)
        if document.get("subject") and "oci-subject" not in reply.headers:
            subject = parse_descriptor(document["subject"], f"{what}: subject")
            index = with_referrer(parse_referrers(self._fallback_list(subject.digest)), pushed, document)
            if index is not None:
                self.push_manifest(index, INDEX, fallback_tag(subject.digest))
        return pushed

    def referrers(self, digest: str, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
        """What has `digest` as its subject, of one type or all; empty where there is nothing.

        Raises:
            RemoteError: the registry cannot say.
        """
        what = f"{self.reference.name}: referrers of {digest[:19]}"
        try:
            content = self._connection.call(Call(what, "GET", self._url(f"referrers/{digest}"), self._pull)).body
        except RegistryRefusal as error:
            if error.status not in (400, 404, 405):
                raise
            content = self._fallback_list(digest)
        return tuple(
            parse_descriptor(entry, what)
            for entry in parse_referrers(content)
            if artifact_type is None or entry.get("artifactType") == artifact_type
        )

    def tags(self) -> tuple[str, ...]:
        """All tags of the repository, sorted by the registry; empty where there is no such repository."""
        found: list[str] = []
        what, url = f"{self.reference.name}: tags", f"{self._url('tags/list')}?n=1000"
        for _ in range(1000):
            try:
                reply = self._connection.call(Call(what, "GET", url, self._pull))
            except RegistryRefusal as error:
                if error.status == 404:
                    return tuple(found)
                raise
            listed = _json_object(reply.body, what).get("tags")
            found += [str(tag) for tag in listed] if isinstance(listed, list) else []
            following = next_page([reply.headers.get("link", "")])
            if following is None:
                break
            url = self._connection.follow(what, reply.url, following)
        return tuple(found)

    def _fallback_list(self, digest: str) -> bytes:
        try:
            return self.manifest(fallback_tag(digest))[1]
        except RegistryRefusal as error:
            if error.status == 404:
                return b""
            raise

    def _url(self, path: str) -> str:
        return self._connection.url(f"/v2/{self.reference.repository}/{path}")

    def _read(self, what: str, path: str, headers: Mapping[str, str], most_bytes: int) -> Reply:
        try:
            return self._connection.call(Call(what, "GET", self._url(path), self._pull, headers), most_bytes=most_bytes)
        except RegistryRefusal as error:
            if error.status == 404:
                error.args = (f"{error}: it is not there; is the name right?",)
            raise

    def _head(self, path: str, headers: Mapping[str, str], scopes: Scopes | None = None) -> Reply:
        what = f"{self.reference.name}: asking for {path.partition('/')[2][:19]}"
        return self._connection.call(Call(what, "HEAD", self._url(path), scopes or self._pull, headers))

    def _has(self, path: str, scopes: Scopes) -> bool:
        try:
            self._head(path, {}, scopes)
        except RegistryRefusal as error:
            if error.status == 404:
                return False
            raise
        return True

    def _post(self, path: str, scopes: Scopes) -> Call:
        what = f"{self.reference.name}: beginning an upload"
        return Call(what, "POST", self._url(path), scopes, {"Content-Length": "0"})

    def _mount(self, digest: str, source: str) -> Reply | None:
        """The answer to a mount: 201, or 202 with an upload begun; None where it may not even be asked."""
        scopes = self._push | {repository_scope(source, push=False)}
        try:
            path = f"blobs/uploads/?mount={digest}&from={quote(source, safe='/')}"
            return self._connection.call(self._post(path, scopes))
        except RegistryRefusal as error:
            if error.retryable:
                raise
            return None


def _digest_of_file(open: Callable[[], BinaryIO]) -> str:
    digest = hashlib.sha256()
    with open() as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _json_object(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"{what}: not JSON ({error})", retryable=False) from error
    if not isinstance(document, dict):
        raise RemoteError(f"{what}: not a JSON object", retryable=False)
    return document
