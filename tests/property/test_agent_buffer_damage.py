"""A damaged buffer never ends the agent and never gives a wrong message; what lies on whole pages is recovered."""

import logging
import random
import re
import shutil
from pathlib import Path

import pytest

from device_agent.errors import SettingsError
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import Message, message_key

MIB = 1024 * 1024
PAGE = 1024
EVERYTHING = 0, message_key(16, 0), 100_000, 2**30


def message(number: int) -> Message:
    """A message of 0 to 4000 bytes, which tells its number."""
    body = (b"%d-" % number) * (number * 37 % 800 if number % 5 == 0 else number % 30)
    return Message(body, "out", f"id-{number}", priority=number % 4)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, Message]]:
    """The folder of a closed buffer of some hundred pages, with free ones in between, and what is in it."""
    folder = tmp_path_factory.mktemp("original")
    buffer = SqliteBuffer(folder / "b.db", 16 * MIB)
    keys = [
        entry.key
        for start in range(0, 1200, 50)
        for entry in buffer.apply([message(start + n) for n in range(50)]).stored
    ]
    buffer.apply([], [key for place, key in enumerate(keys) if place % 400 < 100])
    buffer.set_aside(keys[120])
    buffer.meta_set("client_id", "the same as ever")
    found = {entry.key: entry.message for entry in buffer.read(*EVERYTHING)}
    buffer.close()
    assert len(found) == 900
    return folder, found


@pytest.fixture
def logged(original: tuple[Path, dict[int, Message]], tmp_path: Path) -> tuple[Path, dict[int, Message]]:
    """The same, after a crash: much of it only in the log."""
    buffer = SqliteBuffer(shutil.copy(original[0] / "b.db", tmp_path / "b.db"), 16 * MIB)
    buffer.apply([message(5000 + number) for number in range(200)])
    found = {entry.key: entry.message for entry in buffer.read(*EVERYTHING)}
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("b.db", "b.db-wal"):
        shutil.copy(tmp_path / name, crashed / name)
    buffer.close()
    return crashed, found


def read_all(path: Path) -> tuple[dict[int, Message], str | None]:
    """What is left, by key, and the client id. The buffer works afterwards."""
    buffer = SqliteBuffer(path, 16 * MIB)
    try:
        client_id = buffer.meta_get("client_id")
        found: dict[int, Message] = {}
        for _ in range(5):  # what SQLite does not find is missed, and searched for, when the rest is gone
            found |= {entry.key: entry.message for entry in buffer.read(*EVERYTHING)}
            buffer.apply([], found)
            if buffer.figures()[:2] == (0, 0):
                break
        assert buffer.figures()[:2] == (0, 0)
        stored = buffer.apply([message(9999)]).stored
        assert buffer.read(*EVERYTHING) == stored
        buffer.apply([], [stored[0].key])
        return found, client_id
    finally:
        buffer.close()


