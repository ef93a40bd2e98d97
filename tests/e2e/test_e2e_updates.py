"""What `inspect --diff` says that a device pulls is what engines pull, counted at the registry."""

import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgepack.oci.difference import PlatformDifference, image_difference
from edgepack.oci.platform import AMD64, ARM64
from edgepack.oci.validate import read_layout
from tests.e2e.conftest import free_port, run_edgepack, wait_until
from tests.fakes.images import ImageMaker

pytestmark = pytest.mark.engine

_READ = re.compile(r'"GET /v2/\S+/(?:manifests|blobs)/\S+ HTTP/[\d.]+" 200 (\d+)')


@dataclass
class CountingRegistry:
    """A registry whose log tells how many bytes of images it gave."""

    name: str
    log: Path

    def given_bytes(self, action: Callable[[], object]) -> int:
        """Bytes given while `action` runs."""
        start = self.log.stat().st_size
        action()
        return sum(map(int, _READ.findall(self.log.read_bytes()[start:].decode(errors="replace"))))


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[CountingRegistry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("not installed: docker-registry")
    port, log = free_port(), tmp_path / "log"
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    )
    with log.open("wb") as file:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=file, stderr=file)

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "registry")
        yield CountingRegistry(f"localhost:{port}", log)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def difference(tmp_path: Path, counting: CountingRegistry) -> PlatformDifference:
    """Two images in the registry, `image:old` and `image:new`, whose layer in the middle differs."""
    chance = random.Random(1)  # noqa: S311 - no secret
    old_model, new_model, script = (chance.randbytes(size) for size in (300_000, 200_000, 50_000))
    maker = ImageMaker(tmp_path / "cache")
    for name, model in (("old", old_model), ("new", new_model)):
        maker.write(tmp_path / name, maker.images(model, script), name)
        run_edgepack(tmp_path, "push", str(tmp_path / name), f"{counting.name}/image:{name}")
    found = image_difference(read_layout(tmp_path / "old"), read_layout(tmp_path / "new"))
    own = {"x86_64": AMD64, "aarch64": ARM64}[subprocess.check_output(["uname", "-m"], text=True).strip()]
    return next(each for each in found.platforms if each.platform == str(own))


def test_docker_pulls_what_lies_above_a_changed_layer(
    engine_url: str, counting: CountingRegistry, difference: PlatformDifference
) -> None:
    def pull(tag: str) -> None:
        command = ["docker", "-H", engine_url, "pull", "-q", f"{counting.name}/image:{tag}"]
        subprocess.run(command, check=True, capture_output=True)

    pull("old")
    info = subprocess.check_output(["docker", "-H", engine_url, "info", "-f", "{{.DriverStatus}}"], text=True)
    by_content = "containerd" in info
    expected = difference.pull_bytes if by_content else difference.pull_by_place_bytes
    assert counting.given_bytes(lambda: pull("new")) == expected
    assert difference.pull_by_place_bytes > difference.pull_bytes + 50_000


def test_podman_pulls_the_changed_layer_alone(
    tmp_path: Path, counting: CountingRegistry, difference: PlatformDifference
) -> None:
    if shutil.which("podman") is None:
        pytest.skip("not installed: podman")
    runs = tempfile.TemporaryDirectory(prefix="p-", ignore_cleanup_errors=True)  # podman wants a short path
    storage = ["--root", str(tmp_path / "root"), "--runroot", runs.name, "--storage-driver", "vfs"]

    def pull(tag: str) -> None:
        command = ["podman", *storage, "pull", "-q", "--tls-verify=false", f"{counting.name}/image:{tag}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    with runs:
        pull("old")
        assert counting.given_bytes(lambda: pull("new")) == difference.pull_bytes
