"""The registry of models on disk: register, find, change, delete, download, verify.

The thin shell over `storage` (where files lie, and the rules among processes), `request` and `source` (what
to take), `staging` (copy and hash) and `record` (the value). What `register` has returned is durable; a
process killed at any moment leaves the registry as it was before, or with the complete new version.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError
from edgepack.models.file_facts import with_file_facts
from edgepack.models.naming import ModelReference, has_pair, name_problems, nearest
from edgepack.models.record import ModelFile, ModelRecord, RecordChange, changed
from edgepack.models.request import FoundFiles, RegisterRequest, find_files
from edgepack.models.source import raise_if_changed
from edgepack.models.staging import StagedFile, stage
from edgepack.models.storage import ModelStorage
from edgepack.models.transfer import blob_problem, copy_out


@dataclass(frozen=True, slots=True)
class Listing:
    """The records that could be read, by name and version; and what is wrong with the others."""

    records: tuple[ModelRecord, ...]
    damage: tuple[tuple[ModelReference, str], ...]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted: the references, and the bytes that no other version needed."""

    deleted: tuple[ModelReference, ...]
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked, and one sentence for each thing that is not as it was registered."""

    records: int
    files: int
    size_bytes: int
    problems: tuple[str, ...]


def _now() -> datetime:
    return datetime.now(UTC)


class ModelRegistry:
    """The models of one workspace; nothing is made on disk before the first `register`."""

    def __init__(self, workspace: Path, *, clock: Callable[[], datetime] = _now) -> None:
        self.workspace = workspace
        self._storage = ModelStorage(workspace / "models")
        self._clock = clock

    def register(self, request: RegisterRequest, *, on_bytes: Callable[[int], None] = lambda _: None) -> ModelRecord:
        """Store a new version: the largest number ever given for this name, plus one. Durable on return.

        `on_bytes` is told how many bytes were copied, from several threads.

        Raises:
            InputError: all that is wrong with the request and its files, or a file changed meanwhile; nothing
                is registered then.
            RemoteError: the disk is full.
        """
        found = find_files(request, self.workspace)
        with self._storage.change() as folder:
            staged = stage(found.all, folder, on_bytes)
            request = with_file_facts(request, staged[: len(found.sources)])
            raise_if_changed(found.all, find_files(request, self.workspace).all)
            with self._storage.locked():
                try:
                    for content in staged:
                        self._storage.keep(content.copy, content.file.sha256)
                    self._storage.sync_blobs()
                    version = self._storage.next_version(request.name)
                    record = _record(request, found, staged, version, self._clock())
                    self._storage.write(record)
                except BaseException:
                    self._storage.collect()
                    raise
        return record

    def get(self, name: str, version: int | None = None) -> ModelRecord:
        """One version, or the one with the largest number.

        Raises:
            InputError: there is none; the text says what there is.
            DamagedDataError: its record is damaged.
        """
        InputError.raise_if_any(name_problems(name))
        versions = self._storage.versions(name)
        chosen = version if version is not None else max(versions, default=None)
        if chosen is None or chosen not in versions:
            raise InputError(self._not_found(name, version, versions))
        try:
            return self._storage.read(name, chosen)
        except FileNotFoundError:
            raise InputError(self._not_found(name, version, self._storage.versions(name))) from None

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of `name`, ascending; empty when there are none."""
        return () if name_problems(name) else self._storage.versions(name)

    def listing(self, name: str | None = None) -> Listing:
        """All versions of all models (or of `name`), by name and version, damaged records aside."""
        records, damage = [], []
        for each in self._storage.names() if name is None else (name,):
            for version in self.versions(each):
                try:
                    records.append(self._storage.read(each, version))
                except FileNotFoundError:
                    continue
                except DamagedDataError as error:
                    damage.append((ModelReference(each, version), str(error)))
        return Listing(tuple(records), tuple(damage))

    def list(
        self,
        name: str | None = None,
        *,
        tags: Sequence[str | tuple[str, str]] = (),
        properties: Sequence[str | tuple[str, str]] = (),
        framework: str | None = None,
        latest: bool = False,
    ) -> tuple[ModelRecord, ...]:
        """The records that match all filters, by name and version.

        A tag or property filter is a key, or a key with its value. `latest`: only the largest version of each
        name that matches.

        Raises:
            DamagedDataError: records that cannot be read, all of them.
        """
        listing = self.listing(name)
        if listing.damage:
            raise DamagedDataError("\n".join(text for _, text in listing.damage))
        return filtered(listing.records, tags=tags, properties=properties, framework=framework, latest=latest)

    def update(self, name: str, version: int | None, change: RecordChange) -> ModelRecord:
        """Apply `change` to one version (None: the latest); durable on return.

        Raises:
            InputError: there is none, or the change is not allowed.
        """
        with self._storage.change(), self._storage.locked():
            record = changed(self.get(name, version), change)
            self._storage.write(record)
        return record

    def delete(self, name: str, version: int | None = None) -> Deletion:
        """Delete one version, or all versions of `name`, and the contents that no other version needs.

        A damaged record can be deleted too.

        Raises:
            InputError: there is none.
        """
        InputError.raise_if_any(name_problems(name))
        with self._storage.change(), self._storage.locked():
            versions = self._storage.versions(name)
            chosen = versions if version is None else tuple(each for each in versions if each == version)
            if not chosen:
                raise InputError(self._not_found(name, version, versions))
            for each in reversed(chosen):
                self._storage.remove(name, each)
            freed = self._storage.collect()
        return Deletion(tuple(ModelReference(name, each) for each in chosen), freed)

    def download(self, record: ModelRecord, target: Path, *, exist_ok: bool = False) -> Path:
        """Write the files of `record` under `target` by their stored names; returns their common path.

        Every file is checked while it is copied.

        Raises:
            InputError: files exist there (without `exist_ok`), or the folder cannot be written.
            DamagedDataError: a stored file is not what was registered.
        """
        blobs = {file.path: (file, self.file_path(file)) for file in record.files}
        copy_out(blobs, target, exist_ok=exist_ok)
        return target / record.files[0].path.split("/")[0]

    def verify(self, name: str | None = None, version: int | None = None) -> Verification:
        """Recompute the hash of every file of one version, of one model, or of all.

        Raises:
            InputError: the model or version does not exist.
        """
        if name is not None:
            InputError.raise_if_any(name_problems(name))
            versions = self._storage.versions(name)
            if not versions or version not in (None, *versions):
                raise InputError(self._not_found(name, version, versions))
        listing = self.listing(name)
        problems = [text for reference, text in listing.damage if version in (None, reference.version)]
        records = [record for record in listing.records if version in (None, record.version)]
        checked: dict[str, str | None] = {}
        files = [(record, file) for record in records for file in record.stored_files]
        for record, file in files:
            if file.sha256 not in checked:
                checked[file.sha256] = blob_problem(file, self.file_path(file))
            if problem := checked[file.sha256]:
                problems.append(f"{record.id}: {problem}")
        size = sum(file.size_bytes for _, file in files)
        return Verification(len(records), len(files), size, tuple(problems))

    def file_path(self, file: ModelFile) -> Path:
        """Where the content of a file (or sample) of a record lies; read only, never changed in place."""
        return self._storage.blob_path(file.sha256)

    def _not_found(self, name: str, version: int | None, versions: tuple[int, ...]) -> str:
        wanted = ModelReference(name, version)
        text = f"ModelNotFound: Model with name {name} "
        if versions:
            known = ", ".join(str(each) for each in versions)
            return f"{text}has no version {version} in {self.workspace}: it has {known}"
        near = nearest(name, self._storage.names())
        hint = f"did you mean {near}?" if near else "see `edgepack model list`, or register it first"
        return f"{text}not found in {self.workspace} (wanted {wanted}): {hint}"


