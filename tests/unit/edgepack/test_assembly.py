"""Projects of several modules: what is built, what is only placed, their routes, and all that is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.assembly import Assembly, read_assembly
from edgepack.deployment.create_options import join
from edgepack.deployment.validate import check
from edgepack.errors import InputError
from edgepack.module import deployment_document
from edgepack.project import BuildOptions

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"
SENSOR = "mcr.example.com/azureiotedge-simulated-temperature-sensor:1.0"
FILTER = {"inference_config": {"entryScript": "filter.py"}}
SCORER = {"models": ["limits:2"], "inference_config": {"entryScript": "score.py"}}
UP = "FROM /messages/modules/scorer/outputs/amlOutput INTO $upstream"
CREDENTIALS = {"mine": {"address": "registry.example.com", "username_env": "WHO", "password_env": "SECRET"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project").mkdir()
    for name in ("filter.py", "score.py"):
        (tmp_path / "project" / name).write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "project"


def read(folder: Path, document: dict[str, Any], environment: dict[str, str] | None = None, **options: Any) -> Assembly:
    (folder / "edgepack.yaml").write_text(json.dumps(document))
    return read_assembly(folder, BuildOptions(**options), environment or {})


def line(**more: Any) -> dict[str, Any]:
    """A project of a sensor, a filter and a scorer."""
    return {"name": "line", "modules": {"sensor": {"image": SENSOR}, "filter": FILTER, "scorer": SCORER}, **more}


def content(assembly: Assembly) -> dict[str, Any]:
    """The manifest's modules and routes."""
    digests = {recipe.module.name: f"sha256:{number:064x}" for number, recipe in enumerate(assembly.recipes.values())}
    found: dict[str, Any] = deployment_document(assembly, digests)["modulesContent"]
    return found


def told(folder: Path, document: dict[str, Any], **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        content(read(folder, document, **options))
    return str(caught.value)


def test_built_and_placed_modules(folder: Path) -> None:
    assembly = read(folder, line(routes={"up": {"route": UP, "priority": 0, "timeToLiveSecs": 60}}))
    assert [*assembly.recipes] == ["filter", "scorer"]
    assert not assembly.is_single
    assert [str(recipe.image) for recipe in assembly.recipes.values()] == ["line/filter:latest", "line/scorer:latest"]
    assert [str(model) for model in assembly.recipes["scorer"].models] == ["limits:2"]
    found = content(assembly)
    agent, hub = (found[name]["properties.desired"] for name in ("$edgeAgent", "$edgeHub"))
    assert {name: module["settings"]["image"] for name, module in agent["modules"].items()} == {
        "filter": f"line/filter@sha256:{0:064x}",
        "scorer": f"line/scorer@sha256:{1:064x}",
        "sensor": SENSOR,
    }
    assert json.loads(join(agent["modules"]["sensor"]["settings"])) == {}
    assert "PortBindings" not in join(agent["modules"]["scorer"]["settings"])
    assert hub["routes"] == {"up": {"route": UP, "priority": 0, "timeToLiveSecs": 60}}


def test_a_list_says_the_same_as_a_mapping(folder: Path) -> None:
    modules = line()["modules"]
    listed = [{"name": name, **module} for name, module in modules.items()]
    assert content(read(folder, line(modules=listed))) == content(read(folder, line()))


def test_what_a_module_says_of_itself(folder: Path) -> None:
    sensor = {"image": SENSOR, "env": {"MessageCount": -1}, "desired": {"SendInterval": 1}, "routes": {"s": UP}}
    sensor["create_options"] = {"HostConfig": {"Memory": 1}}
    found = content(read(folder, line(modules={"sensor": sensor, "scorer": SCORER}, routes={})))
    module = found["$edgeAgent"]["properties.desired"]["modules"]["sensor"]
    assert module["env"] == {"MessageCount": {"value": -1}}
    assert json.loads(join(module["settings"])) == {"HostConfig": {"Memory": 1}}
    assert found["sensor"] == {"properties.desired": {"SendInterval": 1}}
    assert found["$edgeHub"]["properties.desired"]["routes"] == {"s": UP}


def test_how_the_agent_treats_a_module(folder: Path) -> None:
    said = {"status": "stopped", "restart_policy": "on-failure", "image_pull_policy": "never", "startup_order": 0}
    document = {
        **SCORER,
        "name": "own",
        "module": {"startup_order": 7},
        "modules": {"sensor": {"image": SENSOR, **said}, "filter": {**FILTER, **said}},
        "store_and_forward": {"timeToLiveSecs": -1},
    }
    found = content(read(folder, document))
    modules = found["$edgeAgent"]["properties.desired"]["modules"]
    wanted = {"status": "stopped", "restartPolicy": "on-failure", "imagePullPolicy": "never", "startupOrder": 0}
    for name in ("sensor", "filter"):
        assert {key: modules[name][key] for key in wanted} == wanted
    usual = {"status": "running", "restartPolicy": "always", "imagePullPolicy": "on-create", "startupOrder": 7}
    assert {key: modules["own"][key] for key in usual} == usual
    assert found["$edgeHub"]["properties.desired"]["storeAndForwardConfiguration"] == {"timeToLiveSecs": -1}
    assert check({"modulesContent": found}).problems == ()


def test_routes_that_nobody_states_are_the_usual_ones_of_built_modules(folder: Path) -> None:
    modules = {"sensor": {"image": SENSOR}, "filter": {**FILTER, "routes": {"own": UP}}, "scorer": SCORER}
    found = content(read(folder, line(modules=modules)))
    assert {*found["$edgeHub"]["properties.desired"]["routes"]} == {
        "own",
        "scorerInput",
        "scorerOutput",
        "scorerErrors",
    }


def test_the_projects_own_module_and_others(folder: Path) -> None:
    document = {**SCORER, "name": "own", "image": "r.example.com/team/own:3", "modules": {"filter": FILTER}}
    assembly = read(folder, document)
    assert {where: str(recipe.image) for where, recipe in assembly.recipes.items()} == {
        "": "r.example.com/team/own:3",
        "filter": "r.example.com/team/own/filter:3",
    }
    assert "PortBindings" in join(content(assembly)["$edgeAgent"]["properties.desired"]["modules"]["own"]["settings"])
    assert read(folder, {**document, "modules": {}}).is_single
    assert not read(folder, {**document, "modules": {"sensor": {"image": SENSOR}}}).is_single


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["x.example.com/f:1", "r.example.com/line/scorer:2"]),
        ({"image": "o.example.com/p:9"}, ["o.example.com/p/filter:9", "o.example.com/p/scorer:9"]),
    ],
)
def test_names_of_images(folder: Path, options: dict[str, Any], expected: list[str]) -> None:
    modules = {"filter": {**FILTER, "image": "x.example.com/f:1"}, "scorer": SCORER}
    assembly = read(folder, line(modules=modules, image="r.example.com/line:2"), **options)
    assert [str(recipe.image) for recipe in assembly.recipes.values()] == expected


