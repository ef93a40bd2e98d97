"""The tutorial with Keras and gensim as they are in the index, from the training to the simulator."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from edgepack import Webservice, Workspace
from tests.fakes.pages import blocks_of
from tests.fakes.tutorial import EXAMPLE, PAGE, run_blocks


@pytest.mark.network
@pytest.mark.timeout(1800)
def test_the_tutorial_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sentiment"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("models", "dist", "training", ".edgepack"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(folder / ".edgepack"))  # versions of the model begin with 1
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        blocks = blocks_of(PAGE)
        assert len(blocks) == 8
        run_blocks(blocks, folder, {"PATH": path})
    finally:
        for service in Webservice.list(Workspace.from_config()):
            service.delete()
    shutil.rmtree(folder)  # gigabytes
