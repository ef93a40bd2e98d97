"""Whole builds through the command line: reproducible, incremental, unharmed by kills, full disks and lost networks."""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.oci.validate import verify_layout
from tests.fakes.build_world import SCRIPT, Project, World, copy_installation, layer_digests, make_world
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey
from tests.fakes.wheels import FakeWheel

PLATFORMS = ["linux/amd64", "linux/arm64"]

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("gpgv") is None, reason="gpg is not installed: release files need it"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FileServer() as server, SigningKey() as key:
        yield make_world(server, key, copy_installation(tmp_path_factory.mktemp("installed")))


@pytest.fixture
def project(world: World, tmp_path: Path) -> Project:
    project = world.project(tmp_path / "project")
    project.installation = Path(world.environment["HOME"])
    return project


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a finished build; tests copy it."""
    project = world.project(tmp_path_factory.mktemp("built") / "project")
    project.installation = Path(world.environment["HOME"])
    project.build()
    return project


@pytest.fixture
def warm(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project, with its locks and caches."""
    folder = tmp_path / "warm"
    shutil.copytree(built.folder, folder)
    return Project(folder, {**built.environment, "UV_CACHE_DIR": str(folder / "uv-cache")}, built.installation)


def dist(project: Project, name: str) -> Any:
    return json.loads((project.folder / "dist" / name).read_text())


def test_the_same_digest_in_another_folder_by_another_installation(
    built: Project, world: World, tmp_path: Path
) -> None:
    other = world.project(tmp_path / "elsewhere" / "other")
    other.installation = copy_installation(tmp_path / "installed")
    other.environment |= {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "12345", "LC_ALL": "C"}
    report = other.build(umask=0o077)
    assert report["digest"] == dist(built, "build.json")["digest"]
    for name in ("deployment.json", "sbom/linux-amd64.cdx.json", "sbom/linux-arm64.cdx.json", "image/index.json"):
        assert (other.folder / "dist" / name).read_bytes() == (built.folder / "dist" / name).read_bytes(), name
    assert {path.stat().st_mode & 0o777 for path in (other.folder / "dist/image").rglob("*") if path.is_file()} == {
        0o644
    }
    other.verify()


def test_a_warm_build_makes_and_fetches_nothing(warm: Project, world: World) -> None:
    before = list(world.server.requests)
    report = warm.build()
    assert report["digest"] == dist(warm, "build.json")["digest"]
    assert all(layer["cached"] for image in report["platforms"].values() for layer in image["layers"])
    assert report["downloads"]["bytes"] == 0
    assert world.server.requests == before


def test_a_changed_script_changes_only_its_own_layer(warm: Project) -> None:
    before = layer_digests(dist(warm, "build.json"))
    (warm.folder / "source/score.py").write_text(f"{SCRIPT}\n# changed\n")
    report = warm.build()
    after = layer_digests(report)
    for platform in PLATFORMS:
        changed = {name for name in before[platform] if before[platform][name] != after[platform].get(name)}
        assert changed == {"script score.py"}
        assert [layer["kind"] for layer in report["platforms"][platform]["layers"] if not layer["cached"]] == ["script"]
    warm.verify()


def test_a_new_version_of_the_model_changes_only_its_own_layer(warm: Project) -> None:
    before = layer_digests(dist(warm, "build.json"))["linux/arm64"]
    (warm.folder / "weights.bin").write_bytes(b"other weights")
    warm.run("model", "register", "-n", "tiny", "-p", "weights.bin", code=0)
    after = layer_digests(warm.build())["linux/arm64"]
    assert {name.split()[0] for name in before.keys() ^ after.keys()} == {"model"}
    assert set(before.values()) & set(after.values()) == set(before.values()) - {before["model tiny:1 weights.bin"]}


def test_a_damaged_layer_in_the_cache_is_made_again(warm: Project) -> None:
    report = dist(warm, "build.json")
    digest = layer_digests(report)["linux/arm64"]["base debian:bookworm"]
    blob = warm.folder / ".edgepack/cache/blobs" / digest.removeprefix("sha256:")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.unlink()
    blob.write_bytes(content)
    again = warm.build()
    assert again["digest"] == report["digest"]
    remade = [layer["digest"] for layer in again["platforms"]["linux/arm64"]["layers"] if not layer["cached"]]
    assert remade == [digest]
    warm.verify()


