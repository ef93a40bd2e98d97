"""An agent that keeps what it scores: below its data folder, as `edgepack drift` reads it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from edgepack.drift.reading import read_table
from tests.integration.device_agent.agent_under_test import agent_process, served, wait_until

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


def parquet_settings(data: Path) -> dict[str, str]:
    """Of an agent that keeps all it scores, in small files that become Parquet."""
    return {
        "EDGEPACK_CAPTURE_PERCENT": "100",
        "EDGEPACK_CAPTURE_FORMAT": "parquet",
        "EDGEPACK_DATA_PATH": str(data),
        "EDGEPACK_DATA_MAX_BYTES": "200000",
        "IOTEDGE_DEVICEID": "press-7",
        "IOTEDGE_MODULEID": "scorer",
    }


def suffixes(data: Path) -> list[str]:
    """Of all pieces, one each."""
    return sorted(file.suffix for file in data.rglob("*") if file.suffix in (".jsonl", ".parquet", ".part"))


def test_finished_pieces_become_parquet_also_after_a_kill_and_drift_reads_both(tmp_path: Path) -> None:
    data = tmp_path / "data"
    more = parquet_settings(data)
    count = 300
    with served(tmp_path, SCRIPT, **more) as agent:
        with httpx.Client(base_url=agent.url) as client:
            for number in range(count):
                assert client.post("/score", json={"data": [[number, 1]], "note": "x" * 100}).status_code == 200
        wait_until(lambda: metric(agent.url, "edgepack_captured_requests_total") == count, "all are kept")
        agent.stop(signal.SIGKILL)
        assert agent.exit_code() == -signal.SIGKILL
    assert ".jsonl" in suffixes(data)
    with max(data.rglob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns).open("ab") as file:
        file.write(b'{"time":"2026-11-26T10:00:00.123Z","id":"torn')
    with served(tmp_path, SCRIPT, **more) as agent:
        wait_until(lambda: set(suffixes(data)) == {".parquet"}, "what the first has left is turned", 90.0)
        wait_until(lambda: metric(agent.url, "edgepack_capture_lost_total") == 1, "the torn line is counted")
        assert not (children := list(memory_maps(agent.process.pid, "arrow"))), children
        assert agent.post({"data": [[count, 1]]}).status_code == 200
        agent.stop()
        assert agent.exit_code() == 0
    assert set(suffixes(data)) == {".parquet", ".jsonl"}
    assert sorted(read_table(data).columns["0"]) == list(range(count + 1))
    baseline = tmp_path / "training.csv"
    baseline.write_text("0,1\n" + "".join(f"{number},1\n" for number in range(count + 1)))
    command = [str(Path(sys.executable).with_name("edgepack")), "drift", "--baseline", str(baseline)]
    done = subprocess.run([*command, "--current", str(data), "--json"], capture_output=True, text=True, check=True)
    features = {each["name"]: each for each in json.loads(done.stdout)["features"]}
    assert features["0"]["psi"] < 0.01


def metric(url: str, name: str) -> float:
    """One figure of /metrics."""
    for line in httpx.get(f"{url}/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no {name}")


def memory_maps(pid: int, word: str) -> Iterator[str]:
    """Lines of the files that a process has in memory."""
    return (line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if word in line)


def test_without_pyarrow_the_agent_ends_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as it\nfind = it.find_spec\n"
        "it.find_spec = lambda name, package=None: None if name == 'pyarrow' else find(name, package)\n"
    )
    more = {**parquet_settings(tmp_path / "data"), "PYTHONPATH": f"{hidden}:{Path(__file__).parents[3]}"}
    with agent_process(tmp_path, "--entry-script", "score.py", **more) as agent:
        assert agent.exit_code() == 2
        told = "\n".join([*agent.output, *agent.errors])
    assert "pyarrow is not installed here: add pyarrow to the packages of the conda file" in told
    assert "Traceback" not in told
