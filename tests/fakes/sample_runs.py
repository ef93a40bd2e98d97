"""Snapshots of runs as they happen: an empty one, a plain day, and one with all that can be on a page at once."""

import math

from simulator.snapshot import (
    DeviceState,
    GatewayState,
    Latency,
    LedgerFigures,
    LinkState,
    ModuleState,
    QueueState,
    Rates,
    Snapshot,
)

LINKS = {"upstream": LinkState(), "modules": LinkState(), "devices": LinkState()}


def empty_run() -> Snapshot:
    """Nothing deployed, no devices."""
    return Snapshot(0.4, "2026-01-01T00:00:00Z", "running", links=LINKS)


def plain_run(at_s: float = 42.0) -> Snapshot:
    """One gateway with two modules, eight devices; the hub was away for a while."""
    modules = (
        ModuleState("scorer", "running", 1, None, True, 14, "registry.local/digits:3", 4121, "http://127.0.0.1:40001"),
        ModuleState("filter", "backoff", 3, 137, False, None, "registry.local/filter:1"),
    )
    queues = (
        QueueState("$upstream", 0, 3),
        QueueState("$upstream", 5, 0),
        QueueState("scorer/inputs/amlInput", 0, 12),
    )
    return Snapshot(
        at_s=at_s,
        clock="2026-01-01T00:00:42Z",
        state="running",
        scenario="plain day",
        duration_s=60,
        links=LINKS | {"upstream": LinkState(up=True, latency_ms=200, loss=0.05)},
        gateways=(GatewayState("edge-1", queues, modules),),
        devices=tuple(
            DeviceState(f"sensor-{number:03}", number != 5, 40 + number, {"temperature": 20.5 + number, "ok": True})
            for number in range(1, 9)
        ),
        devices_total=8,
        devices_connected=7,
        rates=_rates(int(at_s), 16),
        ledger=LedgerFigures(sent=672, delivered=643, outstanding=29, duplicated=2),
        latency_ms=Latency(4.2, 231),
        faults=(
            {"at_s": 12.0, "do": "offline", "link": "upstream", "for_s": 10},
            {"at_s": 30.5, "do": "latency", "link": "upstream", "ms": 200, "jitter_ms": 50},
            {"at_s": 31.0, "do": "kill_agent", "module": "edge-1/filter"},
        ),
    )


def heavy_run(at_s: float = 86_500.0) -> Snapshot:
    """200 of 5,000 devices, ten modules, all links broken, long names, losses and problems."""
    statuses = ("running", "running", "running", "starting", "backoff", "failed", "stopped")
    modules = tuple(
        ModuleState(
            f"anomaly-detector-{number:02}",
            statuses[number % len(statuses)],  # type: ignore[arg-type]
            number * 3,
            139 if number % 3 == 0 else None,
            number % 2 == 0,
            number * 12_345,
            f"registry.example/factory/line-{number}/anomaly-detector@sha256:{'0123456789abcdef' * 4}",
            40_000 + number,
        )
        for number in range(10)
    )
    queues = (
        QueueState("$upstream", 0, 1_204_311),
        *(QueueState(f"anomaly-detector-{number:02}/inputs/amlInput", number, number * 77) for number in range(10)),
    )
    body = {"machine": {"temperature": 99.81234, "pressure": 1.0}, "timeCreated": "2026-01-01T00:00:00.000Z"}
    return Snapshot(
        at_s=at_s,
        clock="2026-01-02T00:01:40Z",
        state="draining",
        speed=60,
        scenario="a whole day of a factory with a bad line to the cloud, and twenty restarts",
        duration_s=86_400,
        links={
            "upstream": LinkState(False, 1500, 0.25, 64, True),
            "modules": LinkState(True, 20, 0.001, 10_000, False),
            "devices": LinkState(True, 300, 0.5, None, True),
        },
        gateways=(
            GatewayState("edge-1", queues, modules),
            GatewayState("a-gateway-with-a-rather-long-device-id-in-hall-17", queues[:2]),
        ),
        devices=tuple(
            DeviceState(f"temperature-sensor-in-hall-17-{number:04}", number % 7 != 0, number * 1001, body)
            for number in range(200)
        ),
        devices_total=5000,
        devices_connected=4286,
        rates=_rates(int(at_s), 52_000),
        ledger=LedgerFigures(12_345_678, 11_100_900, 12_345, 1_232_433, 4_321, 999, 87_654, 12),
        latency_ms=Latency(812.4, 61_204.0),
        faults=tuple({"at_s": number * 7.5, "do": "offline", "link": "upstream", "for_s": 3} for number in range(120)),
        problems=(
            "edge-1/anomaly-detector-05: ended with exit code 3: libGL.so.1: cannot open shared object file",
            "temperature-sensor-in-hall-17-0007: a message of 270,001 bytes was refused, the limit is 262,144",
        ),
    )


def _rates(at_s: int, most: float) -> Rates:
    sent = [most * (0.75 + 0.25 * math.sin((at_s + second) / 5)) for second in range(60)]
    delivered = [
        0.0 if 15 <= second < 25 else value * (1.6 if 25 <= second < 32 else 1) for second, value in enumerate(sent)
    ]
    return Rates(tuple(round(value, 1) for value in sent), tuple(round(value, 1) for value in delivered))
