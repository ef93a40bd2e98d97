"""push and pull with the registry that Debian ships, open, with a password and with TLS; skopeo judges."""

import base64
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.e2e.conftest import EDGEPACK, _need, free_port, wait_until
from tests.fakes.cutting_link import CuttingLink
from tests.fakes.registry_world import tree_of, write_image

USER, PASSWORD = "user", "secret"
_HTPASSWD = f"{USER}:$2b$04$qlimPmEIzQMKVCeyjFn9BeJTBWw.23RumMgbJu9hZxGJ5dZWdELoK\n"  # of that password
KINDS = ("open", "password", "tls")


@dataclass(frozen=True)
class World:
    """A registry, and the environment of a user who may use it."""

    kind: str
    port: int
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def run(self, *arguments: str | Path, code: int = 0) -> str:
        """The output of the command."""
        done = subprocess.run(
            [EDGEPACK, "--workspace", self.folder / "workspace", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def skopeo(self, command: str, *arguments: str | Path) -> bytes:
        """The output of skopeo, which finds its own way to the registry."""
        tls = {"inspect": ["--tls-verify=false"], "copy": ["--src-tls-verify=false", "--dest-tls-verify=false"]}
        creds = {"inspect": [f"--creds={USER}:{PASSWORD}"], "copy": [f"--src-creds={USER}:{PASSWORD}"]}
        if command == "copy" and str(arguments[-1]).startswith("docker:"):
            creds["copy"] = [f"--dest-creds={USER}:{PASSWORD}"]
        login = creds[command] if self.kind == "password" else []
        return subprocess.run(
            ["skopeo", command, *tls[command], *login, *arguments], capture_output=True, check=True
        ).stdout


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[World]:
    """A registry of one kind, ended with the block."""
    _need("docker-registry", "skopeo")
    port = free_port()
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "EDGEPACK_WORKSPACE"}
    environment["HOME"] = str(folder)
    lines = [
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}",
        f"http: {{addr: '127.0.0.1:{port}'}}",
    ]
    if kind == "tls":
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        tls = f"{{certificate: {folder}/server.pem, key: {folder}/server.pem}}"
        lines[2] = f"http: {{addr: '127.0.0.1:{port}', tls: {tls}}}"
        environment["SSL_CERT_FILE"] = str(folder / "ca.pem")
    if kind == "password":
        (folder / "htpasswd").write_text(_HTPASSWD)
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}")
        (folder / ".docker").mkdir()
        text = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        logins = {"auths": {f"localhost:{port}": {"auth": text}}}
        (folder / ".docker" / "config.json").write_text(json.dumps(logins))
    (folder / "config.yml").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:

        def listens() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, "registry")
        yield World(kind, port, folder, environment)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module", params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(request.param, tmp_path_factory.mktemp("registries") / request.param) as found:
        yield found


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving("open", tmp_path_factory.mktemp("registries") / "open") as found:
        yield found


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two platforms, a layer of two pieces, and small ones."""
    return write_image(tmp_path_factory.mktemp("image"), os.urandom(17_000_000), b"script")


def assert_the_same(world: World, layout: Path, name: str, folder: Path) -> None:
    """The registry has all of it, by skopeo: the index's bytes, and every blob of every platform."""
    tree = tree_of(layout)
    assert world.skopeo("inspect", "--raw", f"docker://{world.host}/{name}") == tree.content
    world.skopeo("copy", "--all", f"docker://{world.host}/{name}", f"oci:{folder}:x")
    for digest in (*tree.documents, *(blob.digest for blob in tree.blobs)):
        hexadecimal = digest.removeprefix("sha256:")
        expected = (layout / "blobs" / "sha256" / hexadecimal).read_bytes()
        assert (folder / "blobs" / "sha256" / hexadecimal).read_bytes() == expected


