"""The cache of builds, harmed in every way: the next build gives the same image, or says what is wrong."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import device_agent
from edgepack.assembly import read_assembly
from edgepack.build import BuildSettings, build
from edgepack.cache import prune_cache, read_cache
from edgepack.files import hash_file
from edgepack.oci.validate import verify_layout
from edgepack.project import BuildOptions
from tests.fakes.build_world import SCRIPT, Project, World, copy_installation, make_world
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey

ROUNDS = 14

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("gpgv") is None, reason="gpg is not installed: release files need it"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FileServer() as server, SigningKey() as key:
        yield make_world(server, key, copy_installation(tmp_path_factory.mktemp("installed")))


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a finished build; tests copy it."""
    project = world.project(tmp_path_factory.mktemp("built") / "project")
    project.installation = Path(world.environment["HOME"])
    project.build()
    return project


@dataclass(frozen=True)
class Here:
    """Builds of a copied project in this process, which is faster than the command."""

    folder: Path

    @property
    def cache(self) -> Path:
        """The cache of the project."""
        return self.folder / ".edgepack/cache"

    def build(self) -> str:
        """Build, check every digest, and give the index's."""
        options = BuildOptions(output=self.folder / "dist", workspace=self.folder / ".edgepack")
        assembly = read_assembly(self.folder, options, os.environ)
        report = build(assembly, BuildSettings(self.folder / ".edgepack", self.folder / "dist"))
        assert verify_layout(self.folder / "dist/image").index.digest == report["digest"]
        return str(report["digest"])

    def documents(self) -> dict[str, bytes]:
        """What stands in the output beside `build.json`, which tells times."""
        paths = [path for path in (self.folder / "dist").rglob("*") if path.is_file() and path.name != "build.json"]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


@pytest.fixture
def here(built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    folder = tmp_path / "here"
    shutil.copytree(built.folder, folder)
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in {**built.environment, "UV_CACHE_DIR": str(folder / "uv-cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(device_agent, "__file__", str(built.installation / "device_agent/__init__.py"))
    made = Here(folder)
    made.build()
    return made


def flip(path: Path, chance: random.Random) -> None:
    """Change one bit, as a disk might: no size and no time tells it."""
    about, content = path.stat(), bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    mode = about.st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode & 0o777)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_an_empty_cache_gives_the_same_image(here: Here) -> None:
    digest, documents = here.build(), here.documents()
    assert {thing.kind for thing in prune_cache(here.folder / ".edgepack", 0)} >= {"layers", "downloads"}
    assert read_cache(here.folder / ".edgepack") == ()
    assert verify_layout(here.folder / "dist/image").index.digest == digest
    assert (here.build(), here.documents()) == (digest, documents)


def test_a_bit_flipped_in_each_file_of_the_cache_in_turn(here: Here) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - no secret
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    digest, documents = here.build(), here.documents()
    files = [path for path in sorted(here.cache.rglob("*")) if path.is_file() and path.stat().st_size]
    assert {path.relative_to(here.cache).parts[0] for path in files} >= {"blobs", "layers", "downloads"}
    assert len(files) > 50
    downloads = [path for path in files if path.is_relative_to(here.cache / "downloads")]
    spared = set(chance.sample(downloads, len(downloads) // 2))  # each costs making all layers
    for path in [path for path in files if path not in spared]:
        if path.is_relative_to(here.cache / "downloads"):  # looked at only when a layer is made of it
            shutil.rmtree(here.cache / "layers")
        good = path.read_bytes()
        flip(path, chance)
        assert here.build() == digest, path
        assert here.documents() == documents, path
        if path.parent.name == "blobs" and path.read_bytes() != good:  # a part, looked at when a layer is joined of it
            shutil.rmtree(here.cache / "layers")
            assert here.build() == digest, path


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b""), lambda path: os.truncate(path, path.stat().st_size // 2)]
)
def test_files_of_the_cache_lost_or_cut_off(here: Here, harm: Callable[[Path], object]) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - no secret
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    digest, documents = here.build(), here.documents()
    for _ in range(6):
        files = [path for path in sorted(here.cache.rglob("*")) if path.is_file() and path.stat().st_size]
        for path in chance.sample(files, len(files) // 3):
            harm(path)
        assert here.build() == digest
        assert here.documents() == documents


def sound_blobs(cache: Path) -> None:
    """Each blob that has its name is what the name says."""
    for path in (cache / "blobs").glob("*"):
        assert path.name.endswith(".part") or hash_file(path) == path.name


def test_kill_9_at_random_moments(built: Project, tmp_path: Path) -> None:
    """The build that follows gives the image that a build without a kill gives."""
    seed = int(os.environ.get("EDGEPACK_TEST_SEED") or random.randrange(2**32))  # noqa: S311 - no secret
    print(f"EDGEPACK_TEST_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311 - no secret
    folder = tmp_path / "killed"
    shutil.copytree(built.folder, folder)
    project = Project(folder, {**built.environment, "UV_CACHE_DIR": str(folder / "uv-cache")}, built.installation)
    cache = folder / ".edgepack/cache"
    shutil.rmtree(cache)
    started = time.monotonic()
    digest = project.build()["digest"]
    longest_s = time.monotonic() - started
    interrupted = 0
    for number in range(ROUNDS):
        (folder / "source/score.py").write_text(f"{SCRIPT}\nnumber = {number}\n")
        lost = chance.choice([[], ["blobs"], ["layers"], ["layers", "blobs"], ["downloads", "layers"]])
        for name in lost:
            shutil.rmtree(cache / name, ignore_errors=True)
        process = subprocess.Popen(project.command("-q", "build"), cwd=folder, env=project.variables)
        try:
            process.wait(chance.uniform(0.1, 0.9) * longest_s)
        except subprocess.TimeoutExpired:
            process.kill()
        interrupted += process.wait() == -9
        sound_blobs(cache)
        if (folder / "dist/image/index.json").exists():
            verify_layout(folder / "dist/image")
    assert interrupted > ROUNDS // 3
    (folder / "source/score.py").write_text(SCRIPT)
    assert project.build()["digest"] == digest
    project.verify()


def test_disks_that_are_full_at_different_moments(built: Project, tmp_path: Path) -> None:
    """From far too small to large enough: a build fails and says so, or gives the image; with space the next does."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    whole = subprocess.run(["du", "-sk", built.folder], capture_output=True, text=True, check=True).stdout
    needed_kb = int(whole.split()[0])
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={needed_kb}k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    codes = []
    try:
        project = Project(disk / "p", {**built.environment, "UV_CACHE_DIR": str(tmp_path / "uv")}, built.installation)
        kept = shutil.ignore_patterns("dist", "cache", "uv-cache")
        shutil.copytree(built.folder, project.folder, ignore=kept)
        used_kb = shutil.disk_usage(disk).used // 1024
        for part in (0.02, 0.3, 0.6, 0.85):
            size_kb = used_kb + int((needed_kb - used_kb) * part)
            subprocess.run(["mount", "-o", f"remount,size={size_kb}k", disk], check=True)
            done = project.run("--json", "build")
            codes.append(done.returncode)
            if done.returncode:
                assert done.returncode == 3
                assert "no space left on the disk that holds" in done.stderr
            for name in (".edgepack/cache", "dist"):
                shutil.rmtree(project.folder / name, ignore_errors=True) if part == 0.3 else None
        subprocess.run(["mount", "-o", f"remount,size={2 * needed_kb}k", disk], check=True)
        assert project.build()["digest"] == built.build()["digest"]
        project.verify()
        assert list(project.folder.rglob("*.part")) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    assert codes[0] == 3
