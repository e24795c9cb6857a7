"""The events of a trip with their verdicts, a page at a time."""

from __future__ import annotations

from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from dashboard.archive import OpenTrip
from dashboard.badges import aria, outcome_text
from offline.results.display import EVENT_TITLES, MISSING, clock_text, number, peak_text
from offline.verdicts import Outcome, Verdict

EVENTS_SHOWN: Final = 20
"""Events a page of the table."""


def events(opened: OpenTrip) -> Any:
    """Show the events with their verdicts."""
    count = len(opened.verdicts)
    kept = sum(verdict.outcome == Outcome.KEPT for verdict in opened.verdicts)
    exonerated = sum(verdict.outcome == Outcome.EXONERATED for verdict in opened.verdicts)
    pages = -(-count // EVENTS_SHOWN)
    return dmc.Paper(
        [
            dmc.Title("Events", order=2, size="h3"),
            dmc.Text(
                f"{kept} kept, {exonerated} exonerated, {count - kept - exonerated} undetermined"
                if count
                else "Nothing on this trip passed a limit of the policy.",
                c="dimmed",
            ),
            html.Div(event_table(opened, 1) if count else None, id="events-table"),
            dmc.Pagination(
                id="events-page",
                total=max(pages, 1),
                value=1,
                mt="sm",
                style={} if pages > 1 else {"display": "none"},
            ),
        ],
        p="md",
        withBorder=True,
        className="verdicts",
    )


def event_table(opened: OpenTrip, page: int) -> Any:
    """Show one page of the events, counted from 1."""
    start = max(page - 1, 0) * EVENTS_SHOWN
    shown = list(enumerate(opened.verdicts))[start : start + EVENTS_SHOWN]
    heads = ("Time", "Event", "Verdict", "Peak", "Limit", "Points", "Spared", "Reason", "")
    return dmc.TableScrollContainer(
        dmc.Table(
            [
                dmc.TableThead(
                    dmc.TableTr(
                        [
                            dmc.TableTh(head or dmc.VisuallyHidden("Show"),
                                        className="number" if 3 <= place <= 6 else "")
                            for place, head in enumerate(heads)
                        ]
                    )
                ),
                dmc.TableTbody([_event_line(place, verdict) for place, verdict in shown]),
            ],
            highlightOnHover=True,
        ),
        minWidth=900,
    )  # fmt: skip


def _event_line(place: int, verdict: Verdict) -> Any:
    event = verdict.event
    title = EVENT_TITLES[event.kind]
    return dmc.TableTr(
        [
            dmc.TableTd(clock_text(event.start_s)),
            dmc.TableTd([title, dmc.Text(f"for {number(event.duration_s, 1, 's')}", size="xs")]),
            dmc.TableTd(outcome_text(verdict.outcome)),
            dmc.TableTd(peak_text(event.peak, event.unit), className="number"),
            dmc.TableTd(peak_text(event.threshold, event.unit), className="number"),
            dmc.TableTd(
                number(verdict.points, 1) if verdict.outcome == Outcome.KEPT else MISSING,
                className="number",
            ),
            dmc.TableTd(
                number(verdict.points_spared, 1) if verdict.points_spared > 0 else MISSING,
                className="number",
            ),
            dmc.TableTd(verdict.sentence),
            dmc.TableTd(
                dmc.Button(
                    "Show",
                    id={"type": "show-event", "number": place},
                    variant="default",
                    size="compact-sm",
                    className="show-event",
                    **aria(label=f"Show {title.lower()} at {clock_text(event.start_s)}"),
                )
            ),
        ]
    )
