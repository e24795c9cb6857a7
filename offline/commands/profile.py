"""`gradewise-offline profile`: learn each vehicle's gears and powertrain from its scored trips."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd

from offline.batch.storeoptions import store_options
from offline.errors import StoreError

COLUMNS = (
    "t_s", "rpm", "speed_smooth_kmh", "accel_mps2", "gear", "load_percent", "throttle_percent",
    "maf_g_s", "p_level", "p_uphill", "p_downhill",
)  # fmt: skip


@click.command()
@click.argument("vehicles", nargs=-1, metavar="[VEHICLE]...")
@store_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("profiles"),
    show_default=True,
    help="Folder of the profiles, one file a vehicle; those replaced are kept under their hash.",
)
@click.option(
    "--trips",
    "most",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="Learn from so many of a vehicle's latest trips.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the profiles as JSON.")
def command(
    vehicles: tuple[str, ...],
    results: str,
    store_url: str | None,
    out: Path,
    most: int,
    as_json: bool,
) -> int:
    """Learn VEHICLEs (all by default) from the timelines of their scored trips.

    A profile holds the gears' ratios and what the engine gives on level road. With
    `gradewise-offline score --profiles DIR` gears and grades of a short trip are then known
    from its first metre. A vehicle needs two trips; with fewer it is left out.

    Exit code 0 if a profile was written or is unchanged, 1 if no vehicle had enough trips.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from offline.results import ResultStore
    from offline.results.rows import TripFilter
    from offline.vehicleprofile import learn_profile, write_profile

    learned = []
    left_out: dict[str, int] = {}
    console = Console(stderr=True)
    with ResultStore.open(store_url, results, read_only=True) as store:
        ids: dict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(vehicles) or (None,):
            rows = store.trips(TripFilter(vehicle=name), limit=None)
            if name is not None and not rows:
                raise StoreError(f"the store has no trip of vehicle {name}")
            for row in rows:
                if len(ids[row.vehicle]) < most:
                    ids[row.vehicle].append(row.trip_id)

        def timelines(trip_ids: list[str]) -> Iterator[pd.DataFrame]:
            for trip_id in trip_ids:
                timeline = store.timeline(trip_id, COLUMNS)
                if len(timeline):
                    yield timeline

        with console.status("learning") as status:
            for vehicle, trip_ids in sorted(ids.items()):
                status.update(f"learning {escape(vehicle)} from {len(trip_ids)} trips")
                profile = learn_profile(vehicle, timelines(trip_ids))
                if profile is None:
                    left_out[vehicle] = len(trip_ids)
                else:
                    write_profile(profile, out)
                    learned.append(profile)
    if as_json:
        click.echo(json.dumps([json.loads(p.to_json()) for p in learned], indent=1))
    else:
        table = Table("vehicle", "trips", "gears", "powertrain from", "profile")
        for profile in learned:
            engine = profile.powertrain
            table.add_row(
                escape(profile.vehicle),
                str(profile.trips),
                str(profile.ratios.size),
                "–" if engine is None else engine.signal,
                profile.sha256[:12],
            )
        if learned:
            Console().print(table)
        for vehicle, count in left_out.items():
            taught = "1 trip teaches" if count == 1 else f"{count} trips teach"
            click.echo(f"{vehicle}: {taught} too little, no profile")
    return 0 if learned else 1
