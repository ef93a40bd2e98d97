"""`scripts/bench mqtt`: messages in, scored, durable, out; the agent beside azure-iot-device and bare paho.

One mosquitto on loopback, QoS 1 in and out, 200-byte messages, 1 and 100 in flight, interleaved rounds, medians.

    sdk       azure-iot-device, sync client, send_message_to_output in the input handler, TLS; keeps nothing on disk
    edgehub   the agent, transport edgehub, the same topics and TLS; every result durable before the acknowledgement
    paho      a bare paho-mqtt echo that publishes from its callback; keeps nothing on disk
    mqtt      the agent, transport mqtt, MQTT 3.1.1; every result durable before the acknowledgement

Then the draining of a backlog of 100,000 messages, from the start of the agent. The benchmark fails when a result is
lost. The SDK always takes port 8883: nothing else may listen there.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mqtt_load

ROOT = Path(__file__).parent.parent
SDK_PORT = 8883
IN_FLIGHT = (1, 100)
TARGETS = {("edgehub", 100): ("sdk", 25.0), ("mqtt", 100): ("paho", 0.5)}
DRAIN_PER_S = 3000
KEY = "c2VjcmV0LW9mLWEtYmVuY2htYXJr"
SCRIPT = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"
SDK = """
import json, sys
from azure.iot.device import IoTHubModuleClient, Message
authority = open(sys.argv[2]).read()
client = IoTHubModuleClient.create_from_connection_string(sys.argv[1], server_verification_cert=authority)
def on_message(message):
    result = Message(json.dumps(json.loads(message.data)), content_encoding="utf-8", content_type="application/json")
    client.send_message_to_output(result, "amlOutput")