def test_a_push_is_what_skopeo_finds_and_a_second_one_moves_nothing(world: World, layout: Path, tmp_path: Path) -> None:
    name = "team/digits:1.0"
    first = json.loads(world.run("--json", "push", layout, f"{world.host}/{name}"))
    assert first["reference"] == f"{world.host}/team/digits@{tree_of(layout).root.digest}"
    assert first["sent_bytes"] > 17_000_000
    assert_the_same(world, layout, name, tmp_path / "copy")
    second = json.loads(world.run("--json", "push", layout, f"{world.host}/{name}"))
    assert (second["sent"], second["sent_bytes"], second["mounted"]) == (0, 0, 0)
    third = json.loads(world.run("--json", "push", layout, f"{world.host}/other/name"))
    assert third["mounted_bytes"] == sum(blob.size for blob in tree_of(layout).blobs)
    assert third["sent_bytes"] < 5000
    assert_the_same(world, layout, "other/name", tmp_path / "other")


def test_pull_inspect_and_verify_take_what_skopeo_pushed(world: World, layout: Path, tmp_path: Path) -> None:
    name = f"{world.host}/by/skopeo:2"
    world.skopeo("copy", "--all", f"oci:{layout}", f"docker://{name}")
    digest = tree_of(layout).root.digest
    pulled = json.loads(world.run("--json", "pull", name, tmp_path / "pulled"))
    assert pulled["digest"] == digest
    assert json.loads(world.run("--json", "verify", tmp_path / "pulled"))["digest"] == digest
    assert json.loads(world.run("--json", "verify", name))["platforms"] == ["linux/amd64", "linux/arm64"]
    assert json.loads(world.run("--json", "inspect", f"{name}@{digest}")) == json.loads(
        world.run("--json", "inspect", layout)
    )
    one = json.loads(world.run("--json", "pull", "--platform", "linux/arm64", name, tmp_path / "pulled"))
    assert (one["fetched"], one["platforms"]) == (0, ["linux/arm64"])


def test_who_may_not_is_told_what_to_do(world: World, layout: Path, tmp_path: Path) -> None:
    name = f"{world.host}/team/denied:1"
    environment = {**world.environment, "HOME": str(tmp_path)}
    environment.pop("SSL_CERT_FILE", None)
    stranger = World(world.kind, world.port, tmp_path, environment)
    if world.kind == "password":
        assert f"docker login {world.host}" in stranger.run("push", layout, name, code=3)
    elif world.kind == "tls":
        text = stranger.run("push", layout, name, code=3)
        assert "the certificate of" in text
        assert "SSL_CERT_FILE" in text
        stranger.run("push", "--insecure", layout, name)
    else:
        assert "it is not there" in stranger.run("inspect", name, code=3)


def test_connections_that_are_dropped_again_and_again(open_world: World, layout: Path, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311
    cuts = [chance.randrange(100, 15_000_000) for _ in range(4)]
    with CuttingLink(open_world.port, cuts) as link:
        open_world.run("push", layout, f"127.0.0.1:{link.port}/team/dropped:1")
        assert link.cut_count > 1
    assert_the_same(open_world, layout, "team/dropped:1", tmp_path / "copy")


def test_a_push_that_is_killed_is_done_again(open_world: World, layout: Path, tmp_path: Path) -> None:
    chance = random.Random(11)  # noqa: S311
    for number in range(2):
        command: list[str | Path] = [EDGEPACK, "--workspace", tmp_path / f"workspace{number}", "push", layout]
        name = f"team/killed{number}:1"  # another repository, and nothing known of the others: all is uploaded
        with CuttingLink(open_world.port) as link:
            process = subprocess.Popen(
                [*command, f"127.0.0.1:{link.port}/{name}"],
                env=open_world.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            assert link.when_sent(chance.randrange(200, 16_500_000))
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        open_world.run("push", layout, f"{open_world.host}/{name}")
        assert_the_same(open_world, layout, name, tmp_path / str(number))


def test_interrupted_a_push_says_so_and_ends(open_world: World, layout: Path) -> None:
    with CuttingLink(open_world.port, held_after=1000) as link:
        process = subprocess.Popen(
            [EDGEPACK, "push", layout, f"127.0.0.1:{link.port}/team/interrupted:1"],
            env=open_world.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert link.when_sent(1000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, "", "interrupted")
