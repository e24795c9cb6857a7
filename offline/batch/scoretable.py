"""Prints what a scoring run found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offline.batch.coordinator import Summary
from offline.batch.planning import Plan
from offline.results.display import EVENT_TITLES, MISSING, clock_text, number, origin_text
from offline.results.rows import StoredTrip
from offline.results.schema import NO_ROAD_CONTEXT
from offline.results.store import ResultStore
from offline.verdicts import Outcome, has_road_context

LONGEST_TABLE: Final = 60
"""Of more trips only the summary is printed: the rest is what the dashboard is for."""


def print_trips(store: ResultStore, unchanged: list[str], scored: list[str], variant: str) -> None:
    """Print one line a trip, and under the table why events were exonerated."""
    if not unchanged and not scored:
        return
    if len(unchanged) + len(scored) > LONGEST_TABLE:
        return
    console = _console()
    table = Table(
        title="Scores" + (" without road context" if variant == NO_ROAD_CONTEXT else ""),
        box=box.SIMPLE_HEAD,
        caption="Events: kept · exonerated by the road · undetermined",
    )
    table.add_column("Trip", no_wrap=True)
    table.add_column("Driver", overflow="fold")
    for title in ("km", "Score", "Without\nroad", "Events\nk · e · u"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Note", overflow="fold", max_width=32)
    reasons: list[str] = []
    for trip_id in [*unchanged, *scored]:
        trip = store.trip(trip_id, variant)
        verdicts = store.events(trip_id, variant)
        counts = Counter(verdict.outcome for verdict in verdicts)
        table.add_row(
            escape(trip_id),
            escape(trip.driver) or MISSING,
            number(trip.exposure.distance_km, 1),
            f"{number(trip.score.value)} {trip.score.band or ''}".strip(),
            number(trip.score_without_context.value),
            " · ".join(str(counts[outcome]) for outcome in Outcome),
            escape(_note(trip, is_new=trip_id in scored)),
        )
        reasons += [
            f"  {escape(trip_id)} {clock_text(v.event.start_s)} "
            f"{EVENT_TITLES.get(v.event.kind, v.event.kind).lower()}, "
            f"{v.points_spared:.1f} points spared: {escape(v.sentence)}"
            for v in verdicts
            if v.outcome is Outcome.EXONERATED
        ]
    console.print(table)
    if reasons:
        console.print("Exonerated by the road:")
        for reason in reasons:
            console.print(reason, highlight=False)


def _console() -> Console:
    console = Console()
    # A file or a pipe has no width: let the trips' names stand on one line.
    return console if console.is_terminal else Console(width=120)


def _note(trip: StoredTrip, *, is_new: bool) -> str:
    parts = [origin_text(trip.origin), trip.score.reason]
    if not has_road_context(trip.road_context):
        parts.append(f"no road context: {trip.road_context}")
    if not is_new:
        parts.append("unchanged")
    return "; ".join(part for part in parts if part)


def print_summary(
    store: ResultStore, planned: Plan, summary: Summary, variant: str, took_s: float
) -> None:
    """Print how many trips were scored, left out and failed, and where the results are."""
    console = _console()
    said = [f"{len(summary.scored)} scored"]
    if summary.scored and took_s > 0:
        said[0] += f" in {took_s:.1f} s"
    for count, what in (
        (len(planned.unchanged), "unchanged"),
        (len(summary.failed), "failed"),
        (len(planned.set_aside), "set aside before (see `gradewise-offline failed`)"),
        (len(planned.recording), "still being recorded"),
        (planned.purged, "purged"),
        (planned.erased, "erased"),
    ):
        if count:
            said.append(f"{count} {what}")
    console.print(", ".join(said) + ".", highlight=False)
    for failed in summary.failed[:LONGEST_TABLE]:
        console.print(f"  failed: {escape(failed.trip_path)}: {escape(failed.reason)}",
                      highlight=False, soft_wrap=True)  # fmt: skip
    console.print(f"Results are in {escape(store.files.root)}.", highlight=False, soft_wrap=True)


def print_changes(changes: dict[str, list[str]]) -> None:
    """Print what scoring trips again changed, a line a sentence."""
    if not changes:
        return
    console = _console()
    same = sum(not sentences for sentences in changes.values())
    lines = [
        f"  {escape(trip_id)}: {escape(sentence)}"
        for trip_id, sentences in changes.items()
        for sentence in sentences
    ]
    if lines:
        console.print("Changed by scoring again:")
    for line in lines[:LONGEST_TABLE]:
        console.print(line, highlight=False, soft_wrap=True)
    if len(lines) > LONGEST_TABLE:
        console.print(f"  and {len(lines) - LONGEST_TABLE} more changes, in the trips' histories")
    if same:
        console.print(f"Scored again with the same result: {same}.", highlight=False)


def trip_json(store: ResultStore, trip_id: str, variant: str) -> dict[str, Any]:
    """Return a stored trip as values that JSON knows."""
    document = asdict(store.trip(trip_id, variant))
    document["verdicts"] = [asdict(verdict) for verdict in store.events(trip_id, variant)]
    return document
