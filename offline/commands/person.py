"""`gradewise-offline person`: all that is stored about one driver."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from offline.batch.storeoptions import store_options
from offline.errors import InputError
from offline.results import ResultStore
from offline.results.retention import erase_person, person_document


@click.group()
def command() -> None:
    """Export or erase everything stored about one driver."""


@command.command("export")
@store_options
@click.argument("driver")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
              default="-", show_default="standard output", help="JSON file to write.")  # fmt: skip
def export(results: str, store_url: str | None, driver: str, out: Path) -> None:
    """Write trips, scores, events and their reasons of DRIVER as JSON."""
    with ResultStore.open(store_url, results, read_only=True) as store:
        text = json.dumps(person_document(store, driver), indent=1, default=_plain) + "\n"
    if str(out) == "-":
        sys.stdout.write(text)
        return
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(out)
    except OSError as problem:
        raise InputError(f"cannot write {out}: {problem}") from None
    finally:
        temporary.unlink(missing_ok=True)


@command.command("erase")
@store_options
@click.argument("driver")
@click.option("--keep-recordings", is_flag=True,
              help="Leave the recorded trips' folders; they still name the driver.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it; without this only count.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def erase(
    results: str,
    store_url: str | None,
    driver: str,
    keep_recordings: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase DRIVER from the store, with the recorded trips. There is no way back.

    Trips, scores, events, past results, timelines, stills and summaries go; only a hash of each
    trip stays, so that a copy of its recording is not scored again.
    """
    with ResultStore.open(store_url, results, read_only=not yes, create=False) as store:
        removed = erase_person(store, driver, recordings=not keep_recordings, dry_run=not yes)
    if as_json:
        click.echo(json.dumps(asdict(removed) | {"done": yes}))
        return
    click.echo(
        f"{'erased' if yes else 'would erase'} {removed.trips} trips with {removed.files} files "
        f"({removed.bytes / 1e6:.1f} MB), {removed.folders} recorded trips among them"
    )
    if not yes:
        click.echo("nothing was changed: give --yes to do it", err=True)


def _plain(value: Any) -> str:
    return str(value)
