"""The manifest that edgepack writes."""

import json
from dataclasses import replace

import pytest

from edgepack.deployment.create_options import join
from edgepack.deployment.manifest import (
    ModuleSpec,
    RegistryCredentials,
    Route,
    default_routes,
    deployment_manifest,
    parse_routes,
)
from edgepack.deployment.validate import problems
from edgepack.errors import InputError

DIGEST = "sha256:" + "a" * 64
SPEC = ModuleSpec("scorer", "registry.example:5000/edge/scorer", DIGEST)


def test_the_whole_manifest() -> None:
    manifest = deployment_manifest([replace(SPEC, version="3", env={"LEVEL": "info", "N": 2}, desired={"t": 0.5})])
    assert {problem.rule for problem in problems(manifest)} <= {"plain-credentials"}
    content = manifest["modulesContent"]
    agent = content["$edgeAgent"]["properties.desired"]
    assert agent["schemaVersion"] == "1.1"
    assert agent["runtime"] == {"type": "docker", "settings": {"minDockerVersion": "v1.25"}}
    assert agent["systemModules"]["edgeAgent"] == {
        "type": "docker",
        "imagePullPolicy": "on-create",
        "settings": {"image": "mcr.microsoft.com/azureiotedge-agent:1.6", "createOptions": "{}"},
    }
    hub = agent["systemModules"]["edgeHub"]
    assert hub["settings"]["image"] == "mcr.microsoft.com/azureiotedge-hub:1.6"
    assert json.loads(hub["settings"]["createOptions"]) == {
        "HostConfig": {
            "PortBindings": {
                "443/tcp": [{"HostPort": "443"}],
                "5671/tcp": [{"HostPort": "5671"}],
                "8883/tcp": [{"HostPort": "8883"}],
            }
        }
    }
    module = agent["modules"]["scorer"]
    settings = module.pop("settings")
    assert module == {
        "version": "3",
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "imagePullPolicy": "on-create",
        "startupOrder": 1,
        "env": {"LEVEL": {"value": "info"}, "N": {"value": 2}},
    }
    assert settings["image"] == f"registry.example:5000/edge/scorer@{DIGEST}"
    assert json.loads(join(settings)) == {
        "ExposedPorts": {"5001/tcp": {}},
        "HostConfig": {
            "Binds": ["scorer-buffer:/var/lib/edgepack"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "PortBindings": {"5001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5001"}]},
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=64m"},
        },
    }
    assert content["$edgeHub"]["properties.desired"] == {
        "schemaVersion": "1.1",
        "routes": {
            "scorerInput": "FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) "
            'INTO BrokeredEndpoint("/modules/scorer/inputs/amlInput")',
            "scorerOutput": "FROM /messages/modules/scorer/outputs/amlOutput INTO $upstream",
            "scorerErrors": "FROM /messages/modules/scorer/outputs/amlError INTO $upstream",
        },
        "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
    }
    assert content["scorer"] == {"properties.desired": {"t": 0.5}}
    assert json.loads(json.dumps(manifest)) == json.loads(
        json.dumps({"modulesContent": content | {"$edgeAgent": content["$edgeAgent"]}})
    )


def test_no_desired_properties_no_twin() -> None:
    assert set(deployment_manifest([SPEC])["modulesContent"]) == {"$edgeAgent", "$edgeHub"}


def test_given_options_are_laid_over_the_defaults_and_cut() -> None:
    labels = {f"label{number}": "x" * 40 for number in range(40)}
    spec = replace(SPEC, create_options={"Labels": labels, "HostConfig": {"Binds": ["/dev/x:/dev/x"]}})
    settings = deployment_manifest([spec])["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["scorer"][
        "settings"
    ]
    assert len(settings) > 4
    assert all(len(piece) <= 512 for key, piece in settings.items() if key != "image")
    options = json.loads(join(settings))
    assert options["Labels"] == labels
    assert options["HostConfig"]["Binds"] == ["scorer-buffer:/var/lib/edgepack", "/dev/x:/dev/x"]
    assert options["HostConfig"]["ReadonlyRootfs"] is True


