"""A headless browser that tests drive, where one is installed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import ROOT

DEMANDED = "UNIFIED_AGENTS_DEMAND_BROWSER"
"""With this variable set, a test that finds no browser fails."""
WAIT = 60.0


def lacking(what: str) -> None:
    """Skip the test for want of something, or fail where it is demanded."""
    if os.environ.get(DEMANDED):
        pytest.fail(f"{what} is missing, and {DEMANDED} demands it")
    pytest.skip(f"{what} is missing: apt-get install chromium chromium-driver; npm install axe-core")


def axe_source() -> str:
    """Return axe-core, which finds faults of accessibility."""
    path = Path(os.environ.get("AXE_CORE", ROOT / ".ci" / "node_modules" / "axe-core" / "axe.min.js"))
    if not path.is_file():
        lacking("axe-core")
    return path.read_text(encoding="utf-8")


class Browser:
    """A page in Chromium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, fragment: str = "", *, width: int = 1400, dark: bool = False) -> None:
        """Open a report, and wait until it is drawn."""
        self.driver.get("about:blank")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(path.as_uri() + fragment)
        self.until("return document.documentElement.dataset.ready === 'yes'")

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page; return its value."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str) -> Any:
        """Wait until a script returns something true; return it."""
        end = time.monotonic() + WAIT
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"never came true: {script}; {self.messages()}"
            time.sleep(0.02)
        return found

    def text(self, selector: str = "main") -> str:
        """Return the visible text of an element."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def messages(self) -> list[Any]:
        """Return what the page wrote to the console since the last question."""
        return list(self.driver.get_log("browser"))


def browsers() -> Iterator[Browser]:
    """Yield one browser, and end it."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        lacking("Chromium with its driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    started.set_script_timeout(WAIT)
    try:
        yield Browser(started)
    finally:
        started.quit()
