"""Whole builds on other bases: images of a registry and of a folder, 32-bit ARM with Debian's Python packages."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.base_locking import find_base
from edgepack.download import Downloader
from edgepack.oci.descriptor import LAYER_GZIP
from edgepack.oci.platform import AMD64, ARM64, ARM_V7
from edgepack.oci.unpack import unpack_image
from edgepack.oci.validate import choose_platform
from edgepack.project import BuildOptions
from tests.fakes.base_image import BaseImage, Files, debian_layers, digest, slim_layers
from tests.fakes.build_world import Project, World, copy_installation, make_world, read_recipe
from tests.fakes.deb import Deb
from tests.fakes.debian_archive import DebianArchive, Suite, small_release
from tests.fakes.fake_registry import FakeRegistry
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey
from tests.fakes.wheels import FakeWheel

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("gpgv") is None, reason="gpg is not installed: release files need it"
)
ARMS = ("--platform", "linux/amd64,linux/arm/v7")
PACKAGES = "usr/lib/python3/dist-packages"
NUMBERS = Deb(
    "python3-numbers-of-ours",
    "1:1.2+ds-3+b1",
    "armhf",
    {
        f"./{PACKAGES}/numbers_of_ours/__init__.py": "of = 'Debian'\n",
        "./usr/lib/arm-linux-gnueabihf/blas/libblas.so.3": "blas",
    },
    {"Depends": "python3 (>= 3.11~), python3:any, libours, perl:any"},
)
OURS = Deb("libours", "3-1", "armhf", {"./usr/lib/arm-linux-gnueabihf/libours.so.3": "ours"})
TOOL = [Deb("some-tool", "7-1", "all", {"./usr/bin/some-tool": "tool"}, {"Depends": "libc6"})]


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with SigningKey() as key:
        yield key


@pytest.fixture(scope="module")
def world(key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FileServer() as server:
        yield make_world(server, key, copy_installation(tmp_path_factory.mktemp("installed")))


def publish(world: World, key: SigningKey, *newer: Deb, security: tuple[Deb, ...] = ()) -> None:
    """Put the archive on the mirror; `newer` packages stand in place of those of the same name."""
    names = {deb.name for deb in newer}
    packages = [deb for deb in (*small_release(), NUMBERS, OURS, *TOOL) if deb.name not in names]
    archive = DebianArchive(packages=[*packages, *newer], sign=key.sign)
    archive.security = Suite("bookworm-security", list(security))
    world.server.files.update(archive.files())


@pytest.fixture
def project(world: World, key: SigningKey, tmp_path: Path) -> Project:
    publish(world, key)
    project = world.project(tmp_path / "project")
    project.installation = Path(world.environment["HOME"])
    return project


def lock(project: Project, slug: str) -> dict[str, Any]:
    document = tomllib.loads((project.folder / f"pylock.{slug}.toml").read_text())
    own: dict[str, Any] = document["tool"]["edgepack"]
    return {**own, "wheels": [package["name"] for package in document["packages"]]}


def config(project: Project, platform: str) -> dict[str, Any]:
    found: dict[str, Any] = choose_platform(project.folder / "dist/image", platform).config["config"]
    return found


def layers(report: dict[str, Any], platform: str, kind: str) -> list[dict[str, Any]]:
    return [layer for layer in report["platforms"][platform]["layers"] if layer["kind"] == kind]


def unpacked(project: Project, platform: str) -> Path:
    layout = project.folder / "dist/image"
    return unpack_image(layout, choose_platform(layout, platform), project.folder / "unpacked")


# --- linux/arm/v7


def test_what_the_index_lacks_for_arm_v7_comes_from_debian(project: Project) -> None:
    report = project.build(*ARMS)
    assert list(report["platforms"]) == ["linux/amd64", "linux/arm/v7"]
    arm, intel = lock(project, "linux-arm-v7"), lock(project, "linux-amd64")
    assert arm["supplied"] == [{"name": "numbers-of-ours", "version": "1.2", "debian": "python3-numbers-of-ours"}]
    assert arm["added"] == ["libours", "python3-numbers-of-ours"]
    assert "supplied" not in intel
    assert "numbers-of-ours" in intel["wheels"]
    assert "numbers-of-ours" not in arm["wheels"]
    assert {"h11", "plain"} <= set(arm["wheels"])
    assert not {"uvloop", "httptools"} & set(arm["wheels"])
    assert "2 Debian packages" in [layer["title"] for layer in layers(report, "linux/arm/v7", "packages")]
    root = unpacked(project, "linux/arm/v7")
    assert (root / PACKAGES / "numbers_of_ours/__init__.py").read_text() == "of = 'Debian'\n"
    assert (root / "usr/lib/arm-linux-gnueabihf/libblas.so.3").read_text() == "blas"
    assert not (root / "usr/bin/perl").exists()
    project.verify()


def test_the_index_of_the_image_names_the_variant(project: Project) -> None:
    project.build("--platform", "linux/arm/v7")
    content = choose_platform(project.folder / "dist/image", "linux/arm/v7")
    assert content.descriptor.platform == {"architecture": "arm", "os": "linux", "variant": "v7"}
    assert (content.config["architecture"], content.config["variant"]) == ("arm", "v7")


def test_what_neither_the_index_nor_debian_has_is_named(project: Project) -> None:
    text = (project.folder / "conda.yml").read_text()
    (project.folder / "conda.yml").write_text(f"{text}  - onnxruntime\n")
    error = project.run("build", *ARMS, code=2).stderr
    assert re.search(r"onnxruntime( 99\.0)? has no wheel for linux/arm/v7", error)
    assert "Debian bookworm has no package of it either" in error
    assert "--find-links" in error


def test_a_wheel_of_ones_own_goes_before_debians(project: Project, tmp_path: Path) -> None:
    wheel = FakeWheel("numbers_of_ours", "1.1", "cp311-cp311-linux_armv7l")
    (project.folder / "wheels").mkdir()
    (project.folder / "wheels" / wheel.filename).write_bytes(wheel.build())
    text = (project.folder / "conda.yml").read_text()
    (project.folder / "conda.yml").write_text(f"{text}  - --find-links wheels\n")
    project.build(*ARMS)
    arm = lock(project, "linux-arm-v7")
    assert "supplied" not in arm
    assert "numbers-of-ours" in arm["wheels"]


def test_a_mirror_that_lags_is_an_error_until_security_is_left_out(
    project: Project, world: World, key: SigningKey
) -> None:
    publish(world, key, security=(Deb("libours", "3-2", "armhf"),))
    lists = [path for path in world.server.files if "bookworm-security/main/binary-armhf" in path]
    for path in lists:
        world.server.files[path] = b"of another day"
    error = project.run("build", *ARMS, code=3).stderr
    assert "bookworm-security/main/binary-armhf/Packages.xz is not what its signed release file says" in error
    assert "--without-security" in error
    project.build(*ARMS, "--without-security")
    assert lock(project, "linux-arm-v7")["without-security"] is True
    assert config(project, "linux/arm/v7")["Labels"]["io.edgepack.base.without-security"] == "true"
    assert "--locked" in project.run("build", *ARMS, "--locked", code=2).stderr  # it must be said each time


def test_debian_packages_that_an_environment_asks_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    recipe = read_recipe(project.folder, BuildOptions(platforms=["linux/amd64", "linux/arm64"]))
    with Downloader(project.folder / "cache") as downloader:
        base = find_base(recipe, ("some-tool",), downloader)
    assert base.added(AMD64) == base.added(ARM64) == ("some-tool",)


# --- images


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def put(registry: FakeRegistry, image: BaseImage, tag: str = "3.11") -> str:
    """Push an image; gives the name to build on."""
    repository = registry.repository("team/base")
    repository.blobs.update(image.blobs)
    for entry in image.manifests:
        repository.manifests[entry["digest"]] = (entry["mediaType"], image.blobs[entry["digest"]])
    repository.tags[tag] = digest(image.index())
    repository.manifests[digest(image.index())] = (json.loads(image.index())["mediaType"], image.index())
    return f"{registry.host}/team/base:{tag}"


def slim_image(*more: Files, docker: bool = True, python: str = "3.11.9") -> tuple[BaseImage, dict[str, list[str]]]:
    image = BaseImage(docker=docker)
    digests = {
        str(platform): image.add(platform, [*slim_layers(python, platform), *more]) for platform in (AMD64, ARM64)
    }
    return image, digests


def test_the_layers_of_a_base_image_are_used_as_they_are(project: Project, registry: FakeRegistry) -> None:
    image, digests = slim_image({"usr/bin/.wh.dpkg": b""})
    name = put(registry, image)
    report = project.build("--base", name)
    for platform, wanted in digests.items():
        base = layers(report, platform, "base")
        assert [layer["digest"] for layer in base][:-1] == wanted
        assert base[-1]["title"] == "user and folders"
        content = choose_platform(project.folder / "dist/image", platform)
        assert {layer.media_type for layer in content.layers} == {LAYER_GZIP}
        run = content.config["config"]
        assert run["Entrypoint"] == ["/usr/local/bin/python3.11", "-m", "device_agent"]
        assert run["User"] == "1000"
        assert {"GPG_KEY=1", "PATH=/opt/bin:/usr/bin", "LANG=C.UTF-8"} <= set(run["Env"])
        assert run["Labels"]["of"] == "the base"
        assert run["Labels"]["org.opencontainers.image.base.name"] == name
        assert run["Labels"]["org.opencontainers.image.base.digest"].startswith("sha256:")
        assert run["Labels"]["io.edgepack.python"] == "3.11"
    root = unpacked(project, "linux/arm64")
    site = root / "usr/local/lib/python3.11/site-packages"
    assert (site / "device_agent/__main__.py").is_file()
    assert (site / "plain").is_dir() or (site / "plain.py").is_file()
    assert (root / "usr/local/bin/plain").read_text().startswith("#!/usr/local/bin/python3.11")
    assert "edgepack:x:1000:" in (root / "etc/passwd").read_text()
    assert not (root / "usr/bin/dpkg").exists()
    project.verify()


def test_a_locked_base_needs_no_registry_and_an_empty_cache_gets_it_by_digest(
    project: Project, registry: FakeRegistry
) -> None:
    image, _ = slim_image()
    name = put(registry, image)
    first = project.build("--base", name)
    put(registry, slim_image({"etc/new": b"1"})[0])
    before = len(registry.asked)
    assert project.build("--base", name)["digest"] == first["digest"]
    assert len(registry.asked) == before
    shutil.rmtree(project.folder / ".edgepack/cache")
    assert project.build("--base", name, "--locked")["digest"] == first["digest"]
    registry.repository("team/base").blobs.clear()
    shutil.rmtree(project.folder / ".edgepack/cache")
    assert "team/base" in project.run("build", "--base", name, "--locked", code=3).stderr


def test_update_base_moves_the_base_alone_and_says_what_changed(project: Project, registry: FakeRegistry) -> None:
    name = put(registry, slim_image()[0])
    project.build("--base", name)
    before = lock(project, "linux-arm64")
    put(registry, slim_image({"etc/new": b"1"})[0])
    done = project.run("build", "--base", name, "--update-base", code=0)
    assert re.search(r"image: sha256:\w+ -> sha256:\w+ \(linux/amd64, linux/arm64\)", done.stderr)
    assert "1 of 4 layers are new" in done.stderr
    after = lock(project, "linux-arm64")
    assert after["image"]["manifest"] != before["image"]["manifest"]
    assert after["wheels"] == before["wheels"]
    put(registry, slim_image(python="3.11.11")[0])
    done = project.run("build", "--base", name, "--update-base", code=0)
    assert "Python: 3.11.9 -> 3.11.11 (linux/amd64, linux/arm64)" in done.stderr
    assert "have not changed" in project.run("build", "--base", name, "--update-base", code=0).stderr


def test_update_base_of_a_release_says_the_versions(project: Project, world: World, key: SigningKey) -> None:
    project.build()
    publish(world, key, Deb("tzdata", "2026f-1", "all", {"./usr/share/zoneinfo/Etc/UTC": "TZif"}))
    done = project.run("build", "--update-base", code=0)
    assert "tzdata: 2026a-0 -> 2026f-1 (linux/amd64, linux/arm64)" in done.stderr
    assert "Resolving" not in done.stderr
    assert project.run("build", "--update-base", "--locked", code=2).stderr
    assert project.run("build", "--update-base", "--offline", code=2).stderr


def test_an_image_in_a_folder(project: Project) -> None:
    image, digests = slim_image(docker=False)
    image.write(project.folder / "base")
    (project.folder / "edgepack.yaml").write_text(
        json.dumps({**json.loads((project.folder / "edgepack.yaml").read_text()), "base": "oci:base"})
    )
    report = project.build()
    assert [layer["digest"] for layer in layers(report, "linux/amd64", "base")][:-1] == digests["linux/amd64"]
    assert "org.opencontainers.image.base.name" not in config(project, "linux/amd64")["Labels"]
    blob = project.folder / "base/blobs/sha256" / digests["linux/amd64"][0].removeprefix("sha256:")
    blob.write_bytes(b"damaged")
    shutil.rmtree(project.folder / ".edgepack/cache/blobs")
    assert "another digest" in project.run("build", code=4).stderr


def test_bases_that_will_not_do(project: Project, registry: FakeRegistry) -> None:
    name = put(registry, slim_image()[0])
    error = project.run("build", "--base", name, "--platform", "linux/arm/v7", code=2).stderr
    assert "has no image for linux/arm/v7; it has linux/amd64, linux/arm64" in error
    old = BaseImage()
    old.add(AMD64, debian_layers("3.9.2"))
    put(registry, old, "old")
    error = project.run("build", "--base", f"{registry.host}/team/base:old", code=2).stderr
    assert "has Python 3.9.2" in error
    assert "has no image for linux/arm64" in error
    assert "manifest none" in project.run("build", "--base", f"{registry.host}/team/base:none", code=3).stderr
    assert (
        "--without-security is for Debian bases"
        in project.run("build", "--base", name, "--without-security", code=2).stderr
    )
    assert "there is no such folder" in project.run("build", "--base", "oci:nowhere", code=2).stderr


def test_an_image_for_arm_v7_takes_only_wheels(project: Project, registry: FakeRegistry) -> None:
    image = BaseImage()
    image.add(ARM_V7, slim_layers("3.11.9", ARM_V7))
    name = put(registry, image)
    error = project.run("build", "--base", name, "--platform", "linux/arm/v7", code=2).stderr
    assert "numbers-of-ours 1.2 has no wheel for linux/arm/v7" in error


def test_layers_that_are_not_what_their_configuration_says(project: Project, registry: FakeRegistry) -> None:
    image = BaseImage()
    image.add(AMD64, slim_layers("3.11.9"))
    name = put(registry, image)
    repository = registry.repository("team/base")
    manifest = json.loads(image.blobs[image.manifests[0]["digest"]])
    document = json.loads(image.blobs[manifest["config"]["digest"]])
    document["rootfs"]["diff_ids"][0] = f"sha256:{'0' * 64}"
    other = BaseImage()
    manifest["config"] = other._keep(json.dumps(document).encode(), manifest["config"]["mediaType"])
    entry = other._keep(json.dumps(manifest).encode(), manifest["mediaType"])
    other.manifests = [{**entry, "platform": AMD64.document()}]
    repository.blobs.update(other.blobs)
    put(registry, other)
    error = project.run("build", "--base", name, "--platform", "linux/amd64", code=4).stderr
    assert "is not what the configuration says" in error


def test_suites_of_the_release_alone(world: World, key: SigningKey, project: Project) -> None:
    publish(world, key, security=(Deb("tzdata", "2026z-1", "all", {"./usr/share/zoneinfo/Etc/UTC": "TZif"}),))
    project.build("--platform", "linux/amd64")
    versions = {each["name"]: each["version"] for each in lock(project, "linux-amd64")["debian"]}
    assert versions["tzdata"] == "2026z-1"
    project.build("--platform", "linux/amd64", "--without-security")
    versions = {each["name"]: each["version"] for each in lock(project, "linux-amd64")["debian"]}
    assert versions["tzdata"] == "2026a-0"
