"""`gradewise-offline report`."""

from __future__ import annotations

import uuid
from pathlib import Path

import click

from offline.errors import StoreError


@click.command()
@click.argument("trip")
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Result store, sqlite:///FILE or postgresql://…  [default: gradewise.sqlite in --results]",
)
@click.option(
    "--results",
    "results_dir",
    metavar="DIR",
    default="results",
    show_default=True,
    help="Folder of timelines, labels and stills.",
)
@click.option(
    "--pdf",
    "pdf_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it.  [default: the trip's name with .pdf, in this folder]",
)
@click.option(
    "--no-road-context",
    is_flag=True,
    help="The result of `score --no-road-context`, which is stored beside the usual one.",
)
def command(
    trip: str,
    store_url: str | None,
    results_dir: str,
    pdf_path: Path | None,
    no_road_context: bool,
) -> None:
    """Write a trip's scorecard as a PDF: one A4 page, tagged for screen readers.

    TRIP is the id of a scored trip, VEHICLE/FOLDER, or the path of its folder.
    """
    from offline.results.schema import NO_ROAD_CONTEXT, STANDARD
    from offline.results.scorecard import scorecard_pdf
    from offline.results.store import ResultStore

    variant = NO_ROAD_CONTEXT if no_road_context else STANDARD
    with ResultStore.open(store_url, results_dir, read_only=True) as store:
        trip_id = trip_id_of(trip)
        stored = store.trip(trip_id, variant)
        pdf = scorecard_pdf(
            stored, store.events(trip_id, variant), store.timeline(trip_id, variant=variant)
        )
    target = pdf_path or Path(stored.trip_id.replace("/", "-") + ".pdf")
    _write(target, pdf)
    click.echo(target)


def trip_id_of(trip: str) -> str:
    """Return the id of a trip named by its id or by the path of its folder."""
    folder = Path(trip)
    if folder.is_dir():
        resolved = folder.resolve()
        return f"{resolved.parent.name}/{resolved.name}"
    return trip


def _write(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as problem:
        raise StoreError(f"cannot write {target}: {problem.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
