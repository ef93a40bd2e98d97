"""A dashboard process, a fake simulation behind it, and Chromium before it; each ended by its own process id."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_simulation import FakeSimulation
from tests.fakes.sample_runs import plain_run

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars
""".split()
TWIN: dict[str, Any] = {
    "id": "edge-1/scorer",
    "tags": {"site": "hall 17"},
    "properties": {
        "desired": {"threshold": 0.8, "labels": ["a", "b"], "$version": 4},
        "reported": {"state": "running", "$version": 12},
    },
}


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Dashboard:
    """The process under test, and its address."""

    def __init__(self, control: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "simulator.dashboard", "--control", str(control), *arguments],
            cwd=control.parent,
            env=environment | {"PYTHONPATH": str(Path(__file__).parents[4])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"the dashboard did not start: {self.process.communicate()[1]}")
        self.url = str(json.loads(line)["url"])

    def end(self) -> tuple[int, str]:
        """End it as the simulation does; exit code and what it wrote to stderr."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Wait until it ends; exit code and what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[FakeSimulation]:
    """A plain run, with a twin and a log."""
    with FakeSimulation(tmp_path / "control.sock", plain_run()) as fake:
        fake.twins["edge-1/scorer"] = json.loads(json.dumps(TWIN))
        fake.logs["edge-1/scorer"] = [f"line {number} of the scorer" for number in range(30)]
        yield fake


@pytest.fixture
def dashboard(simulation: FakeSimulation) -> Iterator[Dashboard]:
    """The dashboard of that run; whatever the test did with it, it ends well and has nothing to complain of."""
    started = Dashboard(simulation.path)
    yield started
    code, errors = started.end()
    assert (code, errors) == (0, "")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without a window, that reports its console and its requests."""
    missing = [path for path in (CHROMIUM, DRIVER) if shutil.which(path) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian packages chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()
