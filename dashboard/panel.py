"""The panel that shows everything known at the moment that was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboard.badges import outcome_text, still_href
from dashboard.moment import Belief, Moment, Reading
from offline.results.display import EVENT_TITLES, MISSING, clock_text, number, peak_text
from offline.verdicts import Outcome, Verdict


def moment_panel(now: Moment, trip_id: str, *, still_frame: int | None) -> Any:
    """Lay out a moment.

    Parameters
    ----------
    still_frame : int or None
        Frame of the still to show, None where the store has none for this moment.
    """
    parts: list[Any] = [
        dmc.Text(f"{now.time} into the trip", fw=700, size="lg", id="moment-time"),
        dmc.Text(now.utc if now.utc != MISSING else "clock time not known", c="dimmed", size="sm"),
        _still(now, trip_id, still_frame),
        *(_event(verdict) for verdict in now.events),
    ]
    if now.slope or now.course:
        parts += [
            html.H3(f"Road: {now.scene or MISSING}", id="moment-scene"),
            _beliefs("Slope", now.slope),
            _beliefs("Course", now.course),
        ]
    else:
        parts.append(html.H3("Road: no road context here", id="moment-scene"))
    parts += [
        html.H3("Signals"),
        _readings(now.signals, ("Signal", "Value", "Age")),
        html.H3("Estimates and ideal"),
        _readings(now.estimates, ("Quantity", "Value", "Deviation")),
    ]
    return html.Div(parts)


def _still(now: Moment, trip_id: str, still_frame: int | None) -> Any:
    if still_frame is None:
        return dmc.Text("No camera still of this moment.", c="dimmed", size="sm", my="xs")
    return html.Figure(
        [
            html.Img(
                src=still_href(trip_id, still_frame),
                alt=f"Camera still of the road here, labelled {now.scene.lower() or 'nothing'}",
                width=320,
                height=180,
            ),
            html.Figcaption(f"Frame {still_frame} shows this place", className="mantine-Text-root"),
        ],
        style={"margin": "8px 0", "fontSize": 12},
    )


def _event(verdict: Verdict) -> Any:
    event = verdict.event
    facts = [
        f"{clock_text(event.start_s)} to {clock_text(event.end_s)}",
        f"peak {peak_text(event.peak, event.unit)}, limit {peak_text(event.threshold, event.unit)}",
    ]
    if verdict.probability is not None:
        facts.append(f"probability of {verdict.context} {number(verdict.probability, 2)}")
    if verdict.outcome == Outcome.KEPT:
        facts.append(f"{number(verdict.points, 1)} points")
    elif verdict.points_spared > 0:
        facts.append(f"{number(verdict.points_spared, 1)} points spared")
    return dmc.Paper(
        [
            dmc.Group(
                [dmc.Text(EVENT_TITLES[event.kind], fw=700), outcome_text(verdict.outcome)],
                justify="space-between",
            ),
            dmc.Text(verdict.sentence, size="sm"),
            dmc.Text("; ".join(facts), size="xs", c="dimmed"),
        ],
        p="xs",
        my="xs",
        withBorder=True,
        className="moment-event",
    )


def _beliefs(head: str, beliefs: Sequence[Belief]) -> Any:
    likeliest = max((belief.fused for belief in beliefs if belief.fused is not None), default=None)
    return html.Table(
        [
            html.Thead(
                html.Tr(
                    [
                        html.Th(head, scope="col"),
                        html.Th("network", scope="col", className="number"),
                        html.Th("after fusion", scope="col", className="number"),
                    ]
                )
            ),
            html.Tbody(
                [
                    html.Tr(
                        [
                            html.Th(belief.title, scope="row"),
                            html.Td(number(belief.network, 2)),
                            html.Td(number(belief.fused, 2)),
                        ],
                        className="likeliest"
                        if belief.fused is not None and belief.fused == likeliest
                        else "",
                    )
                    for belief in beliefs
                ]
            ),
        ]
    )


def _readings(readings: Sequence[Reading], heads: tuple[str, str, str]) -> Any:
    return html.Table(
        [
            html.Thead(
                html.Tr(
                    [
                        html.Th(head, scope="col", className="number" if place else "")
                        for place, head in enumerate(heads)
                    ]
                )
            ),
            html.Tbody(
                [
                    html.Tr(
                        [
                            html.Th(reading.title, scope="row"),
                            html.Td(reading.value),
                            html.Td(reading.remark, className="remark"),
                        ]
                    )
                    for reading in readings
                ]
            ),
        ]
    )
