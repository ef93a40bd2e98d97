"""`scripts/bench http`: the agent beside azureml-inference-server-http, interleaved, medians with minimum and maximum.

Both serve the same scripts with one worker on loopback: a tiny one (json.loads, a sum) and a small ONNX network with
one thread. wrk sends POST /score at 1, 8 and 64 connections with keep-alive; an answer that is not 2xx fails the run.
The bare limit is an echo of the same length on uvloop and httptools, in the same rounds. Then: seconds from process
start to the first 200, memory at rest (PSS of the whole process tree), and health probes while run() burns the CPU.
"""

import argparse
import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONNECTIONS = (1, 8, 64)
SUBJECTS = ("peer", "agent", "bare")
BUSY_MS = 50
PROBES = {"peer": ("/",), "agent": ("/livez", "/readyz", "/metrics")}
TARGETS = {1: 2.5, 8: 8.0, 64: 8.0}
LOAD = {
    "tiny": {"data": [1, 2, 3, 4]},
    "onnx": {"data": [[float(number) for number in range(16)]]},
    "busy": {"data": []},
}
SCRIPTS = {
    "tiny": """
import json
def init(): pass
def run(data):
    return {"sum": sum(json.loads(data)["data"])}
""",
    "onnx": """
import json, os
import numpy, onnxruntime
def init():
    global session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
def run(data):
    batch = numpy.array(json.loads(data)["data"], dtype=numpy.float32)
    return session.run(None, {"x": batch})[0].tolist()
""",
    "busy": f"""
import time
def init(): pass
def run(data):
    end_s = time.thread_time() + {BUSY_MS / 1000}
    while time.thread_time() < end_s: pass
    return 1
""",
}
BARE = """
import asyncio, sys
import httptools, uvloop
ANSWER = b'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 11\\r\\n\\r\\n{"sum": 10}'
class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
    def data_received(self, data):
        self.parser.feed_data(data)
    def on_message_complete(self):
        self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
uvloop.run(main())
"""
LOOPBACK = """
def on_starting(server):
    server.cfg.set("bind", [address.replace("0.0.0.0", "127.0.0.1") for address in server.cfg.bind])
"""
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
done = function(summary, latency, requests)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  local form = '{"requests": %%d, "us": %%d, "p50_us": %%d, "p99_us": %%d, "not_2xx": %%d, "lost": %%d}'
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  io.stderr:write(string.format(form, summary.requests, summary.duration, p50, p99, errors.status, lost))
end
"""


@dataclass
class Figure:
    """One row: the measured values of each subject, how they compare, and what is wanted."""

    name: str
    unit: str
    is_better_higher: bool
    target: float | None
    values: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times better the agent's median is than the peer's."""
        peer, agent = statistics.median(self.values["peer"]), statistics.median(self.values["agent"])
        return agent / peer if self.is_better_higher else peer / agent


class Subject:
    """A running server of one script."""

    def __init__(self, kind: str, script: str, folder: Path, **variables: str) -> None:
        self.port = free_port()
        self.script = script
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment |= {"HOME": str(folder), "AZUREML_MODEL_DIR": str(folder), "PYTHONPATH": str(ROOT)} | variables
        place = f"{script}.py"
        if kind == "peer":
            del environment["PYTHONPATH"]
            environment["GUNICORN_CMD_ARGS"] = f"--config {folder / 'loopback.py'}"
            command = [peer_python(), "-m", "azureml_inference_server_http", "--entry_script", place]
        elif kind == "agent":
            command = [sys.executable, "-m", "device_agent", "--entry-script", place]
        else:
            command = [sys.executable, "-c", BARE, str(self.port)]
        if kind != "bare":
            command += ["--port", str(self.port)]
        output = subprocess.DEVNULL
        self.started_s = time.perf_counter()
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )

    def wait(self) -> float:
        """Seconds from process start to the first 200 on POST /score."""
        while not self.scores():
            if self.process.poll() is not None or time.perf_counter() > self.started_s + 60:
                raise SystemExit(f"the server of {self.script} does not start: exit code {self.process.poll()}")
            time.sleep(0.005)
        return time.perf_counter() - self.started_s

    def scores(self) -> bool:
        """Whether POST /score is answered by 200 now."""
        body = json.dumps(LOAD[self.script]).encode()
        with contextlib.suppress(OSError):
            return b" 200 " in exchange(self.port, b"POST /score", body)[:20]
        return False

    def probe_ms(self, path: str, seconds: float) -> list[float]:
        """Milliseconds of one GET after another, for so long."""
        found = []
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            started_s = time.perf_counter()
            answer = exchange(self.port, b"GET " + path.encode())
            found.append((time.perf_counter() - started_s) * 1000)
            if b" 200 " not in answer[:20]:
                raise SystemExit(f"GET {path} is answered by {answer[:200]!r}")
        return found

    def processes(self) -> list[int]:
        """Its process and all that come from it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def memory_mb(self) -> float:
        """PSS of the tree."""
        texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes())
        return sum(int(size) for text in texts for size in re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)) / 1024

    def cpu_s(self) -> float:
        """CPU time of the tree."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()


