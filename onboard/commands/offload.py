"""`gradewise-onboard offload`: send closed trips to a folder, SFTP server or S3 bucket."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from onboard.errors import OnboardError
from onboard.offload import FarEnd, offload, unsent_trips
from onboard.settings import load_settings


@click.command()
@click.option("--to", help="Folder, sftp://user@host/path or s3://bucket/path.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: /etc/gradewise/onboard.toml, if it exists]",
)
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Folder of all trips, if not its."
)
@click.option("--mb-per-s", type=click.FloatRange(min=0, min_open=True), help="Limit of the rate.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    to: str | None,
    config: Path | None,
    source: Path | None,
    mb_per_s: float | None,
    as_json: bool,
) -> int:
    """Send every closed trip that has not been sent yet, and mark it as sent.

    Each file is read back and compared with its SHA-256; what broke off goes on where it
    stopped. Exits with 1 if a trip could not be sent; the next run tries it again.
    """
    settings = load_settings(config)
    url = to or settings.offload.to
    if not url:
        raise click.UsageError("name where --to send, or set `to` in [offload]")
    folder = source or settings.storage.folder
    limit = mb_per_s or settings.offload.mb_per_s
    far_end = FarEnd(url, limit * 1e6 if limit is not None else None)
    sent, failed = [], []
    waiting = unsent_trips(folder)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bar:
        for trip in waiting:
            size = sum(f.stat().st_size for f in trip.rglob("*") if f.is_file())
            task = bar.add_task(trip.name, total=size)
            try:
                done = offload(folder, far_end, url, trip, partial(bar.advance, task))
                sent.append(done)
            except OnboardError as problem:
                failed.append((trip, str(problem)))
                click.echo(f"not sent: {trip}: {problem}", err=True)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "sent": [
                        {"trip": str(s.path), "bytes": s.size, "resumed_bytes": s.resumed_bytes}
                        for s in sent
                    ],
                    "failed": [{"trip": str(t), "error": e} for t, e in failed],
                },
                indent=1,
            )
        )
    else:
        for one in sent:
            click.echo(f"sent: {one.path} ({one.size / 1e6:.1f} MB)")
        if not waiting:
            click.echo("nothing to send")
    return 1 if failed else 0
