"""The page as a person uses it: looks for words, presses keys, reads what can be read."""

import json
from collections.abc import Callable
from typing import Any

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.integration.simulator.dashboard.conftest import wait_until

SIZES = {"laptop": (1440, 900), "phone": (390, 844)}
_ACCESSIBLE_NAME = """
const e = document.activeElement;
return e.getAttribute('aria-label') || (e.labels && [...e.labels].map(l => l.innerText).join(' ')) || e.innerText || '';
"""


class Page:
    """The dashboard's page in a browser, at one size and in one theme."""

    def __init__(self, driver: Any, url: str, size: str = "laptop", theme: str = "light") -> None:
        self.driver = driver
        width, height = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        theme_feature = {"name": "prefers-color-scheme", "value": theme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme_feature]})
        driver.get("about:blank")
        self.console()
        self.requests()
        driver.get(url)
        self.wait_for_text("Messages a second")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str = "body") -> str:
        """What can be read in an element, "" when there is none (now)."""
        try:
            return str(self.driver.find_element(By.CSS_SELECTOR, selector).text)
        except (NoSuchElementException, StaleElementReferenceException):
            return ""

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        """Wait until this can be read."""
        wait_until(lambda: text in self.text(selector), f"{text!r} in {selector}")

    def button(self, name: str, inside: str = "body") -> WebElement:
        """A button or tab that can be seen, by its words or its label."""
        path = f".//*[self::button or @role='tab'][contains(., '{name}') or @aria-label='{name}']"
        return self._visible(path, f"the button {name!r}", inside)

    def click(self, name: str, inside: str = "body") -> None:
        """Click a button or tab."""
        element = self.button(name, inside)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def field(self, label: str) -> WebElement:
        """An input or text area by its label."""
        return self._visible(f".//*[(self::input or self::textarea) and @aria-label='{label}']", f"the field {label!r}")

    def _visible(self, path: str, what: str, inside: str = "body") -> WebElement:
        found: list[WebElement] = []

        def look() -> bool:
            within = self.driver.find_element(By.CSS_SELECTOR, inside)
            found[:] = [each for each in within.find_elements(By.XPATH, path) if each.is_displayed()]
            return bool(found)

        wait_until(look, what)
        return found[0]

    def type_over(self, label: str, text: str) -> None:
        """Replace what is in a field."""
        field = self.field(label)
        field.send_keys(Keys.CONTROL + "a")
        field.send_keys(Keys.DELETE)
        field.send_keys(text)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def focused(self) -> str:
        """The name of what has the focus, as a screen reader would say it."""
        return " ".join(str(self.run(_ACCESSIBLE_NAME)).split())

    def tab_to(self, name: str, most: int = 80, check: Callable[[], None] = lambda: None) -> None:
        """Press Tab until what is so named has the focus; `check` is called at every stop."""
        visited = []
        for _ in range(most):
            self.press(Keys.TAB)
            check()
            visited.append(self.focused())
            if name in visited[-1]:
                return
        raise AssertionError(f"Tab never comes to {name!r}, but to {visited}")

    def console(self) -> list[str]:
        """What the console has said since this was asked last, but for plain messages."""
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """All addresses that the page has asked for since this was asked last, websockets too."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return sent + [e["params"]["url"] for e in events if e["method"] == "Network.webSocketCreated"]
