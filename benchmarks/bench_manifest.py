"""`scripts/bench manifest`: the check of a manifest of 50 modules beside an interpreter that only reads it; routes.

Programs are started in turns, and medians of the wall time compared. What the command line library alone costs (`import
click`; loaded only where there is something to tell) is shown between them. Then, in this process: routed messages a
second for one condition on properties, and the longest time that a hostile text takes to be answered as a route, as
long as IoT Hub takes them and 100 KB. Fails above 0.3 s a check, or above 50 ms a text.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from edgepack.deployment.route_check import check_route
from edgepack.deployment.route_message import RoutedMessage
from edgepack.deployment.router import Router, RouteSpec

ROOT = Path(__file__).parent.parent
MOST_CHECK_S, MOST_ROUTE_S = 0.3, 0.05
WANTED_TIMES_BARE = 2.0
HOSTILE_CHARACTERS = 100_000
CONDITION = "FROM /messages/modules/plc/* WHERE as_number(temperature) > 30 AND line = 'press-2' INTO $upstream"


def modules(count: int) -> list[ModuleSpec]:
    """Modules with all that a module usually has."""
    return [
        ModuleSpec(
            f"module-{number:02d}",
            f"registry.example/team/module-{number:02d}",
            f"sha256:{number:064x}",
            env={"LEVEL": "info", "COUNT": number},
            desired={"threshold": number / 10, "names": ["a", "b"]},
            host_port=6000 + number,
        )
        for number in range(count)
    ]


def programs(folder: Path) -> dict[str, list[str]]:
    """What is started: a good manifest, the same with a problem in each module, and what they are compared with."""
    text = json.dumps(deployment_manifest(modules(50)), indent=2)
    good, bad = folder / "good.json", folder / "bad.json"
    good.write_text(text)
    bad.write_text(text.replace('"Binds', '"Bindz').replace('\\"Binds', '\\"Bindz'))
    read = f"import json; json.load(open({str(good)!r}))"
    edgepack = str(Path(sys.executable).with_name("edgepack"))
    return {
        "python, json.load": [sys.executable, "-c", read],
        "the same, import click": [sys.executable, "-c", f"{read}; import click"],
        "edgepack manifest validate": [edgepack, "manifest", "validate", str(good)],
        "the same, a problem a module": [edgepack, "manifest", "validate", str(bad)],
    }


def wall_times(commands: dict[str, list[str]], rounds: int) -> dict[str, float]:
    """The median of each program's time in seconds."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):  # the first one fills caches
        for name, command in commands.items():
            start_s = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if turn:
                times[name].append(time.perf_counter() - start_s)
    return {name: statistics.median(each) for name, each in times.items()}


def routed_per_s(seconds: float) -> float:
    """Messages a second through a router with one route, every second one taken."""
    router = Router.compile({"hot": RouteSpec(CONDITION)})
    source = "/messages/modules/plc/outputs/readings"
    messages = [
        RoutedMessage(source, {"temperature": text, "line": "press-2"}, {"messageId": "1"}, b"{}")
        for text in ("31.5", "28.0")
    ]
    taken = count = 0
    start_s = time.perf_counter()
    while time.perf_counter() - start_s < seconds:
        for _ in range(500):
            for message in messages:
                taken += len(router.destinations(message))
        count += 1000
    took_s = time.perf_counter() - start_s
    if taken * 2 != count:
        raise SystemExit(f"{taken} of {count} messages were taken, and it must be half of them")
    return count / took_s


def hostile_routes() -> dict[str, str]:
    """Texts in which something comes again and again: as long as IoT Hub takes a route, and much longer."""
    pieces = {
        "brackets": "(",
        "closing brackets": ")",
        "calls": "f(",
        "arguments": "concat(a,",
        "signs": "a = 'x' AND ",
        "sums": "1 + ",
        "nots": "NOT ",
        "other signs": "a;",
        "segments": "/1",
        "comments": "/*",
        "quotes": "'",
        "body": "$body.a != 1 AND ",
    }
    texts = {}
    for name, piece in pieces.items():
        for size in (4000, HOSTILE_CHARACTERS):
            texts[f"{name}, {size} characters"] = f"FROM /* WHERE {piece * (size // len(piece))}"[:size]
    return texts


def slowest_refusal(rounds: int) -> tuple[str, float]:
    """The text that takes longest (the best of some rounds each), and its seconds."""
    slowest = ("", 0.0)
    for name, text in hostile_routes().items():
        best_s = float("inf")
        for _ in range(rounds):
            check_route.cache_clear()
            start_s = time.perf_counter()
            check_route(text)
            best_s = min(best_s, time.perf_counter() - start_s)
        slowest = max(slowest, (name, best_s), key=lambda each: each[1])
    return slowest


def main() -> None:
    """Print the tables, and keep them as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a short run")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        times = wall_times(programs(Path(name)), 5 if quick else 31)
    bare_s, check_s = times["python, json.load"], times["edgepack manifest validate"]
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; 50 modules")
    for program, seconds in times.items():
        print(f"{program:<30}{seconds * 1000:>8.1f} ms{seconds / bare_s:>7.1f} times the first")
    per_s = routed_per_s(0.5 if quick else 3.0)
    print(f"{'routed messages':<30}{per_s:>8,.0f} a second")
    text, refused_s = slowest_refusal(1 if quick else 5)
    print(f"{'slowest hostile route':<30}{refused_s * 1000:>8.1f} ms ({text})")
    figures = {"seconds": times, "times_bare": check_s / bare_s, "routed_per_s": per_s, "slowest_route_s": refused_s}
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "manifest.json").write_text(json.dumps(figures, indent=1))
    if check_s / bare_s > WANTED_TIMES_BARE:
        print(f"(wanted: at most {WANTED_TIMES_BARE:g} times the first)")
    if check_s > MOST_CHECK_S or refused_s > MOST_ROUTE_S:
        raise SystemExit(f"a check takes more than {MOST_CHECK_S} s, or a route more than {MOST_ROUTE_S * 1000:g} ms")


if __name__ == "__main__":
    main()
