"""Every request of a push fails in turn, in every way: the push succeeds all the same, and what is stored is exact."""

from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError, RemoteError
from edgepack.oci.layout import blob_path
from edgepack.oci.validate import verify_layout
from edgepack.pull import pull_image
from edgepack.push import push_image
from tests.fakes.fake_registry import CUTS, Answer, FakeRegistry, Settings
from tests.fakes.registry_world import assert_stored, client, tree_of, write_image

FAULTS: dict[str, str | Answer] = {
    **{cut: cut for cut in CUTS},
    "429": Answer(429, {"Retry-After": "1"}),
    "500": Answer(500, {}),
}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return write_image(tmp_path)


def requests_of_a_push(layout: Path, settings: Settings, tmp_path: Path) -> int:
    with FakeRegistry(settings) as fake, client(fake) as registry:
        push_image(layout, registry, cache=tmp_path / "cache")
        return len(fake.asked)


@pytest.mark.parametrize(("fault", "keeps_parts"), [*((fault, True) for fault in FAULTS), ("cut within", False)])
def test_a_push_survives_any_one_fault(layout: Path, tmp_path: Path, fault: str, keeps_parts: bool) -> None:
    count = requests_of_a_push(layout, Settings(), tmp_path)
    assert count > 20
    for number in range(1, count + 1):
        with FakeRegistry(Settings(keeps_parts=keeps_parts)) as fake, client(fake) as registry:
            fake.faults[number] = FAULTS[fault]
            push_image(layout, registry, cache=tmp_path / str(number))
            assert_stored(fake, layout)


@pytest.mark.parametrize("fault", ["cut before", "cut answer", "500"])
def test_a_pull_survives_any_one_fault(layout: Path, tmp_path: Path, fault: str) -> None:
    with FakeRegistry() as fake:
        with client(fake) as registry:
            push_image(layout, registry, cache=tmp_path / "cache")
        before = len(fake.asked)
        with client(fake) as registry:
            pull_image(registry, tmp_path / "0", cache=tmp_path / "cache")
        count = len(fake.asked) - before
        assert count == 10  # the probe, three documents, six blobs
        for number in range(1, count + 1):
            fake.faults = {len(fake.asked) + number: FAULTS[fault]}
            with client(fake) as registry:
                pull_image(registry, tmp_path / str(number), cache=tmp_path / "cache")
            assert verify_layout(tmp_path / str(number)).index.digest == tree_of(layout).root.digest


@pytest.mark.parametrize("fault", ["cut before", "cut within", "cut after", "500"])
def test_what_a_push_leaves_that_failed_for_good_is_used_by_the_next(layout: Path, tmp_path: Path, fault: str) -> None:
    count = requests_of_a_push(layout, Settings(), tmp_path)
    for last in range(0, count, 5):
        with FakeRegistry() as fake:
            fake.faults.update(dict.fromkeys(range(last + 1, 1000), FAULTS[fault]))
            with client(fake) as registry, pytest.raises(RemoteError):
                push_image(layout, registry, cache=tmp_path / str(last))
            stored = set(fake.repository("team/digits").blobs)
            fake.faults.clear()
            with client(fake) as registry:
                report = push_image(layout, registry, cache=tmp_path / str(last))
            assert_stored(fake, layout)
            assert report.count("present") >= len(stored)


def test_a_lasting_fault_is_told_with_the_number_of_attempts(layout: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with FakeRegistry() as fake, client(fake, say=said.append) as registry:
        fake.faults.update(dict.fromkeys(range(1, 1000), Answer(502, {})))
        with pytest.raises(RemoteError, match=r"answered 502; tried 6 times") as caught:
            push_image(layout, registry, cache=tmp_path / "cache")
    assert caught.value.exit_code == 3
    assert any("trying again in" in text for text in said)


def test_a_wait_that_is_too_long_is_not_waited_for(layout: Path, tmp_path: Path) -> None:
    with FakeRegistry() as fake, client(fake) as registry:
        fake.faults.update(dict.fromkeys(range(1, 1000), Answer(429, {"Retry-After": "3600"})))
        with pytest.raises(RemoteError, match="tried once; it asks for a wait of 3600 s"):
            push_image(layout, registry, cache=tmp_path / "cache")


def test_a_damaged_blob_is_not_sent(layout: Path, tmp_path: Path) -> None:
    largest = tree_of(layout).blobs[0]
    path = blob_path(layout, largest.digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # another file: the cache has the former one
    path.write_bytes(content)
    with FakeRegistry() as fake, client(fake) as registry:
        with pytest.raises(DamagedDataError, match=largest.digest):
            push_image(layout, registry, cache=tmp_path / "cache")
        assert largest.digest not in fake.repository("team/digits").blobs
        assert not fake.repository("team/digits").tags
