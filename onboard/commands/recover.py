"""`gradewise-onboard recover`: close trips that were cut short."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from onboard.errors import TripError
from onboard.recovery import RecoveryReport, recover
from onboard.trip import find_trips


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def command(path: Path) -> int:
    """Close every trip under PATH (a trip, or a folder of trips) that was cut short.

    Nothing that reached the disk is lost: frames that were in the video and not yet in the
    database get their rows back, and the video becomes MP4. Trips that are closed, or that a
    running logger still records, are left alone. Exits with 1 if a trip could not be closed.
    """
    failed = 0
    found = False
    with Console(stderr=True).status("recovering") as shown:
        for trip in find_trips(path):
            found = True
            shown.update(f"recovering {trip}")
            try:
                click.echo(_line(recover(trip)))
            except TripError as problem:
                failed += 1
                click.echo(f"not recovered: {problem}", err=True)
    if not found:
        raise TripError(f"{path} holds no trip")
    return 1 if failed else 0


def _line(report: RecoveryReport) -> str:
    if report.was_closed:
        return f"{report.path}: closed already"
    text = (
        f"{report.path}: recovered, {report.samples} samples, {report.frames} frames "
        f"({report.frames_restored} restored from the video)"
    )
    if report.unreadable:
        text += f"; not readable as video: {', '.join(report.unreadable)}"
    return text
