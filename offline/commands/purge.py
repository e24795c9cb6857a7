"""`gradewise-offline purge`: delete old video, timelines or personal data."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

import click

from offline.batch.storeoptions import store_options
from offline.results import ResultStore
from offline.results.retention import purge


@click.command()
@store_options
@click.option("--before", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
              help="Of trips that started before this day (UTC).")  # fmt: skip
@click.option("--video", is_flag=True,
              help="Video files and stills; the sensor log stays.")  # fmt: skip
@click.option("--timelines", is_flag=True, help="Timelines and labels.")
@click.option("--personal", is_flag=True,
              help="Who drove, and the recorded trips, which name the driver.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it; without this only count.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(
    results: str,
    store_url: str | None,
    before: datetime,
    video: bool,
    timelines: bool,
    personal: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete what is no longer needed of old trips. Scores and events stay.

    Without --yes it only says what would go.
    """
    if not (video or timelines or personal):
        raise click.UsageError("say what to delete: --video, --timelines or --personal")
    with ResultStore.open(store_url, results, read_only=not yes, create=False) as store:
        removed = purge(
            store, before.date(),
            video=video, timelines=timelines, personal=personal, dry_run=not yes,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(asdict(removed) | {"done": yes}))
        return
    verb = "removed" if yes else "would remove"
    click.echo(
        f"{verb} {removed.files} files ({removed.bytes / 1e6:.1f} MB) and {removed.folders} "
        f"recorded trips, of {removed.trips} trips"
    )
    if not yes:
        click.echo("nothing was changed: give --yes to do it", err=True)
