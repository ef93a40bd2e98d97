"""Pieces of captured records as an agent leaves them, and what readers find in their place."""

import json
from pathlib import Path
from typing import Any

from pyarrow import parquet

from device_agent.capture import Captured, encode_captured
from device_agent.collected_data import DataFolder
from device_agent.collected_place import Place, device_place
from device_agent.parquet_pieces import Report, turn_finished
from device_agent.scorer import ScoringRequest, ScoringResult
from tests.unit.device_agent.collected_world import NOON

PLACE = device_place({"IOTEDGE_DEVICEID": "press-7", "IOTEDGE_MODULEID": "scorer"}, "requests")
HOUR = "modelDataCollector/press-7/scorer/requests/2024/06/01/12"
LATER = NOON + 3600


def line(number: int, request: bytes | None = None, response: bytes = b"[0]", body_bytes: int = 1000) -> bytes:
    """The line of a request with this id."""
    asked = ScoringRequest(b'{"data":[[%d,0.5]]}' % number if request is None else request, request_id=f"r-{number}")
    return encode_captured(Captured(NOON + number / 1000, 0.25, asked, ScoringResult(response)), body_bytes)


def append(folder: DataFolder, *numbers: int, place: Place = PLACE) -> None:
    """Keep these."""
    assert folder.append(place, b"".join(map(line, numbers)))


def turn(folder: DataFolder, now_s: float = LATER, instance: str = PLACE.name) -> Report:
    """Turn what is finished."""
    return turn_finished(folder.bounds, PLACE, instance, now_s)


def rows_in(file: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    found: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return found


def ids_read(root: Path) -> list[str]:
    """What a reader finds that leaves out pieces beside which their Parquet stands, in no order."""
    found: list[str] = []
    for file in root.rglob("*"):
        if file.suffix == ".parquet":
            found += [row["id"] for row in rows_in(file)]
        elif file.suffix == ".jsonl" and not file.with_suffix(".parquet").exists():
            found += [json.loads(each)["id"] for each in file.read_bytes().splitlines()]
    return sorted(found)
