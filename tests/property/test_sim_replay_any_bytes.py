"""Recordings of any content: readings that can be sent, or every problem named; numbers come out as they went in."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import InputError
from simulator.devices.replay import Recording, Replay, parse_recording


def read(content: bytes, name: str, time_column: str) -> tuple[Recording | None, tuple[str, ...]]:
    """A recording, or what is wrong."""
    try:
        return parse_recording(content, name, time_column), ()
    except InputError as error:
        return None, error.problems


names = st.sampled_from(["x.csv", "x.jsonl", "x.ndjson", "x.json", "x.txt", "x"])
pieces = st.lists(
    st.sampled_from(
        ["a,b\n", "1,2\n", '"', '"x\ny"', ",", "\r", "\n", "\0", "NaN", "1e999", '{"a": 1}\n', "{", "é", "t\n"]
    )
).map(lambda parts: "".join(parts).encode())
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
columns = st.lists(st.text("abcxyz", min_size=1), min_size=1, max_size=4, unique=True)


@given(
    st.binary(max_size=200) | pieces | st.text().map(lambda text: text.encode("utf-8", "replace")),
    names,
    st.sampled_from(["", "a"]),
)
def test_any_content_gives_readings_or_problems(content: bytes, name: str, time_column: str) -> None:
    """ "All lines that cannot be sent are reported together, with the file and the line." """
    recording, problems = read(content, name, time_column)
    assert all(problem.startswith(name) for problem in problems)
    if recording is None:
        assert problems
        return
    replay = Replay(recording)
    for sequence, expected in enumerate(recording.readings, 1):
        reading = replay.measure(sequence, 0.0)
        assert reading == expected
        json.loads(reading.body, parse_constant=refuse)
        assert (reading.interval_s is None) == (not time_column)
        assert reading.interval_s is None or (reading.interval_s >= 0 and math.isfinite(reading.interval_s))


def refuse(constant: str) -> None:
    """No JSON."""
    raise AssertionError(constant)


@given(columns, st.data())
def test_numbers_stay_numbers(header: list[str], data: st.DataObject) -> None:
    """ "A number stays a number." """
    rows = data.draw(st.lists(st.lists(numbers, min_size=len(header), max_size=len(header)), min_size=1, max_size=5))
    lines = [",".join(header), *(",".join(json.dumps(cell) for cell in row) for row in rows)]
    recording = parse_recording("\n".join(lines).encode(), "x.csv")
    found = [list(json.loads(reading.body).values()) for reading in recording.readings]
    assert found == rows
    assert [[type(cell) for cell in row] for row in found] == [[type(cell) for cell in row] for row in rows]
