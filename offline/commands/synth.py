"""`gradewise-offline synth`: render roads whose slope and curvature are known."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/.cache/gradewise/synth"),
    show_default=True,
    help="Folder of the set; rendering goes on with what is missing.",
)
@click.option("--roads", type=click.IntRange(1), default=1000, show_default=True,
              help="How many roads the set shall hold, about 90 frames each.")  # fmt: skip
@click.option("--first", type=click.IntRange(0), default=0, show_default=True,
              help="Number of the first road; several processes can share a set by taking "
              "different ranges.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True,
              help="Road k of a seed is always the same road.")  # fmt: skip
@click.option("--preview", is_flag=True, help="Also write the 320x180 stills as JPEG to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def command(out: Path, roads: int, first: int, seed: int, preview: bool, as_json: bool) -> None:
    """Render synthetic roads for training and evaluation.

    Every tenth road is for validation and every tenth for testing; a road is never split. Labels
    come from the road's geometry: mean grade over the next 15 m, heading change over the next
    25 m, curvature. Needs no display: Mesa's software OpenGL will do.
    """
    from offline.training import synth

    out = out.expanduser()
    wanted = range(first, first + roads)
    rendered = 0
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("roads", total=roads)
        present = sum(synth.road_file(out, road).exists() for road in wanted)
        progress.update(task, completed=present)
        for _ in synth.render_set(out, seed, wanted, preview):
            rendered += 1
            progress.advance(task)
    summary = {"folder": str(out), "seed": seed, "rendered": rendered, "present": present}
    if as_json:
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{out}: {rendered} roads rendered, {present} were there")
