"""The tutorial's page with the smaller models, without an index: its services run with this machine's packages.

What it says of training and of the edge module needs an index, and is run in `tests/e2e/test_e2e_tutorial.py`.
"""

import os
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from edgepack import Webservice, Workspace
from edgepack.services import workshop
from tests.fakes.pages import ROOT, blocks_of
from tests.fakes.service_images import make_fake_image
from tests.fakes.tutorial import EXAMPLE, PAGE, run_blocks

COMMAND = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from edgepack.cli.main import main
from edgepack.services import workshop
from tests.fakes.service_images import make_fake_image
workshop._make_image = make_fake_image
main()
"""


def test_the_services_of_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, programs = tmp_path / "sentiment", tmp_path / "bin"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("models", "dist", "training", ".edgepack"))
    shutil.copytree(folder / "small", folder, dirs_exist_ok=True)
    programs.mkdir()
    (programs / "edgepack").write_text(COMMAND.format(python=sys.executable, root=str(ROOT)))
    (programs / "edgepack").chmod(0o755)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(folder / ".edgepack"))
    monkeypatch.setattr(workshop, "_make_image", make_fake_image)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    runpy.run_path("train.py", run_name="__main__")
    blocks = [each for each in blocks_of(PAGE) if each.heading in ("In Python", "On the command line")]
    assert [each.language for each in blocks] == [*["python"] * 5, "sh"]
    try:
        run_blocks(blocks, folder, {"PATH": f"{programs}:{os.environ['PATH']}"})
    finally:
        for service in Webservice.list(Workspace.from_config()):
            service.delete()