def exchange(port: int, line: bytes, body: bytes = b"") -> bytes:
    """One request on a connection of its own; all of its answer."""
    head = b"%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n" % line
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return connection.recv(65536)


def free_port() -> int:
    """A port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def run(command: list[str | Path], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command; show it if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result


def peer_python() -> str:
    """The Python of the peer's environment."""
    return run([ROOT / "scripts" / "peer", "azmlinfsrv"]).stdout.split()[-1]


def prepare(folder: Path) -> None:
    """Tools, scripts and the model of this benchmark."""
    if shutil.which("wrk") is None:
        if os.geteuid() != 0:
            raise SystemExit("wrk is needed: install the package wrk")
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wrk"])
    for name, source in SCRIPTS.items():
        (folder / f"{name}.py").write_text(source)
        (folder / f"{name}.lua").write_text(WRK % json.dumps(LOAD[name]))
    (folder / "loopback.py").write_text(LOOPBACK)
    run([sys.executable, __file__, "--make-model", folder / "model.onnx"])  # so that this process maps no numpy


def network(*sizes: int) -> bytes:
    """A dense network with ReLU in between, its weights from a fixed seed."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(1)
    weights, nodes, name = [], [], "x"
    for layer, (taken, given) in enumerate(itertools.pairwise(sizes)):
        values = {f"w{layer}": random.normal(size=(taken, given)), f"b{layer}": random.normal(size=given)}
        weights += [numpy_helper.from_array(value.astype(np.float32), key) for key, value in values.items()]
        nodes.append(helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [f"g{layer}"]))
        nodes.append(helper.make_node("Relu", [f"g{layer}"], [f"r{layer}"]))
        name = f"r{layer}"
    tensors = [
        helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", size])
        for key, size in (("x", sizes[0]), (name, sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "network", tensors[:1], tensors[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def serving(script: str, folder: Path, kinds: tuple[str, ...]) -> Iterator[dict[str, Subject]]:
    """All kinds of servers for one script, ready."""
    running: dict[str, Subject] = {}
    try:
        for kind in kinds:
            running[kind] = Subject(kind, script, folder)
            running[kind].wait()
        yield running
    finally:
        for subject in running.values():
            subject.end()


def load_command(subject: Subject, folder: Path, connections: int, seconds: int) -> list[str | Path]:
    """wrk with this many connections for so long."""
    command: list[str | Path] = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    return [*command, "-s", folder / f"{subject.script}.lua", f"http://127.0.0.1:{subject.port}/score"]


def read_load(subject: Subject, connections: int, output: str) -> dict[str, float]:
    """What wrk says. Fails when an answer is wrong or lost."""
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    if found["not_2xx"] or found["lost"] or not found["requests"]:
        raise SystemExit(f"{subject.script}, {connections} connections: {found}")
    return found


def send_load(subject: Subject, folder: Path, connections: int, seconds: int) -> dict[str, float]:
    """What wrk and the processes' times say of one run."""
    before_s = subject.cpu_s()
    found = read_load(subject, connections, run(load_command(subject, folder, connections, seconds)).stderr)
    found["per_s"] = found["requests"] / found["us"] * 1e6
    found["cpu_us"] = (subject.cpu_s() - before_s) / found["requests"] * 1e6
    return found


def measure_load(script: str, folder: Path, rounds: int, seconds: int) -> list[Figure]:
    """Requests a second, latencies and CPU time of all subjects, interleaved."""
    figures: list[Figure] = []
    kinds = SUBJECTS if script == "tiny" else SUBJECTS[:2]
    with serving(script, folder, kinds) as subjects:
        for connections in CONNECTIONS:
            label = f"{script}, {connections} connections"
            rows = (
                ("per_s", Figure(f"{label}: requests/s", "", True, TARGETS[connections])),
                ("p50_us", Figure(f"{label}: p50", "us", False, None)),
                ("p99_us", Figure(f"{label}: p99", "us", False, 3.0)),
                ("cpu_us", Figure(f"{label}: CPU a request", "us", False, None)),
            )
            for number in range(-1, rounds):
                for kind, subject in subjects.items():
                    found = send_load(subject, folder, connections, seconds if number >= 0 else 1)
                    for key, figure in rows if number >= 0 else ():
                        figure.values.setdefault(kind, []).append(found[key])
            figures += [figure for _, figure in rows]
    return figures


