"""Templates of the known tools, and what comes out of them."""

import json
from typing import Any

import pytest

from edgepack.deployment.create_options import join
from edgepack.deployment.layer import layer_of
from edgepack.deployment.manifest import ModuleSpec, Route, default_routes, deployment_manifest
from edgepack.deployment.placeholders import ModuleFile, Surroundings, expand
from edgepack.deployment.template import (
    RenderedTemplate,
    manifest_name,
    render_template,
    template_platform,
)
from edgepack.errors import InputError

FILTER = """{"image": {"repository": "${CONTAINER_REGISTRY_SERVER}/Team/Filter", "tag": {"version": "1.2.${BUILD}",
 "platforms": {"amd64": "./Dockerfile.amd64", "amd64.debug": "./D", "arm64v8": "./D", "windows-amd64": "./D"}},
 "buildOptions": [], "contextPath": "../.."}, "language": "python"}"""
VARIABLES = {"CONTAINER_REGISTRY_SERVER": "registry.example.com:5000", "BUILD": "7"}


def module_file(folder: str) -> ModuleFile | None:
    texts = {
        "modules/filter": FILTER,
        "modules/a.b": FILTER.replace("Filter", "dotted"),
        "../elsewhere": FILTER.replace("Filter", "else"),
        "modules/bare": '{"image": {"repository": "bare", "tag": {"platforms": {"arm64v8": "D"}}}}',
        "modules/broken": "{",
        "modules/empty": "{}",
        "modules/unset": FILTER.replace("BUILD", "NOT_SET"),
    }
    own = {"BUILD": "own"} if folder == "modules/a.b" else {}
    return ModuleFile(texts[folder], f"{folder}/module.json", own) if folder in texts else None


AROUND = Surroundings(VARIABLES, module_file)


def expanded(text: str, platform: str = "arm64v8", around: Surroundings = AROUND) -> Any:
    return json.loads(expand(json.dumps(text), platform, around, "t.json"))


def told(text: str, around: Surroundings = AROUND) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        expand(text, "arm64v8", around, "t.json")
    return caught.value.problems


def template(**changes: Any) -> dict[str, Any]:
    """A whole manifest with one module, and some of its parts changed by name."""
    manifest = deployment_manifest([ModuleSpec("filter", "registry.example.com/x", "sha256:" + "a" * 64)])
    agent = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    if "settings" in changes:
        agent["modules"]["filter"]["settings"] = {"image": "registry.example.com/x:1", **changes.pop("settings")}
    agent["runtime"]["settings"] |= changes.pop("runtime", {})
    manifest["modulesContent"]["$edgeHub"]["properties.desired"]["routes"] |= changes.pop("routes", {})
    return {"$schema-template": "4.0.0", **manifest, **changes}


def render(document: Any, platform: str = "arm64v8", around: Surroundings = AROUND) -> RenderedTemplate:
    text = document if isinstance(document, str) else json.dumps(document, indent=2)
    return render_template(text, platform, around, "deployment.template.json")


def settings_of(rendered: RenderedTemplate) -> dict[str, Any]:
    agent = rendered.manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    settings: dict[str, Any] = agent["modules"]["filter"]["settings"]
    return settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${MODULES.filter}", "registry.example.com:5000/team/filter:1.2.7-arm64v8"),
        ("${MODULES.filter.amd64}", "registry.example.com:5000/team/filter:1.2.7-amd64"),
        ("${MODULES.filter.amd64.debug}", "registry.example.com:5000/team/filter:1.2.7-amd64.debug"),
        ("${MODULES.filter.windows-amd64}", "registry.example.com:5000/team/filter:1.2.7-windows-amd64"),
        ("${MODULES.a.b.amd64}", "registry.example.com:5000/team/dotted:1.2.own-amd64"),
        ("${MODULES.bare}", "bare:0.0.0-arm64v8"),
        ("${MODULEDIR<../elsewhere>}", "registry.example.com:5000/team/else:1.2.7-arm64v8"),
        ("${MODULEDIR<..\\elsewhere>.amd64.debug}", "registry.example.com:5000/team/else:1.2.7-amd64.debug"),
        ("$BUILD/${BUILD}-x", "7/7-x"),
        ("$$BUILD $${BUILD} $ $$ $5 a$", "$BUILD ${BUILD} $ $$ $5 a$"),
        ("${VAR:-default} ${a b} ${}", "${VAR:-default} ${a b} ${}"),
    ],
)
def test_placeholders(text: str, expected: str) -> None:
    assert expanded(text) == expected


