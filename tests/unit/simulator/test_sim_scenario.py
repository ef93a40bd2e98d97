"""Scenarios: what is read, what is refused with which words, and those that come with the simulator."""

import datetime
import math
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import InputError
from simulator.run_folder import read_scenario, scenario_names
from simulator.scenario import Bound, Burst, Scenario, broken_expectations, parse_scenario
from simulator.steps import STEPS, Step


def problems_of(document: Any) -> list[str]:
    """What is wrong with it."""
    with pytest.raises(InputError) as refused:
        parse_scenario(document, "file.yaml")
    return list(refused.value.problems)


def test_an_empty_one_is_the_defaults() -> None:
    assert parse_scenario({}, "x") == Scenario()
    assert Scenario().expect == {"lost": Bound(0, 0)}


def test_everything_is_read() -> None:
    document = {
        "name": "a tunnel",
        "devices": 20,
        "gateways": 2,
        "rate_per_s": 2,
        "duration_s": 60,
        "speed": 10,
        "bursts": {"every_s": 5, "messages": 10},
        "steps": [{"at_s": 20, "do": "online"}, {"at_s": 10, "do": "offline", "link": "devices", "for_s": 5}],
        "expect": {"lost": 0, "duplicated": {"max": 5}, "sent": {"min": 1000}},
    }
    scenario = parse_scenario(document, "x")
    assert (scenario.devices, scenario.rate_per_s, scenario.bursts) == (20, 2.0, Burst(5.0, 10))
    assert [(timed.at_s, timed.step.do) for timed in scenario.steps] == [(10, "offline"), (20, "online")]
    assert scenario.steps[0].step.document() == {"do": "offline", "link": "devices", "for_s": 5}
    assert scenario.expect == {"lost": Bound(0, 0), "duplicated": Bound(0, 5), "sent": Bound(1000, math.inf)}


def test_a_step_can_be_done_again_and_again() -> None:
    steps = [
        {"at_s": 5, "every_s": 10, "do": "offline", "for_s": 1},
        {"every_s": 20, "until_s": 45, "do": "restart_hub"},
    ]
    scenario = parse_scenario({"duration_s": 40, "steps": steps}, "x")
    assert [timed.at_s for timed in scenario.steps] == [5, 15, 20, 25, 35, 40]


def test_all_problems_at_once() -> None:
    document = {
        "devces": 3,
        "rate_per_s": -1,
        "speed": float("nan"),
        "gateways": 1.5,
        "name": 7,
        "steps": [
            {"at_s": 1, "do": "fly"},
            {"do": "offline"},
            {"at_s": "soon", "do": "online"},
            {"at_s": 1, "do": "latency"},
            {"at_s": 1, "do": "loss", "rate": 2, "link": "moon"},
            {"at_s": 1, "every_s": 1, "do": "online"},
            {"at_s": -1, "do": "online"},
            {"at_s": 1, "do": "send", "body": datetime.date(2026, 1, 1)},
            {"at_s": 1, "do": "latency", "ms": 10**400},
            7,
        ],
        "expect": {"lots": 1, "lost": "none"},
        "bursts": 5,
    }
    found = "\n".join(problems_of(document))
    for words in (
        "unknown key 'devces': did you mean devices?",
        "rate_per_s must be a number of 1e-06 to 10000, not -1",
        "speed must be a number",
        "gateways must be a whole number of 1 to 100, not 1.5",
        "name must be a text",
        "steps 1: do is 'fly': use one of offline,",
        "steps 2: needs at_s",
        "steps 3: at_s must be a number of seconds, not 'soon'",
        "steps 4: latency needs ms",
        "steps 5: rate of loss must be a number of 0 to 0.95, not 2",
        "steps 5: link of loss must be one of upstream, modules, devices, not 'moon'",
        "steps 6: every_s must be above 0, and needs until_s",
        "steps 7: at_s must not be negative",
        "steps 8: body of send must be what JSON can hold",
        "steps 9: ms of latency must be a number",
        "steps 10: must be an object",
        "expect: 'lots' is no number of the report",
        "expect: lost must be a number",
        "bursts must be every_s",
    ):
        assert words in found
    assert all(line.startswith("file.yaml: ") for line in found.splitlines())


