"""An agent that keeps what it scores: below its data folder, as `edgepack drift` reads it."""

import json
from pathlib import Path
from typing import Any

import httpx

from edgepack.drift.reading import read_table
from tests.integration.device_agent.agent_under_test import served, wait_until

SCRIPT = """
import json
def init(): pass
def run(data):
    rows = json.loads(data)["data"]
    return [sum(row) for row in rows]
"""


def records_in(folder: Path) -> list[dict[str, Any]]:
    files = folder.glob("modelDataCollector/press-7/scorer/requests/*/*/*/*/*.jsonl")
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def test_requests_are_kept_and_read_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(
        tmp_path,
        SCRIPT,
        EDGEPACK_CAPTURE_PERCENT="100",
        EDGEPACK_DATA_PATH=str(data),
        IOTEDGE_DEVICEID="press-7",
        IOTEDGE_MODULEID="scorer",
    ) as agent:
        answer = agent.post({"data": [[1, 2], [3, 4]]}, Authorization="Bearer a-secret-key")
        assert answer.json() == [3, 7]
        assert agent.post({"wrong": 1}).status_code == 500
        assert agent.post({"data": [[5, 6]]}).status_code == 200
        wait_until(lambda: len(records_in(data)) == 3, "three records")
        figures = httpx.get(f"{agent.url}/metrics").text
        assert "edgepack_captured_requests_total 3\n" in figures
        assert "edgepack_capture_lost_total 0\n" in figures
        agent.post({"data": [[7, 8]]})
        agent.stop()
        assert agent.exit_code() == 0
    first, failed, *_, last = records_in(data)
    assert (first["id"], first["status"]) == (answer.headers["x-ms-request-id"], 200)
    assert first["request"] == {"data": [[1, 2], [3, 4]]}
    assert (failed["status"], failed["request"]) == (500, {"wrong": 1})
    assert last["response"] == [15]
    assert "a-secret-key" not in "".join(file.read_text() for file in data.rglob("*.jsonl"))
    table = read_table(data)
    assert {name: list(values) for name, values in table.columns.items()} == {"0": [1, 3, 5, 7], "1": [2, 4, 6, 8]}