def test_modules_that_share_a_folder_keep_their_locks_apart(folder: Path) -> None:
    (folder / "apart").mkdir()
    (folder / "apart" / "ic.yml").write_text("entryScript: ../filter.py\n")
    modules = {"filter": FILTER, "scorer": SCORER, "third": {"inference_config": "apart/ic.yml"}}
    assembly = read(folder, line(modules=modules))
    assert {name: recipe.lock_folder for name, recipe in assembly.recipes.items()} == {
        "filter": folder / "locks" / "filter",
        "scorer": folder / "locks" / "scorer",
        "third": folder / "apart",
    }
    assert read(folder, {**SCORER, "modules": {"filter": FILTER}}).recipes[""].lock_folder == folder


def test_credentials_come_from_the_environment(folder: Path) -> None:
    assembly = read(folder, line(credentials=CREDENTIALS), {"WHO": "me", "SECRET": "s3cret"})
    runtime = content(assembly)["$edgeAgent"]["properties.desired"]["runtime"]
    assert runtime["settings"]["registryCredentials"] == {
        "mine": {"address": "registry.example.com", "username": "me", "password": "s3cret"}
    }
    assert "s3cret" not in repr(assembly)
    text = told(folder, line(credentials=CREDENTIALS))
    assert "credentials.mine.username_env: the environment variable WHO is not set" in text
    assert "credentials.mine.password_env: the environment variable SECRET is not set" in text


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (line(modules={"a": {"modles": []}}), "modules.a: key `modles` is not known; did you mean `models`?"),
        (line(modules={"a": {}}), "modules.a: name its `models` or `inference_config` to build it, or the `image`"),
        (line(modules={"a": 5}), "modules.a: must be a mapping with keys such as"),
        (line(modules={"a b": FILTER}), "module name 'a b' may only have letters"),
        (line(modules={"image": FILTER}), "modules.image: the output has a folder of that name"),
        (line(modules=[FILTER]), "modules, number 1: must be a mapping with a `name`"),
        (line(modules=["x"]), "modules, number 1: must be a mapping with a `name`"),
        (
            line(modules=[{"name": "A", **FILTER}, {"name": "a", **FILTER}]),
            "modules.a: there is another module of that",
        ),
        (line(modules=5), "`modules` must be a list or a mapping, not 5"),
        (line(modules={"a": {**FILTER, "env": {"X": []}}}), "modules.a.env.X must be a text"),
        (
            line(modules={"a": {"inference_config": {"entryScrpt": "x"}}}),
            "modules.a: inference_config: key `entryScrpt`",
        ),
        (
            line(modules={"a": {"inference_config": {"entryScript": "x.py"}}}),
            "modules.a: entryScript 'x.py' is not there",
        ),
        (line(modules={"a": {"image": "not an image"}}), "is no image reference"),
        (line(modules={"a_b": FILTER, "a-b": SCORER}), "modules a_b and a-b have the same image line/a-b:latest"),
        (line(modules={"a": {**FILTER, "image": "BAD"}}), "'BAD' is no image name"),
        (line(modules={"a": {**FILTER, "routes": {"x": 5}}}), "modules.a.routes: x: must be a text"),
        (line(routes={"x": "FROM nowhere"}), "column 6"),
        (line(routes={"x": UP.replace("scorer", "score")}), "comes from a module 'score' that is not deployed"),
        (line(modules={"a": {**FILTER, "status": "Stopped"}}), "modules.a.status must be one of running, stopped"),
        (line(modules={"a": {**FILTER, "restart_policy": "x"}}), "modules.a.restart_policy must be one of never"),
        (line(modules={"a": {**FILTER, "image_pull_policy": "x"}}), "image_pull_policy must be one of never, on-"),
        (line(modules={"a": {**FILTER, "startup_order": -1}}), "startup_order must lie between 0 (started first)"),
        (line(modules={"a": {**FILTER, "startup_order": True}}), "`startup_order` must be a whole number, not True"),
        (line(store_and_forward={"timeToLiveSecs": -2}), "timeToLiveSecs must lie between -1 (for ever)"),
        (line(store_and_forward={"timeToLiveSecs": "1"}), "`timeToLiveSecs` must be a whole number"),
        (line(store_and_forward={"ttl": 1}), "store_and_forward: key `ttl` is not known"),
        (line(name="Bad Name"), "name 'Bad Name' must be lower-case"),
        (line(base="debian:buster"), "base 'debian:buster' is not known"),
        (
            {**SCORER, "module": {"name": "filter"}, "modules": {"filter": FILTER}},
            "the project's own module has that name",
        ),
        (
            line(modules={"a": {**FILTER, "routes": {"up": UP}}, "scorer": {**SCORER, "routes": {"up": UP}}}),
            "modules.scorer.routes: there is another route called up; rename one",
        ),
        (line(credentials={"a": {"address": "x", "username": "me"}}), "did you mean `username_env`?"),
        (line(credentials={"a": {"address": "x"}}), "credentials.a: needs `password_env`"),
        (line(credentials={"a": "secret"}), "credentials.a: must be a mapping with address, username_env"),
    ],
)
def test_what_is_wrong(folder: Path, document: dict[str, Any], expected: str) -> None:
    assert expected in told(folder, document)


