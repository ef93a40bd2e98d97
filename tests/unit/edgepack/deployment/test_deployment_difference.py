"""What changes between two deployments, for people and as JSON."""

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgepack.deployment.difference import change_lines, differences, removed_modules
from tests.fakes.edge_deployments import desired, module


def state(**modules: dict[str, Any]) -> dict[str, Any]:
    return {
        "$edgeAgent": desired(**modules),
        "$edgeHub": {"schemaVersion": "1.1", "routes": {"up": "FROM /messages/* INTO $upstream"}},
        "scorer": {"threshold": 0.5, "limits": {"low": 1, "high": 2}},
    }


def lines(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return change_lines(differences(before, after))


def test_the_same_is_no_change_however_it_is_written() -> None:
    options = '{"HostConfig":{"Binds":["a:/b"]}}'
    one = state(scorer=module(settings={"createOptions": options}))
    other = copy.deepcopy(one)
    settings = other["$edgeAgent"]["modules"]["scorer"]["settings"]
    settings["createOptions"], settings["createOptions01"] = options[:9], options[9:]
    other["$edgeHub"]["routes"]["up"] = {"route": "FROM /messages/* INTO $upstream"}
    assert differences(one, other) == ()


def test_modules_routes_and_twins_come_and_go() -> None:
    before = state(scorer=module("a:1"), old=module("b:1"))
    after = state(scorer=module("a:1"), filter=module("c:1"))
    after["$edgeHub"]["routes"] = {"new": {"route": "FROM /* INTO $upstream", "priority": 1}}
    after["filter"] = {"level": 3}
    del after["scorer"]
    changes = differences(before, after)
    assert change_lines(changes) == [
        "+ module filter  c:1",
        "- module old  b:1",
        "+ route new  FROM /* INTO $upstream",
        "- route up  FROM /messages/* INTO $upstream",
        '+ twin of filter  {"level": 3}',
        '- twin of scorer  {"threshold": 0.5, "limits": {"low": 1, "high": 2}}',
    ]
    assert removed_modules(changes) == ["old"]


def test_changes_inside_are_told_part_by_part() -> None:
    before = state(scorer=module("a:1", env={"LEVEL": {"value": "info"}, "OLD": {"value": 1}}))
    after = state(
        scorer=module(
            f"registry.example.com/scorer@sha256:{'0' * 64}",
            env={"LEVEL": {"value": "debug"}, "FLAG": {"value": True}},
            settings={"createOptions": '{"HostConfig":{"Privileged":true}}'},
            status="stopped",
        )
    )
    after["$edgeHub"]["routes"]["up"] = {"route": "FROM /messages/* INTO $upstream", "timeToLiveSecs": 60}
    after["$edgeHub"]["storeAndForwardConfiguration"] = {"timeToLiveSecs": 1}
    after["$edgeAgent"]["runtime"]["settings"]["loggingOptions"] = ""
    after["scorer"]["limits"]["high"] = 3
    assert lines(before, after) == [
        "~ module scorer",
        "    ~ image",
        '        - "a:1"',
        f'        + "registry.example.com/scorer@sha256:{"0" * 64}"',
        '    ~ status  "running" -> "stopped"',
        '    ~ env.LEVEL  "info" -> "debug"',
        "    - env.OLD  1",
        "    + env.FLAG  true",
        '    ~ createOptions  {} -> {"HostConfig": {"Privileged": true}}',
        "~ route up",
        "    + timeToLiveSecs  60",
        "~ $edgeAgent",
        '    + runtime.settings.loggingOptions  ""',
        "~ $edgeHub",
        '    + storeAndForwardConfiguration  {"timeToLiveSecs": 1}',
        "~ twin of scorer",
        "    ~ limits.high  2 -> 3",
    ]


def test_true_is_not_one_and_null_is_nothing() -> None:
    assert lines({"a": {"x": 1}}, {"a": {"x": True}}) == ["~ twin of a", "    ~ x  1 -> true"]
    assert lines({"a": {"x": 1}}, {"a": {"x": 1, "y": None}}) == []


def test_secrets_are_never_shown() -> None:
    def with_secrets(text: str) -> dict[str, Any]:
        document = state(
            scorer=module(
                env={"DB_PASSWORD": {"value": text}, "URL": {"value": f"HostName=h;SharedAccessKey={text}"}},
                settings={
                    "createOptions": json.dumps({"Env": [f"API_TOKEN={text}", "LEVEL=1"], "Cmd": ["--password", text]})
                },
            )
        )
        credentials = {"r": {"address": "r.example.com", "username": "u", "password": text}}
        document["$edgeAgent"]["runtime"]["settings"]["registryCredentials"] = credentials
        document["scorer"]["apiKey"] = text
        document["scorer"]["one"] = {"name": "password", "value": text}
        document["scorer"]["list"] = [{"name": "password", "value": text}]
        return document

    one, other, nothing = with_secrets("first-hush"), with_secrets("second-hush"), state(scorer=module())
    for before, after in ((one, other), (nothing, one), (one, nothing), ({}, one), (one, {})):
        changes = differences(before, after)
        assert "hush" not in json.dumps([change.document for change in changes])
        assert "hush" not in "\n".join(change_lines(changes))
    text = "\n".join(lines(one, other))
    assert '~ runtime.settings.registryCredentials.r.password  "***" -> "***" (another value)' in text
    assert '~ one.value  "***" -> "***" (another value)' in text
    assert text.count("(another value)") == 8
    assert "LEVEL=1" in text


def test_texts_are_cut_and_fit_for_a_terminal() -> None:
    (line,) = lines({}, {"a": {"x": "\x1b[2J" + "y" * 1000}})
    assert "\x1b" not in line
    assert len(line) < 340
    names = lines({}, {"$edgeHub": {"routes": {"a\x1b[2J\n": "FROM /* \x1b INTO $upstream"}}})
    assert "\x1b" not in "".join(names)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["modules", "env", "settings", "routes"]), inner)
    ),
    max_leaves=12,
)
DESIRED = st.dictionaries(st.sampled_from(["$edgeAgent", "$edgeHub", "a", "b"]), JSON, max_size=4)


@given(DESIRED, DESIRED)
def test_any_documents_are_compared(before: dict[str, Any], after: dict[str, Any]) -> None:
    json.dumps([change.document for change in differences(before, after)])
    change_lines(differences(before, after))
    assert differences(before, before) == ()
