"""`gradewise-onboard inspect`: print what a trip holds and every gap in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from onboard.signals import SIGNALS
from onboard.trip import Trip
from onboard.tripgaps import summary


@click.command()
@click.argument("trip", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Compare every file with its SHA-256 first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(trip: Path, verify: bool, as_json: bool) -> None:
    """Print what the closed TRIP holds: signals, video, clock, journal, and every gap."""
    with Trip.open(trip) as opened:
        if verify:
            opened.verify()
        found = summary(opened)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    started = datetime.fromtimestamp(found["started_utc_ns"] / 1e9, tz=UTC)
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("trip", found["trip_id"]),
        ("vehicle", f"{found['vehicle']} ({found['vehicle_class']}) {found['vin']}".strip()),
        ("driver", found["driver"] or "nobody signed in"),
        ("started", f"{started:%Y-%m-%d %H:%M:%S} UTC"),
        ("lasted", f"{found['duration_s']:.1f} s, then {found['ended_why'] or 'not ended'}"),
        ("video", f"{found['origin'].get('video')}; {found['camera'] or 'no camera'}"),
        (
            "",
            f"{found['frames']} frames, {found['stills']} stills, "
            f"{len(found['video_files'])} files, "
            f"{sum(f['bytes'] for f in found['video_files']) / 1e6:.1f} MB",
        ),
        ("field of view", f"{found['fov_deg']:g}°" if found["fov_deg"] else ""),
        ("OBD-II", found["origin"].get("obd")),
        ("note", found["origin"].get("note")),
        ("software", f"{found['software']}, trip format {found['schema_version']}"),
        ("SHA-256", found["sha256"]),
    ):
        if value:
            facts.add_row(name, str(value))
    console.print(facts)
    if found["signals"]:
        signals = Table("signal", "readings", "per second", "lowest", "highest", "missing")
        for name, facts_of in found["signals"].items():
            rate = facts_of["rate_hz"]
            signals.add_row(
                SIGNALS[name].title if name in SIGNALS else name,
                str(facts_of["readings"]),
                "" if rate is None else f"{rate:.2f}",
                *(
                    "" if facts_of[end] is None else f"{facts_of[end]:g} {SIGNALS[name].unit}"
                    for end in ("lowest", "highest")
                ),
                ", ".join(f"{count} {why}" for why, count in facts_of["missing"].items()),
            )
        console.print(signals)
    if found["gaps"]:
        gaps = Table("gap in", "from s", "to s", "lasts s")
        for gap in found["gaps"]:
            length = gap["end_s"] - gap["start_s"]
            gaps.add_row(
                gap["what"], f"{gap['start_s']:.1f}", f"{gap['end_s']:.1f}", f"{length:.1f}"
            )
        console.print(gaps)
    else:
        console.print("no gaps")
    if found["journal"]:
        journal = Table("at s", "source", "journal")
        for entry in found["journal"]:
            journal.add_row(f"{entry['t_s']:.1f}", entry["source"], entry["message"])
        console.print(journal)
