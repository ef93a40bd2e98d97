"""Drift on the device: the window, the budget, what is told."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.drift_baselines import read_baselines
from device_agent.drift_sketch import (
    CATEGORY,
    NUMBER,
    REQUEST,
    RESPONSE,
    Baseline,
    Feature,
    baseline_document,
    read_baseline,
)
from device_agent.drift_watch import MOST_CELLS, DriftScorer, DriftWatch
from device_agent.drift_window import DriftWindow
from device_agent.errors import SettingsError
from device_agent.metrics import Metrics
from device_agent.scorer import ScoringRequest, ScoringResult, message_result
from edgepack.drift.comparing import Thresholds, compare_with_baseline
from edgepack.drift.table import table_of
from tests.unit.device_agent.answering import Answering

NUMBERS = Feature("x", NUMBER, (0.25, 0.25, 0.25, 0.25), 1000, 11.34, 0.0, edges=(25.0, 50.0, 75.0))
COLOURS = Feature("colour", CATEGORY, (0.5, 0.5, 0.0), 1000, 6.63, 0.0, categories=("red", "blue"))
BASELINE = Baseline((NUMBERS, COLOURS), 1000)
ANSWERS = Baseline((NUMBERS._replace(name="value"),), 1000, part=RESPONSE)
VALUES = st.one_of(st.none(), st.floats(0, 100), st.integers(-5, 200), st.text(max_size=3))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def rows(count: int, *, start: int = 0, shift: float = 0.0) -> list[dict[str, Any]]:
    """Rows as in the baseline, or their numbers `shift`ed."""
    return [
        {"x": place * 37 % 100 + 0.5 + shift, "colour": ("red", "blue")[place % 2]}
        for place in range(start, start + count)
    ]


def drifted_after(found: Iterable[dict[str, Any]], window_rows: int = 100) -> tuple[DriftWindow, tuple[str, ...]]:
    window = DriftWindow(BASELINE, window_rows)
    window.add(found)
    return window, window.drifted


def test_nothing_is_judged_before_the_window_is_whole() -> None:
    window, _ = drifted_after(rows(99, shift=1000))
    assert not window.latest
    assert not window.drifted
    assert window.add(rows(1, start=99, shift=1000))
    assert window.drifted == ("x",)


def test_drift_comes_and_goes_with_the_window() -> None:
    window, drifted = drifted_after(rows(100))
    assert drifted == ()
    window.add(rows(100, shift=40))
    assert window.drifted == ("x",)
    window.add(rows(100))
    assert not window.drifted


def test_missing_values_and_unknown_categories_are_drift() -> None:
    _, gaps = drifted_after({**row, "x": None} if place % 4 == 0 else row for place, row in enumerate(rows(100)))
    assert gaps == ("x",)
    _, absent = drifted_after({"colour": row["colour"]} for row in rows(100))
    assert absent == ("x",)
    _, new = drifted_after({**row, "colour": "green"} if place % 3 == 0 else row for place, row in enumerate(rows(100)))
    assert new == ("colour",)


@given(
    st.lists(
        st.one_of(st.none(), st.floats(0, 100), st.integers(-5, 200), st.text(max_size=3)), min_size=100, max_size=100
    )
)
def test_the_window_says_what_the_desk_says(values: list[Any]) -> None:
    window = DriftWindow(Baseline((NUMBERS,), 1000), 100)
    table = table_of("t", [{"x": value} for value in values], [])
    (desk,) = compare_with_baseline(Baseline((NUMBERS,), 1000), "b", table, ["x"], Thresholds()).features
    window.add({"x": value} for value in values)
    (device,) = window.latest
    assert device.psi == pytest.approx(desk.psi)
    assert device.missing == pytest.approx(desk.current_missing)
    assert device.has_drifted == desk.is_drift


class Clock:
    """Each look at the clock takes `step_s`."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def watch(baselines: Sequence[Baseline] = (BASELINE,), *, step_s: float = 0.0, **options: Any) -> DriftWatch:
    return DriftWatch(baselines, **{"rows": 100, "cost_percent": 1, "clock": Clock(step_s), **options})


@given(
    st.lists(st.floats(1e-5, 5.0), min_size=1, max_size=300),
    st.floats(1e-6, 0.01),
    st.integers(1, 100),
)
def test_looking_costs_no_more_than_its_share(runs_s: list[float], look_s: float, percent: int) -> None:
    looking = watch(step_s=look_s, cost_percent=percent)
    for run_s in runs_s:
        looking.scored(b"{}", b"[]", run_s)
    assert looking.spent_s <= percent / 100 * sum(runs_s) + look_s * 1.0001


