"""Signatures and keys, judged by the cosign that Debian ships: in a folder and in a registry, both ways."""

import base64
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from edgepack.base.deb import read_deb
from edgepack.base.debian import fetch_base, find_mirror, read_apt_sources, read_archive, verify_signature
from edgepack.base.release import find_release
from edgepack.download import Downloader
from edgepack.layers.entry import FileEntry
from edgepack.oci.platform import AMD64, ARM64
from tests.e2e.conftest import EDGEPACK, run_edgepack
from tests.fakes.page_run import PageRun
from tests.fakes.signed_output import write_output

pytestmark = [pytest.mark.network, pytest.mark.engine, pytest.mark.timeout(300)]
PASSWORD = "correct horse"
ENVIRONMENT = {"COSIGN_PASSWORD": PASSWORD, "PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program out of trixie's package, whose hash Debian's signature vouches for; it also runs on older systems."""
    folder = tmp_path_factory.mktemp("cosign")
    machine = {"x86_64": AMD64, "aarch64": ARM64}.get(platform.machine())
    if machine is None:
        pytest.skip(f"no cosign for {platform.machine()}")
    mirror = find_mirror(os.environ, read_apt_sources)
    with Downloader(folder) as downloader:
        release = find_release("debian:trixie")
        archive = read_archive(release, [machine], mirror, downloader, verify_signature, with_security=False)
        found = archive.lists[machine].find("cosign")
        assert found is not None
        entries, _ = read_deb(fetch_base(found.package, mirror, downloader))
    (program,) = (each for each in entries if isinstance(each, FileEntry) and each.path == "usr/bin/cosign")
    path = folder / "cosign"
    assert isinstance(program.content, bytes)
    path.write_bytes(program.content)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed output `dist`, and key pairs `own` and `other`."""
    folder = tmp_path_factory.mktemp("signed")
    write_output(folder / "dist")
    for name in ("own", "other"):
        edgepack(folder, "key", "generate", "-o", name)
    edgepack(folder, "sign", "dist", "--key", "own.key")
    return folder


def edgepack(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [EDGEPACK, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def run(cosign: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [cosign, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )


def check(cosign: Path, folder: Path, command: str, key: str, *where: str) -> subprocess.CompletedProcess[str]:
    return run(cosign, folder, *command.split(), "--key", key, "--insecure-ignore-tlog", *where)


def test_cosign_verifies_what_lies_in_the_output(cosign: Path, signed: Path) -> None:
    for command in ("verify", "verify-attestation --type cyclonedx", "verify-attestation --type slsaprovenance1"):
        done = check(cosign, signed, command, "own.pub", "--local-image", "dist/attachments")
        assert done.returncode == 0, done.stderr
        assert check(cosign, signed, command, "other.pub", "--local-image", "dist/attachments").returncode != 0


def test_cosign_verifies_what_was_pushed(cosign: Path, signed: Path, registry: str) -> None:
    name = f"{registry}/team/signed:1"
    edgepack(signed, "push", "dist", name)
    digest = json.loads((signed / "dist/image/index.json").read_bytes())["manifests"][0]["digest"]
    for reference in (name, f"{registry}/team/signed@{digest}"):
        done = check(cosign, signed, "verify", "own.pub", reference)
        assert done.returncode == 0, done.stderr
        assert check(cosign, signed, "verify", "other.pub", reference).returncode != 0
    done = check(cosign, signed, "verify-attestation --type cyclonedx", "own.pub", name)
    assert done.returncode == 0, done.stderr
    payloads = [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in done.stdout.splitlines()]
    files = [json.loads(path.read_bytes()) for path in sorted((signed / "dist/sbom").iterdir())]
    assert sorted((each["predicate"] for each in payloads), key=str) == sorted(files, key=str)
    assert "signed with own.pub" in edgepack(signed, "verify", name, "--key", "own.pub")
    assert "not with this key" in edgepack(signed, "verify", name, "--key", "other.pub", code=4)


def test_each_reads_and_signs_with_the_others_keys(cosign: Path, signed: Path, registry: str, tmp_path: Path) -> None:
    assert run(cosign, tmp_path, "generate-key-pair", "--output-key-prefix", "theirs").returncode == 0
    write_output(tmp_path / "dist", content=b"another")
    name = f"{registry}/team/both:1"
    edgepack(tmp_path, "push", "dist", name)
    assert "is not signed" in edgepack(tmp_path, "verify", name, "--key", "theirs.pub", code=4)
    edgepack(tmp_path, "sign", name, "--key", "theirs.key")
    done = check(cosign, tmp_path, "verify", "theirs.pub", name)
    assert done.returncode == 0, done.stderr
    edgepack(tmp_path, "verify", name, "--key", "theirs.pub")
    own = str(signed / "own.key")
    done = run(cosign, tmp_path, "sign", "--yes", "--tlog-upload=false", "--key", own, name)
    assert done.returncode == 0, done.stderr
    for key in ("theirs.pub", str(signed / "own.pub")):
        assert check(cosign, tmp_path, "verify", key, name).returncode == 0
    edgepack(tmp_path, "verify", name, "--key", "theirs.pub")
    assert "not all that hangs on it" in edgepack(tmp_path, "verify", name, "--key", str(signed / "own.pub"), code=4)


def test_a_second_push_keeps_signatures_that_were_added_there(cosign: Path, signed: Path, registry: str) -> None:
    name = f"{registry}/team/kept:1"
    edgepack(signed, "push", "dist", name)
    edgepack(signed, "sign", name, "--key", "other.key")
    edgepack(signed, "push", "dist", name)
    for key in ("own.pub", "other.pub"):
        assert check(cosign, signed, "verify", key, name).returncode == 0
        edgepack(signed, "verify", name, "--key", key)


def test_the_page(cosign: Path, signed: Path, registry: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """What docs/supply-chain.md says under "With cosign"."""
    folder = tmp_path / "here"
    shutil.copytree(signed, folder)
    (folder / "own.pub").rename(folder / "release.pub")
    edgepack(folder, "push", "dist", f"{registry}/team/scorer:1.0")
    environment = {**ENVIRONMENT, "PATH": f"{cosign.parent}:{ENVIRONMENT['PATH']}"}
    with PageRun("docs/supply-chain.md", request, folder, environment, {"registry.example.com": registry}) as page:
        page.run_all()


def test_other_tools_still_take_the_image(signed: Path, registry: str) -> None:
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "oci:image"], cwd=signed / "dist", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["manifests"]) == 2
    result = run_edgepack(signed, "verify", "dist", "--key", "own.pub")
    assert result["ok"]
