"""The dashboard's process: where it listens, whom it answers, when it ends. Without a browser."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fakes.fake_simulation import FakeSimulation
from tests.fakes.sample_runs import plain_run
from tests.integration.simulator.dashboard.conftest import Dashboard

SOCKET = "_nicegui_ws/socket.io/?EIO=4&transport=polling"


def test_it_answers_on_loopback_and_ends_on_a_signal(simulation: FakeSimulation) -> None:
    dashboard = Dashboard(simulation.path)
    assert urlsplit(dashboard.url).hostname == "127.0.0.1"
    page = httpx.get(dashboard.url)
    assert page.status_code == 200
    assert "edgepack simulator" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert dashboard.end() == (0, "")
    assert not (simulation.path.parent / ".nicegui").exists()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {"Host": "rebound.example"}, 421),
        ("_nicegui_ws/", {"Host": "rebound.example:80"}, 421),
        (SOCKET, {"Origin": "https://evil.example"}, 403),
        (SOCKET, {}, 200),
        ("openapi.json", {}, 404),
        ("docs", {}, 404),
    ],
)
def test_only_its_own_page_may_talk_to_it(
    dashboard: Dashboard, path: str, headers: dict[str, str], status: int
) -> None:
    assert httpx.get(dashboard.url + path, headers=headers).status_code == status


def test_elsewhere_it_needs_the_token(simulation: FakeSimulation) -> None:
    dashboard = Dashboard(simulation.path, "--listen", "0.0.0.0:0")
    address = urlsplit(dashboard.url)
    here = f"http://127.0.0.1:{address.port}/"
    assert address.query.startswith("token=")
    assert len(address.query) > 30
    assert httpx.get(here).status_code == 401
    assert httpx.get(here + SOCKET).status_code == 401
    assert httpx.get(f"{here}?token=guess").status_code == 401
    with httpx.Client() as browser:
        assert browser.get(f"{here}?{address.query}").headers["location"] == "/"
        assert browser.get(here).status_code == 200
        assert browser.get(here + SOCKET).status_code == 200
    assert dashboard.end() == (0, "")


def test_two_of_them_keep_their_tokens_apart(simulation: FakeSimulation) -> None:
    first, second = (Dashboard(simulation.path, "--listen", "0.0.0.0:0") for _ in range(2))
    addresses = [urlsplit(each.url) for each in (first, second)]
    with httpx.Client() as browser:
        for address in addresses:
            browser.get(f"http://127.0.0.1:{address.port}/?{address.query}")
        assert [browser.get(f"http://127.0.0.1:{address.port}/").status_code for address in addresses] == [200, 200]
    assert [each.end() for each in (first, second)] == [(0, ""), (0, "")]


def test_it_ends_when_the_simulation_has_gone(tmp_path: Path) -> None:
    with FakeSimulation(tmp_path / "control.sock", plain_run()) as fake:
        dashboard = Dashboard(fake.path, "--patience-s", "0.5")
    assert dashboard.wait() == (0, "")


def test_it_says_where_it_cannot_listen(dashboard: Dashboard, simulation: FakeSimulation) -> None:
    taken = urlsplit(dashboard.url).netloc
    for listen, reason in ((taken, f"cannot listen at {taken}: Address already in use"), ("here", "not 'here'")):
        command = [sys.executable, "-m", "simulator.dashboard", "--control", str(simulation.path), "--listen", listen]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2
        assert reason in done.stderr
