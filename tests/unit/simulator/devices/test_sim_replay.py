"""Recordings: types, times, loops, and every wrong line named."""

import json

import pytest

from edgepack.errors import InputError
from simulator.devices.reading import SourceEnded
from simulator.devices.replay import Replay, parse_recording


def bodies(content: bytes, name: str = "x.csv", time_column: str = "") -> list[object]:
    """What a file's lines say."""
    return [json.loads(reading.body) for reading in parse_recording(content, name, time_column).readings]


def problems(content: bytes, name: str = "x.csv", time_column: str = "") -> tuple[str, ...]:
    """What is wrong with a file."""
    with pytest.raises(InputError) as error:
        parse_recording(content, name, time_column)
    return error.value.problems


def test_numbers_stay_numbers() -> None:
    content = b"\xef\xbb\xbfid,t,flag,note,zip,big\r\n1,-2.50,true,,007,1e999\r\n\r\n 12 ,1e2,false,a b,0,NaN\r\n"
    assert bodies(content) == [
        {"id": 1, "t": -2.5, "flag": True, "note": None, "zip": "007", "big": "1e999"},
        {"id": 12, "t": 100.0, "flag": False, "note": "a b", "zip": 0, "big": "NaN"},
    ]


def test_quoted_cells_may_hold_anything() -> None:
    assert bodies(b'a,b\n"x, ""y""\nz",1\n') == [{"a": 'x, "y"\nz', "b": 1}]


def test_json_lines_are_sent_as_they_stand() -> None:
    recording = parse_recording(b'{"a": 1.0, "b": [1e2]}\n\n  [1, 2]  \n', "x.jsonl")
    assert [reading.body for reading in recording.readings] == [b'{"a": 1.0, "b": [1e2]}', b"[1, 2]"]
    assert recording.readings[0].values == {"a": 1.0}


def test_times_give_the_intervals() -> None:
    content = b"t,v\n2026-01-01T00:00:00Z,1\n2026-01-01T00:00:02.5Z,2\n2026-01-01T00:00:03Z,3\n"
    readings = parse_recording(content, "x.csv", "t").readings
    assert [reading.interval_s for reading in readings] == [2.5, 0.5, 0.5]
    readings = parse_recording(b'{"t": 10}\n{"t": 12}\n', "x.jsonl", "t").readings
    assert [reading.interval_s for reading in readings] == [2.0, 2.0]


def test_every_wrong_line_is_named() -> None:
    assert problems(b"a,b\n1,2\n1\n1,2,3\n") == (
        "x.csv, line 3: 1 cells, but the header has 2",
        "x.csv, line 4: 3 cells, but the header has 2",
    )
    found = problems(b'{"t": 1}\n{"t":\n{"t": NaN}\n{"t": "soon"}\n{}\n{"t": 0}\n', "d/x.jsonl", "t")
    assert [text.split(":")[0].split(", column")[0] for text in found] == [
        "d/x.jsonl, line 2",
        "d/x.jsonl, line 3",
        "d/x.jsonl, line 4",
        "d/x.jsonl, line 5",
        "d/x.jsonl, line 6",
    ]


@pytest.mark.parametrize(
    ("content", "name", "column", "word"),
    [
        (b"", "x.csv", "", "no line"),
        (b"a\n", "x.csv", "", "no line"),
        (b"a,a\n1,2\n", "x.csv", "", "header"),
        (b"\xff\xfe", "x.csv", "", "UTF-8"),
        (b"1\n", "x.txt", "", ".csv"),
        (b't\n"1', "x.csv", "", "CSV"),
        (b"t\n5\n5\n", "x.csv", "t", "same in all lines"),
        (b'"' + b"x" * 300_000 + b'"', "x.jsonl", "", "at most"),
    ],
)
def test_what_cannot_be_sent_is_refused(content: bytes, name: str, column: str, word: str) -> None:
    assert word in problems(content, name, column)[0]


def test_many_wrong_lines_are_counted() -> None:
    found = problems(b"a,b\n" + b"1\n" * 1500)
    assert len(found) == 1001
    assert "500 more" in found[-1]


def test_replay_loops_or_ends() -> None:
    recording = parse_recording(b"a\n1\n2\n", "x.csv")
    looping, once = Replay(recording), Replay(recording, loops=False)
    assert [looping.measure(n, 0.0).values["a"] for n in range(1, 6)] == [1, 2, 1, 2, 1]
    looping.reset()
    assert looping.measure(6, 0.0).values["a"] == 1
    once.measure(1, 0.0)
    once.measure(2, 0.0)
    with pytest.raises(SourceEnded):
        once.measure(3, 0.0)
