"""`scripts/bench simulator`: messages a second from device to ledger, connections held, start to first message.

The peer is mosquitto with one plain subscriber (paho-mqtt, QoS 1, counts and does nothing else): what a broker in C
makes of the same fleet over the same TLS on the same cores. The fleet is the simulator's own in both, 200-byte
messages, QoS 1. Interleaved rounds, medians. With the simulator every message is routed, stored, delivered, written to
cloud.jsonl, and booked in the ledger.
"""

import argparse
import asyncio
import base64
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from simulator.control_client import ControlClient  # noqa: E402
from simulator.snapshot import Snapshot  # noqa: E402
from tests.integration.device_agent.messages.mosquitto_server import MosquittoServer  # noqa: E402

EDGEPACK = Path(sys.executable).with_name("edgepack")
DEVICES, RATE_PER_S = 200, 60.0
WANTED_PER_S, WANTED_CONNECTED, WANTED_START_S = 5000, 2000, 2.0
GENERATOR = """
def generate(device_id, sequence, now_s):
    return {"device": device_id, "sequence": sequence, "at": now_s, "filler": "x" * 120}
"""
SUBSCRIBER = """
import sys, time
import paho.mqtt.client as mqtt
count = 0
def on_message(client, userdata, message):
    global count
    count += 1
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="subscriber")
client.tls_set(sys.argv[2])
client.on_connect = lambda client, *_: client.subscribe("devices/#", 1)
client.on_message = on_message
client.connect("localhost", int(sys.argv[1]))
client.loop_start()
for _ in sys.stdin:
    print(count, flush=True)
"""


