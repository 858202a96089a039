"""index.html in a real browser: alone, without errors, at every width, light and dark."""

import fcntl
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report.conftest import SETTINGS

from nat.report.write import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")

PATIENCE = 60  # seconds
OPTIONS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
)


class Browser:
    """Chromium, spoken to in its DevTools protocol through two pipes: JSON texts that end in 0."""

    def __init__(self, folder: Path) -> None:
        (read, self.to), (self.back, write) = os.pipe(), os.pipe()
        # above 3 and 4, so that neither is closed while the other is set
        to_browser, from_browser = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write))
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()
        words = [str(BROWSER), *OPTIONS, *root, f"--user-data-dir={folder}", "about:blank"]
        # the browser reads from 3 and writes to 4
        wire = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", wire, "bash", *words],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (read, write, to_browser, from_browser):
            os.close(end)
        self.events: list[dict[str, Any]] = []
        self.rest, self.count, self.session = b"", 0, ""
        pages = self.ask("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (found := self.read()).get("id") != self.count:
            self.events.append(found)
        assert "error" not in found, found
        return found["result"]

    def read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.back], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            part = os.read(self.back, 1 << 16)
            assert part, "the browser has gone"
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, address: str, width: int = 1400, scheme: str = "light") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=features)
        for url in ("about:blank", address):  # else another fragment would load nothing
            self.events.clear()
            self.ask("Page.navigate", url=url)
            while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
                self.events.append(self.read())

    def run(self, script: str, wait: bool = False) -> Any:
        asked = {"expression": script, "returnByValue": True, "awaitPromise": wait}
        found = self.ask("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        code = {"Enter": 13, "Escape": 27}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def close(self) -> None:
        os.close(self.to)
        os.close(self.back)
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def address(make_module_results: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("reports")
    write_report(SETTINGS, make_module_results(seeds=(0, 1)).parent, out)
    return f"file://{out}/index.html"


def test_it_needs_nothing_else_and_reports_no_error(browser: Browser, address: str) -> None:
    browser.open(address)
    methods = [event.get("method") for event in browser.events]
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert "Runtime.exceptionThrown" not in methods
    assert "Runtime.consoleAPICalled" not in methods
    assert "Log.entryAdded" not in methods
    assert browser.run("document.images.length") >= 8
    assert browser.run("[...document.images].every((i) => i.naturalWidth > 0 && i.alt.length > 9)")
    assert browser.run("document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("width", [320, 390, 420, 768, 1400])
def test_the_page_itself_never_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    browser.open(address, width)
    browser.run("for (const e of document.querySelectorAll('details')) e.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll("main *")]
      .filter((e) => !e.closest(".scroll, .card"))
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
      .map((e) => e.outerHTML.slice(0, 80))"""
    assert browser.run(outside) == []


@pytest.mark.parametrize("width", [420, 1400])
def test_what_does_not_fit_says_that_it_scrolls(browser: Browser, address: str, width: int) -> None:
    browser.open(address, width)
    browser.run("for (const e of document.querySelectorAll('details')) e.open = true")
    browser.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))", True)
    cut = """[...document.querySelectorAll(".scroll, .card")]
      .filter((e) => e.scrollWidth > e.clientWidth + 1)"""
    hinted = f"""{cut}.filter((e) => getComputedStyle(e, "::before").content.includes("scroll")
      && getComputedStyle(e).maskImage.includes("gradient"))"""
    count = browser.run(f"{cut}.length")
    assert browser.run(f"{hinted}.length") == count
    assert count > 8 if width == 420 else count < 5
    # at its end nothing is hidden any more
    browser.run(f"{cut}.forEach((e) => e.scrollLeft = e.scrollWidth)")
    browser.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))", True)
    assert browser.run("document.querySelectorAll('.more').length") == 0
    others = """[...document.querySelectorAll("main *")]
      .filter((e) => !e.matches(".scroll, .card") && e.scrollWidth > e.clientWidth + 1)
      .filter((e) => getComputedStyle(e).overflowX !== "visible").length"""
    assert browser.run(others) == 0


def test_tables_3_and_4_are_on_the_first_screen(browser: Browser, address: str) -> None:
    browser.open(address)
    assert "Unsupervised Learning by Predicting Noise" in browser.run("document.title")
    for name in ("table3", "table4"):
        row = f"document.querySelector('#{name} tr.own')"
        assert browser.run(f"{row}.innerText").startswith("NAT")
        assert browser.run(f"getComputedStyle({row}.children[1]).fontWeight") == "700"
        assert browser.run(f"{row}.getBoundingClientRect().bottom") < 900, name
    first = browser.run("document.querySelector('img').getBoundingClientRect().top")
    assert first > browser.run("document.querySelector('#table4').getBoundingClientRect().bottom")


def test_every_link_has_its_target_and_names_are_unique(browser: Browser, address: str) -> None:
    browser.open(address)
    lost = """[...document.querySelectorAll("a[href^='#']")].map((a) => a.hash.slice(1))
      .filter((name) => !document.getElementById(decodeURIComponent(name)))"""
    assert browser.run(lost) == []
    assert browser.run("document.querySelectorAll('a.number').length") > 100
    twice = """[...document.querySelectorAll("[id]")].map((e) => e.id)
      .filter((id, place, all) => all.indexOf(id) !== place)"""
    assert browser.run(twice) == []
    # a number's target is the row that holds it: the mean of the row's cells is what is shown
    wrong = """[...document.querySelectorAll("a.number")].filter((a) => {
        const row = document.getElementById(decodeURIComponent(a.hash.slice(1)));
        const cells = [...row.querySelectorAll("td")].map((cell) => parseFloat(cell.textContent));
        const mean = cells.reduce((sum, value) => sum + value, 0) / cells.length;
        return Math.abs(mean - parseFloat(a.textContent.replace(",", ""))) > 0.51;
      }).map((a) => a.outerHTML)"""
    assert browser.run(wrong) == []


def test_sources_open_over_the_page_from_the_keyboard(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.run("document.querySelector('#table3 a.number').focus()")
    browser.press("Enter")
    assert browser.run("document.querySelector('dialog').open")
    shown = browser.run("document.querySelector('dialog').innerText")
    for words in (
        "probe",
        "results/embedded/probe/random-0.json",
        "0123456789ab",
        "Some Processor",
    ):
        assert words in shown
    assert browser.run("document.querySelector('dialog tr.asked th').textContent") == "mlp"
    browser.press("Escape")
    assert not browser.run("document.querySelector('dialog').open")
    assert browser.run("document.activeElement.className") == "number"


def test_a_link_from_outside_unfolds_its_entry(browser: Browser, address: str) -> None:
    browser.open(f"{address}#probe-nat.mlp")
    row = "document.getElementById('probe-nat.mlp')"
    assert browser.run(f"{row}.closest('details').open")
    assert browser.run(f"{row}.getBoundingClientRect().height") > 0


def test_it_fits_on_paper(browser: Browser, address: str) -> None:
    browser.open(address, 700)  # A4 within its margins
    browser.ask("Emulation.setEmulatedMedia", media="print")
    browser.run("for (const e of document.querySelectorAll('details')) e.open = true")
    try:
        assert browser.run("document.documentElement.scrollWidth") <= 700
        assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")


def test_dark_mode_changes_the_colours(browser: Browser, address: str) -> None:
    def colours(scheme: str) -> tuple[list[int], list[int], list[int]]:
        browser.open(address, scheme=scheme)
        style = "getComputedStyle(document.querySelector('{}')).{}.match(/\\d+/g).map(Number)"
        asked = (("body", "color"), ("body", "backgroundColor"), (".card", "backgroundColor"))
        ink, paper, card = (browser.run(style.format(*pair)) for pair in asked)
        return ink, paper, card

    (ink, paper, card), (dark_ink, dark_paper, dark_card) = colours("light"), colours("dark")
    assert sum(ink) < 200 < 600 < sum(paper)
    assert sum(dark_paper) < 200 < 600 < sum(dark_ink)
    assert card == dark_card == [255, 255, 255]  # the figures' own ground
