"""Builds of projects with several modules, through the command line."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.deployment.validate import check
from simulator.run_folder import find_images, read_manifest
from tests.fakes.build_world import Project, World, copy_installation, make_world
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey

SENSOR = "mcr.example.com/azureiotedge-simulated-temperature-sensor:1.0"
SCRIPT = {"entryScript": "score.py", "sourceDirectory": "source", "condaFile": "conda.yml"}
MODULES: dict[str, Any] = {
    "sensor": {"image": SENSOR, "env": {"MessageCount": 3}},
    "filter": {"inference_config": SCRIPT, "routes": {"on": "FROM /messages/modules/filter/* INTO $upstream"}},
    "scorer": {"models": ["tiny"], "inference_config": SCRIPT, "desired": {"threshold": 1}},
}
CREDENTIALS = {"mine": {"address": "registry.example.com", "username_env": "WHO", "password_env": "SECRET"}}

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("gpgv") is None, reason="gpg is not installed: release files need it"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of three modules, built; its servers go on."""
    with FileServer() as server, SigningKey() as key:
        world: World = make_world(server, key, copy_installation(tmp_path_factory.mktemp("installed")))
        project = world.project(tmp_path_factory.mktemp("built") / "project")
        project.installation = Path(world.environment["HOME"])
        write(project, name="line", image="registry.example.com/line:2", modules=MODULES)
        project.build("--layered")
        yield project


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project, with its locks and caches."""
    folder = tmp_path / "project"
    shutil.copytree(built.folder, folder)
    return Project(folder, {**built.environment, "UV_CACHE_DIR": str(folder / "uv-cache")}, built.installation)


def write(project: Project, **document: Any) -> None:
    (project.folder / "edgepack.yaml").write_text(json.dumps(document))


def dist(project: Project, name: str) -> Any:
    return json.loads((project.folder / "dist" / name).read_text())


def test_every_module_has_its_image_and_documents(built: Project) -> None:
    report = dist(built, "build.json")
    assert set(report) == {"modules", "seconds", "downloads"}
    assert report["modules"]["sensor"] == {"image": SENSOR}
    agent = dist(built, "deployment.json")["modulesContent"]["$edgeAgent"]["properties.desired"]
    for name in ("filter", "scorer"):
        module = report["modules"][name]
        assert set(module) == {"image", "digest", "layout", "platforms"}
        assert module["image"] == f"registry.example.com/line/{name}:2"
        assert module["layout"] == f"{name}/image"
        image = agent["modules"][name]["settings"]["image"]
        assert image == f"registry.example.com/line/{name}@{module['digest']}"
        own = dist(built, f"{name}/build.json")
        assert set(own) == {"image", "digest", "seconds", "platforms", "downloads"}
        assert own["platforms"] == module["platforms"]
        built.run("verify", f"dist/{name}", code=0)
        assert dist(built, f"{name}/sbom/linux-arm64.cdx.json")["bomFormat"] == "CycloneDX"
        assert (built.folder / "locks" / name / "pylock.linux-arm64.toml").is_file()
    assert not (built.folder / "dist" / "image").exists()
    assert "there are images in dist/filter, dist/scorer" in built.run("verify", "dist", code=2).stderr
    assert report["modules"]["filter"]["digest"] != report["modules"]["scorer"]["digest"]
    shared = [
        {layer["digest"] for layer in report["modules"][name]["platforms"]["linux/arm64"]["layers"]}
        for name in ("filter", "scorer")
    ]
    assert len(shared[0] & shared[1]) == 4


def test_the_layer_has_the_projects_own_parts_only(built: Project) -> None:
    layer = dist(built, "deployment.layered.json")
    verdict = check(layer)
    assert (verdict.kind, [each for each in verdict.problems if each.severity == "error"]) == ("layer", [])
    content = layer["modulesContent"]
    assert {key.rpartition(".")[2] for key in content["$edgeAgent"]} == {"sensor", "filter", "scorer"}
    assert {key.rpartition(".")[2] for key in content["$edgeHub"]} == {
        "on",
        "scorerInput",
        "scorerOutput",
        "scorerErrors",
    }
    assert content["scorer"] == {"properties.desired": {"threshold": 1}}


def test_the_simulator_finds_all_images(built: Project) -> None:
    path = built.folder / "dist" / "deployment.json"
    read_manifest(path)
    images = find_images(path, ())
    for name in ("filter", "scorer"):
        assert images[dist(built, f"{name}/build.json")["digest"]] == path.parent / name / "image"


def test_again_nothing_is_made_and_an_old_layer_goes(project: Project) -> None:
    for place in ("dist", "dist/filter", "dist/filter/sbom"):
        (project.folder / place / ".killed.part").write_text("half")
    before = dist(project, "build.json")["modules"]
    report = project.build("--offline", "--locked")
    assert {name: module.get("digest") for name, module in report["modules"].items()} == {
        name: module.get("digest") for name, module in before.items()
    }
    layers = [layer for image in report["modules"]["filter"]["platforms"].values() for layer in image["layers"]]
    assert all(layer["cached"] for layer in layers)
    assert not (project.folder / "dist" / "deployment.layered.json").exists()
    assert list((project.folder / "dist").rglob("*.part")) == []


def test_a_module_that_is_no_more_leaves_nothing_behind(project: Project) -> None:
    (project.folder / "dist" / "filter" / "notes.txt").write_text("mine")
    modules = {"sensor": MODULES["sensor"]}
    write(project, name="line", models=["tiny"], inference_config=SCRIPT, modules=modules)
    report = project.build()
    assert report["digest"] == report["modules"]["line"]["digest"]
    assert report["modules"]["line"]["layout"] == "image"
    assert [path.name for path in (project.folder / "dist" / "filter").iterdir()] == ["notes.txt"]
    assert not (project.folder / "dist" / "scorer").exists()
    project.verify()
    write(project, name="line", modules=MODULES)
    project.build()
    assert not (project.folder / "dist" / "image").exists()
    assert not (project.folder / "dist" / "sbom").exists()


def test_a_dry_run_shows_all_and_makes_nothing(project: Project) -> None:
    shutil.rmtree(project.folder / "dist")
    plan = json.loads(project.run("--json", "build", "--dry-run", code=0).stdout)
    assert plan["modules"]["sensor"] == {"image": SENSOR}
    assert [layer["kind"] for layer in plan["modules"]["filter"]["platforms"]["linux/arm64"]["layers"]] == [
        *("base", "packages", "agent", "script"),
    ]
    assert plan["routes"]["on"] == "FROM /messages/modules/filter/* INTO $upstream"
    text = project.run("build", "--dry-run", code=0).stdout
    for part in (
        "module sensor  mcr.",
        "module scorer  registry.",
        "    model",
        "route on  FROM /messages/modules/filter",
    ):
        assert part in text
    assert not (project.folder / "dist").exists()


def test_credentials_are_in_the_manifest_and_nowhere_else(project: Project) -> None:
    write(
        project, name="line", modules={**MODULES, "x": {"image": "registry.example.com/x:1"}}, credentials=CREDENTIALS
    )
    assert "the environment variable SECRET is not set" in project.run("build", code=2).stderr
    project.environment |= {"WHO": "me", "SECRET": "hidden-word"}
    done = project.run("build", "--layered", code=0)
    assert "hidden-word" not in done.stdout + done.stderr
    holding = [
        path.name for path in project.folder.rglob("*") if path.is_file() and b"hidden-word" in path.read_bytes()
    ]
    assert holding == ["deployment.json"]
    assert (project.folder / "dist" / "deployment.json").stat().st_mode & 0o777 == 0o600


def test_problems_of_all_modules_at_once(project: Project) -> None:
    modules = {name: {"models": [f"no-{name}"], "inference_config": SCRIPT} for name in ("one", "two")}
    write(project, name="line", modules=modules, routes={})
    done = project.run("build", code=2)
    assert "module one: " in done.stderr
    assert "module two: " in done.stderr
    assert "no-two" in done.stderr