def test_a_slow_script_has_all_requests_looked_at_and_a_fast_one_some() -> None:
    slow, fast = watch(step_s=20e-6), watch(step_s=20e-6)
    for _ in range(2000):
        slow.scored(b'{"data": [[1]]}', b"[]", 0.01)
        fast.scored(b'{"data": [[1]]}', b"[]", 0.0005)
    assert slow.looked == 2000
    assert 400 < fast.looked <= 501


def test_senders_that_take_turns_are_both_looked_at() -> None:
    looking = watch(step_s=20e-6)
    bodies = [json.dumps({"data": [row]}).encode() for row in ({"x": 1, "colour": "red"}, {"x": 1, "colour": "blue"})]
    seen: list[bytes] = []
    for place in range(4000):
        before = looking.looked
        looking.scored(bodies[place % 2], b"[]", 0.001)  # pays for every second one
        seen += [bodies[place % 2]] * (looking.looked - before)
    assert min(seen.count(body) for body in bodies) > 0.3 * len(seen)


def look(looking: DriftWatch, found: Iterable[dict[str, Any]], answer: bytes = b"[]") -> None:
    for row in found:
        looking.scored(json.dumps({"data": [row]}).encode(), answer, 1.0)


def test_what_has_drifted_is_told_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgepack.agent")
    looking, told = watch(), []
    looking.when_changed = lambda: told.append(looking.report()["request"]["drifted"])
    look(looking, rows(100))
    assert (told, looking.report()["request"]["isJudged"]) == ([], True)
    look(looking, rows(200, shift=1000))
    look(looking, rows(100))
    assert told == [["x"], []]
    first, last = caplog.messages
    assert first.startswith("Drift of request: x: PSI ")
    assert last == "No drift of request any more: x"


def test_answers_are_watched_beside_requests() -> None:
    looking = watch((BASELINE, ANSWERS))
    for row in rows(100):
        looking.scored(json.dumps({"data": [row]}).encode(), b"[900.5]", 1.0)
    report = looking.report()
    assert report["request"]["drifted"] == []
    assert report["response"]["drifted"] == ["value"]
    (feature,) = report["response"]["features"]
    assert feature["psi"] > 1.0
    assert json.dumps(report).isascii()


def test_the_report_stays_small_and_has_the_worst_first() -> None:
    names = [f"{place:03d}" + "n" * 200 for place in range(100)]
    looking = watch([Baseline(tuple(NUMBERS._replace(name=name) for name in names), 1000)])
    look(looking, ({name: row["x"] + (500 if name == names[70] else 0) for name in names} for row in rows(100)))
    report = looking.report()["request"]
    assert report["drifted"] == [names[70][:100]]
    assert report["features"][0]["name"] == names[70][:100]
    assert len(report["features"]) == 20
    assert len(json.dumps(report)) < 4000


def test_bodies_without_rows_are_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    looking = watch()
    for body in (b"", b"\xff", b"{", b"[" * 100_000, b"null", b'{"data": []}', b'{"data": [[1]]}' + b" " * 70_000) * 10:
        looking.scored(body, b"[]", 1.0)
    assert looking.unread == 70
    (warning,) = caplog.messages
    assert "Drift is not watched so far: no request of at most 65536 bytes had rows" in warning


@given(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_no_body_breaks_it(body: bytes, document: object) -> None:
    looking = watch((BASELINE, ANSWERS), rows=10)
    looking.scored(body, body, 1.0)
    text = json.dumps(document).encode()
    for _ in range(30):
        looking.scored(text, text, 1.0)
    json.dumps(looking.report(), allow_nan=False)


@pytest.mark.parametrize(
    "body",
    [
        {"data": [[] for _ in range(20_000)]},
        {"data": {"x": [1] * 9_000}},
        {"columns": ["x"], "data": [[1]] * 9_000},
        {"data": [{"x": 1}] * 7_000},
    ],
)
def test_of_many_rows_only_the_first_are_counted(body: object) -> None:
    names = [f"f{place}" for place in range(100)]
    looking = watch([Baseline(tuple(NUMBERS._replace(name=name) for name in names), 1000)])
    looking.scored(json.dumps(body, separators=(",", ":")).encode(), b"[]", 1.0)
    assert looking.windows[0].rows == MOST_CELLS // 100


NUMBERS_OF_ALL_KINDS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 0.5, 1, 10**400, 1e308, True, None]))


