"""Desired properties: applied, refused with a reason, or none of our business."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from device_agent.messages.settings import RUN_TIME, MessageSettings, parse_message_settings
from device_agent.messages.twin_settings import apply_desired

GIVEN = {"EDGEPACK_TRANSPORT": "mqtt", "EDGEPACK_MQTT_URL": "mqtt://broker", "EDGEPACK_MESSAGE_TTL_S": "60"}
START = parse_message_settings(GIVEN, [])


def test_a_property_overrides_its_variable_while_it_is_there() -> None:
    settings, report = apply_desired({"EDGEPACK_MESSAGE_TTL_S": 5, "EDGEPACK_HTTP_FORWARD": True}, GIVEN)
    assert settings == START._replace(ttl_s=5, http_forward=True)
    assert report["EDGEPACK_MESSAGE_TTL_S"] == {"status": "applied", "value": "5"}
    assert apply_desired({"EDGEPACK_MESSAGE_TTL_S": None}, GIVEN) == (START, {})
    assert apply_desired({}, GIVEN) == (START, {})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("EDGEPACK_MESSAGE_TTL_S", "soon", "expected a whole number of 0 to 315360000"),
        ("EDGEPACK_MESSAGE_TTL_S", -1, "expected a whole number"),
        ("EDGEPACK_PRIORITY", 10, "expected a whole number of 0 to 9"),
        ("EDGEPACK_OUTPUT", {"a": 1}, "is dict: expected a text or a number"),
        ("EDGEPACK_OUTPUT", "", "expected a text"),
        ("EDGEPACK_OUTPUT", "a/#", "without +, # and NUL"),
        ("EDGEPACK_BUFFER_PATH", "/tmp/x", "cannot change while the agent runs; these can: EDGEPACK_BUFFER_POLICY"),
        ("EDGEPACK_MESSAGE_TTL", 5, "is not known here"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_the_rest_applies(name: str, value: object, reason: str) -> None:
    settings, report = apply_desired({name: value, "EDGEPACK_LIST_OUTPUT": "each"}, GIVEN)
    assert settings == START._replace(list_output="each")
    assert report[name]["status"] == "refused"
    assert reason in report[name]["reason"]


def test_the_scripts_own_properties_are_left_alone() -> None:
    assert apply_desired({"threshold": 0.5, "mode": {"deep": [1]}}, GIVEN) == (START, {})


def test_every_run_time_variable_sets_its_field() -> None:
    other: dict[str, Any] = {
        "EDGEPACK_OUTPUT": "o",
        "EDGEPACK_ERROR_OUTPUT": "e",
        "EDGEPACK_LIST_OUTPUT": "each",
        "EDGEPACK_HTTP_FORWARD": "1",
        "EDGEPACK_PRIORITY": 0,
        "EDGEPACK_ERROR_PRIORITY": 9,
        "EDGEPACK_MESSAGE_TTL_S": 7,
        "EDGEPACK_DRAIN": "live_first",
        "EDGEPACK_BUFFER_POLICY": "drop_oldest",
    }
    assert other.keys() == RUN_TIME.keys()
    settings, report = apply_desired(other, GIVEN)
    assert all(entry["status"] == "applied" for entry in report.values())
    for field in MessageSettings._fields:
        assert (getattr(settings, field) != getattr(START, field)) == (field in RUN_TIME.values()), field


@given(
    st.dictionaries(
        st.sampled_from([*RUN_TIME, "EDGEPACK_X", "x"]), st.none() | st.booleans() | st.text() | st.floats()
    )
)
def test_any_desired_properties_leave_valid_settings(desired: dict[str, Any]) -> None:
    problems: list[str] = []
    settings, report = apply_desired(desired, GIVEN)
    overrides = {name: entry["value"] for name, entry in report.items() if entry["status"] == "applied"}
    assert settings == parse_message_settings({**GIVEN, **overrides}, problems)
    assert not problems
