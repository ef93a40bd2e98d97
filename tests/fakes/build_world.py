"""All that a build meets, without the internet: a Debian archive, a Python index, an installation, a project."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import device_agent
import edgepack
from edgepack.locking import agent_requirements
from edgepack.project import BuildOptions, Recipe, project_document, recipe_of
from tests.fakes.debian_archive import DebianArchive, small_release
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey
from tests.fakes.wheels import FakeWheel, for_machines, index_files

SCRIPT = """\
import numbers_of_ours


def init():
    global model
    model = numbers_of_ours


def run(data):
    return data
"""
MAIN = "from edgepack.cli.main import main; main()"


def copy_installation(folder: Path) -> Path:
    """The packages as if installed in `folder`, so that a build does not depend on where they are."""
    for package in (edgepack, device_agent):
        source = Path(package.__path__[0])
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def fake_index() -> dict[str, bytes]:
    """What the agent needs, and some packages to ask for."""
    needed = [Requirement(text) for text in agent_requirements()]
    wheels = [FakeWheel(each.name, next(v for v in ("99.0", "2.99") if v in each.specifier)) for each in needed]
    wheels += [
        *for_machines("numbers_of_ours", "1.2"),
        *for_machines("onnxruntime", "99.0"),
        *for_machines("numpy", "99.0"),
    ]
    wheels += [
        FakeWheel("plain", "2.0", requires=("numbers_of_ours>=1",), entry_points="[console_scripts]\nplain=plain:x")
    ]
    return index_files(wheels)


@dataclass(frozen=True)
class World:
    """The servers' files and where they are; `environment` is that of the commands."""

    server: FileServer
    environment: Mapping[str, str]

    def project(self, folder: Path, **more: Any) -> "Project":
        """A project with a script, a conda file and a registered model; `more` are keys of its `edgepack.yaml`."""
        source = folder / "source"
        source.mkdir(parents=True)
        (source / "score.py").write_text(SCRIPT)
        (folder / "conda.yml").write_text(
            f"name: x\ndependencies:\n- python=3.11\n- pip:\n  - --index-url {self.server.url}/simple/\n  - plain\n"
        )
        config = {"entryScript": "score.py", "sourceDirectory": "source", "condaFile": "conda.yml"}
        document = {"name": "sample", "models": ["tiny"], "inference_config": config, **more}
        (folder / "edgepack.yaml").write_text(json.dumps(document))
        (folder / "weights.bin").write_bytes(b"weights" * 100)
        project = Project(folder, {**self.environment, "UV_CACHE_DIR": str(folder / "uv-cache")})
        project.run("model", "register", "-n", "tiny", "-p", "weights.bin", code=0)
        return project


@dataclass
class Project:
    """A project's folder and the commands run in it."""

    folder: Path
    environment: dict[str, str]
    installation: Path = field(default=Path(edgepack.__path__[0]).parent)

    def command(self, *arguments: str) -> list[str]:
        """The command line of an `edgepack` command."""
        return [sys.executable, "-c", MAIN, *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the commands."""
        return {**self.environment, "PYTHONPATH": str(self.installation)}

    def run(self, *arguments: str, code: int | None = None, umask: int = -1) -> subprocess.CompletedProcess[str]:
        """Run `edgepack`; its exit code must be `code` if that is given."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.variables,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def build(self, *arguments: str, umask: int = -1) -> dict[str, Any]:
        """Build, and give what `--json` printed, which is `build.json`."""
        done = self.run("--json", "build", *arguments, code=0, umask=umask)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def verify(self) -> None:
        """The image is sound."""
        self.run("verify", "dist", code=0)


def make_world(server: FileServer, key: SigningKey | None, installation: Path) -> World:
    """Fill the server and say how commands reach it."""
    sign: Callable[[str], bytes] = key.sign if key else str.encode
    server.files.update(DebianArchive(packages=small_release(), sign=sign).files())
    server.files.update(fake_index())
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return World(
        server,
        {
            **kept,
            "HOME": str(installation),
            "NO_PROXY": "127.0.0.1",
            "UV_NO_CONFIG": "1",
            "PYTHONWARNINGS": "error",
            "EDGEPACK_DEBIAN_MIRROR": f"{server.url}/debian",
            **({"EDGEPACK_DEBIAN_KEYRING": str(key.keyring)} if key else {}),
        },
    )


def layer_digests(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Digest by kind and title of each platform's layers."""
    return {
        platform: {f"{layer['kind']} {layer['title']}": layer["digest"] for layer in image["layers"]}
        for platform, image in report["platforms"].items()
    }


def read_recipe(folder: Path, options: BuildOptions) -> Recipe:
    """The recipe of a project's single module, or of what `options` name."""
    document, problems = project_document(folder, options)
    return recipe_of(document, folder, options, problems)
