"""`gradewise-onboard status`: the live health of a running logger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from onboard.health import STALE_AFTER_S, read_status
from onboard.settings import load_settings
from onboard.signals import SIGNALS


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: /etc/gradewise/onboard.toml, if it exists]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(config: Path | None, as_json: bool) -> int:
    """Show the live health of a running logger.

    Exits with 1 if the logger is gone or one of its parts is stuck.
    """
    status = read_status(load_settings(config).service.state_folder)
    gone = status["ended"] or not 0 <= status["age_s"] <= STALE_AFTER_S
    stuck = [name for name, part in status["parts"].items() if not part["alive"]]
    if as_json:
        click.echo(json.dumps({**status, "gone": gone}, indent=1, ensure_ascii=False))
    else:
        _show(status, gone, stuck)
    return 1 if gone or stuck else 0


def _show(status: dict[str, Any], gone: bool, stuck: list[str]) -> None:
    console = Console(highlight=False)
    if status["ended"]:
        console.print("stopped: no logger runs")
    elif gone:
        console.print(f"GONE: last heard of {abs(status['age_s']):.0f} s ago")
    elif stuck:
        console.print(f"STUCK: {', '.join(stuck)}")
    elif status["recording"]:
        console.print(f"recording {status['trip']}")
    else:
        console.print("waiting for the engine")
    counters = status["counters"]
    facts = Table.grid(padding=(0, 2))
    facts.add_row("vehicle", status["vehicle"] or "unknown yet")
    facts.add_row("driver", status["driver"] or "nobody signed in")
    facts.add_row("disk", f"{status['disk_free_bytes'] / 1e9:.1f} GB left")
    facts.add_row(
        "camera",
        f"{status['frames_per_s']:.1f} frames/s, {counters.get('frames', 0)} recorded, "
        f"{counters.get('frames_dropped', 0)} dropped, "
        f"{counters.get('frames_damaged', 0)} damaged, {counters.get('frame_gaps', 0)} gaps, "
        f"reopened {counters.get('camera_reopened', 0)} times",
    )
    facts.add_row(
        "OBD-II",
        f"{status['obd_per_s']:.1f} readings/s, {counters.get('obd_missing', 0)} missing, "
        f"{counters.get('obd_gaps', 0)} gaps, "
        f"restarted {counters.get('obd_restarts', 0)} times",
    )
    for name, part in status["parts"].items():
        if part["says"]:
            facts.add_row(name, part["says"])
    for name, reading in status["readings"].items():
        signal = SIGNALS[name]
        facts.add_row(
            signal.title, f"{reading['value']:g} {signal.unit}, {reading['age_s']:.1f} s old"
        )
    console.print(facts)
