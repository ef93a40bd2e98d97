"""Every rule of the manifest check: one broken place, and what is said about it."""

import copy
import json
from typing import Any

import pytest

from edgepack.deployment.manifest import ModuleSpec, RegistryCredentials, deployment_manifest
from edgepack.deployment.problem import manifest_of
from edgepack.deployment.twin_rules import twin_bytes
from edgepack.deployment.validate import RULES, errors, problems

SCORER_MODULE = ModuleSpec("scorer", "registry.example/scorer", "sha256:" + "a" * 64, env={"A": 1}, desired={"t": 1})
GOOD = deployment_manifest([SCORER_MODULE])
WITH_CREDENTIALS = deployment_manifest(
    [SCORER_MODULE], credentials={"mine": RegistryCredentials("registry.example", "u", "p")}
)
AGENT = "/modulesContent/$edgeAgent/properties.desired"
HUB = "/modulesContent/$edgeHub/properties.desired"
SCORER = f"{AGENT}/modules/scorer"
TWIN = "/modulesContent/scorer/properties.desired"
GONE = object()


def changed(*changes: tuple[str, Any]) -> Any:
    """GOOD (or WITH_CREDENTIALS, to change these) with the value at each pointer replaced, added or (GONE) removed."""
    about_credentials = any("registryCredentials" in pointer for pointer, _ in changes)
    document = copy.deepcopy(WITH_CREDENTIALS if about_credentials else GOOD)
    for pointer, value in changes:
        *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
        place = document
        for step in way:
            place = place.setdefault(step, {})
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return document


def test_a_good_manifest_has_no_problems() -> None:
    assert problems(GOOD) == ()
    assert problems({"content": GOOD}) == ()