class Simulator:
    """`edgepack simulate` as a child process."""

    def __init__(self, folder: Path, devices: int, rate_per_s: float) -> None:
        self.folder = folder
        (folder / "source.py").write_text(GENERATOR)
        self.info = folder / "info.json"
        self.began_s = time.time()
        self.process = subprocess.Popen(
            [
                *(EDGEPACK, "-q", "--workspace", folder / "w", "simulate", "--port", "0", "--no-ui"),
                *("--info", self.info, "--devices", str(devices), "--rate", str(rate_per_s)),
                *("--source", str(folder / "source.py")),
            ],
            stdout=subprocess.PIPE,
        )
        while not self.info.exists():
            if self.process.poll() is not None:
                raise SystemExit("the simulator has ended")
            time.sleep(0.005)
        self.control = Path(json.loads(self.info.read_text())["control"])

    def snapshot(self) -> Snapshot:
        """What it looks like now."""

        async def ask() -> Snapshot:
            async with ControlClient(self.control) as client:
                return await client.snapshot()

        return asyncio.run(ask())

    def memory_mb(self) -> float:
        """Resident memory of the process with the hubs."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self) -> str:
        """End it in order; what it printed."""
        self.process.terminate()
        return self.process.communicate(timeout=120)[0].decode()


def rate_of(count: Callable[[], int], seconds: float) -> float:
    """How fast a count grows."""
    before, before_s = count(), time.monotonic()
    time.sleep(seconds)
    return (count() - before) / (time.monotonic() - before_s)


def simulator_rate(folder: Path, seconds: float) -> float:
    """Messages a second that arrive in the ledger as delivered."""
    simulator = Simulator(folder, DEVICES, RATE_PER_S)
    while simulator.snapshot().devices_connected < DEVICES:
        time.sleep(0.1)
    rate = rate_of(lambda: simulator.snapshot().ledger.delivered, seconds)
    told = simulator.end()
    if not told.startswith("nothing lost"):
        raise SystemExit(told)
    return rate


def mosquitto_rate(folder: Path, seconds: float) -> float:
    """Messages a second that arrive at the plain subscriber."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    (folder / "source.py").write_text(GENERATOR)
    lines = [
        f"certfile {folder}/server.pem",
        f"keyfile {folder}/server.key",
        "max_inflight_messages 0",
        "log_type error",
    ]
    with MosquittoServer(folder, lines) as broker:
        subscriber = subprocess.Popen(
            [sys.executable, "-c", SUBSCRIBER, str(broker.port), str(folder / "ca.pem")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        key = base64.b64encode(b"k" * 32).decode()
        plan = {
            "host": "localhost",
            "port": broker.port,
            "hub_name": "localhost",
            "ca_file": str(folder / "ca.pem"),
            "devices": [{"device_id": f"sensor-{number:04}", "key": key} for number in range(DEVICES)],
            "source": {"kind": "generator", "file": str(folder / "source.py")},
            "rate_per_s": RATE_PER_S,
            "listen": False,
            "record_file": str(folder / "devices.jsonl"),
        }
        fleet = subprocess.Popen(
            [sys.executable, "-m", "simulator.devices"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        ask, hear, orders = subscriber.stdin, subscriber.stdout, fleet.stdin
        if ask is None or hear is None or orders is None:
            raise SystemExit("no pipes")
        orders.write(json.dumps(plan) + "\n")
        orders.flush()

        def count() -> int:
            ask.write("?\n")
            ask.flush()
            return int(hear.readline())

        time.sleep(DEVICES / 200 + 2)
        rate = rate_of(count, seconds)
        for process in (fleet, subscriber):
            process.kill()
            process.communicate()
    return rate


def start_s(folder: Path) -> float:
    """From the command's start to the first message in the cloud."""
    simulator = Simulator(folder, 1, 5.0)
    while not simulator.snapshot().ledger.delivered:
        time.sleep(0.005)
    simulator.end()
    first = json.loads((folder / "w" / "simulation" / "cloud.jsonl").read_text().splitlines()[0])
    return float(first["at"]) - simulator.began_s


def held(folder: Path, seconds: float) -> dict[str, float]:
    """2,000 devices at once: how long until all are connected, memory, messages a second, what was lost."""
    simulator = Simulator(folder, WANTED_CONNECTED, 2.0)
    began_s = time.monotonic()
    while simulator.snapshot().devices_connected < WANTED_CONNECTED:
        time.sleep(0.1)
    connected_s = time.monotonic() - began_s
    rate = rate_of(lambda: simulator.snapshot().ledger.delivered, seconds)
    memory_mb, connected = simulator.memory_mb(), simulator.snapshot().devices_connected
    told = simulator.end()
    if not told.startswith("nothing lost"):
        raise SystemExit(told)
    return {"connected": connected, "connected_s": connected_s, "per_s": rate, "memory_mb": memory_mb}


def main() -> None:
    """Print the table, and keep it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one short round")
    is_quick = parser.parse_args().quick
    rounds, seconds = (1, 3.0) if is_quick else (5, 8.0)
    rates: dict[str, list[float]] = {"simulator": [], "mosquitto": []}
    starts = []
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            for name, measure in (("simulator", simulator_rate), ("mosquitto", mosquitto_rate)):
                folder = Path(place) / f"{name}-{number}"
                folder.mkdir()
                rates[name].append(measure(folder, seconds))
            folder = Path(place) / f"start-{number}"
            folder.mkdir()
            starts.append(start_s(folder))
        folder = Path(place) / "held"
        folder.mkdir()
        crowd = held(folder, seconds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{platform.machine()}, {os.cpu_count()} processors, paho-mqtt {importlib.metadata.version('paho-mqtt')}")
    print(f"{DEVICES} devices offer {DEVICES * RATE_PER_S:.0f} messages/s of 200 bytes; {rounds} rounds, medians")
    rows: list[tuple[str, str, str, bool]] = [
        (
            "device to ledger, messages/s",
            _spread(rates["simulator"]),
            f">= {WANTED_PER_S}",
            medians["simulator"] >= WANTED_PER_S,
        ),
        ("mosquitto and a plain subscriber, messages/s", _spread(rates["mosquitto"]), "the limit", True),
        (
            "start to first message, s",
            _spread(starts),
            f"< {WANTED_START_S:g}",
            statistics.median(starts) < WANTED_START_S,
        ),
        (
            f"devices connected at once (after {crowd['connected_s']:.0f} s, {crowd['memory_mb']:.0f} MB, "
            f"{crowd['per_s']:.0f} messages/s)",
            f"{crowd['connected']:.0f}",
            f">= {WANTED_CONNECTED}",
            crowd["connected"] >= WANTED_CONNECTED,
        ),
    ]
    for name, value, wanted, is_met in rows:
        print(f"{name:<80} {value:>26}  {wanted:<10} {'ok' if is_met else 'MISSED'}")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    document: dict[str, Any] = {"rates": rates, "starts_s": starts, "crowd": crowd}
    (results / "simulator.json").write_text(json.dumps(document, indent=1))
    if not all(is_met for *_, is_met in rows):
        raise SystemExit(1)


def _spread(values: list[float]) -> str:
    digits = 0 if statistics.median(values) >= 100 else 2
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}..{high})"


if __name__ == "__main__":
    main()
