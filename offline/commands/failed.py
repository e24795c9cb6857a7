"""`gradewise-offline failed`: trips that could not be scored, and why."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offline.batch.storeoptions import store_options
from offline.results import ResultStore
from offline.results.display import utc_text


@click.command()
@store_options
@click.option("--forget", is_flag=True, help="Let the next `score` try them all again.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def command(results: str, store_url: str | None, forget: bool, as_json: bool) -> None:
    """List the trips that were set aside, each with its reason.

    They are tried again when the trip, the model, the policy or the software changes, when the
    trip is named itself, or after --forget.
    """
    with ResultStore.open(store_url, results, read_only=not forget, create=False) as store:
        failed = store.failed()
        if as_json:
            click.echo(json.dumps([asdict(one) for one in failed], indent=1))
        elif not failed:
            click.echo("no trip is set aside")
        else:
            console = Console()
            if not console.is_terminal:
                console = Console(width=160)
            table = Table(box=box.SIMPLE_HEAD)
            for title in ("Trip", "When", "Kind", "Tries", "Reason"):
                table.add_column(title, overflow="fold", no_wrap=title == "When")
            for one in failed:
                table.add_row(
                    escape(one.trip_path),
                    utc_text(one.failed_utc_ns),
                    one.kind,
                    str(one.attempts),
                    escape(one.reason),
                )
            console.print(table)
        if forget:
            count = store.forget_failed()
            click.echo(f"{count} will be tried again", err=True)