@pytest.mark.parametrize("document", [None, [], "x", 7])
def test_what_is_no_object_is_refused(document: Any) -> None:
    assert "a scenario is an object" in problems_of(document)[0]


def test_a_step_must_not_be_done_too_often() -> None:
    step = {"every_s": 0.001, "do": "online"}
    assert "over 100000 times" in problems_of({"duration_s": 1000, "steps": [step]})[0]


def test_broken_expectations_are_told() -> None:
    expect = {"lost": Bound(0, 0), "sent": Bound(5, math.inf)}
    assert broken_expectations(expect, {"lost": 0, "sent": 5}) == []
    assert broken_expectations(expect, {"lost": 2, "sent": 4}) == [
        "lost is 2: expected 0",
        "sent is 4: expected at least 5",
    ]


def test_outputs_of_modules_can_be_expected() -> None:
    document = {"expect": {"lost": 0, "outputs": {"scorer/amlError": 0, "scorer/amlOutput": {"min": 5}}}}
    expect = parse_scenario(document, "x").expect
    report = {"lost": 0, "outputs": {"scorer/amlOutput": 5}}
    assert broken_expectations(expect, report) == []
    assert broken_expectations(expect, report | {"outputs": {"scorer/amlError": 2}}) == [
        "outputs/scorer/amlError is 2: expected 0",
        "outputs/scorer/amlOutput is 0: expected at least 5",
    ]
    found = problems_of({"expect": {"outputs": 1}}) + problems_of({"expect": {"outputs": {"a": "b"}}})
    assert found == [
        "file.yaml: expect: outputs must be numbers by output, such as scorer/amlError: 0, not 1",
        "file.yaml: expect: outputs/a must be a number, or have min and max, not 'b'",
    ]


@pytest.mark.parametrize("name", scenario_names())
def test_the_simulator_s_own_are_sound_and_expect_that_nothing_is_lost(name: str) -> None:
    scenario, source = read_scenario(name, {})
    assert scenario.name.replace(" ", "-") == name
    assert scenario.expect["lost"] == Bound(0, 0)
    assert source is None


def test_there_are_those_that_are_promised() -> None:
    names = {"plain-day", "flaky-cellular", "satellite", "week-offline", "reconnect-storm", "power-cuts"}
    assert names <= set(scenario_names())


def test_what_is_wrong_with_an_option_is_told_of_the_option(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("devices: 2\nspeed: 0\n")
    with pytest.raises(InputError) as refused:
        read_scenario(str(tmp_path / "mine.yaml"), {"devices": -1, "rate_per_s": 0.0, "duration_s": -5.0})
    found = [problem.partition(" must")[0] for problem in refused.value.problems]
    assert found == ["--devices", "--rate", "--duration", f"{tmp_path / 'mine.yaml'}: speed"]


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("devices: 2\nsteps:\n- {at_s: 1, do: online, at_s: 2}\ndevices: 3\n")
    with pytest.raises(InputError) as refused:
        read_scenario(str(tmp_path / "mine.yaml"), {})
    assert sorted("`at_s`" in problem for problem in refused.value.problems) == [False, True]
    assert all("stands twice" in problem for problem in refused.value.problems)


def test_a_source_that_is_not_there_is_told_with_what_may_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a generator \(\.py\), or a recording \(\.csv, \.jsonl, \.ndjson, \.json\)"):
        read_scenario(None, {"source": "nothing.csv"})


def test_options_change_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("devices: 2\nsource: readings.csv\n")
    (tmp_path / "readings.csv").write_text("a\n1\n")
    scenario, source = read_scenario(str(tmp_path / "mine.yaml"), {"devices": 5})
    assert (scenario.name, scenario.devices, source) == ("mine", 5, (tmp_path / "readings.csv").resolve())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", ": not YAML: "),
        ("\x00", ": not YAML: "),
        ("- 1", "a scenario is an object"),
        ("source: x.csv", "no such file"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_scenario(str(path), {})


def test_an_unknown_name_tells_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no scenario file rainy-day; .*flaky-cellular"):
        read_scenario("rainy-day", {})


def test_every_step_is_a_value() -> None:
    assert {"offline", "kill_agent", "disk_full", "expire_token", "clock_jump", "send"} <= set(STEPS)
    assert Step("online", {}).document() == {"do": "online"}
