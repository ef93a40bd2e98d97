"""The words of the views: short, with a unit, and a word for every state."""

from typing import Any

import pytest

from simulator.snapshot import LedgerFigures, LinkState, ModuleState, Snapshot
from simulator.wording import (
    compact_json,
    fault_sentence,
    link_marks,
    milliseconds,
    module_mark,
    progress,
    run_mark,
    seconds,
    verdict,
)


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "0 s"), (0.5, "0.5 s"), (12, "12 s"), (59.9, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(duration_s: float, text: str) -> None:
    assert seconds(duration_s) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"), [(None, "–"), (4.25, "4.2 ms"), (230.4, "230 ms"), (1500, "1,500 ms"), (12_100, "12.1 s")]
)
def test_latencies(duration_ms: float | None, text: str) -> None:
    assert milliseconds(duration_ms) == text


def test_progress_says_how_long_and_how_fast() -> None:
    run = Snapshot(12.7, "", "running", speed=10, duration_s=60)
    assert progress(run) == "12 s of 1 min 0 s, 10 times as fast"
    assert progress(Snapshot(12.7, "", "running")) == "12 s"


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"do": "offline", "link": "upstream", "for_s": 10}, "upstream: offline for 10 s"),
        ({"do": "latency", "link": "devices", "ms": 200, "jitter_ms": 50}, "devices: latency 200 ms ± 50 ms"),
        ({"do": "loss", "rate": 0.055, "for_s": None}, "loss 5.50%"),
        ({"do": "bandwidth", "kbit": 64}, "bandwidth 64 kbit/s"),
        ({"do": "bandwidth"}, "bandwidth without limit"),
        ({"do": "kill_agent", "module": "edge-1/scorer"}, "edge-1/scorer: killed"),
        ({"do": "clock_jump", "by_s": -3600}, "clock jumps by -3600 s"),
        ({"do": "set_twin", "id": "edge-1/scorer"}, "edge-1/scorer: set twin"),
    ],
)
def test_faults_read_as_sentences(fault: dict[str, Any], text: str) -> None:
    assert fault_sentence(fault) == text


def test_what_was_lost_comes_before_everything_else() -> None:
    assert verdict(LedgerFigures(sent=9, lost=1, outstanding=3)) == ("1 of 9 messages lost", "error", "bad")
    assert verdict(LedgerFigures(sent=9, outstanding=3)).word == "Nothing lost, 3 on their way"
    assert verdict(LedgerFigures(sent=9, delivered=9)) == ("Nothing lost", "check_circle", "ok")
    assert verdict(LedgerFigures()).tone == "idle"


def test_a_link_says_all_that_is_wrong_with_it() -> None:
    link = LinkState(up=False, latency_ms=20, loss=0.25, bandwidth_kbit=64, half_open=True)
    assert [mark.word for mark in link_marks(link)] == ["offline", "half-open", "+20 ms", "25% loss", "64 kbit/s"]
    assert [mark.word for mark in link_marks(LinkState())] == ["up"]


def test_states_have_words() -> None:
    assert module_mark(ModuleState("m", "failed", exit_code=3)).word == "failed (exit code 3)"
    assert module_mark(ModuleState("m", "running", exit_code=3)) == ("running", "check_circle", "ok")
    assert {run_mark(Snapshot(0, "", state)).word for state in ("running", "draining", "done")} == {
        "Running",
        "Draining",
        "Done",
    }


def test_json_in_a_line_is_cut() -> None:
    assert compact_json({"a": [1, None]}) == '{"a": [1, null]}'
    assert compact_json("x" * 100, 10) == '"xxxxxxxx…'
