"""`python -m simulator.devices`: a fleet. Its plan is the first line of stdin, see `plan`.

Then commands, a JSON object a line: `{"do": "pause"}`, `{"do": "resume"}`, `{"do": "stop", "drain_s": 30}`,
`{"do": "skew", "by_s": -60, "devices": [...]}` (all devices if left out) and `{"do": "release", "devices": [...]}`,
which leaves these devices to somebody else. The end of stdin is `stop`, unless the plan has a duration; SIGTERM is
`stop` without waiting.

On stdout, JSON lines, at most ten a second; each holds what there is to tell:
`{"acked": [[id, device_id, created_s], ...], "connected": n, "states": {device_id: {"connected", "sent", "acked",
"held", "ended", "last"}}, "totals": {...}, "problems": [...]}`. The states of the first 200 devices and the totals come
once a second, those of others when their connection changes. The last line has `"done": true`, `outstanding` and
`outstanding_ids`, what was not acknowledged in time. Exit codes: 0; 2 for a plan that is wrong; 3 when nobody reads;
70 for a bug, with a traceback on stderr.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from typing import IO, Any

import uvloop

from edgepack.errors import InputError
from simulator.devices.fleet import Fleet, read_authorities
from simulator.devices.json_fields import Fields
from simulator.devices.plan import FleetPlan, parse_plan
from simulator.devices.report import Report
from simulator.devices.sources import open_sources

_NOBODY_READS, _BUG = 3, 70


def main() -> int:
    """Run the fleet that stdin describes; the exit code."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a generator prints is no report
    try:
        plan = parse_plan(sys.stdin.readline())
        return uvloop.run(_run(plan, stream))
    except InputError as error:
        stream.write(json.dumps({"problems": error.problems, "done": True}) + "\n")
        stream.flush()
        return error.exit_code


async def _run(plan: FleetPlan, stream: IO[str]) -> int:
    make_source, tls = open_sources(plan.source), read_authorities(plan.ca_file)
    report = Report(stream, plan.record_file, _leave)
    fleet = Fleet(plan, make_source, tls, report)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_on_exception)

    def listen() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the fleet is done
            for line in sys.stdin:
                loop.call_soon_threadsafe(_obey, fleet, line, plan.drain_s)
            if plan.duration_s is None:
                loop.call_soon_threadsafe(fleet.stop, plan.drain_s)

    loop.add_signal_handler(signal.SIGTERM, fleet.stop, 0.0)
    loop.add_signal_handler(signal.SIGINT, fleet.stop, plan.drain_s)
    threading.Thread(target=listen, name="commands", daemon=True).start()
    account = await fleet.run()
    await asyncio.to_thread(report.close, account)
    return 0


def _leave(error: OSError) -> None:
    """Nobody reads the reports, or the disk is full: there is no use in going on."""
    sys.stderr.write(f"the fleet ends: its reports cannot be written: {error}\n")
    sys.stderr.flush()
    os._exit(_NOBODY_READS)


def _on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What no code expected ends the fleet at once: a device less would look like a loss."""
    loop.default_exception_handler(context)
    if not isinstance(context.get("exception"), OSError):
        sys.stderr.flush()
        os._exit(_BUG)


def _obey(fleet: Fleet, line: str, drain_s: float) -> None:
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        fleet.problem("command", f"no JSON: {error}")
        return
    fields = Fields(document if isinstance(document, dict) else {})
    do = fields.text("do", "")
    if do == "skew":
        by_s, device_ids = fields.number("by_s", 0, -1e9, 1e9), fields.take("devices")
        if device_ids is not None and not isinstance(device_ids, list):
            fields.problems.append("devices: expected a list of device ids")
        else:
            fleet.skew(by_s, device_ids)
    elif do == "release":
        released = fields.take("devices")
        if isinstance(released, list):
            fleet.release(released)
        else:
            fields.problems.append("devices: expected a list of device ids")
    elif do == "stop":
        fleet.stop(fields.number("drain_s", drain_s, 0, 1e9))
    elif do in ("pause", "resume"):
        (fleet.pause if do == "pause" else fleet.resume)()
    else:
        fields.problems.append(f"{do!r} is unknown: expected pause, release, resume, skew or stop")
    fields.end()
    for problem in fields.problems:
        fleet.problem("command", problem)


if __name__ == "__main__":
    sys.exit(main())