def damage(content: bytearray, choice: random.Random) -> None:
    """Do something bad to it."""
    kind = choice.choice(("flip", "zero", "noise", "truncate", "pages"))
    place = choice.randrange(len(content))
    if kind == "flip":
        for _ in range(choice.choice((1, 3, 50))):
            content[choice.randrange(len(content))] ^= 1 << choice.randrange(8)
    elif kind == "truncate":
        del content[place:]
    elif kind == "pages":
        for _ in range(choice.choice((1, 5))):
            start = choice.randrange(len(content) // PAGE) * PAGE
            content[start : start + PAGE] = bytes(PAGE)
    else:
        length = min(choice.choice((1, 10, 512, 4096, 20_000)), len(content) - place)
        content[place : place + length] = bytes(length) if kind == "zero" else choice.randbytes(length)


@pytest.mark.parametrize("seed", range(60))
def test_any_damage_is_survived_and_no_message_is_wrong(
    original: tuple[Path, dict[int, Message]], tmp_path: Path, seed: int
) -> None:
    choice = random.Random(seed)  # noqa: S311
    folder, whole = original
    path = tmp_path / "b.db"
    content = bytearray((folder / "b.db").read_bytes())
    damage(content, choice)
    path.write_bytes(content)
    is_foreign = content[68:72] != b"EPKB" or int.from_bytes(content[60:64]) > 1
    if is_foreign and any(content[:100]):
        with pytest.raises(SettingsError, match=r"not a buffer|newer agent"):
            SqliteBuffer(path, 16 * MIB)
        assert path.read_bytes() == content
        return
    found, _ = read_all(path)
    for key, entry in found.items():
        assert entry == message(int(entry.message_id[3:]))
        assert whole.get(key, entry) == entry


@pytest.mark.parametrize("seed", range(15))
def test_damage_to_the_log_is_survived(logged: tuple[Path, dict[int, Message]], seed: int) -> None:
    choice = random.Random(seed)  # noqa: S311
    folder, whole = logged
    content = bytearray((folder / "b.db-wal").read_bytes())
    damage(content, choice)
    (folder / "b.db-wal").write_bytes(content)
    found, _ = read_all(folder / "b.db")
    assert all(whole[key] == entry for key, entry in found.items())
    assert sum(key in found for key in whole) >= 900


def pages_of(path: Path) -> int:
    return path.stat().st_size // PAGE


@pytest.mark.parametrize("page", [1, 2, 3, 4, 7, 40, 100, 207, 208, 300])
@pytest.mark.parametrize("content", [bytes(PAGE), b"\xff" * PAGE, b"\r" + bytes(PAGE - 1)])
def test_a_page_that_is_gone_costs_its_own_rows_only(
    original: tuple[Path, dict[int, Message]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    page: int,
    content: bytes,
) -> None:
    path = Path(shutil.copy(original[0] / "b.db", tmp_path / "b.db"))
    assert page <= pages_of(path)
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content)
    if page == 1 and content[0]:
        with pytest.raises(SettingsError, match="not a buffer"):
            SqliteBuffer(path, 16 * MIB)
        return
    with caplog.at_level(logging.ERROR, "edgepack.agent"):
        found, client_id = read_all(path)
    assert client_id in ("the same as ever", None)
    missing = original[1].keys() - found.keys()
    assert len(missing) <= 30
    assert all(original[1][key] == entry for key, entry in found.items() if key in original[1])
    back = found.keys() - original[1].keys()
    assert not back, "removed messages have come back"
    aside = list(tmp_path.glob("b.db.damaged-*"))
    if missing or page == 1:
        assert len(aside) == 1
        told = sum(int(count) for count in re.findall(r"recovered, (?:at least )?(\d+) are lost", caplog.text))
        assert told >= len(missing) or "is unknown" in caplog.text
        assert "was damaged" in caplog.text
        assert str(aside[0]) in caplog.text


def test_a_header_that_is_gone_costs_nothing(original: tuple[Path, dict[int, Message]], tmp_path: Path) -> None:
    path = Path(shutil.copy(original[0] / "b.db", tmp_path / "b.db"))
    for place in (0, 16, 20, 44, 52, 56, 64):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\0\0\0\0" if place in (44, 52, 56, 64) else b"??")
        buffer = SqliteBuffer(path, 16 * MIB)
        assert {entry.key: entry.message for entry in buffer.read(*EVERYTHING)} == original[1]
        assert buffer.meta_get("client_id") == "the same as ever"
        buffer.close()


def test_damage_that_shows_while_it_runs_is_repaired(
    original: tuple[Path, dict[int, Message]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(shutil.copy(original[0] / "b.db", tmp_path / "b.db"))
    buffer = SqliteBuffer(path, 16 * MIB)
    first = buffer.read(0, message_key(16, 0), 10, MIB)
    content = bytearray(path.read_bytes())
    with path.open("r+b") as file:
        for start in range(120 * PAGE, 130 * PAGE, PAGE):
            file.seek(start)
            file.write(bytes(PAGE))
    with caplog.at_level(logging.ERROR, "edgepack.agent"):
        found = {entry.key: entry.message for entry in buffer.read(*EVERYTHING)}
    assert first == buffer.read(0, message_key(16, 0), 10, MIB)
    lost = len(original[1]) - len(found)
    assert 0 < lost < 200
    assert buffer.figures().damaged == lost
    assert buffer.figures().messages + buffer.figures().set_aside == len(found)
    assert f"recovered, {lost} are lost;" in caplog.text
    assert buffer.apply([message(1)]).stored
    buffer.close()
    assert len(content) == len(next(tmp_path.glob("*.damaged-*")).read_bytes())


def test_a_row_whose_checksum_is_wrong_is_left_out(original: tuple[Path, dict[int, Message]], tmp_path: Path) -> None:
    path = Path(shutil.copy(original[0] / "b.db", tmp_path / "b.db"))
    content = path.read_bytes()
    place = content.index(b"id-603")
    path.write_bytes(content[:place] + b"id-604" + content[place + 6 :])
    buffer = SqliteBuffer(path, 16 * MIB)
    found = [entry.message.message_id for entry in buffer.read(*EVERYTHING)]
    assert len(found) == 899
    assert "id-603" not in found
    assert found.count("id-604") == 1
    assert buffer.figures().damaged == 1
    buffer.close()


def wipe(path: Path, start: int, end: int) -> None:
    """Zero these pages, the first of which is 1."""
    with path.open("r+b") as file:
        file.seek((start - 1) * PAGE)
        file.write(bytes((end - start + 1) * PAGE))


def test_what_is_lost_is_told_exactly_after_an_orderly_end(
    original: tuple[Path, dict[int, Message]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(shutil.copy(original[0] / "b.db", tmp_path / "b.db"))
    wipe(path, 1, 1)
    wipe(path, 120, 129)
    buffer = SqliteBuffer(path, 16 * MIB)
    lost = len(original[1]) - len(buffer.read(*EVERYTHING))
    assert lost > 0
    assert f"recovered, {lost} are lost;" in caplog.text
    assert buffer.figures().damaged == lost
    buffer.close()


def test_what_is_lost_is_told_exactly_when_the_damage_is_found_after_a_disk_error(
    original: tuple[Path, dict[int, Message]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(shutil.copy(original[0] / "b.db", tmp_path / "b.db"))
    buffer = SqliteBuffer(path, 16 * MIB)
    buffer.apply([message(number) for number in range(2000, 2010)])
    buffer._let_go()
    wipe(path, 1, 1)
    wipe(path, 120, 129)
    lost = len(original[1]) + 10 - len(buffer.read(*EVERYTHING))
    assert lost > 0
    assert f"recovered, {lost} are lost;" in caplog.text
    assert buffer.figures().damaged == lost
    buffer.close()


def test_what_cannot_be_known_is_not_told_as_nothing(
    logged: tuple[Path, dict[int, Message]], caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = logged
    path = folder / "b.db"
    (folder / "b.db-wal").write_bytes(b"nothing")
    wipe(path, 1, 1)
    wipe(path, 120, 129)
    buffer = SqliteBuffer(path, 16 * MIB)
    assert re.search(r"recovered, .*(how many are lost|lost, how many) is unknown;", caplog.text)
    buffer.close()