@pytest.mark.parametrize(
    ("pointer", "value", "rule"),
    [
        ("/modulesContent", GONE, "structure"),
        ("/modulesContent", [], "structure"),
        ("/modulesContent/$edgeAgent", GONE, "structure"),
        ("/modulesContent/$edgeHub", GONE, "structure"),
        ("/modulesContent/$edgeHub", 1, "structure"),
        (AGENT, GONE, "structure"),
        (AGENT, None, "structure"),
        ("/modulesContent/$edgeAgent/properties.desired.modules.x", {}, "structure"),
        (f"{AGENT}/schemaVersion", GONE, "agent"),
        (f"{AGENT}/runtime", GONE, "agent"),
        (f"{AGENT}/systemModules", GONE, "agent"),
        (f"{AGENT}/modules", GONE, "agent"),
        (f"{AGENT}/modules", [], "modules"),
        *[
            (f"{AGENT}/schemaVersion", version, "agent-schema-version")
            for version in ("1.1.1", "1.1.0.0", "1.3", "1", "2.0", "", 1.1, None, "21x15", "0.9")
        ],
        (f"{AGENT}/runtime/type", "podman", "runtime"),
        (f"{AGENT}/runtime/settings", GONE, "runtime"),
        (f"{AGENT}/runtime/settings", 1, "runtime-settings"),
        (f"{AGENT}/runtime/settings/minDockerVersion", 1.25, "runtime-settings"),
        (f"{AGENT}/runtime/settings/registryCredentials", [], "credentials"),
        (f"{AGENT}/runtime/settings/registryCredentials/mine/password", "  ", "credentials"),
        (f"{AGENT}/runtime/settings/registryCredentials/mine/password", GONE, "credentials"),
        (f"{AGENT}/runtime/settings/registryCredentials/mine/username", None, "credentials"),
        (f"{AGENT}/runtime/settings/registryCredentials/mine/address", "a b", "credentials"),
        (f"{AGENT}/runtime/settings/registryCredentials/a.b", {}, "credentials"),
        (f"{AGENT}/systemModules/edgeAgent", GONE, "system-modules"),
        (f"{AGENT}/systemModules/edgeHub", GONE, "system-modules"),
        (f"{AGENT}/systemModules/edgeHub/status", GONE, "module"),
        (f"{AGENT}/modules/a.b", {}, "module-name"),
        (f"{AGENT}/modules/{'a' * 129}", {}, "module-name"),
        (f"{AGENT}/modules/edgeHub", {}, "module-name"),
        (f"{AGENT}/modules/x", 1, "module"),
        (f"{SCORER}/type", GONE, "module"),
        (f"{SCORER}/settings", GONE, "module"),
        (f"{SCORER}/status", "paused", "module-value"),
        (f"{SCORER}/type", "Docker", "module-value"),
        (f"{AGENT}/runtime/type", "Docker", "runtime"),
        (f"{SCORER}/restartPolicy", "unless-stopped", "module-value"),
        (f"{SCORER}/imagePullPolicy", "always", "module-value"),
        (f"{SCORER}/startupOrder", 2**32, "module-value"),
        (f"{SCORER}/startupOrder", str(2**32), "module-value"),
        (f"{SCORER}/startupOrder", "one", "module-value"),
        (f"{SCORER}/startupOrder", None, "module-value"),
        (f"{SCORER}/restartPolicy", None, "module-value"),
        (f"{SCORER}/version", [], "module-value"),
        (f"{SCORER}/startupOrder", True, "module-value"),
        (f"{SCORER}/env", [], "env"),
        (f"{SCORER}/env/A.B", {"value": 1}, "env"),
        (f"{SCORER}/env/A B", {"value": 1}, "env"),
        (f"{SCORER}/env/A", {"value": []}, "env"),
        (f"{SCORER}/env/A", "x", "env"),
        (f"{SCORER}/env/A", None, "env"),
        (f"{SCORER}/env/A", {"value": "ä" * 2049}, "env"),
        (f"{SCORER}/settings", {}, "settings"),
        (f"{SCORER}/settings/image", "", "image"),
        (f"{SCORER}/settings/image", 1, "image"),
        (f"{SCORER}/settings/image", "bad image:::", "image"),
        (f"{SCORER}/settings/image", "Upper/Case/Name:1", "image"),
        (f"{SCORER}/settings/image", "x@sha256:abc", "image"),
        (f"{SCORER}/settings/image", "x:1@sha256:" + "a" * 64, "image"),
        (f"{SCORER}/settings/image", "${MODULES.scorer}", "placeholder"),
        (f"{SCORER}/settings/createOptions", "{", "create-options"),
        (f"{SCORER}/settings/createOptions", "[]", "create-options"),
        (f"{SCORER}/settings/createOptions", [], "create-options"),
        (f"{SCORER}/settings/createOptions", True, "create-options"),
        (f"{SCORER}/settings/createOptions", "{'a': 1,,}", "create-options"),
        (f"{SCORER}/settings/createOptions", "{'a': 1} x", "create-options"),
        (f"{SCORER}/settings/createOptions", "{} /* without an end", "create-options"),
        (f"{SCORER}/settings/createOptions", {"Labels": {"a.b": "c"}}, "twin-key"),
        (f"{SCORER}/settings/createOptions", '{"a": "' + "x" * 4096 + '"}', "create-options"),
        (f"{SCORER}/settings/createOptions02", "", "create-options"),
        (f"{SCORER}/settings/createOptions", GONE, None),
        (f"{HUB}/schemaVersion", GONE, "hub"),
        (f"{HUB}/routes", GONE, "hub"),
        (f"{HUB}/storeAndForwardConfiguration", GONE, "hub"),
        *[
            (f"{HUB}/schemaVersion", version, "hub-schema-version")
            for version in ("1.4", "2.0", "1", 1.0, 1, 1.4, None)
        ],
        (f"{HUB}/storeAndForwardConfiguration", 1, "store-and-forward"),
        (f"{HUB}/storeAndForwardConfiguration/timeToLiveSecs", GONE, "store-and-forward"),
        (f"{HUB}/storeAndForwardConfiguration/timeToLiveSecs", -2, "store-and-forward"),
        (f"{HUB}/storeAndForwardConfiguration/storeLimits", {"maxSizeBytes": 0}, "store-and-forward"),
        (f"{HUB}/routes", [], "routes"),
        (f"{HUB}/routes/a.b", "FROM /* INTO $upstream", "route-name"),
        (f"{HUB}/routes/x", "", "route"),
        (f"{HUB}/routes/x", 1, "route"),
        (f"{HUB}/routes/x", {}, "route"),
        (f"{HUB}/routes/x", {"route": 1}, "route"),
        (f"{HUB}/routes/x", "to the cloud", "route-syntax"),
        (f"{HUB}/routes/x", "FROM /* WHERE (a = 'x' INTO $upstream", "route-syntax"),
        (f"{HUB}/routes/x", "FROM /* WHERE a > 3 INTO $upstream", "route-condition"),
        (f"{HUB}/routes/x", {"route": "FROM /* INTO $upstream", "priority": 10}, "route-priority"),
        (f"{HUB}/routes/x", {"route": "FROM /* INTO $upstream", "timeToLiveSecs": -1}, "route-ttl"),
        ("/modulesContent/$other", {"properties.desired": {}}, "system-twin"),
        (f"{TWIN}/a.b", 1, "twin-key"),
        (f"{TWIN}/{'a' * 1025}", 1, "twin-key"),
        (f"{TWIN}/t", "ä" * 2049, "twin-value"),
        (f"{TWIN}/t", 2**52, "twin-value"),
        (f"{TWIN}/t", "a\ud83d", "twin-value"),
        (f"{TWIN}/a\udc00", 1, "twin-key"),
        (f"{SCORER}/env/A", {"value": "\ud83d"}, "twin-value"),
        (f"{TWIN}/t", -(2**52) - 1, "twin-value"),
        (f"{TWIN}/t", [None], "twin-value"),
        (f"{TWIN}/t", float("nan"), "twin-value"),
        (TWIN, {f"k{number}": "x" * 1000 for number in range(33)}, "twin-size"),
    ],
)
def test_errors(pointer: str, value: Any, rule: str | None) -> None:
    found = errors(problems(changed((pointer, value))))
    if rule is None:
        assert found == ()
    else:
        assert rule in {problem.rule for problem in found}


