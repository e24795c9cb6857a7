"""Prints what a scoring run found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offline.batch.coordinator import Summary
from offline.batch.planning import Plan
from offline.results.display import EVENT_TITLES, clock_text, number, origin_text
from offline.results.rows import StoredTrip
from offline.results.schema import NO_ROAD_CONTEXT
from offline.results.store import ResultStore
from offline.verdicts import Outcome

LONGEST_TABLE: Final = 60
"""Of more trips only the summary is printed: the rest is what the dashboard is for."""


def print_trips(store: ResultStore, unchanged: list[str], scored: list[str], variant: str) -> None:
    """Print one line a trip, and under the table why events were exonerated."""
    if not unchanged and not scored:
        return
    if len(unchanged) + len(scored) > LONGEST_TABLE:
        return
    console = Console()
    table = Table(title="Scores" + (", no road context" if variant == NO_ROAD_CONTEXT else ""))
    for title in ("Trip", "Driver"):
        table.add_column(title, overflow="fold")
    for title in ("km", "Score", "Band", "Without\nroad context", "Kept", "Exon-\nerated",
                  "Undeter-\nmined"):  # fmt: skip
        table.add_column(title, justify="right")
    table.add_column("Note", overflow="fold")
    reasons: list[str] = []
    for trip_id in [*unchanged, *scored]:
        trip = store.trip(trip_id, variant)
        verdicts = store.events(trip_id, variant)
        counts = Counter(verdict.outcome for verdict in verdicts)
        table.add_row(
            escape(trip_id),
            escape(trip.driver) or "–",
            number(trip.exposure.distance_km, 1),
            number(trip.score.value, 0),
            trip.score.band or "–",
            number(trip.score_without_context.value, 0),
            str(counts[Outcome.KEPT]),
            str(counts[Outcome.EXONERATED]),
            str(counts[Outcome.UNDETERMINED]),
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


def _note(trip: StoredTrip, *, is_new: bool) -> str:
    parts = [origin_text(trip.origin), trip.score.reason]
    if trip.road_context != "camera":
        parts.append(f"no road context: {trip.road_context}")
    if not is_new:
        parts.append("unchanged")
    return "; ".join(part for part in parts if part)


def print_summary(
    store: ResultStore, planned: Plan, summary: Summary, variant: str, took_s: float
) -> None:
    """Print how many trips were scored, left out and failed, and where the results are."""
    console = Console()
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


def trip_json(store: ResultStore, trip_id: str, variant: str) -> dict[str, Any]:
    """Return a stored trip as values that JSON knows."""
    document = asdict(store.trip(trip_id, variant))
    document["verdicts"] = [asdict(verdict) for verdict in store.events(trip_id, variant)]
    return document