def filtered(
    records: Sequence[ModelRecord],
    *,
    tags: Sequence[str | tuple[str, str]] = (),
    properties: Sequence[str | tuple[str, str]] = (),
    framework: str | None = None,
    latest: bool = False,
) -> tuple[ModelRecord, ...]:
    """The `records` that match all filters (see `ModelRegistry.list`)."""
    matching = [
        record
        for record in records
        if all(has_pair(record.tags, tag) for tag in tags)
        and all(has_pair(record.properties, property_) for property_ in properties)
        and framework in (None, record.framework)
    ]
    if not latest:
        return tuple(matching)
    largest = {record.name: record for record in sorted(matching, key=lambda record: record.version)}
    return tuple(largest[name] for name in sorted(largest))


def _record(
    request: RegisterRequest, found: FoundFiles, staged: Sequence[StagedFile], version: int, now: datetime
) -> ModelRecord:
    files = [content.file for content in staged]
    samples = files[len(found.sources) :]
    return ModelRecord(
        name=request.name,
        version=version,
        files=tuple(files[: len(found.sources)]),
        created_utc=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        description=request.description,
        tags=dict(request.tags),
        properties=dict(request.properties),
        framework=request.framework,
        framework_version=request.framework_version,
        resources=request.resources,
        sample_input=samples.pop(0) if found.sample_input else None,
        sample_output=samples.pop(0) if found.sample_output else None,
    )