client.on_message_received = on_message
client.connect()
print("ready", flush=True)
sys.stdin.read()
"""
PAHO = """
import json, socket, sys
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho")
client.max_inflight_messages_set(1000)
client.on_socket_open = lambda c, u, s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.on_connect = lambda c, *_: c.subscribe("paho/in", 1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.on_message = lambda c, u, m: c.publish("paho/out", json.dumps(json.loads(m.payload)), 1)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""
BROKER = """
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
listener {port} 127.0.0.1
listener {tls} 127.0.0.1
certfile {folder}/server.pem
keyfile {folder}/server.pem
"""


class Subject:
    """A module under load: its process, where inputs go and results come."""

    def __init__(self, name: str, command: list[str], inputs: str, results: str, **options: object) -> None:
        self.inputs = inputs
        self.results = results
        environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        environment |= {key: str(value) for key, value in options.items()}
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=self._output, stderr=subprocess.STDOUT
        )
        end_s = time.monotonic() + 30
        while not re.search(r"(?m)^ready|Connected upstream", self.output()):
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise SystemExit(f"{name} does not start: {self.output()[-2000:]}")
            time.sleep(0.02)

    def output(self) -> str:
        """What it has printed."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode()

    def usage(self) -> tuple[float, float]:
        """CPU seconds so far and memory in MB (PSS), of its processes."""
        pids = [self._process.pid]
        for pid in pids:
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        cpu_s, memory_kb = 0.0, 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            cpu_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            memory_kb += sum(map(int, re.findall(r"(?m)^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())))
        return cpu_s, memory_kb / 1024

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._output.close()


def agent(name: str, folder: Path, inputs: str, results: str, **settings: object) -> Subject:
    """The agent with these settings, and a buffer of its own."""
    command = [sys.executable, "-m", "device_agent", "--entry-script", str(folder / "score.py")]
    common = {
        "PYTHONPATH": ROOT,
        "EDGEPACK_HTTP": "127.0.0.1:0",
        "EDGEPACK_BUFFER_PATH": folder / f"{name}.db",
        "AZUREML_LOG_LEVEL": "INFO",
    }
    return Subject(name, command, inputs, results, **{**common, **settings})


def module_topics(device: str) -> tuple[str, str]:
    """Where the inputs of a module go, and its results come, as edgeHub has them."""
    return f"devices/{device}/modules/m/inputs/amlInput/", f"devices/{device}/modules/m/messages/events/#"


def connection_string(device: str, port: int) -> str:
    """Of a module behind a gateway on this machine."""
    gateway = "localhost" if port == SDK_PORT else f"localhost:{port}"
    return f"HostName=hub.local;DeviceId={device};ModuleId=m;SharedAccessKey={KEY};GatewayHostName={gateway}"


def make_subjects(folder: Path, port: int) -> dict[str, Subject]:
    """All of them, connected."""
    authority = str(folder / "ca.pem")
    python = subprocess.run([ROOT / "scripts" / "peer", "azure_iot"], capture_output=True, text=True, check=True)
    sdk_command = [python.stdout.split()[-1], "-c", SDK, connection_string("sdk", SDK_PORT), authority]
    return {
        "sdk": Subject("sdk", sdk_command, *module_topics("sdk")),
        "edgehub": agent(
            "edgehub",
            folder,
            *module_topics("agent"),
            EDGEPACK_TRANSPORT="edgehub",
            EdgeHubConnectionString=connection_string("agent", SDK_PORT),
            EdgeModuleCACertificateFile=authority,
        ),
        "paho": Subject("paho", [sys.executable, "-c", PAHO, str(port)], "paho/in", "paho/out"),
        "mqtt": agent("mqtt", folder, "mqtt/in", "mqtt/out", **mqtt_settings(port, "mqtt")),
    }


def mqtt_settings(port: int, name: str) -> dict[str, object]:
    """Settings of the agent for the transport mqtt."""
    return {
        "EDGEPACK_TRANSPORT": "mqtt",
        "EDGEPACK_MQTT_URL": f"mqtt://127.0.0.1:{port}",
        "EDGEPACK_MQTT_VERSION": "3.1.1",
        "EDGEPACK_INPUT": f"{name}/in",
        "EDGEPACK_OUTPUT": f"{name}/out",
    }


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """mosquitto with a plain and a TLS listener; the port of the plain one."""
    import socket

    import trustme

    if shutil.which("mosquitto") is None:
        raise SystemExit("mosquitto is needed: install the package mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    (folder / "score.py").write_text(SCRIPT)
    config = folder / "mosquitto.conf"
    config.write_text(
        BROKER.format(port=port, tls=SDK_PORT, folder=folder) + ("user root\n" if os.geteuid() == 0 else "")
    )
    with (folder / "mosquitto.log").open("w") as log:
        process = subprocess.Popen(["mosquitto", "-c", config], stdout=log, stderr=subprocess.STDOUT)
    try:
        end_s = time.monotonic() + 5
        while "running" not in (folder / "mosquitto.log").read_text():
            if process.poll() is not None or time.monotonic() > end_s:
                raise SystemExit(f"mosquitto does not start: {(folder / 'mosquitto.log').read_text()}")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def measure(subjects: dict[str, Subject], port: int, rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    """Figures of every subject, for each number in flight."""
    figures: dict[str, dict[str, list[float]]] = {}
    for in_flight in IN_FLIGHT:
        for number in range(-1, rounds):
            for name, subject in subjects.items():
                before_s, _ = subject.usage()
                found = mqtt_load.send(
                    port, subject.inputs, subject.results, seconds=seconds if number >= 0 else 1, in_flight=in_flight
                )
                after_s, memory_mb = subject.usage()
                if number < 0:
                    continue
                row = figures.setdefault(f"{name}, {in_flight} in flight", {})
                cpu_us = (after_s - before_s) / found.messages * 1e6
                for key, value in (
                    ("messages/s", found.per_s),
                    ("p50 ms", found.p50_ms),
                    ("p99 ms", found.p99_ms),
                    ("CPU us", cpu_us),
                    ("PSS MB", memory_mb),
                ):
                    row.setdefault(key, []).append(value)
    return figures


def measure_drain(folder: Path, port: int, count: int) -> float:
    """Messages a second from the first to the last of a backlog, received at the broker."""
    sys.path.insert(0, str(ROOT))
    from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
    from device_agent.messages.message import Message

    buffer = SqliteBuffer(folder / "drain.db", 256 * 1024 * 1024)
    for start in range(0, count, 500):
        numbers = range(start, min(count, start + 500))
        buffer.apply([Message(mqtt_load.body_of(n, 200), "drain/out", f"{n:032x}") for n in numbers])
    buffer.close()
    code = "import sys, mqtt_load; times = mqtt_load.receive(int(sys.argv[1]), 'drain/out', int(sys.argv[2]), 120); "
    code += "print(len(times) / (times[-1] - times[0]))"
    receiver = subprocess.Popen(
        [sys.executable, "-c", code, str(port), str(count)],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert receiver.stdout is not None  # noqa: S101
    receiver.stdout.readline()
    subject = agent("drain", folder, "", "", **mqtt_settings(port, "drain"))
    text, _ = receiver.communicate(timeout=150)
    subject.end()
    return float(text)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 short rounds and a small backlog, to see that it runs")
    quick = parser.parse_args().quick
    count = 10_000 if quick else 100_000
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        folder = Path(name)
        subjects = make_subjects(folder, port)
        try:
            figures = measure(subjects, port, 2 if quick else 5, 1.0 if quick else 4.0)
        finally:
            for subject in subjects.values():
                subject.end()
        drained = [measure_drain(folder, port, count) for _ in range(1 if quick else 3)]
        for path in folder.glob("drain.db*"):
            path.unlink()
    show(figures, drained, count)
    save(figures, drained)


def show(figures: dict[str, dict[str, list[float]]], drained: list[float], count: int) -> None:
    """The table: medians, and minimum and maximum of the rate."""
    print(f"{'':24}{'messages/s':>26}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'PSS MB':>9}")
    for name, row in figures.items():
        medians = {key: statistics.median(values) for key, values in row.items()}
        rate = f"{medians['messages/s']:,.0f} ({min(row['messages/s']):,.0f}-{max(row['messages/s']):,.0f})"
        rest = "".join(f"{medians[key]:9.1f}" for key in ("p50 ms", "p99 ms", "CPU us", "PSS MB"))
        print(f"{name:24}{rate:>26}{rest}")
    for (name, in_flight), (peer, asked) in TARGETS.items():
        of_agent, of_peer = (
            statistics.median(figures[f"{each}, {in_flight} in flight"]["messages/s"]) for each in (name, peer)
        )
        print(f"{name} / {peer}, {in_flight} in flight: {of_agent / of_peer:.2f} (asked: at least {asked:g})")
    print(f"backlog of {count:,}: {statistics.median(drained):,.0f} messages/s (asked: at least {DRAIN_PER_S:,})")


def save(figures: dict[str, dict[str, list[float]]], drained: list[float]) -> None:
    """The raw numbers, with where they come from."""
    versions = {name: importlib.metadata.version(name) for name in ("paho-mqtt", "uvloop")}
    document = {
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {**versions, "azure-iot-device": "see benchmarks/peers/azure_iot.txt"},
        "figures": figures,
        "drained_per_s": drained,
    }
    path = ROOT / "benchmarks" / "results" / "mqtt.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1))
    print(f"raw numbers: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