def test_debug_is_that_of_the_chosen_platform_and_a_tag_may_be_added() -> None:
    around = Surroundings({**VARIABLES, "CONTAINER_TAG": "rc"}, module_file)
    assert expanded("${MODULES.filter.debug}", "amd64", around).endswith("/filter:1.2.7-rc-amd64.debug")


def test_names_that_are_no_variables_stay_whatever_the_environment_holds() -> None:
    names = ("upstream", "edgeHub", "edgeAgent", "body", "contentType", "iothub", "schema", "absolute", "dt")
    around = Surroundings(dict.fromkeys(names, "destroyed"))
    text = json.dumps(
        {
            "$schema-template": "4.0.0",
            "$edgeAgent": "$edgeHub",
            "image": "$upstream:443/x:1",
            "route": "FROM /* WHERE $BODY.a = $contentType AND $dt-subject = 'x' INTO $upstream",
        }
    )
    assert expand(text, "amd64", around, "x") == text
    assert expanded("$body of ${iothub}", around=around) == "destroyed of destroyed"


def test_a_value_may_have_any_characters_and_is_not_read_again() -> None:
    around = Surroundings({"PASSWORD": 'a"b\\n\n$HOME ${MODULES.x}', "TTL": "7200", "LIST": '["$TTL"]'})
    assert expanded("$PASSWORD", around=around) == 'a"b\\n\n$HOME ${MODULES.x}'
    assert json.loads(expand('{"a": ${TTL}, "b": $LIST, "$TTL": 1}', "amd64", around, "x")) == {
        "a": 7200,
        "b": ["$TTL"],
        "7200": 1,
    }


def test_all_that_cannot_be_replaced_is_told_with_its_lines() -> None:
    text = """{
      "a": "$ONE ${TWO}",
      "b": "$ONE", "c": $THREE, "d": ${CONTAINER_REGISTRY_SERVER},
      "e": ["${MODULES.nothing.amd64}", "${MODULES.filter.arm32v7}", "${MODULEDIR<../nowhere>}"],
      "f": ["${MODULES.broken}", "${MODULES.empty}", "${MODULES.unset}"]
    }"""
    problems = "\n".join(told(text))
    for part in (
        "t.json: $ONE is not set (line 2, 3)",
        "t.json: $TWO is not set (line 2)",
        "t.json: $THREE is not set (line 3)",
        "line 3: the value of ${CONTAINER_REGISTRY_SERVER} is no JSON: put quotes around it",
        "line 4: ${MODULES.nothing.amd64}: there is no modules/nothing/module.json",
        "line 4: ${MODULES.filter.arm32v7}: modules/filter/module.json has no platform arm32v7: it has amd64",
        "line 4: ${MODULEDIR<../nowhere>}: there is no ../nowhere/module.json",
        "modules/broken/module.json is no JSON",
        "modules/empty/module.json: image.repository must be a text, not None",
        "modules/unset/module.json: $NOT_SET is not set (line 1)",
    ):
        assert part in problems


def test_a_template_of_the_known_tools() -> None:
    options = {"HostConfig": {"PortBindings": {"9000/tcp": [{"HostPort": "9000"}]}}, "Cmd": ["x" * 900]}
    document = template(
        settings={"image": "${MODULES.filter}", "createOptions": options},
        runtime={"registryCredentials": {"mine": {"address": "$SERVER", "username": "$NAME", "password": "$PASSWORD"}}},
        routes={"up": "FROM /messages/modules/${WHERE}/outputs/* INTO $upstream"},
    )
    more = {"SERVER": "registry.example.com:5000", "NAME": "me", "PASSWORD": 'p"w', "WHERE": "filter"}
    rendered = render(document, around=Surroundings({**VARIABLES, **more}, module_file))
    settings = settings_of(rendered)
    assert settings["image"] == "registry.example.com:5000/team/filter:1.2.7-arm64v8"
    assert list(settings) == ["image", "createOptions", "createOptions01"]
    assert join(settings) == json.dumps(options, separators=(",", ":"))
    assert rendered.schema_version == "4.0.0"
    assert "$schema-template" not in rendered.manifest
    assert rendered.holds_secrets
    assert not rendered.is_layer


