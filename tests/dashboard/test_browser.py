"""The dashboard in a real browser, served by the real server process."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

FULL = "van-07/20260528T080000Z-abc123"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def _wait_until(tab: Page, condition: str) -> None:
    # `wait_for_function` evaluates in the page, which its security policy rightly forbids.
    end = time.monotonic() + 30
    while not tab.evaluate(condition):
        assert time.monotonic() < end, condition
        tab.wait_for_timeout(50)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve_command(results_dir: Path, port: int) -> list[str]:
    return [
        sys.executable, "-m", "dashboard.cli", "serve", "--results", str(results_dir),
        "--port", str(port), "--workers", "1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def address(results_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server runs, as a process of its own."""
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(serve_command(results_dir, port), stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except urllib.error.URLError:
                if process.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"the server did not start:\n{log.read_text()}")
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("this test needs Chromium: apt install chromium")
    # A busy machine answers late; it is what is shown that counts.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def tab(browser: Browser, address: str) -> Iterator[Page]:
    """A page that fails if it ever asks another server for anything or reports an error."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=address)
    page.set_default_timeout(60_000)
    foreign: list[str] = []
    errors: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else foreign.append(request.url)
        ),
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    page.close()
    assert foreign == []
    assert errors == []


def on_trip_page(page: Page) -> dict[str, float]:
    """Go to the trip, unless the page is there, and tell where its speed is drawn."""
    if not page.url.endswith(FULL):
        page.goto(f"/trips/{FULL}")
    page.wait_for_selector("#traces .scatterlayer .trace path.js-line")
    # The first drag layer is that of the road strip; the second is the speed's.
    # It moves while the page still lays itself out, so it is asked until it stands still.
    drag_layer = page.locator("#traces .nsewdrag").nth(1)
    earlier, box = None, drag_layer.bounding_box()
    while box is None or box != earlier:
        page.wait_for_timeout(300)
        earlier, box = box, drag_layer.bounding_box()
    return dict(box)


def test_a_clicked_point_shows_everything_known_at_that_moment(tab: Page) -> None:
    tab.goto("/")
    # From the list to the trip, as a reader gets there.
    tab.get_by_role("link", name="2026-05-28").click()
    expect(tab.locator("#score-value")).to_have_text("87")
    box = on_trip_page(tab)
    x = box["x"] + box["width"] * 125.0 / 299.8
    y = box["y"] + box["height"] / 2
    tab.mouse.move(x - 3, y)
    tab.wait_for_selector("#traces .hoverlayer .legend")
    # Plotly looks under the pointer at most every 50 ms; a click means the last place it saw.
    tab.mouse.move(x, y)
    tab.wait_for_timeout(300)
    tab.mouse.click(x, y)

    panel = tab.locator("#moment")
    expect(panel.locator("#moment-time")).to_contain_text("into the trip")
    minutes, seconds = panel.locator("#moment-time").inner_text().split()[0].split(":")
    assert int(minutes) * 60 + float(seconds) == pytest.approx(125.0, abs=0.7)
    expect(panel).to_contain_text("Over-revving")
    expect(panel).to_contain_text("while climbing")
    expect(panel.locator("#moment-scene")).to_have_text("Road: Uphill")
    uphill = panel.get_by_role("row", name="Uphill")
    expect(uphill).to_contain_text("0.71")  # the network's own
    expect(uphill).to_contain_text("0.93")  # after fusion
    coolant = panel.get_by_role("row", name="Coolant temperature")
    expect(coolant).to_contain_text("70\u00a0°C")
    expect(coolant).to_contain_text("2.5\u00a0s ago")
    # Stills exist of every second labelled frame: 124.0 to 126.8 s show frames 248 to 253.
    tab.locator("#moment-time-s").fill("125")
    expect(panel.locator("#moment-time")).to_have_text("2:05.0 into the trip")
    still = panel.locator("img")
    expect(still).to_be_visible()
    assert (
        still.evaluate("async image => { await image.decode(); return image.naturalWidth }") == 320
    )


def test_the_list_is_searched_and_opened_with_the_keyboard(tab: Page) -> None:
    tab.goto("/?driver=Ben%20Okoye")
    expect(tab.locator("#trips-count")).to_have_text("20 trips")
    search = tab.get_by_label("Search")
    search.fill("zzz")
    expect(tab.locator("#trips-count")).to_have_text("No trip matches.")
    search.fill("car-04")
    expect(tab.locator("#trips-count")).to_have_text("3 trips")
    cell = tab.locator(".ag-center-cols-container .ag-cell[col-id=driver]").first
    expect(cell).to_have_text("Ben Okoye")
    cell.click()
    cell.press("Enter")
    expect(tab).to_have_url(re.compile("/trips/car-04/"))
    expect(tab.get_by_role("heading", name="Ben Okoye")).to_be_visible()
    expect(tab.get_by_text("No traces")).to_be_visible()  # its timeline was purged


def test_a_drag_zooms_and_brings_the_window_in_full(tab: Page) -> None:
    box = on_trip_page(tab)
    with tab.expect_response(lambda answer: "_dash-update-component" in answer.url):
        tab.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 30)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 34, steps=4)
        tab.mouse.up()
    _wait_until(tab, "document.querySelector('#traces .js-plotly-plot').data[9].x.length < 400")
    names = tab.evaluate("document.querySelector('#traces .js-plotly-plot').data.map(t => t.name)")
    assert names[9] == "speed"


def test_an_event_is_shown_by_its_button_and_the_theme_changes(tab: Page) -> None:
    on_trip_page(tab)
    tab.get_by_role("button", name="Show harsh braking at 4:49.0").press("Enter")
    expect(tab.locator("#moment")).to_contain_text("Braked at 3.6")
    assert tab.locator("html").get_attribute("data-mantine-color-scheme") == "light"
    tab.get_by_role("button", name="Light or dark").click()
    expect(tab.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    # The chosen moment and its line outlive the change.
    _wait_until(
        tab, "document.querySelector('#traces .js-plotly-plot').layout.font.color === '#d5d9de'"
    )
    assert tab.evaluate(
        "document.querySelector('#traces .js-plotly-plot').layout.shapes[0].visible"
    )
    expect(tab.locator("#moment")).to_contain_text("Braked at 3.6")


def test_no_button_would_upload_the_trip(tab: Page) -> None:
    on_trip_page(tab)
    titles = tab.locator("#traces .modebar-btn").evaluate_all(
        "buttons => buttons.map(b => b.getAttribute('data-title') || b.getAttribute('aria-label'))"
    )
    assert titles
    assert not [t for t in titles if t and any(w in t.lower() for w in ("share", "cloud", "send"))]


def test_a_taken_port_is_one_clear_line(address: str, results_dir: Path) -> None:
    port = int(address.rsplit(":", 1)[1])
    done = subprocess.run(serve_command(results_dir, port), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr


def test_a_missing_store_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(serve_command(tmp_path, free_port()), capture_output=True, text=True)
    assert done.returncode == 2
    assert "run `gradewise-offline score` first" in done.stderr
    assert "Traceback" not in done.stderr