def test_damage_in_the_output_is_reported_and_mended(warm: Project) -> None:
    digest = layer_digests(dist(warm, "build.json"))["linux/amd64"]["script score.py"]
    blob = warm.folder / "dist/image/blobs/sha256" / digest.removeprefix("sha256:")
    blob.unlink()
    blob.write_bytes(b"something else")
    assert digest in warm.run("verify", "dist", code=4).stderr
    warm.build()
    warm.verify()


def test_damage_in_the_registry_of_models_stops_the_build(warm: Project) -> None:
    (warm.folder / "weights.bin").write_bytes(b"better weights")
    warm.run("model", "register", "-n", "tiny", "-p", "weights.bin", code=0)
    for blob in (warm.folder / ".edgepack/models/blobs/sha256").iterdir():
        content = blob.read_bytes()
        blob.chmod(0o644)
        blob.write_bytes(content[:-1] + b"?")
    done = warm.run("build", code=4)
    assert "tiny" in done.stderr
    assert "weights.bin" in done.stderr
    warm.verify()


def test_json_is_one_document_and_nothing_else(warm: Project) -> None:
    done = warm.run("--json", "build", code=0)
    report = json.loads(done.stdout)
    assert report == dist(warm, "build.json")
    plan = json.loads(warm.run("--json", "build", "--dry-run", code=0).stdout)
    assert list(plan) == PLATFORMS
    kinds = [layer["kind"] for layer in plan["linux/arm64"]["layers"]]
    assert kinds == ["base", "packages", "model", "agent", "script"]
    failed = warm.run("--json", "build", "-m", "unknown", "--ic", "nowhere.yml", code=2)
    assert failed.stdout == ""


