"""`gradewise-offline verify`: recompute a stored result and compare it bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import click

from offline.errors import StoreError


@click.command()
@click.argument("trip", type=click.Path(path_type=Path))
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
@click.option("--policy", metavar="FILE|NAME", help="Policy, if not the one its name says.")
@click.option("--model", default="road_scene", show_default=True, help="Released model or folder.")
@click.option(
    "--profiles",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("profiles"),
    show_default=True,
    help="Folder of the vehicles' profiles, if the result was made with one.",
)
@click.option("--no-road-context", is_flag=True, help="Verify the result scored without camera.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    trip: Path,
    store_url: str | None,
    results_dir: str,
    policy: str | None,
    model: str,
    profiles: Path,
    no_road_context: bool,
    as_json: bool,
) -> int:
    """Recompute the stored result of the trip folder TRIP and say identical, or what differs.

    Exit code 0 if it is identical, 1 if anything differs.
    """
    from rich.console import Console

    from offline.batch.settings import make_settings
    from offline.classifier import Classifier
    from offline.pipeline import score_trip
    from offline.policy import load_policy
    from offline.results import ResultStore
    from offline.results.schema import NO_ROAD_CONTEXT, STANDARD
    from offline.vehicleprofile import find_profile
    from offline.verification import compare

    folder = trip.resolve()
    if not folder.is_dir():
        raise StoreError(f"{trip} is no trip folder: verifying needs the trip itself")
    variant = NO_ROAD_CONTEXT if no_road_context else STANDARD
    settings = make_settings(model, policy, road_context=not no_road_context)
    with ResultStore.open(store_url, results_dir, read_only=True) as store:
        stored = store.trip(f"{folder.parent.name}/{folder.name}", variant)
        verdicts = store.events(stored.trip_id, variant)
        timeline = store.timeline(stored.trip_id, variant=variant)
    profile_sha256 = stored.provenance.profile_sha256
    profile = find_profile(profiles, stored.vehicle, profile_sha256) if profile_sha256 else None
    used = load_policy(settings.policy or stored.provenance.policy_name)
    with Console(stderr=True).status(f"recomputing {stored.trip_id}"):
        fresh = score_trip(
            folder,
            classifier=None if no_road_context else Classifier(Path(settings.model_folder)),
            policy=used,
            road_context=not no_road_context,
            profile=profile,
        )
    found = compare(stored, verdicts, timeline, fresh)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "trip_id": stored.trip_id,
                    "identical": found.identical,
                    "differences": list(found.differences),
                    "stored_sha256": found.stored_sha256,
                    "recomputed_sha256": found.recomputed_sha256,
                },
                indent=1,
            )
        )
    elif found.identical:
        click.echo(f"{stored.trip_id}: identical ({found.stored_sha256[:16]})")
    else:
        click.echo(f"{stored.trip_id}: differs")
        for line in found.differences:
            click.echo(f"  {line}")
    return 0 if found.identical else 1
