"""The view for terminals fits, cuts nothing that matters, and is quiet where nobody watches."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from simulator.snapshot import Snapshot
from simulator.terminal_view import TerminalView, bars, plain_line, render
from tests.fakes.sample_runs import empty_run, heavy_run, plain_run


def lines(snapshot: Snapshot, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(render(snapshot, width, height))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("size", [(80, 24), (80, 23), (40, 12), (140, 50)])
@pytest.mark.parametrize("run", [empty_run(), plain_run(), heavy_run()], ids=["empty", "plain", "heavy"])
def test_it_fits_the_terminal(run: Snapshot, size: tuple[int, int]) -> None:
    shown = lines(run, *size)
    assert len(shown) <= size[1]
    assert max(map(cell_len, shown)) <= size[0]


def test_figures_are_whole_and_what_is_broken_comes_first() -> None:
    shown = lines(heavy_run(), 80, 24)
    assert shown[1] == "✗ 12,345 of 12,345,678 messages lost"
    rows = [line for line in shown if line.startswith("edge-1/")]
    assert "failed" in rows[0]
    assert rows[0].split()[-2:] == ["61,725", "15"]
    assert "and 2 more" in shown


def test_a_plain_run_is_all_there() -> None:
    text = "\n".join(lines(plain_run(), 80, 24))
    for part in ("plain day", "42 s of 1 min 0 s", "sent 672", "5% loss", "edge-1/filter", "waits to restart (137)"):
        assert part in text
    assert "scorer/inputs/amlInput 12" in text
    assert "upstream: offline for 10 s at 12 s" in text


def test_a_line_for_logs_says_what_is_wrong() -> None:
    assert plain_line(empty_run()) == "0 s: running, sent 0, delivered 0, outstanding 0, lost 0"
    assert plain_line(plain_run()).endswith("lost 0; upstream up, +200 ms, 5% loss")


def test_without_a_terminal_there_is_a_line_every_few_seconds_and_at_changes() -> None:
    out = io.StringIO()
    with TerminalView(Console(file=out, width=80)) as view:
        for now_s in (0, 1, 4.9, 5, 6, 9.9):
            view.show(empty_run(), now_s)
        view.show(plain_run(), 9.95)
    written = out.getvalue().splitlines()
    assert len(written) == 3
    assert written[-1] == plain_line(plain_run())


def test_on_a_terminal_it_is_drawn_in_place() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, legacy_windows=False)
    with TerminalView(console) as view:
        view.show(plain_run(), 0)
        view.show(plain_run(43), 1)
    assert "\x1b[1A" in out.getvalue()  # the cursor goes up to draw again
    assert "43 s of 1 min 0 s" in out.getvalue()


def test_bars_show_the_shape() -> None:
    assert bars((0, 1, 2, 4), 10) == "▁▃▅█"
    assert bars((0, 0), 10) == "▁▁"
    assert bars((1, 2, 3), 2) == "▆█"
    assert bars((), 5) == ""
    assert bars((1,), 0) == ""
