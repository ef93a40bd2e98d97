"""The same inputs give the same image for other users, on a busy machine, and in other compression the same content.

What a device pulls after a change: the script's layer after the script, one package's after a package.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from edgepack.oci.layout import blob_path
from edgepack.oci.validate import verify_layout
from tests.fakes.build_world import SCRIPT, Project, World, copy_installation, make_world
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey

NOBODY = "65534"

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


@pytest.fixture
def warm(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project, with its locks and caches."""
    folder = tmp_path / "warm"
    shutil.copytree(built.folder, folder)
    return Project(folder, {**built.environment, "UV_CACHE_DIR": str(folder / "uv-cache")}, built.installation)


def report_of(project: Project) -> Any:
    return json.loads((project.folder / "dist/build.json").read_text())


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder that all users reach: those of pytest are for one user alone."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder, "project")


@contextmanager
def busy() -> Iterator[None]:
    """Other processes compute and write meanwhile, more than there are cores."""
    burn = "import hashlib\nwhile True: hashlib.sha256(bytes(1_000_000))"
    with ExitStack() as stack:
        for _ in range((os.cpu_count() or 1) + 1):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", burn]))
            stack.callback(process.kill)
        yield


def as_another_user(project: Project, *arguments: str) -> Any:
    """Build as user nobody, who may read everything (the interpreter is in a folder of root's) and write its own."""
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", project.folder], check=True)
    user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    user += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    done = subprocess.run(
        [*user, *project.command("--json", "build", *arguments)],
        cwd=project.folder,
        env={**project.variables, "HOME": str(project.folder)},
        umask=0o007,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_another_user_on_a_busy_machine_builds_the_same(world: World, built: Project, theirs: Path) -> None:
    project = world.project(theirs)
    project.installation = built.installation
    project.environment |= {"TZ": "America/St_Johns", "PYTHONHASHSEED": "4711", "LC_ALL": "C.UTF-8"}
    keyring = project.folder / "public.gpg"
    shutil.copyfile(project.environment["EDGEPACK_DEBIAN_KEYRING"], keyring)
    project.environment["EDGEPACK_DEBIAN_KEYRING"] = str(keyring)
    with busy():
        report = as_another_user(project)
    assert report["digest"] == report_of(built)["digest"]
    blob = blob_path(project.folder / "dist/image", report["digest"])
    assert blob.stat().st_uid == int(NOBODY)
    verify_layout(project.folder / "dist/image")


def test_zstd_is_the_same_image_in_other_layers(warm: Project) -> None:
    """The configuration, which is the image's ID, is the same; so are the tars inside of the layers."""
    before = verify_layout(warm.folder / "dist/image")
    report = warm.build("--compression", "zstd", "-o", "packed")
    after = verify_layout(warm.folder / "packed/image")
    assert report["digest"] == after.index.digest != before.index.digest
    for one, other in zip(before.platforms, after.platforms, strict=True):
        assert one.config_digest == other.config_digest
        assert {layer.media_type[-8:] for layer in other.layers} == {"tar+zstd"}
        assert len({layer.digest for layer in (*one.layers, *other.layers)}) == 2 * len(one.layers)
    assert warm.build("--compression", "zstd", "-o", "packed")["digest"] == report["digest"]
    assert warm.build()["digest"] == before.index.digest
    listed = warm.run("--json", "inspect", "--diff", "dist", "--files", "packed", code=0).stdout
    changes = [each["files"] for each in json.loads(listed)["platforms"].values()]
    assert changes == [{"added": [], "removed": [], "changed": []}] * len(before.platforms)


def test_zstd_is_not_for_an_engine_to_build(warm: Project) -> None:
    assert "--builder docker" in warm.run("build", "--builder", "docker", "--compression", "zstd", code=2).stderr


def difference(project: Project, old: str, new: str, *options: str) -> Any:
    """What `inspect --diff` tells."""
    done = project.run("--json", "inspect", "--diff", old, new, *options, code=0)
    return json.loads(done.stdout)


def states(difference: Any) -> dict[str, list[str]]:
    """The layers' kinds by state, on each platform the same."""
    found = {
        platform: {
            state: [layer["kind"] for layer in each["layers"] if layer["state"] == state]
            for state in ("kept", "moved", "new")
        }
        for platform, each in difference["platforms"].items()
    }
    assert len({json.dumps(each) for each in found.values()}) == 1
    return next(iter(found.values()))


def test_an_edited_script_is_all_that_a_device_pulls(warm: Project) -> None:
    shutil.copytree(warm.folder / "dist", warm.folder / "old")
    (warm.folder / "source/score.py").write_text(f"{SCRIPT}\n# changed\n")
    warm.build()
    found = difference(warm, "old", "dist", "--files")
    assert states(found) == {"kept": ["base", "packages", "model", "agent"], "moved": [], "new": ["script"]}
    for each in found["platforms"].values():
        assert each["pull_bytes"] == each["pull_by_place_bytes"] < 5000
        assert each["files"] == {"added": [], "removed": [], "changed": ["var/azureml-app/source/score.py"]}
    shown = warm.run("inspect", "--diff", "old", "dist", "--files", code=0).stdout
    assert "~ var/azureml-app/source/score.py" in shown
    assert "linux/arm64  pulls " in shown


def register(project: Project, contents: Sequence[bytes]) -> None:
    """Register a folder of files as the model."""
    folder = project.folder / "weights"
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(contents):
        (folder / f"part-{number}").write_bytes(content)
    project.run("model", "register", "-n", "tiny", "-p", "weights", code=0)


def test_one_file_of_a_model_of_many_moves_alone(warm: Project) -> None:
    contents = [bytes([number]) * 4_500_000 for number in range(4)]
    register(warm, contents)
    warm.build("-o", "old")
    register(warm, [*contents[:2], contents[2][:-1] + b"?", contents[3]])
    warm.build()
    found = difference(warm, "old", "dist", "--files")
    for each in found["platforms"].values():
        new = [layer["title"] for layer in each["layers"] if layer["state"] == "new"]
        assert new == ["tiny:3 weights/part-2", "tiny:3"]
        assert each["files"] == {
            "added": ["var/azureml-app/azureml-models/tiny/3"],
            "removed": ["var/azureml-app/azureml-models/tiny/2"],
            "changed": ["var/azureml-app/.azureml-models/tiny/weights/part-2"],
        }


def test_a_changed_package_is_all_that_is_compressed(warm: Project, world: World) -> None:
    """The others are taken as they are, into a layer of other packages."""
    shutil.copytree(warm.folder / "dist", warm.folder / "old")
    conda = warm.folder / "conda.yml"
    conda.write_text(conda.read_text().replace("  - plain\n", "  - numbers_of_ours\n"))
    before = set((warm.folder / ".edgepack/cache/blobs").iterdir())
    warm.build()
    new = set((warm.folder / ".edgepack/cache/blobs").iterdir()) - before
    assert len(new) == 2  # a layer of packages a platform
    assert states(difference(warm, "old", "dist"))["new"] == ["packages"]


def test_what_diff_is_asked_wrongly(warm: Project) -> None:
    assert "--files needs --diff" in warm.run("inspect", "--files", "dist", code=2).stderr
    assert "nowhere" in warm.run("inspect", "--diff", "nowhere", "dist", code=2).stderr
