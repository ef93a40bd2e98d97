"""Whatever edgepack writes as a manifest or a layer a device takes; templates change nothing but what they say."""

import contextlib
import json
from string import ascii_letters
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgepack.deployment.create_options import join, parse
from edgepack.deployment.document_view import view_of
from edgepack.deployment.dotenv import parse_dotenv
from edgepack.deployment.layer import layer_of
from edgepack.deployment.manifest import (
    ImageModule,
    ModuleSpec,
    RegistryCredentials,
    Route,
    deployment_manifest,
)
from edgepack.deployment.module_rules import MAX_UINT32, PULL_POLICIES, RESTART_POLICIES, STATUSES
from edgepack.deployment.placeholders import Surroundings, expand
from edgepack.deployment.problem import DESIRED
from edgepack.deployment.template import PLATFORMS, render_template
from edgepack.deployment.validate import check
from edgepack.errors import InputError

DIGEST = "sha256:" + "a" * 64
NAMES = st.text(f"{ascii_letters}_19", min_size=1, max_size=8).map(lambda text: f"n{text}")
VALUES = st.one_of(st.booleans(), st.integers(-(2**52), 2**52 - 1), st.text('ab cé"\\', max_size=20))
TWINS = st.dictionaries(
    NAMES, st.recursive(VALUES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)
)
ENV = st.dictionaries(NAMES.map(str.upper), VALUES, max_size=3)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "Labels": st.dictionaries(NAMES, st.text('xé" ', max_size=100), max_size=6),
        "HostConfig": st.fixed_dictionaries(
            {}, optional={"Memory": st.integers(2**23, 2**40), "Privileged": st.booleans()}
        ),
    },
)
TREATMENTS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(STATUSES),
        "restart_policy": st.sampled_from(RESTART_POLICIES),
        "image_pull_policy": st.sampled_from(PULL_POLICIES),
        "startup_order": st.integers(0, MAX_UINT32),
    },
)
SOURCES = ("/messages/*", "/messages/modules/{0}/*", "/messages/modules/{0}/outputs/amlOutput")
SINKS = ("$upstream", 'BrokeredEndpoint("/modules/{1}/inputs/in1")')


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A manifest of some modules, with routes between them; or none, where it would be too large."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.lower))
    modules: list[ModuleSpec | ImageModule] = []
    for name in names:
        more: dict[str, Any] = {"env": draw(ENV), "create_options": draw(OPTIONS), "desired": draw(st.none() | TWINS)}
        more |= draw(TREATMENTS)
        if draw(st.booleans()):
            modules.append(ImageModule(name, "registry.example.com/team/other:1.0", **more))
        else:
            modules.append(ModuleSpec(name, "registry.example.com/team/own", DIGEST, host_port=None, **more))
    routes = {}
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        ends = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        text = f"FROM {draw(st.sampled_from(SOURCES))} INTO {draw(st.sampled_from(SINKS))}".format(*ends)
        priority, seconds = draw(st.none() | st.integers(0, 9)), draw(st.none() | st.integers(0, 2**32 - 1))
        routes[name] = Route(text, priority, seconds)
    credentials = {"team": RegistryCredentials("registry.example.com", "me", draw(st.text('ab"é', min_size=1)))}
    return deployment_manifest(
        modules,
        draw(st.just(None) | st.just(routes)),
        credentials=draw(st.just({}) | st.just(credentials)),
        keep_messages_s=draw(st.integers(-1, 2**31 - 1)),
        piece_characters=draw(st.sampled_from((256, 512))),
    )


def errors_of(document: Any) -> list[str]:
    """What a device would not take."""
    return [f"{each.pointer}: {each.message}" for each in check(document).problems if each.severity == "error"]


@given(manifests())
def test_what_is_written_is_taken_whole_and_as_a_layer(manifest: dict[str, Any]) -> None:
    assert check(manifest).kind == "deployment"
    assert errors_of(manifest) == []
    layer = layer_of(manifest)
    assert check(layer).kind == "layer"
    assert errors_of(layer) == []
    content, laid = manifest["modulesContent"], view_of(layer).manifest
    assert laid.modules.value == content["$edgeAgent"][DESIRED]["modules"]
    assert (laid.hub["routes"].value or {}) == content["$edgeHub"][DESIRED]["routes"]
    own = {name for name in content if not name.startswith("$")}
    assert {name: laid.content[name].value for name in own} == {name: content[name] for name in own}


@given(manifests(), st.sampled_from(PLATFORMS))
def test_without_placeholders_only_create_options_change(manifest: dict[str, Any], platform: str) -> None:
    template = json.loads(json.dumps(manifest))
    for module in template["modulesContent"]["$edgeAgent"][DESIRED]["modules"].values():
        options = parse(join(module["settings"]))
        module["settings"] = {"image": module["settings"]["image"], "createOptions": options}
    text = json.dumps({"$schema-template": "4.0.0", **template}, indent=2)
    rendered = render_template(text, platform, Surroundings({"upstream": "x", "a": "x"}), "template").manifest
    for name, module in rendered["modulesContent"]["$edgeAgent"][DESIRED]["modules"].items():
        before = manifest["modulesContent"]["$edgeAgent"][DESIRED]["modules"][name]
        assert parse(join(module["settings"])) == parse(join(before["settings"]))
        module["settings"] = before["settings"]
    assert rendered == manifest


@given(st.text(st.characters(exclude_characters="$")))
def test_a_text_without_a_dollar_is_left_as_it_is(text: str) -> None:
    assert expand(text, "amd64", Surroundings({"a": "b"}), "x") == text


@given(st.text())
def test_a_value_arrives_as_it_is(value: str) -> None:
    text = expand('{"a$X": ["$X", "${X}b"]}', "amd64", Surroundings({"X": value}), "x")
    assert json.loads(text) == {f"a{value}": [value, f"{value}b"]}


@given(st.text() | st.text('"$\\{}MODULES.<>DIRX \n', max_size=30))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    for document in (text, json.dumps(text)):
        with contextlib.suppress(InputError):
            expand(document, "amd64", Surroundings({"X": "$X"}), "x")
        with contextlib.suppress(InputError):
            render_template(document, "amd64", Surroundings({"X": "1"}), "x")


@given(st.text() | st.text("A=\"'\\#\n\r ${}", max_size=40))
def test_any_text_of_variables_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        found = parse_dotenv(text, ".env", {"A": "1"})
        assert all(name.isascii() for name in found)


@given(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), st.text(st.characters(exclude_characters="'$")))
def test_a_value_in_single_quotes_is_that_value(name: str, value: str) -> None:
    assert parse_dotenv(f"{name}='{value}'\nB=2", ".env", {}) == {name: value} | {"B": "2"}
