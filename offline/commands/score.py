"""`gradewise-offline score`: score trips and store their results."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from offline.batch.attempt import Limits, Outcome
from offline.batch.coordinator import Engine, Summary, score_all
from offline.batch.planning import Plan, plan, require_trips
from offline.batch.scoretable import print_changes, print_summary, print_trips, trip_json
from offline.batch.scoring import ScoreTask, score_task
from offline.batch.settings import Settings, make_settings
from offline.batch.storeoptions import store_options
from offline.results import ResultStore

SETTLE_S: Final = 60.0
"""With --watch, a trip that is not whole must not have changed for so long: it may be on its way
here still."""
INTERRUPTED: Final = 130
"""Exit code after Ctrl-C or SIGTERM, as a shell gives it."""
PRELOAD: Final = ("offline.batch.scoring",)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@store_options
@click.option(
    "--policy",
    metavar="FILE|NAME",
    help="Scoring policy.  [default: the shipped one of each vehicle's class]",
)
@click.option(
    "--model",
    default="road_scene",
    show_default=True,
    help="A released model's name, or a folder that holds a model.json.",
)
@click.option(
    "--profiles",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Use what `gradewise-offline profile` learned of the vehicles.",
)
@click.option(
    "--no-road-context",
    is_flag=True,
    help="Score as if there were no camera; stored beside the usual result.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Only trips that started on this day (UTC) or later.",
)
@click.option("--rescore", is_flag=True, help="Score again what is unchanged or was set aside.")
@click.option(
    "--undated", is_flag=True, help="Score trips whose clock is plainly wrong, without a date."
)
@click.option("--watch", is_flag=True, help="Go on: score trips as they arrive, until Ctrl-C.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds between two looks with --watch.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="all cores",
    help="Processes on this machine.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=1800.0,
    show_default=True,
    help="Seconds one trip may take.",
)
@click.option(
    "--memory",
    "memory_mb",
    type=click.FloatRange(min=200),
    default=2000.0,
    show_default=True,
    help="Megabytes one worker may take.",
)
@click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Score on this Dask cluster (tls://… where it is encrypted); paths must be the same on "
    "all its machines.",
)
@click.option("--json", "as_json", is_flag=True, help="Print results and summary as JSON.")
def command(
    paths: tuple[Path, ...],
    results: str,
    store_url: str | None,
    policy: str | None,
    model: str,
    profiles: Path | None,
    no_road_context: bool,
    since: datetime | None,
    rescore: bool,
    undated: bool,
    watch: bool,
    every_s: float,
    workers: int,
    timeout_s: float,
    memory_mb: float,
    scheduler: str | None,
    as_json: bool,
) -> int:
    """Score every trip under PATHS, at any depth, and store the results.

    A trip that has this result already (same trip, model, policy and software) is left out.
    One that crashes, hangs or eats memory costs only itself: it is tried again within a bound,
    then set aside with its reason (`gradewise-offline failed`) until something changes or it
    is named itself.

    Ctrl-C stores what is scored by then; the same command goes on.

    Exit code 0 if every trip is scored, 1 if one failed, 2 if nothing could be done, 130 if it
    was interrupted.
    """
    settings = make_settings(model, policy, road_context=not no_road_context)
    console = Console(stderr=True)
    if "://" not in results:
        results = str(Path(results).absolute())
    if not watch:
        require_trips(paths)
    limits = Limits(timeout_s, memory_mb)
    engine: Engine
    if scheduler:
        from offline.batch.cluster import Cluster

        # Before a store is made for nothing.
        engine = Cluster(scheduler, limits)
        click.get_current_context().call_on_close(engine.close)
    with ResultStore.open(store_url, results) as store:
        look = partial(
            plan,
            paths,
            store,
            settings,
            since=since.date() if since else None,
            settle_s=SETTLE_S if watch else 0.0,
        )
        planned = look(rescore=rescore, retry_named=True)
        if not scheduler:
            from offline.batch.localpool import LocalPool

            if not watch:
                workers = max(1, min(workers, len(planned.to_score)))
            engine = LocalPool(workers, limits, PRELOAD)
        summary = Summary()
        started_s, started_utc_ns = time.monotonic(), time.time_ns()
        # A service is stopped by SIGTERM: what is scored by then is stored too.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            while True:
                _score(
                    planned, settings, engine, store, results, profiles, undated, summary, console
                )
                if not watch:
                    break
                _report(summary, planned, console)
                time.sleep(every_s)
                planned = look(rescore=False, retry_named=False)
        except KeyboardInterrupt:
            console.print(
                f"interrupted: {len(summary.scored)} trips are scored and stored; "
                "run the same command again to go on"
            )
            return INTERRUPTED
        finally:
            signal.signal(signal.SIGTERM, before)
        took_s = time.monotonic() - started_s
        changes = store.changes_since(started_utc_ns, settings.variant)
        ids = [*planned.unchanged, *summary.scored]
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "trips": [trip_json(store, trip_id, settings.variant) for trip_id in ids],
                        "scored": summary.scored,
                        "unchanged": planned.unchanged,
                        "changes": changes,
                        "failed": [
                            {"trip": f.trip_path, "kind": f.kind, "reason": f.reason}
                            for f in summary.failed
                        ],
                        "set_aside": planned.set_aside,
                        "recording": planned.recording,
                        "seconds": round(took_s, 3),
                    },
                    indent=1,
                )
            )
        else:
            print_trips(store, planned.unchanged, summary.scored, settings.variant)
            print_changes(changes)
            print_summary(store, planned, summary, settings.variant, took_s)
    return 1 if summary.failed else 0


def _report(summary: Summary, planned: Plan, console: Console) -> None:
    """Say what a look of --watch led to; nothing where nothing had arrived."""
    if planned.to_score:
        console.print(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {len(summary.scored)} scored, "
            f"{len(summary.failed)} failed since the start"
        )


def _score(
    planned: Plan,
    settings: Settings,
    engine: Engine,
    store: ResultStore,
    results: str,
    profiles: Path | None,
    undated: bool,
    summary: Summary,
    console: Console,
) -> None:
    if not planned.to_score:
        return
    tasks = [
        ScoreTask(
            trip_path=trip.path,
            fingerprint=trip.fingerprint,
            results_root=results,
            model_folder=settings.model_folder,
            policy=settings.policy,
            road_context=settings.road_context,
            profiles=None if profiles is None else str(profiles.absolute()),
            undated=undated,
        )
        for trip in planned.to_score
    ]
    with Progress(
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        shown = bar.add_task("", total=len(tasks), failed="")

        def progress(outcome: Outcome) -> None:
            bar.advance(shown)
            if outcome.failure is not None and outcome.failure.kind != "store":
                bar.update(shown, failed=f"{len(summary.failed)} failed")

        score_all(
            tasks, score_task, engine, store, settings.variant, summary=summary, progress=progress
        )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f} trips/s")