def test_routes_with_priorities_and_versions_and_credentials() -> None:
    routes = default_routes(SPEC) | {"hot": Route("FROM /messages/modules/scorer/* INTO $upstream", 0, 60)}
    manifest = deployment_manifest(
        [SPEC],
        routes,
        credentials={"mine": RegistryCredentials("registry.example:5000", "user", "secret")},
        runtime_version="1.6",
        keep_messages_s=-1,
    )
    assert {problem.rule for problem in problems(manifest)} <= {"plain-credentials"}
    agent = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    hub = manifest["modulesContent"]["$edgeHub"]["properties.desired"]
    assert agent["systemModules"]["edgeHub"]["settings"]["image"].endswith("-hub:1.6")
    assert agent["runtime"]["settings"]["registryCredentials"]["mine"]["password"] == "secret"
    assert hub["routes"]["hot"] == {
        "route": "FROM /messages/modules/scorer/* INTO $upstream",
        "priority": 0,
        "timeToLiveSecs": 60,
    }
    assert hub["storeAndForwardConfiguration"] == {"timeToLiveSecs": -1}
    assert "secret" not in repr(RegistryCredentials("a", "b", "secret"))


def test_several_modules() -> None:
    manifest = deployment_manifest([SPEC, replace(SPEC, name="other", host_port=None, startup_order=2)])
    assert {problem.rule for problem in problems(manifest)} <= {"plain-credentials"}
    with pytest.raises(InputError, match="port 5001/tcp of the host is taken by scorer"):
        deployment_manifest([SPEC, replace(SPEC, name="other")])
    with pytest.raises(InputError, match="several modules called scorer"):
        deployment_manifest([SPEC, SPEC])


def test_all_problems_are_told() -> None:
    spec = ModuleSpec(
        "a b",
        "registry.example/edge/scorer",
        DIGEST,
        env={"A.B": "x", "C": "x" * 5000},
        desired={"a.b": 1},
        startup_order=-1,
    )
    with pytest.raises(InputError) as caught:
        deployment_manifest([spec], {"x": Route("FROM nowhere", 10), "a b": Route("FROM /* INTO $upstream")})
    text = str(caught.value)
    for part in (
        "'a b' may only have letters",
        "env/A.B: the name",
        "env/C/value: is longer than 4096 bytes",
        "startupOrder: must be an integer",
        "routes/x/route: column 6: expected a path",
        "routes/x/priority: must be an integer from 0",
        "routes/a b: the name",
        "the key 'a.b'",
    ):
        assert part in text


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, digest="sha256:abc"),
        replace(SPEC, digest="a" * 64),
        replace(SPEC, repository="x/y:1"),
        replace(SPEC, repository=f"x/y@{DIGEST}"),
        replace(SPEC, repository="X/Y/Z"),
        replace(SPEC, repository=""),
        replace(SPEC, create_options={"x": {1, 2}}),
        replace(SPEC, create_options={"x": float("nan")}),
        replace(SPEC, name=""),
        replace(SPEC, name="edgeHub"),
        replace(SPEC, input_name='x")'),
    ],
)
def test_modules_that_cannot_be_deployed(spec: ModuleSpec) -> None:
    with pytest.raises(InputError):
        deployment_manifest([spec])


def test_routes_are_read_as_a_manifest_has_them() -> None:
    assert parse_routes({"a": "FROM", "b": {"route": "R", "priority": 1, "timeToLiveSecs": 2}}, "x") == {
        "a": Route("FROM"),
        "b": Route("R", 1, 2),
    }
    with pytest.raises(InputError) as caught:
        parse_routes({"a": 1, "b": {}, "c": {"route": "R", "prio": 1}, 4: "x"}, "edgepack.yaml: routes")
    assert len(caught.value.problems) == 4
    with pytest.raises(InputError, match="must be routes by name"):
        parse_routes([], "x")
