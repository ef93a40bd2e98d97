"""Python files as sources: what they may give, and whose fault is named where."""

import json
from pathlib import Path

import pytest

from edgepack.errors import InputError
from simulator.devices.generator import Generated, GeneratorFile
from simulator.devices.reading import Reading, SourceEnded


def source(folder: Path, text: str) -> Generated:
    """The file's source for the device d."""
    path = folder / "gen.py"
    path.write_text(text)
    return Generated(GeneratorFile(path), "d")


def body(reading: Reading | None) -> object:
    """What a reading says."""
    assert reading is not None
    return json.loads(reading.body)


def test_function(tmp_path: Path) -> None:
    subject = source(tmp_path, "def generate(device_id, sequence, now_s):\n    return {'d': device_id, 'n': sequence}")
    assert body(subject.measure(3, 1.0)) == {"d": "d", "n": 3}


def test_generator_function_receives_sequence_and_clock(tmp_path: Path) -> None:
    subject = source(
        tmp_path,
        "def generate(device_id, sequence, now_s):\n"
        "    for _ in range(2):\n"
        "        sequence, now_s = yield [sequence, now_s]\n",
    )
    assert [body(subject.measure(1, 5.0)), body(subject.measure(2, 6.0))] == [[1, 5.0], [2, 6.0]]
    with pytest.raises(SourceEnded) as end:
        subject.measure(3, 7.0)
    assert end.value.problem == ""
    subject.reset()
    assert body(subject.measure(4, 8.0)) == [4, 8.0]


def test_bytes_pairs_and_nothing(tmp_path: Path) -> None:
    subject = source(
        tmp_path,
        "def generate(device_id, sequence, now_s):\n"
        "    return [None, b'\\x00\\xff', ({'v': 1}, {'b': 2, 'a': 'x'})][sequence]\n",
    )
    assert subject.measure(0, 0.0) is None
    raw = subject.measure(1, 0.0)
    assert raw is not None
    assert (raw.body, raw.content_type, raw.content_encoding) == (b"\x00\xff", "application/octet-stream", "")
    pair = subject.measure(2, 0.0)
    assert pair is not None
    assert pair.properties == (("a", "x"), ("b", "2"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import math\ndef generate(d, s, n):\n    return helper()\ndef helper():\n    return math.sqrt(-1)", "line 5"),
        ("def generate(d, s, n):\n    raise SystemExit(3)", "line 2: SystemExit: 3"),
        ("def generate(d, s, n):\n    return object()", "cannot be sent"),
        ("def generate(d, s, n):\n    return float('nan')", "cannot be sent"),
        ("def generate(d, s, n):\n    return 1, 2", "pair"),
        ("def generate(d, s, n):\n    return 1, {'$.mid': 2}", "system's"),
        ("def generate(d, s, n):\n    yield 1 / 0", "line 2: ZeroDivisionError"),
    ],
)
def test_errors_name_file_and_line_and_end_the_source(tmp_path: Path, text: str, words: str) -> None:
    subject = source(tmp_path, text)
    with pytest.raises(SourceEnded) as end:
        subject.measure(1, 0.0)
    assert words in end.value.problem
    assert str(tmp_path / "gen.py") in end.value.problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def generate(:", "line 1"),
        ("\nraise ValueError('no')", "line 2: ValueError: no"),
        ("import sys\nsys.exit(1)", "line 2"),
        ("x = 1", "no function generate"),
        ("def generate(device_id): pass", "must take"),
        ("\0", "gen.py"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_once(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=r"gen\.py") as error:
        source(tmp_path, text)
    assert words in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        GeneratorFile(tmp_path / "none.py")
