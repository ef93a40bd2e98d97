"""What was typed becomes what is sent, or one sentence a field that says why not."""

from typing import Any

import pytest

from edgepack.errors import InputError
from simulator.dashboard.fault_forms import FAULTS, FaultForm, fault_step
from simulator.dashboard.log_text import log_line
from simulator.dashboard.twin_text import merge_patch, parse_desired, parse_json, without_hub_keys
from simulator.steps import parse_step
from tests.fakes.fake_simulation import FAULTS as OF_THE_PROTOCOL

FORMS = {form.do: form for form in FAULTS}
MODULES = ("edge-1/scorer",)


def test_every_fault_of_the_protocol_has_a_form() -> None:
    assert FORMS.keys() == OF_THE_PROTOCOL


@pytest.mark.parametrize(
    ("do", "values", "step"),
    [
        ("offline", {"link": "upstream", "for_s": None}, {"link": "upstream"}),
        ("offline", {"link": "devices", "for_s": 2.5}, {"link": "devices", "for_s": 2.5}),
        ("online", {"link": "modules"}, {"link": "modules"}),
        ("latency", {"link": "upstream", "ms": 200.0, "jitter_ms": ""}, {"link": "upstream", "ms": 200}),
        ("loss", {"link": "upstream", "rate": 10}, {"link": "upstream", "rate": 0.1}),
        ("bandwidth", {"link": "upstream", "kbit": "64"}, {"link": "upstream", "kbit": 64}),
        ("bandwidth", {"link": "upstream", "kbit": None}, {"link": "upstream"}),
        ("restart_hub", {}, {}),
        ("kill_agent", {"module": "edge-1/scorer"}, {"module": "edge-1/scorer"}),
        ("clock_jump", {"by_s": -3600}, {"by_s": -3600}),
    ],
)
def test_steps(do: str, values: dict[str, Any], step: dict[str, Any]) -> None:
    assert fault_step(FORMS[do], values, MODULES) == {"do": do, **step}


@pytest.mark.parametrize(
    ("do", "values", "problems"),
    [
        (
            "latency",
            {"link": "moon", "ms": None},
            ["link: choose one of upstream, modules, devices", "ms: needs a number"],
        ),
        ("loss", {"link": "upstream", "rate": 101}, ["rate: must be 0 to 95"]),
        ("offline", {"link": "upstream", "for_s": 0}, ["for_s: must be 0.1 to 86400"]),
        ("bandwidth", {"link": "upstream", "kbit": "fast"}, ["kbit: 'fast' is no number"]),
        ("bandwidth", {"link": "upstream", "kbit": "nan"}, ["kbit: must be 0.1 to 1e+07"]),
        ("kill_agent", {"module": "edge-1/gone"}, ["module: choose a module"]),
    ],
)
def test_what_cannot_be_used_is_said_by_field(do: str, values: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        fault_step(FORMS[do], values, MODULES)
    assert list(refused.value.problems) == problems


@pytest.mark.parametrize("form", FAULTS, ids=[form.do for form in FAULTS])
@pytest.mark.parametrize("limit", ["least", "most"])
def test_the_simulation_takes_whatever_a_form_takes(form: FaultForm, limit: str) -> None:
    words = {"link": "devices", "module": MODULES[0]}
    values = {field.name: words.get(field.kind, getattr(field, limit)) for field in form.fields}
    problems: list[str] = []
    assert parse_step(fault_step(form, values, MODULES), "here", problems)
    assert problems == []


def test_a_run_without_modules_says_so() -> None:
    with pytest.raises(InputError, match="the run has no modules"):
        fault_step(FORMS["expire_token"], {"module": None}, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: a JSON value is needed"),
        ('{"a": 1,\n "b": }', "line 2, column 7: Expecting value"),
        ('{"a": 1, "a": 2}', 'the key "a" is there twice'),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": 1e999}', "1e999 is too large a number"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_by_place(text: str, problem: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_json(text)
    assert problem in str(refused.value)


@pytest.mark.parametrize(("text", "problem"), [("[1]", "are an object"), ('{"$version": 3}', "$version: names with $")])
def test_desired_properties_are_an_object_of_ones_own_names(text: str, problem: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_desired(text)
    assert problem in str(refused.value)
    assert parse_desired(' {"a": {"b": 1}} ') == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 3}, {"b": None, "a": 3}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "d": 4}}, {"a": {"c": None, "d": 4}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": [1]}, {"a": [True]}, {"a": [True]}),
        ({"a": 1}, {"a": True}, {"a": True}),
        ({}, {"a": {}}, {"a": {}}),
    ],
)
def test_the_patch_between_two_versions(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(old, new) == patch


def test_what_is_the_hubs_is_not_shown() -> None:
    assert without_hub_keys({"a": 1, "$version": 3, "$metadata": {}}) == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "text", "tone"),
    [
        (
            '{"time": "2026-01-01T12:00:00.123Z", "level": "WARNING", "pid": 1, "logger": "m", "message": "hot"}',
            "12:00:00.123 WARNING hot",
            "warn",
        ),
        ("2026-01-01 12:00:00,123 E [42] azmlinfsrv - no error here", None, "bad"),
        ("2026-01-01 12:00:00,123 I [42] azmlinfsrv - 0 errors, error_rate 0", None, ""),
        ("Traceback (most recent call last):", None, "bad"),
        ('{"message": 3}', None, ""),
        ("{not json", None, ""),
    ],
)
def test_log_lines_can_be_read(raw: str, text: str | None, tone: str) -> None:
    assert log_line(raw) == (text or raw, tone)
