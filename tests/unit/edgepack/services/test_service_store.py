"""Services on disk: names that would be other places, and keys that two commands change at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack import service
from edgepack.errors import InputError
from edgepack.services.record import AccessKeys, ServiceRequest
from edgepack.services.store import ServiceStore
from edgepack.services.stored import DEPLOYED, StoredService
from edgepack.services.workshop import workshop_of

STORED = StoredService(ServiceRequest("scorer", needs_key=True, folder=Path("/project")), "then", "now", DEPLOYED)


@pytest.mark.parametrize("verb", [service.find, service.delete, service.reload, service.logs, service.keys])
@pytest.mark.parametrize("name", ["../../other/services/scorer", "..", "", "a/b"])
def test_a_name_is_no_path(tmp_path: Path, verb: Callable[[Path, str], object], name: str) -> None:
    ServiceStore(tmp_path / "other").write(STORED)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="is not allowed"):
        verb(tmp_path / "own", name)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_key_that_another_command_has_made_anew_meanwhile_stays_so(tmp_path: Path) -> None:
    class Busy(ServiceStore):
        @contextmanager
        def locked(self, name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
            with super().locked(name, on_wait):
                self.write_keys(name, AccessKeys("first-key", "second-anew"))
                yield

    store = Busy(tmp_path)
    store.write(STORED)
    store.write_keys("scorer", AccessKeys("first-key", "second-key"))
    shop = replace(workshop_of(tmp_path), store=store)
    new = service.renew_key(tmp_path, "scorer", "primary", shop=shop)
    assert new.secondary == "second-anew"
    assert store.read_keys("scorer") == new
    assert new.primary != "first-key"
