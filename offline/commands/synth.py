"""`gradewise-offline synth`: render roads whose slope and curvature are known."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from offline.training.roadset import RoadSet


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/.cache/gradewise/synth"),
    show_default=True,
    help="Folder of the set; rendering goes on with what is missing.",
)
@click.option("--roads", type=click.IntRange(1), default=1000, show_default=True,
              help="How many roads the set shall hold, about 205 frames each.")  # fmt: skip
@click.option("--first", type=click.IntRange(0), default=0, show_default=True,
              help="Number of the first road; several processes can share a set by taking "
              "different ranges.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True,
              help="Road k of a seed is always the same road.")  # fmt: skip
@click.option("--stretches", type=click.IntRange(1), default=1, show_default=True,
              help="Roads a drive: one vehicle and camera on one day, 20 s to 2 minutes unseen "
              "between them.")  # fmt: skip
@click.option("--between/--no-between", default=True, show_default=True,
              help="Render, too, the two pictures between each two frames through which a trip's "
              "motion is followed; without them roads are as loggers without motion stills record "
              "them. Given to a set that has none, it adds them.")  # fmt: skip
@click.option("--measure", is_flag=True,
              help="Render nothing: measure those roads of --out again whose motion another "
              "version measured.")  # fmt: skip
@click.option("--preview", is_flag=True, help="Also write the 320x180 stills as JPEG to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@click.pass_context
def command(
    context: click.Context, out: Path, roads: int, first: int, seed: int, stretches: int,
    between: bool, measure: bool, preview: bool, as_json: bool,
) -> None:  # fmt: skip
    """Render synthetic roads for training and evaluation.

    Every tenth drive is for validation and every tenth for testing; a drive is never split. Labels
    come from the road's geometry: mean grade over the next 15 m, heading change over the next
    25 m, curvature. Needs no display: Mesa's software OpenGL will do.
    """
    out = out.expanduser()
    if measure:
        told = [
            f"--{name}"
            for name in ("roads", "first", "seed", "stretches", "between", "preview")
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        ]
        if told:
            raise click.UsageError(f"--measure takes all roads of --out: leave out {told[0]}")
        summary = _measure(out)
    else:
        from offline.training.roadset import RoadSet

        wanted = range(first, first + roads)
        summary = _render(out, RoadSet(seed, stretches), wanted, between, preview)
    if as_json:
        click.echo(json.dumps({"folder": str(out), **summary}))
    else:
        click.echo(f"{out}: " + ", ".join(f"{n} roads {what}" for what, n in summary.items()))


def _render(
    out: Path, roads: RoadSet, wanted: range, between: bool, preview: bool
) -> dict[str, int]:
    from offline.training import synth

    # A drive is rendered as a whole, and begun anew where roads of it are missing.
    drives = [roads.drive_of(road) for road in wanted]
    present = sum(
        roads.is_rendered(out, drive) and (not between or roads.has_between(out, drive))
        for drive in drives
    )
    rendered = 0
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("roads", total=len(wanted), completed=present)
        for _ in synth.render_set(out, roads, wanted, between=between, preview=preview):
            rendered += 1
            progress.advance(task)
    return {"rendered": rendered, "there before": present}


def _measure(out: Path) -> dict[str, int]:
    from offline.training import synth

    count = 0
    with Progress(console=Console(stderr=True)) as progress:
        drives = synth.stale_drives(out)
        # Several processes may measure one set, each from a place of its own.
        random.shuffle(drives)
        task = progress.add_task("roads", total=sum(map(len, drives)))
        for files in drives:
            # Another process may have measured it meanwhile.
            if synth.is_stale(files):
                synth.measure_drive(files)
                count += len(files)
            progress.advance(task, len(files))
    return {"measured": count}
