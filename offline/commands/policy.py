"""`gradewise-offline policy`: show, compare and check scoring policies."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import click

from offline.batch.storeoptions import store_options
from offline.policy import VEHICLE_CLASSES, load_policy
from offline.verdicts import EventKind

MIN_TRIPS = 30
"""Fewer say little of how drivers differ."""


@click.group()
def command() -> None:
    """Show, compare and check scoring policies.

    A policy is the name of a shipped one (car, van, truck, bus) or a TOML file.
    """


@command.command("list")
def list_shipped() -> None:
    """List the policies that ship with the program."""
    for name in VEHICLE_CLASSES:
        click.echo(f"{name:8} {load_policy(name).sha256[:16]}")


@command.command()
@click.argument("policy")
@click.option("--json", "as_json", is_flag=True, help="Print the validated values as JSON.")
def show(policy: str, as_json: bool) -> None:
    """Print a policy: as its file stands, with comments, or its values as JSON.

    `gradewise-offline policy show car > fleet.toml` starts a policy of one's own.
    """
    loaded = load_policy(policy)
    if as_json:
        click.echo(json.dumps(loaded.model_dump(mode="json"), indent=1))
    elif policy in VEHICLE_CLASSES:
        path = resources.files("offline") / "policies" / f"{policy}.toml"
        click.echo(path.read_text("utf-8"), nl=False)
    else:
        click.echo(Path(policy).read_text("utf-8"), nl=False)


@command.command()
@click.argument("policy")
@store_options
def prior(policy: str, results: str, store_url: str | None) -> int:
    """Fit the prior of POLICY to the trips in the store that were scored with it.

    Prints the policy's `[score.prior]` tables, to be pasted over those of its file: what is
    expected of a driver before he has driven belongs to the policy, so that a result depends on
    nothing but what it names.
    """
    from rich.console import Console
    from rich.progress import track

    from offline.errors import StoreError
    from offline.results import ResultStore
    from offline.results.rows import TripFilter
    from offline.score import fit_prior, trip_totals

    loaded = load_policy(policy)
    trips = []
    with ResultStore.open(store_url, results, read_only=True) as store:
        rows = store.trips(TripFilter(), limit=None)
        console = Console(stderr=True)
        quiet = not console.is_terminal
        for row in track(rows, "reading trips", console=console, transient=True, disable=quiet):
            trip = store.trip(row.trip_id)
            if trip.provenance.policy_sha256 != loaded.sha256:
                continue
            totals = trip_totals(store.events(row.trip_id), trip.exposure)
            trips.append(
                {
                    kind: (totals.points[kind] / loaded.events.of(EventKind(kind)).points, exposure)
                    for kind, exposure in totals.exposure.items()
                }
            )
    if len(trips) < MIN_TRIPS:
        raise StoreError(
            f"only {len(trips)} trips in the store were scored with {loaded.name} "
            f"({loaded.sha256[:16]}); a prior needs {MIN_TRIPS}"
        )
    rates, exposure = fit_prior(trips)
    click.echo(f"# fitted to {len(trips)} trips\n[score.prior]\nexposure = {exposure:.4g}\n")
    click.echo("[score.prior.severity_rate]")
    shipped = loaded.score.prior.severity_rate
    for kind in EventKind:
        unseen = "" if kind.value in rates else "  # not measured: as it was"
        click.echo(f"{kind.value} = {rates.get(kind.value, shipped[kind]):.4g}{unseen}")
    return 0


@command.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print name and hash as JSON.")
def check(files: tuple[str, ...], as_json: bool) -> None:
    """Check policy files; the first error ends the program with exit code 2."""
    found = [{"file": name, **_identity(name)} for name in files]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for row in found:
        click.echo(f"{row['file']}: good ({row['name']}, {row['sha256'][:16]})")


@command.command()
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def diff(first: str, second: str, as_json: bool) -> int:
    """List what differs between two policies; exit code 1 if anything does."""
    lines: dict[str, list[Any]] = {}
    _differences(
        "",
        _by_id(load_policy(first).model_dump(mode="json")),
        _by_id(load_policy(second).model_dump(mode="json")),
        lines,
    )
    if as_json:
        click.echo(json.dumps(lines, indent=1))
    else:
        for place, (one, other) in lines.items():
            click.echo(f"{place}: {one} -> {other}")
    return 1 if lines else 0


def _identity(name: str) -> dict[str, str]:
    policy = load_policy(name)
    return {"name": policy.name, "sha256": policy.sha256}


def _by_id(values: dict[str, Any]) -> dict[str, Any]:
    """Rules are compared by id, not by their place in the file."""
    return {**values, "rules": {rule["id"]: rule for rule in values["rules"]}}


def _differences(place: str, first: Any, second: Any, found: dict[str, list[Any]]) -> None:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(k for k in second if k not in first)]:
            name = f"{place}.{key}" if place else key
            _differences(name, first.get(key), second.get(key), found)
    elif first != second:
        found[place] = [first, second]
