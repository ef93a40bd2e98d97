"""What is kept of requests and answers, and that nothing of it holds up or harms a request."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.capture import Capture, Captured, CapturingScorer, encode_captured
from device_agent.collected_data import DataFolder
from device_agent.collected_place import Place, device_place
from device_agent.scorer import ScoringRequest, ScoringResult, refuse
from tests.unit.device_agent.answering import Answering

PLACE = device_place({"IOTEDGE_DEVICEID": "press-7", "IOTEDGE_MODULEID": "scorer"}, "requests")


@contextmanager
def capturing(folder: DataFolder, **options: Any) -> Iterator[Capture]:
    capture = Capture(folder, PLACE, **{"percent": 100, "body_bytes": 1000, **options})
    try:
        yield capture
    finally:
        capture.close()


def records_in(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in root.rglob("*.jsonl") for line in file.read_bytes().splitlines()]


def test_a_request_and_its_answer_are_one_record_below_device_and_module(tmp_path: Path) -> None:
    answers: list[ScoringResult] = []
    with capturing(DataFolder(tmp_path)) as capture:
        scorer = CapturingScorer(Answering(ScoringResult(b'{"label": "good"}')), capture)
        scorer.submit(ScoringRequest(b'{"data": [[1, 2.5]]}', request_id="r-1"), answers.append)
    assert [answer.body for answer in answers] == [b'{"label": "good"}']
    (record,) = records_in(tmp_path / "modelDataCollector" / "press-7" / "scorer" / "requests")
    assert (record["id"], record["status"], record["request"]) == ("r-1", 200, {"data": [[1, 2.5]]})
    assert record["response"] == {"label": "good"}
    assert record.keys() == {"time", "id", "status", "ms", "request", "response"}
    assert (capture.kept, capture.lost) == (1, 0)


def test_what_the_agent_refuses_is_not_kept(tmp_path: Path) -> None:
    with capturing(DataFolder(tmp_path)) as capture:
        CapturingScorer(Answering(refuse("no")), capture).submit(ScoringRequest(b"1"), lambda _result: None)
    assert records_in(tmp_path) == []


def test_a_share_is_kept(tmp_path: Path) -> None:
    chances = iter([0.0, 0.099, 0.1, 0.5, 0.999])
    with capturing(DataFolder(tmp_path), percent=10, chance=lambda: next(chances)) as capture:
        scorer = CapturingScorer(Answering(ScoringResult(b"1")), capture)
        for number in range(5):
            scorer.submit(ScoringRequest(b"%d" % number), lambda _result: None)
    assert [record["request"] for record in records_in(tmp_path)] == [0, 1]


@given(
    request=st.binary(max_size=60), response=st.binary(max_size=60), at_s=st.floats(0, 4e9), limit=st.integers(0, 50)
)
def test_every_record_is_a_line_of_json_that_holds_the_bodies(
    request: bytes, response: bytes, at_s: float, limit: int
) -> None:
    line = encode_captured(Captured(at_s, 0.5, ScoringRequest(request), ScoringResult(response)), limit)
    assert line.count(b"\n") == 1
    record = json.loads(line)
    for name, body in (("request", request), ("response", response)):
        match record.get(f"{name}_encoding"):
            case "left_out":
                assert len(body) > limit
                assert record[f"{name}_bytes"] == len(body)
            case "text":
                assert record[name].encode() == body
            case "base64":
                with pytest.raises(UnicodeDecodeError):
                    body.decode()
            case None:
                assert json.dumps(record[name]) == json.dumps(json.loads(body))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'"\\ud800"', b"\xff\x00"])
def test_bodies_that_are_no_sound_json_are_kept_as_they_came(body: bytes) -> None:
    line = encode_captured(Captured(0.0, 0.0, ScoringRequest(body), ScoringResult(b"1")), 2**20)
    record = json.loads(line)
    assert record["request_encoding"] in ("text", "base64")
    assert record["time"] == "1970-01-01T00:00:00.000Z"


class Stuck(DataFolder):
    """A folder whose disk hangs until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun = threading.Event()
        self.goes_on = threading.Event()

    def append(self, place: Place, rows: bytes, header: bytes = b"") -> bool:
        self.begun.set()
        assert self.goes_on.wait(20)
        return super().append(place, rows, header)


def test_a_disk_that_hangs_costs_records_and_never_a_request(tmp_path: Path) -> None:
    folder = Stuck(tmp_path)
    answers: list[ScoringResult] = []
    with capturing(folder) as capture:
        scorer = CapturingScorer(Answering(ScoringResult(b"1")), capture)
        scorer.submit(ScoringRequest(b"0"), answers.append)
        assert folder.begun.wait(20)
        for _ in range(6000):
            scorer.submit(ScoringRequest(b"1"), answers.append)
        assert len(answers) == 6001
        assert capture.lost == 6000 - 4096
        folder.goes_on.set()
        capture.close()
    assert len(records_in(tmp_path)) == capture.kept == 1 + 4096


class Counting(DataFolder):
    """A folder that counts its appends."""

    appends = 0

    def append(self, place: Place, rows: bytes, header: bytes = b"") -> bool:
        self.appends += 1
        return super().append(place, rows, header)


def test_what_comes_close_together_is_written_together(tmp_path: Path) -> None:
    folder = Counting(tmp_path)
    with capturing(folder) as capture:
        scorer = CapturingScorer(Answering(ScoringResult(b"1")), capture)
        for number in range(1000):
            scorer.submit(ScoringRequest(b"%d" % number), lambda _result: None)
    assert [record["request"] for record in records_in(tmp_path)] == list(range(1000))
    assert capture.kept == 1000
    assert folder.appends < 100


def test_what_the_disk_does_not_take_is_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with capturing(DataFolder(tmp_path / "file")) as capture:
        CapturingScorer(Answering(ScoringResult(b"1")), capture).submit(ScoringRequest(b"0"), lambda _result: None)
    assert (capture.kept, capture.lost) == (0, 1)