def test_the_documents_of_a_build_agree(built: Project) -> None:
    report = dist(built, "build.json")
    assert set(report) == {"image", "digest", "seconds", "platforms", "downloads"}
    assert report["image"] == "sample:latest"
    assert set(report["downloads"]) == {"bytes", "seconds"}
    assert list(report["platforms"]) == PLATFORMS
    for image in report["platforms"].values():
        assert set(image) == {"digest", "size_bytes", "layers"}
        assert image["size_bytes"] == sum(layer["size_bytes"] for layer in image["layers"])
        assert {frozenset(layer) for layer in image["layers"]} == {
            frozenset({"kind", "title", "digest", "size_bytes", "cached"})
        }
    modules = dist(built, "deployment.json")["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    assert modules["sample"]["settings"]["image"] == f"sample@{report['digest']}"
    index = dist(built, "image/index.json")
    assert index["manifests"][0]["digest"] == report["digest"]
    inspected = json.loads(built.run("--json", "inspect", "dist", code=0).stdout)
    assert inspected["digest"] == report["digest"]
    assert {name: image["digest"] for name, image in inspected["platforms"].items()} == {
        name: image["digest"] for name, image in report["platforms"].items()
    }


def test_the_bill_of_materials_names_every_package(built: Project) -> None:
    document = dist(built, "sbom/linux-arm64.cdx.json")
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert "timestamp" not in document["metadata"]
    names = {component["name"] for component in document["components"]}
    assert {"libc6", "python3.11-minimal", "tzdata", "plain", "numbers-of-ours", "tiny", "httptools"} <= names
    assert "openssl" not in names


def test_one_platform_alone_is_the_same_image(warm: Project) -> None:
    both = dist(warm, "build.json")
    alone = warm.build("--platform", "linux/arm64", "-o", "one")
    assert alone["platforms"]["linux/arm64"]["digest"] == both["platforms"]["linux/arm64"]["digest"]
    assert alone["platforms"]["linux/arm64"]["layers"] == [
        {**layer, "cached": True} for layer in both["platforms"]["linux/arm64"]["layers"]
    ]


def test_offline_with_everything_in_the_cache(warm: Project, world: World) -> None:
    digest = dist(warm, "build.json")["digest"]
    shutil.rmtree(warm.folder / ".edgepack/cache/layers")
    shutil.rmtree(warm.folder / ".edgepack/cache/blobs")
    before = list(world.server.requests)
    assert warm.build("--offline", "--locked")["digest"] == digest
    assert world.server.requests == before
    warm.verify()


def test_offline_with_nothing_in_the_cache(project: Project, warm: Project) -> None:
    done = project.run("build", "--offline", code=3)
    assert "InRelease" in done.stderr
    assert "without --offline" in done.stderr
    shutil.rmtree(warm.folder / ".edgepack/cache")
    done = warm.run("build", "--offline", code=3)
    assert ".whl: not in the cache" in done.stderr
    warm.verify()


def test_locked_without_a_lock_or_with_an_old_one(project: Project, warm: Project) -> None:
    done = project.run("build", "--locked", code=2)
    assert "pylock.linux-amd64.toml" in done.stderr
    assert "--lock" in done.stderr
    conda = warm.folder / "conda.yml"
    conda.write_text(conda.read_text().replace("- plain", "- plain==2.0"))
    assert "plain in the lock, plain==2.0 asked for" in warm.run("build", "--locked", code=2).stderr
    warm.build()
    warm.build("--locked")


def test_lock_tells_what_changed(warm: Project) -> None:
    former = warm.folder / "pylock.linux-arm64.toml"
    former.write_text(former.read_text().replace('version = "2.0"', 'version = "1.0"', 1))
    done = warm.run("--json", "build", "--lock", code=0)
    (name, change), *others = json.loads(done.stdout)["lock_changes"].items()
    assert (name, others) == ("linux/arm64", [])
    ((package, versions),) = change["changed"].items()
    assert versions == ["1.0", "2.0"]
    assert f"{package}: 1.0 -> 2.0 (linux/arm64)" in done.stderr
    again = warm.run("--json", "build", "--lock", code=0)
    assert json.loads(again.stdout)["lock_changes"] == {}
    assert "The locks have not changed" in again.stderr
    assert "lock_changes" not in json.loads(warm.run("--json", "build", code=0).stdout)


def test_wheels_in_a_folder_beside_the_conda_file(project: Project, world: World) -> None:
    wheels = project.folder / "my wheels"
    wheels.mkdir()
    wheel = FakeWheel("mine", "3.0")
    (wheels / wheel.filename).write_bytes(wheel.build())
    conda = project.folder / "conda.yml"
    conda.write_text(f"{conda.read_text()}  - --find-links ./my wheels\n  - mine\n")
    report = project.build()
    assert report["platforms"]["linux/arm64"]["layers"][1]["title"] == "httptools, mine and 5 more"
    shutil.rmtree(wheels)
    assert project.build("--locked", "--offline")["digest"] == report["digest"]


def test_a_source_changed_between_two_builds_is_never_taken_for_the_other(warm: Project) -> None:
    digests = []
    for text in (SCRIPT, f"{SCRIPT}# b\n", SCRIPT, f"{SCRIPT}# b\n"):
        (warm.folder / "source/score.py").write_text(text)
        digests.append(warm.build()["digest"])
    assert digests[0] == digests[2] != digests[1] == digests[3]


def test_a_model_alone_is_served_with_onnx_runtime(project: Project, world: World) -> None:
    (project.folder / "edgepack.yaml").write_text(json.dumps({"name": "alone", "models": ["tiny"]}))
    project.environment["UV_DEFAULT_INDEX"] = f"{world.server.url}/simple/"
    assert "tiny:1 (no framework)" in project.run("build", code=2).stderr
    (project.folder / "weights.bin").rename(project.folder / "weights.onnx")
    project.run("model", "register", "-n", "tiny", "-p", "weights.onnx", "--model-framework", "Onnx", code=0)
    report = project.build()
    assert [layer["kind"] for layer in report["platforms"]["linux/arm64"]["layers"]] == [
        "base",
        "packages",
        "model",
        "agent",
    ]
    config = json.loads(project.run("--json", "inspect", "dist", code=0).stdout)["platforms"]["linux/arm64"]["config"]
    assert "EDGEPACK_ENTRY_MODULE=device_agent.onnx_script" in config["Env"]
    names = {one["name"] for one in dist(project, "sbom/linux-arm64.cdx.json")["components"]}
    assert {"onnxruntime", "numpy", "tiny"} <= names


def test_builds_at_the_same_time(warm: Project) -> None:
    digest = dist(warm, "build.json")["digest"]
    shutil.rmtree(warm.folder / ".edgepack/cache/layers")
    shutil.rmtree(warm.folder / ".edgepack/cache/blobs")
    outputs = ["dist", "dist", "dist", "other"]
    processes = [
        subprocess.Popen(
            warm.command("--json", "build", "-o", output),
            cwd=warm.folder,
            env=warm.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for output in outputs
    ]
    for process in processes:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        assert json.loads(out)["digest"] == digest
    warm.verify()
    warm.run("verify", "other", code=0)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"lock-version = 1"])