@pytest.mark.parametrize(
    ("pointer", "value", "rule"),
    [
        ("/$schema", "x", "structure-unknown-key"),
        ("/modulesContent/scorer/tags", {}, "structure-unknown-key"),
        (f"{AGENT}/more", 1, "unknown-key"),
        (f"{AGENT}/schemaVersion", "1.0.7", "schema-version-unpublished"),
        (f"{AGENT}/schemaVersion", "1.1.0", "schema-version-unpublished"),
        (f"{AGENT}/systemModules/edgeAgent/status", "running", "unknown-key"),
        (f"{AGENT}/systemModules/edgeAgent/startupOrder", 1, "unknown-key"),
        (f"{AGENT}/systemModules/edgeHub/restartPolicy", GONE, "restart-policy-missing"),
        (f"{SCORER}/restartPolicy", GONE, "restart-policy-missing"),
        (f"{SCORER}/settings/digest", "x", "settings-unpublished"),
        (f"{SCORER}/env/A", {"value": 1, "more": 1}, "unknown-key"),
        (f"{SCORER}/settings/image", "registry.example/x", "image-tag"),
        (f"{SCORER}/settings/image", "registry.example/x:latest", "image-tag"),
        (f"{HUB}/schemaVersion", "1.3", "schema-version-unpublished"),
        (f"{HUB}/mqttBroker", {}, "hub-no-effect"),
        (f"{HUB}/integrity", {}, "hub-no-effect"),
        (f"{HUB}/storeAndForwardConfiguration/storeLimits", {"maxSizeBytes": 1}, "store-limits-unpublished"),
        (f"{HUB}/routes/x", "FROM /message/* INTO $upstream", "route-source"),
        (f"{HUB}/routes/x", "FROM /* WHERE a!='x' INTO $upstream", "route-trap"),
        (f"{HUB}/routes/x", "FROM /messages/modules/s*r/* INTO $upstream", "route-source"),
        (
            f"{AGENT}/modules/42",
            {"type": "docker", "status": "running", "restartPolicy": "never", "settings": {"image": "r.example/a:1"}},
            "module-name-in-routes",
        ),
        (f"{HUB}/routes/x", "FROM /messages/modules/other/* INTO $upstream", "route-module"),
        (f"{HUB}/routes/x", 'FROM /* INTO BrokeredEndpoint("/modules/Scorer/inputs/a")', "route-module"),
        *[
            (f"{SCORER}/{key}", value, "loose-value")
            for key, value in (
                ("status", "Running"),
                ("restartPolicy", "Always"),
                ("restartPolicy", "On-Failure"),
                ("imagePullPolicy", "NEVER"),
                ("startupOrder", " 1 "),
                ("version", 1.0),
                ("version", None),
                ("env", None),
                ("env/A", {"value": None}),
                ("env/A", {}),
            )
        ],
        *[(f"{HUB}/schemaVersion", version, "loose-value") for version in (1.1, 1.2, 1.3)],
        (f"{HUB}/storeAndForwardConfiguration/timeToLiveSecs", "-1", "loose-value"),
        (f"{HUB}/storeAndForwardConfiguration/storeLimits", {"maxSizeBytes": "1"}, "loose-value"),
        (f"{HUB}/routes/x", {"route": "FROM /* INTO $upstream", "priority": "1"}, "loose-value"),
        (f"{HUB}/routes/x", {"route": "FROM /* INTO $upstream", "timeToLiveSecs": "60"}, "loose-value"),
        *[
            (f"{SCORER}/settings/createOptions", value, "create-options-form")
            for value in (
                {"HostConfig": {"Memory": 1}},
                None,
                "{'User': 'a'}",
                '{"User": "a",}',
                '{"User": "a"} // b',
                '{User: "a"}',
                '{"User": "a\nb"}',
            )
        ],
        (f"{SCORER}/settings/createOptions", '{"User": "a", "User": "b"}', "create-options-twice"),
        (f"{SCORER}/settings/createOptions", '{"hostconfig": {"memory": 1}}', "create-options-key-case"),
        ("/modulesContent/other", {"properties.desired": {}}, "module-twin"),
        (f"{AGENT}/runtime/settings/registryCredentials/mine/password", "${PASSWORD}", "placeholder-left"),
        (
            f"{AGENT}/runtime/settings/registryCredentials/more",
            {"address": "other.example", "username": "u", "password": "p"},
            "unused-credentials",
        ),
        (
            f"{AGENT}/runtime/settings/registryCredentials/more",
            {"address": "registry.example", "username": "u", "password": "p"},
            "credentials-twice",
        ),
    ],
)
def test_warnings(pointer: str, value: Any, rule: str) -> None:
    found = problems(changed((pointer, value)))
    assert rule in {problem.rule for problem in found if problem.severity == "warning"}
    assert errors(found) == ()