def test_without_placeholders_a_template_is_its_manifest() -> None:
    document = template()
    rendered = render(document)
    assert rendered.manifest == {key: value for key, value in document.items() if key != "$schema-template"}
    assert not rendered.holds_secrets


def test_long_create_options_as_a_text_are_cut_too() -> None:
    options = json.dumps({"Labels": {"x": "y" * 1500}})
    document = template(settings={"createOptions": options})
    settings = settings_of(render(document))
    assert join(settings) == options
    assert len(settings) == 4


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (template(settings={"image": "not an image"}), "is no image reference"),
        (template(routes={"x": "FROM nowhere"}), "/routes/x: column 6"),
        (template(settings={"createOptions": {}, "createOptions01": "}"}), "createOptions01 stands beside it"),
        (template(settings={"createOptions": {"a": "x" * 60000}}), "module filter: createOptions has 60008 characters"),
        (template(settings={"createOptions": 5}), "createOptions must be a text that holds JSON"),
        ("[]", "a deployment template is a JSON object"),
        ('{"a": 1,}', "deployment.template.json:1:8: a comma before a closing bracket"),
    ],
)
def test_templates_that_give_no_manifest(document: Any, expected: str) -> None:
    with pytest.raises(InputError, match=r".") as caught:
        render(document)
    assert expected in str(caught.value)


def layer() -> dict[str, Any]:
    """A layer, as a template that has it under `content`."""
    spec = ModuleSpec("filter", "registry.example.com/x", "sha256:" + "a" * 64, desired={"x": 1})
    routes = default_routes(spec) | {"hot": Route("FROM /messages/modules/other/* INTO $upstream", 0, 60)}
    content: dict[str, Any] = layer_of(
        deployment_manifest([spec, ModuleSpec("other", "x", spec.digest, host_port=None)], routes)
    )
    agent = content["modulesContent"]["$edgeAgent"]
    del agent["properties.desired.modules.other"]
    agent["properties.desired.modules.filter"]["settings"] = {
        "image": "${MODULES.filter}",
        "createOptions": {"HostConfig": {"Binds": []}},
    }
    return {"content": content}


def test_a_layered_template_may_route_from_modules_of_the_base() -> None:
    rendered = render(layer())
    agent = rendered.manifest["content"]["modulesContent"]["$edgeAgent"]
    assert rendered.is_layer
    assert agent["properties.desired.modules.filter"]["settings"] == {
        "image": "registry.example.com:5000/team/filter:1.2.7-arm64v8",
        "createOptions": '{"HostConfig":{"Binds":[]}}',
    }


def test_problems_of_a_layer_point_into_it() -> None:
    document = layer()
    content = document["content"]["modulesContent"]
    content["$edgeAgent"]["properties.desired.modules.filter"]["restartPolicy"] = "sometimes"
    content["$edgeHub"]["properties.desired.routes.hot"]["priority"] = 10
    with pytest.raises(InputError) as caught:
        render(document)
    assert "/$edgeAgent/properties.desired.modules.filter/restartPolicy: must be one of" in str(caught.value)
    assert "/$edgeHub/properties.desired.routes.hot/priority: must be an integer from 0" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("deployment.template.json", "4.0.0", "deployment.amd64.json"),
        ("deployment.debug.template.json", "1.0.0", "deployment.debug.amd64.json"),
        ("line.json", "4.0.0", "line.amd64.json"),
        ("deployment.template.json", "", "deployment.json"),
        ("deployment.template.json", "0.0.1", "deployment.json"),
        ("odd", "4.0.0", "deployment.amd64.json"),
    ],
)
def test_names_of_manifests(name: str, version: str, expected: str) -> None:
    assert manifest_name(name, version, "amd64") == expected


def test_platforms() -> None:
    names = ("linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64", "arm64v8", "arm64")
    assert [template_platform(name) for name in names] == [
        "amd64",
        "arm64v8",
        "arm32v7",
        "windows-amd64",
        "arm64v8",
        "arm64v8",
    ]
    with pytest.raises(InputError, match="'linux/s390x' is not known in templates"):
        template_platform("linux/s390x")