def measure_start(folder: Path, rounds: int) -> Figure:
    """Seconds from process start to the first 200."""
    figure = Figure("start to the first 200", "s", False, 3.0)
    for _ in range(rounds):
        for kind in SUBJECTS:
            with serving("tiny", folder, ()) as none:
                none[kind] = Subject(kind, "tiny", folder)
                figure.values.setdefault(kind, []).append(none[kind].wait())
    return figure


def measure_memory(script: str, folder: Path) -> Figure:
    """Memory at rest after a few requests; one server at a time, so that they do not share pages."""
    figure = Figure(f"{script}: memory at rest", "MB", False, 2.0)
    for kind in SUBJECTS[:2]:
        with serving(script, folder, (kind,)) as subjects:
            for _ in range(20):
                subjects[kind].scores()
            figure.values[kind] = [subjects[kind].memory_mb()]
    return figure


def measure_probes(folder: Path, seconds: int) -> list[Figure]:
    """Health probes while two clients keep run() busy without a pause."""
    figures: list[Figure] = []
    found: dict[tuple[str, str], list[float]] = {}
    with serving("busy", folder, SUBJECTS[:2]) as subjects:
        for kind, subject in subjects.items():
            for path in PROBES[kind]:
                command = load_command(subject, folder, 2, seconds + 2)
                with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as load:
                    time.sleep(0.5)
                    found[kind, path] = subject.probe_ms(path, seconds)
                    read_load(subject, 2, load.communicate(timeout=60)[1])
    for path in PROBES["agent"]:
        for name, cut in (("p50", 0.5), ("p99", 0.99)):
            values = {"peer": found["peer", "/"], "agent": found["agent", path]}
            figure = Figure(f"GET {path} while run() is busy: {name}", "ms", False, None)
            figure.values = {kind: [sorted(times)[int(cut * len(times))]] for kind, times in values.items()}
            figures.append(figure)
    return figures


def print_table(figures: list[Figure]) -> bool:
    """One table: medians with minimum and maximum; whether all targets are met."""

    def shown(figure: Figure, kind: str) -> str:
        values = figure.values.get(kind)
        if not values:
            return "-"
        digits = 0 if statistics.median(values) >= 100 else 2
        low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
        return f"{middle} {figure.unit} ({low}..{high})" if len(values) > 1 else f"{middle} {figure.unit}"

    print(f"{'subject':<46}{'peer':<28}{'agent':<28}{'bare limit':<28}{'ratio':<9}target")
    all_met = True
    for figure in figures:
        wanted = "-"
        if figure.target is not None:
            met = figure.ratio >= figure.target
            all_met &= met
            wanted = f"{figure.target:g}x {'met' if met else 'MISSED'}"
        columns = "".join(f"{shown(figure, kind):<28}" for kind in SUBJECTS)
        print(f"{figure.name:<46}{columns}{f'{figure.ratio:.2f}x':<9}{wanted}")
    return all_met


def versions() -> dict[str, str]:
    """What was compared, on what."""
    question = "import importlib.metadata as m; print(*(m.version(n) for n in %r))"
    names = ("azureml-inference-server-http", "gunicorn", "Flask", "onnxruntime")
    peer = run([peer_python(), "-c", question % (names,)]).stdout.split()
    own = {name: importlib.metadata.version(name) for name in ("edgepack", "uvloop", "httptools", "onnxruntime")}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}"
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.splitlines()[0]
    return {
        "machine": machine,
        "python": platform.python_version(),
        "wrk": wrk,
        **{f"peer {name}": version for name, version in zip(names, peer, strict=True)},
        **own,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: a rough look")
    parser.add_argument("--make-model", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make_model:
        arguments.make_model.write_bytes(network(16, 64, 64, 4))
        return
    quick = arguments.quick
    rounds, seconds = (2, 1) if quick else (5, 3)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as text:
        folder = Path(text)
        prepare(folder)
        for script in ("tiny", "onnx"):
            figures += measure_load(script, folder, rounds, seconds)
        figures.append(measure_start(folder, 3 if quick else 5))
        figures += [measure_memory(script, folder) for script in ("tiny", "onnx")]
        figures += measure_probes(folder, 2 if quick else 4)
    all_met = print_table(figures)
    print("all targets are met" if all_met else "not all targets are met")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    document = versions() | {
        "quick": quick,
        "figures": [vars(figure) | {"ratio": figure.ratio} for figure in figures],
    }
    (results / f"http-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
