"""A conda file that names libraries and programs: they come from Debian, work in the image, and exist for everyone."""

import json
import os
from pathlib import Path

import pytest

from edgepack.base.debian import find_mirror, read_apt_sources, read_archive, verify_signature
from edgepack.base.release import RELEASES, Release
from edgepack.download import Downloader
from edgepack.oci.platform import AMD64, ARM64, ARM_V7
from edgepack.resolve.system_names import debian_packages
from tests.e2e.conftest import run_edgepack

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

CONDA = """\
name: sound
channels: [conda-forge]
dependencies:
- python=3.11
- libsndfile
- libmagic
- git
- pip:
  - soundfile==0.10.3.post1
  - azureml-defaults
variables: {GREETING: hello}
"""

SCRIPT = """\
import ctypes.util
import os
import subprocess


def init():
    global soundfile
    import soundfile  # this version asks ctypes where libsndfile is


def run(data):
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "formats": "WAV" in soundfile.available_formats(),
        "magic": ctypes.util.find_library("magic"),
        "git": version.split()[0],
        "greeting": os.environ["GREETING"],
    }
"""
ANSWER = {"formats": True, "magic": "libmagic.so.1", "git": "git", "greeting": "hello"}


@pytest.mark.parametrize("release", RELEASES.values(), ids=lambda release: release.codename)
def test_every_debian_package_of_the_table_is_there(release: Release, tmp_path: Path) -> None:
    mirror = find_mirror(os.environ, read_apt_sources)
    with Downloader(tmp_path) as downloader:
        archive = read_archive(
            release, (AMD64, ARM64, ARM_V7), mirror, downloader, verify_signature, with_security=False
        )
    missing = [
        f"{names} for {platform}"
        for names in debian_packages()
        for platform, lists in archive.lists.items()
        if not any((one := lists.find(name)) and one.package.name == name for name in names.split("|"))
    ]
    assert missing == []


def test_libraries_and_programs_work_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "conda.yml").write_text(CONDA)
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "sample-request.json").write_text("{}")
    (tmp_path / "sample-response.json").write_text(json.dumps(ANSWER))
    project = {
        "name": "sound",
        "inference_config": {"entryScript": "score.py", "condaFile": "conda.yml"},
        "platforms": ["linux/amd64"],
    }
    (tmp_path / "edgepack.yaml").write_text(json.dumps(project))
    report = run_edgepack(tmp_path, "build", "--check")  # fails unless the answer is the expected one
    assert report["check"]