def test_all_that_is_wrong_at_once_and_shared_things_once(folder: Path) -> None:
    text = told(
        folder,
        line(
            modules={"a": {**FILTER, "imge": "x"}, "b": {**SCORER, "models": ["m:x"]}, "c": {}},
            platforms=["linux/s390x"],
            credentials=CREDENTIALS,
            rutes={},
        ),
    )
    for part in ("`imge`", "m:x", "modules.c: name its", "linux/s390x", "WHO is not set", "did you mean `routes`?"):
        assert part in text
    assert text.count("linux/s390x' is not known") == 1


def test_what_is_captured_is_routed_like_other_outputs(folder: Path) -> None:
    env = {"EDGEPACK_CAPTURE_OUTPUT": "captured", "EDGEPACK_OUTPUT": "o", "EDGEPACK_ERROR_OUTPUT": "e"}
    found = content(read(folder, line(modules={"scorer": {**SCORER, "env": env}})))
    routes = found["$edgeHub"]["properties.desired"]["routes"]
    assert routes["scorerCaptured"] == "FROM /messages/modules/scorer/outputs/captured INTO $upstream"
    assert check({"modulesContent": found}).problems == ()
    routes["scorerCaptured"] = routes["scorerCaptured"].replace("captured", "capture")
    (problem,) = check({"modulesContent": found}).problems
    assert "whose environment sets: o, e, captured" in str(problem)
