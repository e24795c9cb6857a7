"""Take the pictures of the README anew from scored trips, with the real server and browser.

gradewise-offline score data_samples/trips --results demo/results
python docs/images/take.py --results demo/results
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
CLIMB = "demo-02/20261116T094000Z-sr92b"


def main() -> None:
    """Write dashboard.png and scorecard.png beside this file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the scored trips")
    parser.add_argument("--trip", default=CLIMB, help="trip to show (default: %(default)s)")
    chosen = parser.parse_args()
    take_dashboard(chosen.results, chosen.trip)
    take_scorecard(chosen.results, chosen.trip)


def take_dashboard(results: Path, trip: str) -> None:
    """Picture the trip's page with the moment of its first event chosen."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "dashboard.cli", "serve", "--results", str(results),
         "--port", str(port), "--workers", "1"]
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except urllib.error.URLError:
                if server.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.3)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1400, "height": 1190})
            page.set_default_timeout(120_000)
            page.goto(f"{address}/trips/{trip}")
            page.wait_for_selector("#traces .scatterlayer .trace path.js-line")
            page.get_by_role("button", name="Show").first.press("Enter")
            page.wait_for_selector("#moment-time")
            page.evaluate("window.scrollTo(0, 0); document.activeElement.blur()")
            page.wait_for_timeout(1500)
            page.screenshot(path=HERE / "dashboard.png")
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=30)


def take_scorecard(results: Path, trip: str) -> None:
    """Picture the trip's PDF page."""
    pdf = HERE / "scorecard.pdf"
    subprocess.run(
        ["gradewise-offline", "report", trip, "--results", str(results), "--pdf", str(pdf)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(
        ["pdftoppm", "-r", "90", "-png", "-singlefile", str(pdf), str(pdf.with_suffix(""))],
        check=True,
    )
    pdf.unlink()


if __name__ == "__main__":
    main()