@given(
    name=st.text() | st.just("\ud800"),
    edges=st.lists(NUMBERS_OF_ALL_KINDS, max_size=3),
    shares=st.lists(NUMBERS_OF_ALL_KINDS | st.just(0.25), max_size=4),
    figures=st.tuples(*[NUMBERS_OF_ALL_KINDS] * 5),
)
def test_a_baseline_is_refused_or_can_be_watched(
    name: str, edges: list[Any], shares: list[Any], figures: tuple[Any, ...]
) -> None:
    count, quantile, missing, total, threshold = figures
    feature = {"name": name, "kind": NUMBER, "edges": edges, "shares": shares, "count": count, "quantile": quantile}
    document = {
        "edgepack_drift": 1,
        "rows": total,
        "threshold": threshold,
        "features": [{**feature, "missing": missing}],
    }
    baseline, problems = read_baseline(document, "f")
    if baseline is None:
        assert problems
        return
    looking, metrics = watch([baseline], rows=10), Metrics("1")
    looking.show_in(metrics)
    for value in range(30):
        looking.scored(json.dumps({"data": [{name: value}]}).encode(), b"", 1.0)
    json.dumps(looking.report(), allow_nan=False)
    assert metrics.text()


def test_only_what_was_scored_without_an_error_counts() -> None:
    looking = watch()
    answers: list[ScoringResult] = []
    for result in (message_result(500, "no", script_failed=True), ScoringResult(b"[]", 422, exec_ms=1.0)):
        DriftScorer(Answering(result), looking).submit(ScoringRequest(b'{"data": [[1]]}'), answers.append)
    assert looking.looked == 0
    DriftScorer(Answering(ScoringResult(b"[]", exec_ms=1.0)), looking).submit(ScoringRequest(b"{}"), answers.append)
    assert (looking.looked, len(answers)) == (1, 3)


def test_metrics_have_each_feature() -> None:
    looking, metrics = watch((BASELINE, ANSWERS)), Metrics("1")
    looking.show_in(metrics)
    assert 'edgepack_drift_rows_total{part="request"} 0\n' in metrics.text().decode()
    for row in rows(100, shift=1000):
        looking.scored(json.dumps({"data": [row]}).encode(), b"[]", 1.0)
    text = metrics.text().decode()
    assert 'edgepack_drift_rows_total{part="request"} 100\n' in text
    assert 'edgepack_drift_detected{part="request",feature="x"} 1.0\n' in text
    assert 'edgepack_drift_detected{part="request",feature="colour"} 0.0\n' in text
    assert 'edgepack_drift_missing_ratio{part="request",feature="x"} 0.0\n' in text
    assert "edgepack_drift_requests_total 100\n" in text
    assert "edgepack_drift_unread_total 100\n" in text  # the answers


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_baselines_are_found_beside_the_script_and_with_the_model(tmp_path: Path) -> None:
    write(tmp_path / "app/requests.json", baseline_document(BASELINE))
    write(tmp_path / "models/answers.json", baseline_document(ANSWERS))
    folders = [str(tmp_path / "app"), str(tmp_path / "models")]
    found = read_baselines("requests.json, answers.json", folders)
    assert [baseline.part for baseline in found] == [REQUEST, RESPONSE]
    assert read_baselines(str(tmp_path / "models" / "answers.json"), folders) == [ANSWERS]


def test_all_that_is_wrong_with_baselines_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.json", baseline_document(BASELINE))
    write(tmp_path / "b.json", {**baseline_document(BASELINE), "rows": 0})
    write(tmp_path / "d.json", [])
    (tmp_path / "e.json").write_text("{")
    with pytest.raises(SettingsError) as caught:
        read_baselines("a.json,b.json,c.json,d.json,e.json,a.json", [str(tmp_path)])
    told = [problem.partition(": ")[2].replace(str(tmp_path), "") for problem in caught.value.problems]
    assert [text[:30] for text in told] == [
        "/b.json: `rows` and `threshold",
        "there is no file /c.json",
        "/d.json is no baseline: make o",
        "/e.json cannot be read as JSON",
        "/a.json is the second baseline",
    ]