@pytest.mark.parametrize("document", [None, 1, "x", [], {}, {"moduleContent": {}}, {"content": {}}])
def test_documents_that_are_no_manifest(document: Any) -> None:
    assert errors(problems(document))[0].rule == "structure"


def test_all_problems_at_once_with_pointers() -> None:
    found = problems(
        changed((f"{AGENT}/modules/a~1b", {}), (f"{SCORER}/status", "x"), (f"{HUB}/routes/x", {"priority": 11}))
    )
    pointers = [problem.pointer for problem in found]
    assert f"{AGENT}/modules/a~1b" in pointers
    assert f"{SCORER}/status" in pointers
    assert f"{HUB}/routes/x/priority" in pointers


def test_schema_1_0_of_the_hub_takes_texts_only() -> None:
    old = changed(
        (f"{HUB}/schemaVersion", "1.0"),
        (f"{HUB}/storeAndForwardConfiguration", GONE),
        (f"{HUB}/routes/x", ""),
        (f"{HUB}/routes/y", {"route": "FROM /* INTO $upstream"}),
    )
    assert [(problem.pointer, problem.severity) for problem in problems(old)] == [
        (f"{HUB}/routes/x", "warning"),
        (f"{HUB}/routes/y", "error"),
    ]


@pytest.mark.parametrize(
    "image",
    [
        "registry.example:5000/a/b:1",
        "a:1",
        " a:1 ",
        "$upstream:443/a/b:1",
        "a/b@sha256:" + "0" * 64,
        "[::1]:5000/a:1",
        "a__b/c-d.e:x_1",
    ],
)
def test_images_that_are_fine(image: str) -> None:
    found = problems(changed((f"{SCORER}/settings/image", image)))
    assert "image" not in {problem.rule for problem in found} or image.startswith("[")


