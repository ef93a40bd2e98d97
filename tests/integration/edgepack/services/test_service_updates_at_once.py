"""Several processes that change the labels of one service at the same time: none undoes what another has done."""

import subprocess
import sys
from pathlib import Path

from edgepack.services.record import ServiceRequest
from edgepack.services.store import ServiceStore
from edgepack.services.stored import DEPLOYED, Instance, StoredService

EDGEPACK = str(Path(sys.executable).with_name("edgepack"))
PROCESSES = 8


def test_updates_at_once_all_hold(tmp_path: Path) -> None:
    store = ServiceStore(tmp_path)
    request = ServiceRequest("scorer", tags={"kept": "1", **{f"old-{number}": "1" for number in range(PROCESSES)}})
    store.write(StoredService(request, "then", "now", DEPLOYED, Instance("life"), 6789, True))
    update = [EDGEPACK, "--workspace", str(tmp_path), "service", "update", "scorer"]
    with store.locked("scorer"):
        started = [
            subprocess.Popen(
                [
                    *update,
                    "--tag",
                    f"new-{number}={number}",
                    "--remove-tag",
                    f"old-{number}",
                    "--property",
                    f"p{number}=x",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(PROCESSES)
        ]
        for process in started:
            assert process.stderr is not None
            assert "another command is at work on scorer" in process.stderr.readline()
    ends = [process.communicate(timeout=60)[1] for process in started]
    assert [(process.returncode, end) for process, end in zip(started, ends, strict=True)] == [(0, "")] * PROCESSES
    found = store.read("scorer").request
    assert found.tags == {"kept": "1", **{f"new-{number}": str(number) for number in range(PROCESSES)}}
    assert found.properties == {f"p{number}": "x" for number in range(PROCESSES)}