def test_a_damaged_lock(warm: Project, content: bytes) -> None:
    lock = warm.folder / "pylock.linux-arm64.toml"
    good = lock.read_bytes()
    lock.write_bytes(content)
    done = warm.run("build", code=4)
    assert "pylock.linux-arm64.toml: not a lock file of edgepack" in done.stderr
    assert "--lock" in done.stderr
    warm.build("--lock")
    assert lock.read_bytes() == good


def test_an_output_that_cannot_be_written(warm: Project) -> None:
    shutil.rmtree(warm.folder / "dist")
    (warm.folder / "dist").write_text("a file")
    done = warm.run("build")
    assert done.returncode in (2, 3)
    assert "dist" in done.stderr


def test_no_network(project: Project) -> None:
    project.environment["EDGEPACK_DEBIAN_MIRROR"] = "http://127.0.0.1:1/debian"
    done = project.run("build", code=3)
    assert "bookworm/InRelease" in done.stderr
    assert "check the network" in done.stderr
    assert not list((project.folder / "dist").rglob("*"))


def test_an_index_that_does_not_answer(project: Project) -> None:
    conda = project.folder / "conda.yml"
    text = conda.read_text()
    start = text.index("http://127.0.0.1")
    conda.write_text(text[:start] + "http://127.0.0.1:1/simple/" + text[text.index("\n", start) :])
    project.environment["UV_HTTP_RETRIES"] = "0"
    done = project.run("build", code=3)
    assert "the Python index cannot be reached" in done.stderr


def test_problems_of_the_module_are_told_before_anything_is_made(world: World, tmp_path: Path) -> None:
    project = world.project(tmp_path / "project", routes={"up": "FROM nowhere"}, module={"name": "bad name!"})
    before = len(world.server.requests)
    done = project.run("build", code=2)
    assert "routes" in done.stderr or "route" in done.stderr
    assert len(world.server.requests) == before
    assert not list((project.folder / "dist").rglob("*"))


def test_a_killed_build_leaves_an_image_that_is_old_or_new(warm: Project) -> None:
    chance = random.Random(11)  # noqa: S311 - no secret
    known = {dist(warm, "build.json")["digest"]}
    for number in range(12):
        (warm.folder / "source/score.py").write_text(f"{SCRIPT}\nnumber = {number % 3}\n")
        if number % 4 == 0:
            shutil.rmtree(warm.folder / ".edgepack/cache/blobs", ignore_errors=True)
        process = subprocess.Popen(
            warm.command("-q", "build"), cwd=warm.folder, env=warm.variables, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(chance.uniform(0.3, 1.3))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        verify_layout(warm.folder / "dist/image")  # its documents may be the former ones, which `verify` would say
    (warm.folder / "source/score.py").write_text(SCRIPT)
    assert warm.build()["digest"] in known
    warm.verify()
    assert list((warm.folder / "dist").rglob("*.part")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def register_large_model(project: Project) -> None:
    (project.folder / "weights.bin").write_bytes(random.Random(3).randbytes(4_000_000))  # noqa: S311 - no secret
    project.run("model", "register", "-n", "tiny", "-p", "weights.bin", code=0)


def test_a_full_disk_under_the_output_keeps_the_old_output(warm: Project, small_disk: Path) -> None:
    before = warm.build("-o", str(small_disk / "dist"))["digest"]
    register_large_model(warm)
    done = warm.run("build", "-o", str(small_disk / "dist"), code=3)
    assert "no space left on the disk that holds" in done.stderr
    assert str(small_disk / "dist/image/blobs/sha256") in done.stderr
    assert json.loads(warm.run("--json", "verify", str(small_disk / "dist"), code=0).stdout)["digest"] == before
    assert list(small_disk.rglob("*.part")) == []


def test_a_full_disk_under_the_cache_keeps_the_old_output(warm: Project, small_disk: Path) -> None:
    register_large_model(warm)
    shutil.copytree(warm.folder / ".edgepack/cache", small_disk / "cache")
    shutil.rmtree(warm.folder / ".edgepack/cache")
    (warm.folder / ".edgepack/cache").symlink_to(small_disk / "cache")
    done = warm.run("build", code=3)
    assert "no space left on the disk that holds" in done.stderr
    assert "cache/blobs" in done.stderr
    warm.verify()
    assert list(small_disk.rglob("*.part")) == []
