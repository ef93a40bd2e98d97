"""Planted secrets, looked for in all that a build leaves: layers unpacked, documents, locks, caches, what it said."""

import base64
import gzip
import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.build_world import Project, World, copy_installation, make_world
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("gpgv") is None, reason="gpg is not installed: release files need it"
)

MARK = "planted"
FILES = {
    ".env": "TOKEN=planted-env",
    "settings.env": "TOKEN=planted-settings-env",
    ".git/config": "url = https://planted-git@example.com/x.git",
    "sub/.git/config": "url = https://planted-sub-git@example.com/x.git",
    ".git-credentials": "https://me:planted-git-credentials@example.com",
    "tls.pem": "-----BEGIN PRIVATE KEY-----\nplanted-pem",
    "TLS.PFX": "planted-pfx",
    "id_rsa": "planted-id-rsa",
    ".ssh/id_ed25519": "planted-ssh",
    ".aws/credentials": "planted-aws",
    ".azure/accessTokens.json": "planted-azure",
    ".netrc": "machine x login y password planted-netrc",
    ".pypirc": "password = planted-pypirc",
    "pip.conf": "index-url = https://u:planted-pip@example.com/simple",
    ".docker/config.json": "planted-docker",
    "__pycache__/score.cpython-311.pyc": "planted-bytecode",
    ".ipynb_checkpoints/score-checkpoint.py": "KEY = 'planted-checkpoint'",
    "notes/private.txt": "planted-excluded-by-project",
    "drafts.txt": "planted-excluded-by-command",
    "old.txt": "planted-excluded-by-own-file",
    "ca.pem": "-----BEGIN CERTIFICATE-----\nkept on purpose",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FileServer() as server, SigningKey() as key:
        yield make_world(server, key, copy_installation(tmp_path_factory.mktemp("installed")))


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A project full of secrets, built and signed, and all that the commands said."""
    credentials = {
        "registry": {"address": "registry.example.com", "username_env": "REG_USER", "password_env": "REG_PW"}
    }
    project = world.project(
        tmp_path_factory.mktemp("secrets") / "project", exclude=["notes/"], image="registry.example.com/x:1",
        credentials=credentials,
    )  # fmt: skip
    project.installation = Path(world.environment["HOME"])
    for name, text in FILES.items():
        path = project.folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (project.folder / "source" / ".edgepackignore").write_text("!ca.pem\nold.txt\n")
    conda = project.folder / "conda.yml"
    conda.write_text(conda.read_text().replace("http://", "http://reader:planted-index@"))
    home = project.folder / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login me password planted-home-netrc\n")
    (home / ".netrc").chmod(0o600)
    (home / ".docker").mkdir()
    login = base64.b64encode(b"me:planted-registry").decode()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {"registry.example.com": {"auth": login}}}))
    project.environment |= {
        "HOME": str(home),
        "EDGEPACK_KEY_PASSWORD": "planted-key-password",
        "IOTHUB_CONNECTION_STRING": "HostName=h;SharedAccessKeyName=n;SharedAccessKey=planted-connection",
        "REG_USER": "planted-registry-user",
        "REG_PW": "planted-registry-password",
    }
    said = project.run("key", "generate", "-o", "own", code=0)
    more = project.run("-v", "build", "--sign-key", "own.key", "--exclude", "drafts.txt", code=0)
    checked = project.run("-v", "verify", "dist", "--key", "own.pub", code=0)
    shown = project.run("--json", "inspect", "dist", code=0)
    return project, "".join(done.stdout + done.stderr for done in (said, more, checked, shown))


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder; what is compressed also unpacked, and what is base64 in a document also decoded."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield str(path), content
        if content.startswith(b"\x1f\x8b"):
            yield f"{path} unpacked", gzip.decompress(content)
        for text in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content if content.startswith(b"{") else b""):
            if len(text) % 4 == 0:
                yield f"{path} decoded", base64.b64decode(text)


def planted(content: bytes) -> list[str]:
    """The secrets in some bytes, plain or in base64 (at any of its three offsets)."""
    found = [text.decode() for text in re.findall(rb"planted-[a-z-]+", content)]
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + MARK.encode())
        core = encoded[(8 * shift + 5) // 6 : 8 * (shift + len(MARK)) // 6]  # what its neighbours do not change
        found += [f"base64 of {MARK}"] * content.count(core)
    return found


def test_nothing_planted_is_in_an_image_a_document_or_a_lock(built: tuple[Project, str]) -> None:
    project, _ = built
    places = [project.folder / "dist", project.folder / ".edgepack" / "cache"]
    found = {name: secrets for place in places for name, content in contents(place) if (secrets := planted(content))}
    deployment = str(project.folder / "dist" / "deployment.json")
    assert set(found.pop(deployment)) == {"planted-registry-user", "planted-registry-password"}  # what it is for
    assert (project.folder / "dist" / "deployment.json").stat().st_mode & 0o077 == 0
    assert found == {}
    for lock in project.folder.glob("**/pylock.*.toml"):
        assert planted(lock.read_bytes()) == [], lock


def test_the_search_would_find_them(built: tuple[Project, str], tmp_path: Path) -> None:
    """The same search, over what was planted, compressed as in a layer and encoded as in an envelope."""
    project, _ = built
    with tarfile.open(tmp_path / "layer.tar.gz", "w:gz") as archive:
        archive.add(project.folder / "source" / ".env", ".env")
    (tmp_path / "envelope.json").write_text(
        json.dumps({"payload": base64.b64encode(b"{'a': 'planted-x'}" * 3).decode()})
    )
    found = {Path(name).name for name, content in contents(tmp_path) if planted(content)}
    assert {"layer.tar.gz unpacked", "envelope.json decoded", "envelope.json"} <= found


def test_nothing_planted_is_said(built: tuple[Project, str]) -> None:
    _, said = built
    assert planted(said.encode()) == []
    assert "not copied, since it looks like secrets" in said
    for name in (".env", ".ssh/id_ed25519", "TLS.PFX"):
        assert name in said


def test_what_is_kept_on_purpose_is_there(built: tuple[Project, str]) -> None:
    project, _ = built
    texts = [content for name, content in contents(project.folder / "dist" / "image") if "unpacked" in name]
    assert any(b"kept on purpose" in content for content in texts)
    assert any(b"def run(data)" in content for content in texts)


def test_variables_and_models_that_hold_secrets_are_warned_of(world: World, tmp_path: Path) -> None:
    variables = {"DB_PASSWORD": "planted-variable", "LEVEL": "info"}
    config = {
        "entryScript": "score.py",
        "sourceDirectory": "source",
        "environment": {"environmentVariables": variables, "python": {"condaDependenciesFile": "conda.yml"}},
    }
    project = world.project(tmp_path / "project", inference_config=config)
    project.installation = Path(world.environment["HOME"])
    (project.folder / "model").mkdir()
    (project.folder / "model" / "weights.bin").write_bytes(b"w")
    (project.folder / "model" / ".env").write_text("x")
    project.run("model", "register", "-n", "tiny", "-p", "model", code=0)
    (project.folder / "source" / "keys.py").write_text("c = 'HostName=h;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAA=='\n")
    said = project.run("build", code=0).stderr
    assert "environment variable DB_PASSWORD looks like a secret" in said
    assert "LEVEL" not in said
    assert "planted-variable" not in said
    assert "keys.py: holds what looks like a key" in said
    assert "tiny:2 holds what looks like secrets" in said
    provenance = (project.folder / "dist" / "provenance.json").read_text()
    assert "DB_PASSWORD" in provenance
    assert "planted-variable" not in provenance
