"""`scripts/bench updates`: what a device pulls after each kind of change, as `edgepack inspect --diff` tells it.

The ONNX example for linux/amd64 and linux/arm64, with a model of 100 MB in one file and one of 50 files of 2 MB. Each
change is made to this project alone, built, and compared with the first build. Prints the table of docs/updates.md.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from build_subjects import EDGEPACK, INSTALLED, LARGE_BYTES, ROOT, install, run

FILES, FILE_BYTES = 50, 2_000_000
PACKAGES = {"new": "idna==3.10", "old": "idna==3.7"}
MAIN = "from edgepack.cli.main import main; main()"


class Project:
    """The example with its two large models, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self._installation: Path | None = None
        run([EDGEPACK, "init", self.folder])
        chance = random.Random(1)  # noqa: S311 - no secret
        self.large = bytearray(chance.randbytes(LARGE_BYTES))
        self.many = [bytearray(chance.randbytes(FILE_BYTES)) for _ in range(FILES)]
        self.register("large")
        self.register("many")
        project = self.folder / "edgepack.yaml"
        project.write_text(project.read_text().replace("- digits\n", "- digits\n- large\n- many\n"))
        self.set_package("old")

    def register(self, name: str) -> None:
        """Register one of the large models anew."""
        (self.folder / "large").write_bytes(self.large)
        many = self.folder / "many"
        many.mkdir(exist_ok=True)
        for number, content in enumerate(self.many):
            (many / f"part-{number:02}").write_bytes(content)
        run([EDGEPACK, "model", "register", "-n", name, "-p", name], cwd=self.folder)

    def set_package(self, which: str) -> None:
        """Ask for one of two versions of a small package."""
        conda = self.folder / "conda.yml"
        lines = [line for line in conda.read_text().splitlines() if "idna" not in line]
        place = next(number for number, line in enumerate(lines) if "pip:" in line)
        indent = " " * (len(lines[place + 1]) - len(lines[place + 1].lstrip()))
        conda.write_text("\n".join([*lines[: place + 1], f"{indent}- {PACKAGES[which]}", *lines[place + 1 :]]) + "\n")

    def use_other_agent(self, folder: Path) -> None:
        """From now on, a copy of the packages whose agent differs in one file."""
        for package in ("edgepack", "device_agent"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        agent = folder / "device_agent" / "agent.py"
        agent.write_text(agent.read_text() + "# changed\n")
        self._installation = folder

    def build(self, output: str, *options: str) -> None:
        """Build into a folder beside the others."""
        command: list[str | Path] = [EDGEPACK]
        environment = dict(os.environ)
        if self._installation:
            command = [INSTALLED / "bin" / "python", "-c", MAIN]
            environment["PYTHONPATH"] = str(self._installation)
        run([*command, "-q", "build", "-o", output, *options], cwd=self.folder, env=environment)

    def difference(self, old: str, new: str) -> dict[str, Any]:
        """What the command tells."""
        found: dict[str, Any] = json.loads(run([EDGEPACK, "--json", "inspect", "--diff", old, new], cwd=self.folder))
        return found


@contextmanager
def changed(folder: Path) -> Iterator[Project]:
    """A copy of the project, removed afterwards; its workspace is a copy as well, with hard links."""
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as place:
        copy = Path(place, "project")
        run(["cp", "-al", folder, copy])
        for name in ("score.py", "conda.yml", "edgepack.yaml", "large", "many"):  # files that changes write to
            path = copy / name
            (shutil.rmtree if path.is_dir() else os.unlink)(path)
            run(["cp", "-a", folder / name, path])
        project = Project.__new__(Project)
        project.folder, project._installation = copy, None
        project.large = bytearray((copy / "large").read_bytes())
        project.many = [bytearray((copy / "many" / f"part-{number:02}").read_bytes()) for number in range(FILES)]
        yield project


def edit_script(project: Project, _folder: Path) -> tuple[str, ...]:
    """A comment more."""
    path = project.folder / "score.py"
    path.write_text(path.read_text() + "# changed\n")
    return ()


def change_package(project: Project, _folder: Path) -> tuple[str, ...]:
    """A newer version of one small package."""
    project.set_package("new")
    return ()


def change_large_model(project: Project, _folder: Path) -> tuple[str, ...]:
    """One byte of the large model, registered as its next version."""
    project.large[LARGE_BYTES // 2] ^= 1
    project.register("large")
    return ()


def change_one_of_many(project: Project, _folder: Path) -> tuple[str, ...]:
    """One byte of one file of the model of many, registered as its next version."""
    project.many[17][0] ^= 1
    project.register("many")
    return ()


def change_base(_project: Project, _folder: Path) -> tuple[str, ...]:
    """The release as it was before its security updates."""
    return ("--without-security",)


def change_agent(project: Project, folder: Path) -> tuple[str, ...]:
    """Another version of the agent."""
    project.use_other_agent(folder)
    return ()


CHANGES: dict[str, Callable[[Project, Path], tuple[str, ...]]] = {
    "the script edited": edit_script,
    "one small package": change_package,
    "one byte of a model of 100 MB in one file": change_large_model,
    "one byte of one of 50 model files of 2 MB": change_one_of_many,
    "the base: security updates": change_base,
    "the agent": change_agent,
}


def main() -> None:
    """Build, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the script and the models alone")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="edgepack-updates-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        install()
        project = Project(folder)
        project.build("old")
        print("| change | new layers | linux/amd64 | linux/arm64 | with Docker's own store | to a registry |")
        print("| --- | --- | --- | --- | --- | --- |")
        for number, (title, change) in enumerate(CHANGES.items()):
            if quick and change in (change_package, change_base, change_agent):
                continue
            with changed(project.folder) as copy:
                copy.build("new", *change(copy, folder / f"installed-{number}"))
                print(row(title, copy.difference("old", "new")), flush=True)


def row(title: str, difference: dict[str, Any]) -> str:
    """One line of the table."""
    amd64, arm64 = (difference["platforms"][name] for name in ("linux/amd64", "linux/arm64"))
    new = [layer["title"] for layer in arm64["layers"] if layer["state"] == "new"]
    pulls = [shown(each["pull_bytes"]) for each in (amd64, arm64)]
    by_place = " / ".join(shown(each["pull_by_place_bytes"]) for each in (amd64, arm64))
    return f"| {title} | {'; '.join(new)} | {' | '.join(pulls)} | {by_place} | {shown(difference['upload_bytes'])} |"


def shown(count: int) -> str:
    """MB or kB."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


if __name__ == "__main__":
    main()
