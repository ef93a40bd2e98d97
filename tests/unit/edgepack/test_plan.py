"""Plans: which layers in which order, and keys that change exactly when the bytes would."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgepack.base.apt import DebPackage
from edgepack.layer_groups import GROUP_BYTES, MOST_MODEL_LAYERS, MOST_PACKAGE_LAYERS
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.oci.platform import AMD64, ARM64, Platform
from edgepack.oci.reference import parse_image_reference
from edgepack.plan import (
    BaseContent,
    BuildPlan,
    FileContent,
    Material,
    WheelContent,
    plan_build,
)
from edgepack.project import Recipe
from edgepack.project_file import ModuleOptions
from edgepack.resolve.lock import PlatformLock, Wheel
from edgepack.resolve.package_requests import PackageRequests
from edgepack.script_folder import Script

PLATFORMS = (AMD64, ARM64)


def wheel(name: str, size: int | None = 1000, sha256: str = "") -> Wheel:
    filename = f"{name}-1.0-py3-none-any.whl"
    return Wheel(name, "1.0", filename, f"https://example.com/{filename}", sha256 or f"{name:0<64}", size)


def lock(platform: Platform, *wheels: Wheel) -> PlatformLock:
    debs = [DebPackage(name, "1", platform.debian, "", f"{name}-{platform.debian}", 1) for name in ("libc6", "tzdata")]
    return PlatformLock(str(platform), "inputs", ("x",), "solution", "debian:bookworm", "3.11", tuple(debs), wheels)


def model(name: str = "iris", version: int = 1, *files: ModelFile, framework: str | None = None) -> ModelRecord:
    return ModelRecord(
        name=name,
        version=version,
        files=files or (ModelFile("model.bin", 10, "a" * 64, False),),
        created_utc="2026-01-01T00:00:00Z",
        framework=framework,
    )


SCRIPT = Script(
    "score.py", (("labels.txt", Path("/here/labels.txt"), False), ("score.py", Path("/here/score.py"), False)), "source"
)
RECIPE = Recipe(
    name="sample",
    models=(),
    script=SCRIPT,
    requests=PackageRequests(),
    variables={},
    platforms=PLATFORMS,
    base="debian:bookworm",
    image=parse_image_reference("sample"),
    module=ModuleOptions("sample"),
    lock_folder=Path(),
    environment_file="env.yml",
)
MATERIAL = Material(
    model_path=lambda file: Path("/registry/iris", file.path),
    agent_files=[("__init__.py", Path("/agent/__init__.py"), "b" * 64)],
    script_hashes={"score.py": "c" * 64, "labels.txt": "d" * 64},
    agent_version="0.1",
    maker="maker",
)
WHEELS = (wheel("big", GROUP_BYTES), wheel("huge", GROUP_BYTES * 9), wheel("one"), wheel("two", None))


def plan(
    recipe: Recipe = RECIPE,
    models: Sequence[ModelRecord] = (model(),),
    locks: Mapping[Platform, PlatformLock] | None = None,
    material: Material = MATERIAL,
) -> BuildPlan:
    chosen = locks or {platform: lock(platform, *WHEELS) for platform in PLATFORMS}
    return plan_build(recipe, models, chosen, material)


def titles(found: BuildPlan, number: int = 0) -> list[str]:
    return [f"{layer.kind}: {layer.title}" for layer in found.images[number].layers]


def changed(one: BuildPlan, other: BuildPlan) -> set[str]:
    """Kinds of the layers of `other` whose key is not among those of `one`."""
    keys = {layer.key for image in one.images for layer in image.layers}
    return {layer.kind for image in other.images for layer in image.layers if layer.key not in keys}


def test_layers_go_from_what_changes_least() -> None:
    found = plan()
    assert (
        titles(found)
        == titles(found, 1)
        == [
            "base: debian:bookworm",
            "packages: big 1.0",
            "packages: huge 1.0",
            "packages: one, two",
            "model: iris:1 model.bin",
            "agent: device_agent 0.1",
            "script: score.py",
        ]
    )


def test_where_files_go() -> None:
    base, big, _, small, weights, agent, script = plan().images[1].layers
    assert isinstance(base.content, BaseContent)
    assert [package.architecture for package in base.content.packages] == ["arm64", "arm64"]
    assert isinstance(big.content, WheelContent)
    assert big.content.site_folder == "usr/local/lib/python3.11/dist-packages"
    assert isinstance(small.content, WheelContent)
    assert [one.name for one in small.content.wheels] == ["one", "two"]
    assert isinstance(agent.content, FileContent)
    assert agent.content.files[0][0] == "usr/local/lib/python3.11/dist-packages/device_agent/__init__.py"
    assert isinstance(weights.content, FileContent)
    assert weights.content.files == (
        ("var/azureml-app/azureml-models/iris/1/model.bin", Path("/registry/iris/model.bin"), False, "a" * 64),
    )
    assert isinstance(script.content, FileContent)
    assert [path for path, *_ in script.content.files] == [
        "var/azureml-app/source/labels.txt",
        "var/azureml-app/source/score.py",
    ]


def test_platforms_share_what_is_the_same_for_both() -> None:
    amd64, arm64 = plan().images
    shared = {layer.key for layer in amd64.layers} & {layer.key for layer in arm64.layers}
    kinds = [layer.kind for layer in amd64.layers if layer.key in shared]
    assert kinds == ["packages", "packages", "packages", "model", "agent", "script"]


def test_the_same_input_has_the_same_keys() -> None:
    assert plan().document() == plan().document()
    elsewhere = replace(
        SCRIPT, files=tuple((name, Path("/elsewhere") / name, mode) for name, _, mode in SCRIPT.files), warnings=("x",)
    )
    moved = replace(MATERIAL, model_path=lambda _: Path("/other"), agent_files=[("__init__.py", Path("/o"), "b" * 64)])
    assert changed(plan(), plan(replace(RECIPE, script=elsewhere, notes=("x",)), material=moved)) == set()
    assert changed(plan(), plan(replace(RECIPE, image=parse_image_reference("x:y"), variables={"A": "1"}))) == set()


def test_an_edited_script_changes_the_script_layer_alone() -> None:
    edited = replace(MATERIAL, script_hashes={**MATERIAL.script_hashes, "score.py": "e" * 64})
    assert changed(plan(), plan(material=edited)) == {"script"}
    renamed = replace(SCRIPT, source_name="src")
    assert changed(plan(), plan(replace(RECIPE, script=renamed))) == {"script"}


def test_each_other_change_changes_its_own_layer_alone() -> None:
    assert changed(plan(), plan(material=replace(MATERIAL, agent_files=[("x", Path("/x"), "f" * 64)]))) == {"agent"}
    executable = ModelFile("model.bin", 10, "a" * 64, True)
    for record in (model("iris", 2), model("other"), model("iris", 1, executable)):
        assert changed(plan(), plan(models=[record])) == {"model"}
    other = {platform: lock(platform, *WHEELS[:3], wheel("two", None, "9" * 64)) for platform in PLATFORMS}
    assert changed(plan(), plan(locks=other)) == {"packages"}
    assert len({layer.key for image in plan(locks=other).images for layer in image.layers}) == 8


def test_a_change_of_the_maker_changes_every_layer() -> None:
    kinds = changed(plan(), plan(material=replace(MATERIAL, maker="newer")))
    assert kinds == {"base", "packages", "agent", "model", "script"}


def files_of(*sizes: int, changed: Sequence[int] = ()) -> tuple[ModelFile, ...]:
    """Files of some sizes in bytes; those with a number in `changed` have another content."""
    return tuple(
        ModelFile(f"f{number:03}", size, f"{number + 1000 * (number in changed):064}", False)
        for number, size in enumerate(sizes)
    )


def model_layers(*models: ModelRecord) -> dict[str, FileContent]:
    """Content of the layers of model files, by key."""
    layers = plan(models=models).images[0].layers
    return {
        layer.key: layer.content for layer in layers if layer.kind == "model" and isinstance(layer.content, FileContent)
    }


def test_large_files_of_a_model_are_layers_of_their_own() -> None:
    files = [
        ModelFile(f"{name}.bin", size, f"{name:0<64}", False)
        for name, size in (("a", GROUP_BYTES), ("b", GROUP_BYTES + 1), ("small", 5), ("tiny", 1))
    ]
    layers = [title for title in titles(plan(models=[model("m", 3, *files)])) if title.startswith("model")]
    assert layers == ["model: m:3 a.bin", "model: m:3 b.bin", "model: m:3 small.bin, m:3 tiny.bin", "model: m:3"]


def test_a_model_in_one_layer_is_in_its_usual_folder() -> None:
    (content,) = model_layers(model("m", 7, *files_of(1, 2, 3))).values()
    assert [path for path, *_ in content.files] == [f"var/azureml-app/azureml-models/m/7/f00{n}" for n in range(3)]
    assert content.links == ()


def test_a_model_in_several_layers_is_reached_by_a_link() -> None:
    *files, links = model_layers(model("m", 7, *files_of(GROUP_BYTES, 1)), model("other")).values()
    assert [path for content in files for path, *_ in content.files] == [
        "var/azureml-app/.azureml-models/m/f000",
        "var/azureml-app/.azureml-models/m/f001",
        "var/azureml-app/azureml-models/other/1/model.bin",
    ]
    assert links == FileContent((), (("var/azureml-app/azureml-models/m/7", "../../.azureml-models/m"),))


def test_the_model_that_is_named_last_lies_on_top() -> None:
    one, other = model("one", 1, *files_of(GROUP_BYTES, 1)), model("other", 1, *files_of(GROUP_BYTES))
    for first, last in ((one, other), (other, one)):
        contents = list(model_layers(first, last).values())[:-1]
        names = [path.split("/")[3] for content in contents for path, *_ in content.files]
        assert names == sorted(names, key=[first.name, last.name].index)


def test_two_versions_of_a_model_are_both_in_their_usual_folders() -> None:
    found = model_layers(*(model("m", version, *files_of(GROUP_BYTES, GROUP_BYTES)) for version in (1, 2)))
    assert len(found) == 4
    paths = [path for content in found.values() for path, *_ in content.files]
    assert paths == [f"var/azureml-app/azureml-models/m/{version}/f00{n}" for version in (1, 2) for n in range(2)]
    assert not any(content.links for content in found.values())


def test_a_new_version_moves_only_what_differs() -> None:
    sizes = [2_000_000] * 50
    before = model_layers(model("m", 1, *files_of(*sizes)))
    after = model_layers(model("m", 2, *files_of(*sizes, changed=[17])))
    new = [content for key, content in after.items() if key not in before]
    assert len(before) == len(after)
    assert sum(len(content.files) for content in new) <= 2
    assert [path for content in new for path, *_ in content.files if path.endswith("/f017")]
    assert new[-1].links == (("var/azureml-app/azureml-models/m/2", "../../.azureml-models/m"),)


def test_there_are_never_too_many_layers() -> None:
    wheels = [wheel(f"w{number:03}", GROUP_BYTES + number) for number in range(100)]
    locks = {platform: lock(platform, *wheels) for platform in PLATFORMS}
    image = plan(models=[model("m", 1, *files_of(*range(GROUP_BYTES, GROUP_BYTES + 100)))], locks=locks).images[0]
    assert len(image.layers) <= MOST_PACKAGE_LAYERS + MOST_MODEL_LAYERS + 4
    held = [one for layer in image.layers if isinstance(layer.content, WheelContent) for one in layer.content.wheels]
    assert sorted(held, key=lambda one: one.name) == wheels
    models = [
        path
        for layer in image.layers
        if layer.kind == "model" and isinstance(layer.content, FileContent)
        for path, *_ in layer.content.files
    ]
    assert len(models) == len(set(models)) == 100


def test_a_layer_of_several_packages_is_made_of_theirs() -> None:
    _, big, huge, small, *_ = plan().images[0].layers
    assert big.parts == huge.parts == ()
    assert isinstance(small.content, WheelContent)
    assert [part.content for part in small.parts] == [
        WheelContent((one,), small.content.site_folder) for one in small.content.wheels
    ]
    alone = plan(locks={platform: lock(platform, small.content.wheels[0]) for platform in PLATFORMS})
    assert alone.images[0].layers[1].key == small.parts[0].key  # so it is found wherever it goes


def test_a_module_of_the_agent_is_the_entry_where_there_is_no_script() -> None:
    found = plan(replace(RECIPE, script=None, entry_module="device_agent.onnx_script"))
    assert titles(found)[-2:] == ["model: iris:1 model.bin", "agent: device_agent 0.1"]
    environment = found.images[0].run.environment
    assert environment["EDGEPACK_ENTRY_MODULE"] == "device_agent.onnx_script"
    assert "AZUREML_ENTRY_SCRIPT" not in environment


def test_what_the_engine_is_to_run() -> None:
    run = plan(replace(RECIPE, variables={"MINE": "1", "LANG": "de_DE"})).images[0].run
    assert run.entry_point == ("/usr/bin/python3", "-m", "device_agent")
    assert (run.user, run.working_folder, run.volumes) == ("1000", "/var/azureml-app", ("/var/lib/edgepack",))
    assert run.environment["MINE"] == "1"
    assert run.environment["LANG"] == "de_DE"
    assert run.environment["AZUREML_MODEL_DIR"] == "/var/azureml-app/azureml-models/iris/1"
    assert run.environment["AZUREML_ENTRY_SCRIPT"] == "source/score.py"
    several = plan(models=[model(), model("b", 2)]).images[0].run
    assert several.environment["AZUREML_MODEL_DIR"] == "/var/azureml-app/azureml-models"
    assert several.labels["io.edgepack.models"] == "iris:1,b:2"


def test_the_document_of_a_plan() -> None:
    document = plan().document()
    assert list(document) == ["linux/amd64", "linux/arm64"]
    layers = document["linux/arm64"]["layers"]
    assert [set(layer) for layer in layers] == [{"kind", "title", "key", "holds"}] * 7
    assert layers[0]["holds"] == ["libc6 1", "tzdata 1"]
    assert layers[3]["holds"] == ["one 1.0", "two 1.0"]
    assert layers[-1]["holds"] == ["var/azureml-app/source/labels.txt", "var/azureml-app/source/score.py"]
    assert document["linux/arm64"]["config"]["User"] == "1000"
