"""`gradewise-offline export`: trips, events or drivers of a period as a table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from offline.batch.storeoptions import store_options
from offline.results import Period, ResultStore
from offline.results.export import FORMATS, SUBJECTS, table_of, write_table


@click.command()
@store_options
@click.argument("subject", type=click.Choice(SUBJECTS))
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
              help="First day (UTC).")  # fmt: skip
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
              help="Last day (UTC).")  # fmt: skip
@click.option("--format", "file_format", type=click.Choice(FORMATS),
              help="File format.  [default: by the name of --out]")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="File to write.")  # fmt: skip
def command(
    results: str,
    store_url: str | None,
    subject: str,
    first: datetime | None,
    last: datetime | None,
    file_format: str | None,
    out: Path,
) -> None:
    """Write SUBJECT (trips, events, drivers or vehicles) of a period as CSV, Parquet or XLSX."""
    chosen = file_format or out.suffix.lstrip(".").lower()
    if chosen not in FORMATS:
        raise click.UsageError(f"say which --format: {', '.join(FORMATS)}")
    period = Period(first.date() if first else None, last.date() if last else None)
    with ResultStore.open(store_url, results, read_only=True) as store:
        table = table_of(store, subject, period)
    write_table(table, out, chosen)
    click.echo(f"{len(table)} {subject}: {out}", err=True)
