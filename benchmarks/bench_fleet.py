"""`scripts/bench fleet`: how much one fleet process sends, over TLS, acknowledged, and how many connections it holds.

The other side is tests/fakes/puback_server.py, a process that acknowledges everything; both share this machine.
200-byte messages, QoS 1, each made, sent, acknowledged, reported to the parent and written to the record file. Fails
below 8,000 messages a second, or when the counts of both sides differ.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
KEY = "a" * 43 + "="
LEAST_PER_S = 8000
OFFERED_PER_S = 12_000


class Peer:
    """A process that is asked and answers, a line each."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def tell(self, line: str) -> None:
        """Write a line."""
        stream: Any = self.process.stdin
        stream.write(line + "\n")
        stream.flush()

    def hear(self) -> str:
        """Read a line."""
        stream: Any = self.process.stdout
        text: str = stream.readline()
        return text

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> int:
        """Memory that it has now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def measure(devices: int, seconds: float) -> dict[str, Any]:
    """One fleet of so many devices, for so many seconds from the moment all are connected."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, fleet = Peer("tests/fakes/puback_server.py", name), Peer("-m", "simulator.devices")
        try:
            plan = {
                "host": "localhost",
                "port": int(server.hear()),
                "hub_name": "hub.test",
                "ca_file": str(folder / "ca.pem"),
                "devices": [{"device_id": f"sensor-{number:05d}", "key": KEY} for number in range(devices)],
                "source": {"kind": "temperature", "body_bytes": 200},
                "rate_per_s": OFFERED_PER_S / devices,
                "record_file": str(folder / "record.jsonl"),
            }
            fleet.tell(json.dumps(plan))
            row = watch(fleet, server, devices, seconds)
            server.tell("count")
            counted = json.loads(server.hear())
            if counted["publishes"] - counted["repeats"] != row["acknowledged"]:
                raise SystemExit(f"the server has {counted}, the fleet says {row['acknowledged']}")
            with (folder / "record.jsonl").open() as record:
                if sum(1 for _ in record) != row["acknowledged"]:
                    raise SystemExit("the record file has another number of lines")
            return row
        finally:
            fleet.end()
            server.end()


def watch(fleet: Peer, server: Peer, devices: int, seconds: float) -> dict[str, Any]:
    """Read the reports, stop the fleet in time, and give the figures."""
    row: dict[str, Any] = {"devices": devices, "acknowledged": 0}
    start_s = time.monotonic()
    begun: tuple[float, int, float, float] | None = None
    while line := fleet.hear():
        report = json.loads(line)
        row["acknowledged"] += len(report.get("acked", ()))
        now_s = time.monotonic()
        if report.get("done"):
            row["outstanding"] = report["outstanding"]
            return row
        if begun is None and report["connected"] == devices:
            begun = now_s, row["acknowledged"], fleet.cpu_s(), server.cpu_s()
            row["connected_s"] = round(now_s - start_s, 1)
        if begun is not None and "per_s" not in row and now_s - begun[0] >= seconds:
            took_s = now_s - begun[0]
            row["per_s"] = round((row["acknowledged"] - begun[1]) / took_s)
            row["fleet_cpu"] = round((fleet.cpu_s() - begun[2]) / took_s, 2)
            row["server_cpu"] = round((server.cpu_s() - begun[3]) / took_s, 2)
            row["memory_mb"] = fleet.memory_mb()
            fleet.tell('{"do": "stop"}')
    raise SystemExit("the fleet ended before its time")


def main() -> None:
    """Print the table, and keep it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a short run")
    seconds = 3.0 if parser.parse_args().quick else 15.0
    rows = [measure(devices, seconds) for devices in (20, 200, 2000)]
    print(f"{platform.machine()}, {os.cpu_count()} processors, {OFFERED_PER_S} messages/s offered")
    columns = ("devices", "per_s", "fleet_cpu", "server_cpu", "memory_mb", "connected_s", "outstanding")
    print(" | ".join(columns))
    for row in rows:
        print(" | ".join(str(row[column]).rjust(len(column)) for column in columns))
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "fleet.json").write_text(json.dumps(rows, indent=1))
    if min(row["per_s"] for row in rows) < LEAST_PER_S or any(row["outstanding"] for row in rows):
        raise SystemExit(f"fewer than {LEAST_PER_S} messages a second, or messages left over")


if __name__ == "__main__":
    main()
