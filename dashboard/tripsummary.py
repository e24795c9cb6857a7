"""What a trip's page says before its traces: who, when, the score and what it rests on."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboard.badges import aria, band_badge, origin_badge, scorecard_href
from offline.results.display import MISSING, PART_TITLES, duration_text, number, utc_text
from offline.results.rows import StoredTrip
from offline.verdicts import Score, has_road_context


def head(trip: StoredTrip) -> Any:
    """Say who drove what, when and how far, and where the PDF is."""
    return dmc.Group(
        [
            html.Div(
                [
                    dmc.Title(trip.driver or "Driver not signed in", order=1),
                    dmc.Text(
                        f"{trip.vehicle} ({trip.vehicle_class}), "
                        + (
                            utc_text(trip.started_utc_ns)
                            if trip.started_utc_ns is not None
                            else "start time not known"
                        )
                        + f", {number(trip.exposure.distance_km, 1, 'km')} in "
                        f"{duration_text(trip.exposure.duration_s)}"
                    ),
                ]
            ),
            dmc.Group(
                [
                    origin_badge(trip.origin),
                    # A plain link: it works without a script and opens in the reader's viewer.
                    html.A(
                        "Download PDF scorecard",
                        href=scorecard_href(trip.trip_id),
                        download="",
                        id="download-pdf",
                        className="button",
                    ),
                ]
            ),
        ],
        justify="space-between",
        align="start",
    )


def score_card(trip: StoredTrip) -> Any:
    """Show the score beside the counterfactual one, its parts and what it rests on."""
    score = trip.score
    return dmc.Paper(
        dmc.Grid(
            [
                dmc.GridCol(_total(score), span={"base": 12, "sm": 6, "lg": 3}),
                dmc.GridCol(_counterfactual(trip), span={"base": 12, "sm": 6, "lg": 3}),
                dmc.GridCol(_parts(score), span={"base": 12, "sm": 6, "lg": 3}),
                dmc.GridCol(_exposure(trip), span={"base": 12, "sm": 6, "lg": 3}),
            ],
            gutter="lg",
        ),
        p="md",
        withBorder=True,
    )


def _total(score: Score) -> Any:
    if score.value is None:
        return dmc.Group(
            [
                band_badge(None, 64),
                html.Div(
                    [dmc.Text("No score", fw=700, size="xl"), dmc.Text(score.reason, size="sm")],
                    style={"flex": 1},
                ),
            ],
            wrap="nowrap",
        )
    return dmc.Group(
        [
            band_badge(score.band, 72),
            html.Div(
                [
                    html.Div(
                        [
                            html.Span(
                                number(score.value),
                                style={"fontSize": 40, "fontWeight": 700, "lineHeight": 1},
                                id="score-value",
                            ),
                            " of 100",
                        ]
                    ),
                    dmc.Text(
                        f"likely between {number(score.low)} and {number(score.high)}", size="sm"
                    ),
                ]
            ),
        ],
        wrap="nowrap",
    )


def _counterfactual(trip: StoredTrip) -> Any:
    title = dmc.Text("Without road context", fw=700, size="sm")
    if not has_road_context(trip.road_context):
        reason = f"This trip was scored without: {trip.road_context}."
        return html.Div([title, dmc.Text(reason, size="sm")])
    without = trip.score_without_context
    if without.value is None:
        return html.Div([title, dmc.Text(f"No score. {without.reason}", size="sm")])
    # Of the rounded scores, which is what the reader sees.
    difference = 0 if trip.score.value is None else round(trip.score.value) - round(without.value)
    return html.Div(
        [
            title,
            dmc.Group(
                [
                    band_badge(without.band, 34),
                    html.Span(number(without.value), style={"fontSize": 26, "fontWeight": 700}),
                ],
                gap="xs",
            ),
            dmc.Text(
                "The road explained nothing that would have cost points."
                if difference <= 0
                else f"The road explains {difference} point{'s' if difference > 1 else ''}.",
                size="sm",
            ),
        ]
    )


def _parts(score: Score) -> Any:
    lines = []
    for key, title in PART_TITLES.items():
        value = score.parts.get(key)
        lines.append(
            html.Div(
                [
                    dmc.Group(
                        [
                            dmc.Text(title, size="sm"),
                            dmc.Text(
                                number(value) if value is not None else "not measured", size="sm"
                            ),
                        ],
                        justify="space-between",
                    ),
                    # The number stands above it: the bar says nothing of its own.
                    html.Div(
                        dmc.Progress(value=0 if value is None else value, size="sm"),
                        **aria(hidden="true"),
                    ),
                ]
            )
        )
    return dmc.Stack(lines, gap=6)


def _exposure(trip: StoredTrip) -> Any:
    exposure = trip.exposure
    facts = (
        ("Moving", duration_text(exposure.moving_s)),
        ("Engine on", duration_text(exposure.engine_on_s)),
        ("Speed known", number(exposure.speed_coverage * 100, 0, "%")),
        (
            "Road known",
            number(exposure.scene_coverage * 100, 0, "%")
            if has_road_context(trip.road_context)
            else MISSING,
        ),
    )
    return dmc.Stack(
        [
            dmc.Group([dmc.Text(title, size="sm"), dmc.Text(value, size="sm", fw=600)],
                      justify="space-between")
            for title, value in facts
        ],
        gap=4,
    )  # fmt: skip


def provenance(trip: StoredTrip) -> Any:
    """List what the result depends on, folded away."""
    made_from = trip.provenance
    facts = (
        ("Trip", trip.trip_id, made_from.trip_sha256),
        ("Network", made_from.model_name or MISSING, made_from.model_sha256 or MISSING),
        ("Policy", made_from.policy_name, made_from.policy_sha256),
        ("Software", made_from.software, ""),
        ("Scored", utc_text(trip.scored_utc_ns, seconds=True), ""),
        ("Origin", trip.origin.get("note", "") or "recorded in the vehicle", ""),
    )
    return html.Details(
        [
            html.Summary("How this score was made, and how to verify it"),
            dmc.Table(
                dmc.TableTbody(
                    [
                        dmc.TableTr(
                            [
                                dmc.TableTh(title),
                                dmc.TableTd(name),
                                dmc.TableTd(digest, className="hash"),
                            ]
                        )
                        for title, name, digest in facts
                    ]
                )
            ),
            dmc.Text("gradewise-offline verify recomputes this result bit for bit.", size="sm"),
        ]
    )
