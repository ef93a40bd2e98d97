"""The page in a real browser: it shows the run, acts on it, needs no mouse, and needs nobody else."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: the page is looked at with it")

from selenium.webdriver.common.keys import Keys

from simulator.snapshot import DeviceState, LedgerFigures
from tests.fakes.fake_simulation import FakeSimulation
from tests.fakes.sample_runs import empty_run, heavy_run
from tests.integration.simulator.dashboard.conftest import Dashboard, wait_until
from tests.integration.simulator.dashboard.page_scripts import HAS_FOCUS_MARK, MARK_AND_WATCH, TOO_PALE
from tests.integration.simulator.dashboard.page_under_test import Page

TABS = ("Faults", "Logs", "Twin", "Call")


def test_the_figures_are_those_of_the_run_and_follow_it(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    page = Page(chromium, dashboard.url)
    page.wait_for_text("Nothing lost, 29 on their way", ".verdict")
    figures = page.text(".figures").split("\n")
    assert figures[:4] == ["Sent", "672", "Delivered", "643"]
    assert "231 ms" in figures
    for text in ("plain day", "42 s of 1 min 0 s", "sensor-008", "waits to restart (exit code 137)", "+200 ms"):
        assert text in page.text()
    simulation.snapshot = replace(simulation.snapshot, at_s=43, ledger=LedgerFigures(sent=700, lost=7))
    page.wait_for_text("7 of 700 messages lost", ".verdict")
    assert page.text(".lost") == "7"
    assert page.console() == []


def test_what_is_empty_says_what_to_do(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    simulation.snapshot = empty_run()
    page = Page(chromium, dashboard.url)
    page.wait_for_text("No message sent yet")
    for text in (
        "edgepack simulate dist/deployment.json",
        "edgepack simulate --devices 10",
        "No faults yet",
        "None so far",
    ):
        page.wait_for_text(text)
    for tab, text in (("Logs", "No module to read from"), ("Twin", "No twin to show")):
        page.click(tab)
        page.wait_for_text(text, ".workbench")


def test_a_fault_button_sends_its_step(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Latency")
    page.type_over("Milliseconds", "750")
    page.type_over("For seconds", "5")
    page.click("Apply")
    wait_until(lambda: simulation.asked("latency"), "the step")
    assert simulation.asked("latency") == [{"do": "latency", "link": "upstream", "ms": 750, "for_s": 5}]
    page.wait_for_text("upstream: latency 750 ms for 5 s", ".history")
    page.click("Cut the link Devices → edgeHub")
    wait_until(lambda: simulation.asked("offline"), "the step")
    page.button("Bring back the link Devices → edgeHub")


def test_a_fault_that_cannot_be_is_refused_in_place(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Loss")
    page.type_over("Percent", "300")
    page.click("Apply")
    page.wait_for_text("must be 0 to 95", ".fault-form")
    assert simulation.asked("loss") == []
    simulation.refusals["loss"] = "the link is no more"
    page.type_over("Percent", "30")
    page.click("Apply")
    page.wait_for_text("the link is no more")


def test_the_keyboard_is_enough(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    page = Page(chromium, dashboard.url)

    def focus_can_be_seen() -> None:
        assert page.focused(), "what has the focus has no name"
        assert page.run(HAS_FOCUS_MARK), f"{page.focused()} has the focus, and one cannot see it"

    page.tab_to("Kill module", check=focus_can_be_seen)
    page.press(Keys.ENTER)
    wait_until(lambda: page.focused() == "Module", "the form has the focus")
    page.tab_to("Apply", most=3, check=focus_can_be_seen)
    page.press(Keys.SPACE)
    wait_until(lambda: simulation.asked("kill_agent"), "the step")
    assert simulation.asked("kill_agent") == [{"do": "kill_agent", "module": "edge-1/scorer"}]
    page.tab_to("Close", most=2)
    page.press(Keys.ENTER)
    wait_until(lambda: "Kill module" in page.focused(), "the focus is back")


def test_stopping_asks_first(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Stop the run")
    page.wait_for_text("Stop the run?", "[role=alertdialog]")
    wait_until(lambda: page.focused() == "Go on", "the harmless answer has the focus")
    page.press(Keys.ESCAPE)
    wait_until(lambda: "Stop the run?" not in page.text(), "the question is gone")
    assert simulation.asked("stop") == []
    page.click("Stop the run")
    page.wait_for_text("Stop the run?", "[role=alertdialog]")
    page.click("Stop the run", "[role=alertdialog]")
    wait_until(lambda: simulation.asked("stop"), "the command")
    page.wait_for_text("Draining", ".bar")


def test_the_twin_editor_refuses_bad_json_and_sends_a_patch(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Twin of edge-1/scorer")
    wait_until(lambda: '"threshold": 0.8' in _value(page), "the desired properties")
    page.wait_for_text('"state": "running"', ".reported")
    page.type_over("Desired properties (JSON)", '{"threshold": }')
    page.wait_for_text("line 1, column 15: Expecting value", ".twin")
    page.click("Send patch")
    assert simulation.asked("set_twin") == []
    page.type_over("Desired properties (JSON)", '{"threshold": 0.9, "labels": ["a", "b"]}')
    page.wait_for_text('Patch to send: {"threshold": 0.9}', ".twin")
    page.click("Send patch")
    wait_until(lambda: simulation.asked("set_twin"), "the patch")
    assert simulation.asked("set_twin")[0]["desired"] == {"threshold": 0.9}
    simulation.twins["edge-1/scorer"]["properties"]["reported"]["state"] = "paused"
    page.wait_for_text('"state": "paused"', ".reported")
    simulation.twins["edge-1/scorer"]["properties"]["desired"]["threshold"] = 0.1
    wait_until(lambda: '"threshold": 0.1' in _value(page), "a change of others, where nothing was edited")


def test_what_is_being_edited_stays(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Twin of edge-1/scorer")
    wait_until(lambda: '"threshold": 0.8' in _value(page), "the desired properties")
    page.type_over("Desired properties (JSON)", '{"mine": 1}')
    page.wait_for_text("Patch to send", ".twin")
    simulation.twins["edge-1/scorer"]["properties"]["desired"].update({"theirs": 2, "$version": 9})
    page.wait_for_text("It changed meanwhile (version 9)", ".twin")
    assert _value(page) == '{"mine": 1}'
    page.click("Discard changes")
    wait_until(lambda: '"theirs": 2' in _value(page), "theirs")


def test_the_log_follows_pauses_and_filters(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Logs of edge-1/scorer")
    page.wait_for_text("line 29 of the scorer", ".log")
    simulation.logs["edge-1/scorer"].append("an error came")
    page.wait_for_text("an error came", ".log")
    page.type_over("Show lines that contain", "ERROR")
    page.wait_for_text("1 of 31 lines", ".workbench")
    assert page.text(".log") == "an error came"
    page.click("Pause")
    simulation.logs["edge-1/scorer"].append("another error")
    page.wait_for_text("Paused", ".workbench")
    updates = _count_updates(simulation)
    wait_until(lambda: len(updates) > 2, "updates")
    assert page.text(".log") == "an error came"
    page.click("Follow")
    page.wait_for_text("another error", ".log")
    simulation.logs["edge-1/scorer"] = ["an error of a new run"]
    wait_until(lambda: page.text(".log") == "an error of a new run", "the new log alone")


def test_methods_and_messages(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    page = Page(chromium, dashboard.url)
    page.click("Call")
    page.type_over("Payload (JSON)", '{"x": 1}')
    page.click("Invoke")
    page.wait_for_text("ping on edge-1/scorer: status 200", ".answer")
    assert simulation.asked("invoke") == [
        {"do": "invoke", "id": "edge-1/scorer", "method": "ping", "payload": {"x": 1}}
    ]
    page.type_over("Body (JSON)", "{")
    page.click("Send message")
    page.wait_for_text("line 1, column 2", ".workbench")
    page.type_over("Body (JSON)", "[1, 2]")
    page.click("Send message")
    wait_until(lambda: simulation.asked("send"), "the message")
    assert simulation.asked("send") == [{"do": "send", "id": "edge-1/scorer", "input": "amlInput", "body": [1, 2]}]


def test_nothing_is_asked_of_anybody_else_and_the_console_is_silent(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    page = Page(chromium, dashboard.url)
    for tab in TABS:
        page.click(tab)
    page.click("Stop the run")
    page.wait_for_text("Stop the run?")
    page.press(Keys.ESCAPE)
    updates = _count_updates(simulation)
    wait_until(lambda: len(updates) > 1, "updates")
    asked = page.requests()
    assert any(url.startswith("ws://") for url in asked)
    own = urlsplit(dashboard.url).netloc
    assert [url for url in asked if urlsplit(url).scheme != "data" and urlsplit(url).netloc != own] == []
    assert page.console() == []


def test_what_devices_and_modules_send_is_text(chromium: Any, simulation: FakeSimulation, dashboard: Dashboard) -> None:
    attack = "<img src=x onerror='window.taken = true'>{{ window.taken = true }}"
    simulation.logs["edge-1/scorer"].append(attack)
    simulation.twins["edge-1/scorer"]["properties"]["reported"]["note"] = attack
    device = DeviceState("sensor-001", True, 1, {"note": attack})
    simulation.snapshot = replace(simulation.snapshot, devices=(device,), problems=(attack,), scenario=attack)
    page = Page(chromium, dashboard.url)
    page.wait_for_text("onerror", ".problem")
    page.wait_for_text("onerror", ".device-scroll")
    page.click("Logs of edge-1/scorer")
    page.wait_for_text("onerror", ".log")
    page.click("Twin of edge-1/scorer")
    page.wait_for_text("onerror", ".reported")
    assert page.run("return window.taken === undefined")
    assert page.console() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["laptop", "phone"])
def test_all_that_can_be_on_the_page_fits_and_can_be_read(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard, size: str, theme: str
) -> None:
    simulation.snapshot = heavy_run()
    page = Page(chromium, dashboard.url, size, theme)
    page.wait_for_text("temperature-sensor-in-hall-17-0007")
    assert page.run("return document.body.classList.contains('body--dark')") == (theme == "dark")
    for tab in TABS:
        page.click(tab)
        if tab == "Faults":
            page.click("Disk full")
            page.click("Apply")
            page.wait_for_text("Sent: edge-1/anomaly-detector-00: disk full", ".q-notification")
        wide = page.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1], f"{tab}: the page is wider than the window"
        assert page.run(TOO_PALE) == []


def test_updates_move_nothing_and_keep_the_place(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    simulation.snapshot = heavy_run()
    page = Page(chromium, dashboard.url)
    page.wait_for_text("temperature-sensor-in-hall-17-0007")
    page.run("document.querySelector('.device-scroll').scrollTop = 500")
    page.run(MARK_AND_WATCH)
    updates = _count_updates(simulation)
    simulation.snapshot = replace(simulation.snapshot, at_s=90_000, ledger=LedgerFigures(sent=99_999_999, lost=1))
    page.wait_for_text("99,999,999", ".figures")
    wait_until(lambda: len(updates) > 3, "updates")
    assert page.run("return window.shifts") == []
    assert page.run("return document.querySelector('.device-scroll').scrollTop") == 500
    assert page.run("return document.querySelectorAll('[data-before]').length === window.marked"), "it was drawn anew"


def test_the_page_says_when_the_simulation_is_away_and_goes_on(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    page = Page(chromium, dashboard.url)
    simulation.stop()
    page.wait_for_text("No simulation answers at", ".trouble")
    assert "672" in page.text(".figures")
    page.wait_for_text("Away", ".bar")
    simulation.snapshot = replace(simulation.snapshot, ledger=LedgerFigures(sent=1000, delivered=1000))
    simulation.start()
    wait_until(lambda: not page.text(".trouble"), "the trouble is over")
    page.wait_for_text("1,000", ".figures")
    page.wait_for_text("Running", ".bar")
    assert page.console() == []


def test_the_page_comes_back_with_another_dashboard_at_its_address(
    chromium: Any, simulation: FakeSimulation, dashboard: Dashboard
) -> None:
    first = Dashboard(simulation.path)
    page = Page(chromium, first.url)
    assert first.end() == (0, "")
    simulation.snapshot = replace(simulation.snapshot, ledger=LedgerFigures(sent=5))
    second = Dashboard(simulation.path, "--listen", urlsplit(first.url).netloc)
    try:
        wait_until(lambda: page.text(".figures").startswith("Sent\n5\n"), "the new figures", 60)
    finally:
        assert second.end() == (0, "")


def _value(page: Page) -> str:
    return str(page.field("Desired properties (JSON)").get_property("value"))


def _count_updates(simulation: FakeSimulation) -> list[None]:
    """Grows by one with every snapshot that is asked for from now on."""
    updates: list[None] = []
    simulation.on_snapshot = lambda: updates.append(None)
    return updates