@pytest.mark.parametrize(
    ("mine", "theirs", "clash"),
    [
        ({"HostPort": "443"}, "443/tcp", True),
        ({"HostPort": "443", "HostIp": "127.0.0.1"}, "443/tcp", True),
        ({"HostPort": "440-450"}, "443/tcp", True),
        ({"HostPort": "444"}, "443/tcp", False),
        ({"HostPort": ""}, "443/tcp", False),
        ({"HostPort": "0"}, "443/tcp", False),
        ({}, "443/tcp", False),
        ({"HostPort": "x-y"}, "443/tcp", False),
    ],
)
def test_ports_of_the_host(mine: dict[str, str], theirs: str, clash: bool) -> None:
    options = json.dumps({"HostConfig": {"PortBindings": {"1/tcp": [mine], "2/udp": [{"HostPort": "443"}]}}})
    found = problems(changed((f"{SCORER}/settings/createOptions", options)))
    assert ("host-port" in {problem.rule for problem in found}) == clash


@pytest.mark.parametrize("binding", ["PortBindings", "portbindings"])
@pytest.mark.parametrize(("status", "rule"), [("running", "host-port"), ("Stopped", "host-port-stopped")])
def test_a_module_that_is_stopped_takes_no_port(status: str, rule: str, binding: str) -> None:
    options = json.dumps({"HostConfig": {binding: {"1/tcp": [{"HostPort": "443"}]}}})
    found = problems(changed((f"{SCORER}/settings/createOptions", options), (f"{SCORER}/status", status)))
    assert [problem.rule for problem in found if problem.rule.startswith("host-port")] == [rule]
    assert [problem.rule for problem in errors(found)] == [rule for rule in [rule] if rule == "host-port"]


def test_51_modules_are_too_many() -> None:
    module = GOOD["modulesContent"]["$edgeAgent"]["properties.desired"]["systemModules"]["edgeHub"]
    many = changed((f"{AGENT}/modules", {f"m{number}": module for number in range(51)}))
    assert "module-count" in {problem.rule for problem in problems(many)}


def test_100_pieces_at_most() -> None:
    pieces = {"createOptions": "{}"} | {f"createOptions{number:02d}": "" for number in range(1, 101)}
    found = errors(problems(changed((f"{SCORER}/settings", {"image": "registry.example/a:1", **pieces}))))
    assert [problem.rule for problem in found] == ["create-options"]


def test_depth() -> None:
    def nested(levels: int) -> Any:
        return {"a": nested(levels - 1)} if levels else 1

    assert problems(changed((TWIN, nested(10)))) == ()
    assert [problem.rule for problem in problems(changed((TWIN, nested(11))))] == ["twin-depth"]
    assert [problem.rule for problem in problems(changed((TWIN, {"a": [nested(9)]})))] == ["twin-depth"]


def test_a_key_and_its_value_are_both_told() -> None:
    found = problems(changed((TWIN, {"a\ud800": "x\udc00"})))
    assert [problem.rule for problem in found] == ["twin-key", "twin-value"]


def test_the_size_of_a_twin() -> None:
    assert twin_bytes({"ab": "cd\n", "ä": [1, True, None, 1.5]}) == 2 + 2 + 2 + 8 + 4 + 8


def test_each_rule_says_what_it_checks() -> None:
    assert len(RULES) > 20
    assert all(rule.__doc__ for rule in RULES)
    assert all(list(rule(manifest_of(GOOD))) == [] for rule in RULES)
