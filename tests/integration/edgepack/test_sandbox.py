"""An image as a process in namespaces: what it is and may there, with a small image of this machine's shell."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import edgepack
from edgepack.oci.validate import read_layout
from edgepack.trial.processes import try_as_process
from edgepack.trial.trial import NotRunnable, Trial
from tests.fakes.shell_image import shell_image

CHILD = """
import json, sys
from pathlib import Path
from edgepack.oci.validate import read_layout
from edgepack.trial.processes import try_as_process
layout, folder = map(Path, sys.argv[1:])
(content,) = read_layout(layout).platforms
found = try_as_process(layout, content, [], 60, folder)
print(getattr(found, "log", found))
"""
SELF_PORTRAIT = """\
while read line; do case "$line" in Uid:*|CapEff:*|NoNewPrivs:*) echo $line;; esac; done < /proc/$$/status
while read name rest; do case "$name" in *:) echo interface $name;; esac; done < /proc/net/dev
echo x > /app/file || echo root is read-only
echo x > /var/lib/edgepack/file && echo volume is writable
echo x > /tmp/file && echo tmp is writable
echo x > /dev/null && echo null is there
echo home is $HOME
echo the first process is not mine: $(( $$ != 1 ))
exit 7
"""
EXPECTED = {
    "Uid: 1000 1000 1000 1000",
    "CapEff: 0000000000000000",
    "NoNewPrivs: 1",
    "interface lo:",
    "root is read-only",
    "volume is writable",
    "tmp is writable",
    "null is there",
    "the first process is not mine: 1",
}


def run(tmp_path: Path, script: str, limit_s: float = 60) -> Trial:
    """Run a script as the entry point of an image."""
    image = shell_image(tmp_path / "image", script)
    (content,) = read_layout(image.layout).platforms
    found = try_as_process(image.layout, content, [], limit_s, tmp_path / "scratch")
    if isinstance(found, NotRunnable):
        pytest.skip(f"no namespaces on this machine: {found.reason}")
    return found


def test_it_is_as_restricted_as_on_a_device(tmp_path: Path) -> None:
    found = run(tmp_path, SELF_PORTRAIT)
    assert found.problem == "the module ended before it was ready (exit code 7)"
    assert set(found.log.splitlines()) >= EXPECTED, found.log
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_module_that_ends_by_a_signal(tmp_path: Path) -> None:
    assert run(tmp_path, "kill -SEGV $$").problem == "the module ended before it was ready (exit code 139)"


def test_a_module_that_does_not_come_up(tmp_path: Path) -> None:
    mark = f"31{time.monotonic_ns() % 10**6}.25"
    found = run(tmp_path, f"echo started\nsleep {mark} &\nsleep {mark}", limit_s=0.3)
    assert found.problem is not None
    assert found.problem.startswith("the module is not ready after 0.3 s (")
    assert found.log == "started"
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not any(mark.encode() in command for command in commands)


def test_an_entry_point_that_is_not_there(tmp_path: Path) -> None:
    image = shell_image(tmp_path / "image", "exit 0", with_libraries=False)
    (content,) = read_layout(image.layout).platforms
    found = try_as_process(image.layout, content, [], 60, tmp_path / "scratch")
    if isinstance(found, NotRunnable):
        pytest.skip(f"no namespaces on this machine: {found.reason}")
    assert found.problem == "/usr/bin/sh cannot be started (No such file or directory)"


def test_an_entry_point_that_is_no_program(tmp_path: Path) -> None:
    image = shell_image(tmp_path / "image", "exit 0")
    (content,) = read_layout(image.layout).platforms
    content.config["config"]["Entrypoint"] = ["/app/run.sh"]
    found = try_as_process(image.layout, content, [], 60, tmp_path / "scratch")
    if isinstance(found, NotRunnable):
        pytest.skip(f"no namespaces on this machine: {found.reason}")
    assert found.problem == "/app/run.sh cannot be started (Permission denied)"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="taking rights away needs setpriv")
def test_without_the_rights_of_root_it_is_the_same(tmp_path: Path) -> None:
    image = shell_image(tmp_path / "image", SELF_PORTRAIT)
    rights = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*rights, sys.executable, "-c", CHILD, str(image.layout), str(tmp_path / "scratch")],
        env={**os.environ, "PYTHONPATH": str(Path(edgepack.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "namespaces" in done.stdout:
        pytest.skip(f"users other than root have no namespaces here: {done.stdout}")
    assert set(done.stdout.splitlines()) >= EXPECTED, done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="as another user, root of the image is nobody here")
def test_an_image_that_runs_as_root_does_not_do_so_on_this_machine(tmp_path: Path) -> None:
    layout = shell_image(tmp_path, "exit 7").layout
    (content,) = read_layout(layout).platforms
    config = {**content.config, "config": {**content.config["config"], "User": "root"}}
    for user in ("root", "0"):
        config["config"]["User"] = user
        found = try_as_process(layout, replace(content, config=config), [], 60, tmp_path / "scratch")
        assert isinstance(found, NotRunnable)
        assert "the image's user is root" in found.reason
