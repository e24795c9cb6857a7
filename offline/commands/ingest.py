"""`gradewise-offline ingest`: take offloaded trips in at the depot."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from offline.errors import InputError
from offline.ingest import Ingested, Outcome, ingest


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "archive",
    type=click.Path(path_type=Path),
    required=True,
    help="Archive of trips; they go to <archive>/<vehicle>/<trip>.",
)
@click.option("--remove", is_flag=True, help="Delete from SOURCE what is in the archive.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: Path, archive: Path, remove: bool, as_json: bool) -> int:
    """Take every trip that was offloaded to SOURCE into the archive, verified.

    Running it again changes nothing; trips that are still arriving are left for the next run.
    Exits with 1 if a trip was refused.
    """
    results: list[Ingested] = []
    with Console(stderr=True).status("taking trips in") as shown:
        for result in ingest(source, archive, remove=remove):
            shown.update(f"taking trips in: {result.source.name}")
            results.append(result)
            if not as_json:
                click.echo(
                    f"{result.outcome}: {result.source}"
                    + (f": {result.problem}" if result.problem else "")
                )
    if not results:
        raise InputError(f"{source} holds no trip")
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "source": str(r.source),
                        "trip": None if r.target is None else str(r.target),
                        "outcome": r.outcome.name.lower(),
                        "problem": r.problem,
                    }
                    for r in results
                ],
                indent=1,
            )
        )
    return 1 if any(r.outcome is Outcome.REFUSED for r in results) else 0
