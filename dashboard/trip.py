"""The page of one trip: score card, traces, the clicked moment, events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, Patch, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.archive import Archive, OpenTrip
from dashboard.badges import (
    aria,
    band_badge,
    notice,
    origin_badge,
    outcome_text,
    scene_swatch,
    scorecard_href,
)
from dashboard.moment import moment, row_at
from dashboard.panel import moment_panel
from dashboard.traces import THEMES, cursor, figure, tints, traces, zoom_window
from offline.results.display import (
    EVENT_TITLES,
    MISSING,
    PART_TITLES,
    SCENE_TITLES,
    clock_text,
    duration_text,
    number,
    peak_text,
    utc_text,
)
from offline.results.lanes import peak_row, scenes
from offline.results.rows import StoredTrip
from offline.verdicts import Outcome, Score, Verdict

EVENTS_SHOWN: Final = 20
"""Events a page of the table."""

GRAPH_CONFIG: Final[Any] = {
    # plotly's own buttons would upload the trip to a public server.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displaylogo": False,
    "showTips": False,
    "responsive": True,
    "scrollZoom": False,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
}


def layout(archive: Archive, trip_id: str) -> Any:
    """Build the page of a trip.

    Raises
    ------
    TripAbsentError
        If the store has no such trip.
    """
    opened = archive.open(trip_id)
    return dmc.Stack(
        [
            dcc.Store(id="trip-id", data=trip_id),
            _head(opened.stored),
            _score_card(opened.stored),
            _drive(opened) if len(opened.timeline) else _no_timeline(opened.stored),
            _events(opened),
            _provenance(opened.stored),
        ],
        gap="md",
    )


def register(app: Dash, archive: Archive) -> None:
    """Add the page's callbacks to an application.

    Every one asks the archive again: the trip's id comes from the browser.
    """

    @app.callback(
        Output("traces", "figure"),
        Input("theme", "data"),
        State("trip-id", "data"),
        State("moment-row", "data"),
        State("traces", "relayoutData"),
    )
    def drawn(
        theme: str | None, trip_id: str, row: int | None, change: dict[str, Any] | None
    ) -> Any:
        opened = archive.open(trip_id)
        return figure(
            opened.timeline,
            opened.verdicts,
            theme=theme if theme in THEMES else "light",
            window=zoom_window(change, opened.timeline),
            row=row,
        )

    @app.callback(
        Output("traces", "figure", allow_duplicate=True),
        Input("traces", "relayoutData"),
        State("trip-id", "data"),
        State("theme", "data"),
        State("moment-row", "data"),
        prevent_initial_call=True,
    )
    def zoomed(
        change: dict[str, Any] | None, trip_id: str, theme: str | None, row: int | None
    ) -> Any:
        opened = archive.open(trip_id)
        window = zoom_window(change, opened.timeline)
        if window is None:
            return no_update
        patch = Patch()
        chosen = theme if theme in THEMES else "light"
        for number_, trace in enumerate(traces(opened.timeline, *window, theme=chosen)):
            for key in ("x", "y", "customdata", *(["text"] if "text" in trace else [])):
                patch["data"][number_][key] = trace[key]
        patch["layout"]["shapes"] = [
            cursor(opened.timeline, row),
            *tints(opened.timeline, *window),
        ]
        return patch

    @app.callback(
        Output("moment-row", "data"),
        Output("moment", "children"),
        # The time is input and output: one callback, for Dash refuses a circle of several.
        Output("moment-time-s", "value"),
        Output("traces", "figure", allow_duplicate=True),
        Input("traces", "clickData"),
        Input("moment-time-s", "value"),
        Input({"type": "show-event", "number": ALL}, "n_clicks"),
        State("trip-id", "data"),
        State("moment-row", "data"),
        prevent_initial_call=True,
    )
    def pointed(
        click: dict[str, Any] | None,
        t_s: float | str | None,
        presses: Sequence[int | None],
        trip_id: str,
        shown_row: int | None,
    ) -> Any:
        opened = archive.open(trip_id)
        row = _chosen_row(opened, ctx.triggered_id, click, t_s, presses)
        if row is None or row == shown_row or not 0 <= row < len(opened.timeline):
            raise PreventUpdate
        now = moment(opened.timeline, row, opened.labels, opened.verdicts)
        still_frame = now.frame
        if still_frame is None or archive.store.still(trip_id, still_frame) is None:
            still_frame = None
        patch = Patch()
        patch["layout"]["shapes"][0] = cursor(opened.timeline, row)
        panel = moment_panel(now, trip_id, still_frame=still_frame)
        return row, panel, round(now.t_s, 3), patch

    @app.callback(
        Output("events-table", "children"),
        Input("events-page", "value"),
        State("trip-id", "data"),
        prevent_initial_call=True,
    )
    def turned(page: int | None, trip_id: str) -> Any:
        return no_update if page is None else _event_table(archive.open(trip_id), page)


def _chosen_row(
    opened: OpenTrip,
    source: Any,
    click: dict[str, Any] | None,
    t_s: float | str | None,
    presses: Sequence[int | None],
) -> int | None:
    """Row that a click, a typed time or a pressed button means."""
    if source == "traces" and click:
        rows = [point.get("customdata") for point in click.get("points", [])]
        return next((row for row in rows if isinstance(row, int)), None)
    if source == "moment-time-s" and isinstance(t_s, int | float):
        return row_at(opened.timeline, float(t_s))
    if isinstance(source, dict) and any(presses):
        place = int(source["number"])
        if 0 <= place < len(opened.verdicts) and len(opened.timeline):
            return peak_row(opened.timeline, opened.verdicts[place].event)
    return None


def _head(trip: StoredTrip) -> Any:
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


def _score_card(trip: StoredTrip) -> Any:
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
    if trip.road_context != "camera":
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
            if trip.road_context == "camera"
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


def _drive(opened: OpenTrip) -> Any:
    end_s = float(opened.timeline["t_s"].iloc[-1])
    return html.Div(
        [
            dmc.Paper(
                [
                    _legend(opened),
                    dcc.Graph(
                        id="traces",
                        config=GRAPH_CONFIG,
                        style={"height": "720px"},
                        figure={"data": [], "layout": {"height": 720}},
                    ),
                    dmc.Text(
                        "Click a point for everything known at that moment. Drag to zoom, "
                        "double-click to see the whole trip.",
                        size="sm",
                        c="dimmed",
                    ),
                ],
                p="sm",
                withBorder=True,
            ),
            dmc.Paper(
                [
                    dmc.VisuallyHidden(html.H2("Chosen moment")),
                    dcc.Store(id="moment-row"),
                    dmc.NumberInput(
                        id="moment-time-s",
                        label="Moment, seconds since the start",
                        description="Click the traces, or type a time; arrow keys step.",
                        min=0,
                        max=round(end_s, 3),
                        step=1,
                        decimalScale=3,
                        debounce=300,
                        mb="sm",
                    ),
                    html.Div(
                        dmc.Text("No moment chosen yet.", c="dimmed"),
                        id="moment",
                        **aria(live="polite"),
                    ),
                ],
                p="sm",
                withBorder=True,
                className="moment",
            ),
        ],
        className="trip-body",
    )


def _legend(opened: OpenTrip) -> Any:
    light, dark = THEMES["light"], THEMES["dark"]
    raw = f"light-dark({light.raw}, {dark.raw})"
    ideal = f"light-dark({light.ideal}, {dark.ideal})"
    fill = f"light-dark({light.ideal_fill}, {dark.ideal_fill})"
    keys = (
        ("driven", "line-key", {"borderColor": raw}),
        ("ideal", "line-key", {"borderColor": ideal, "borderTopStyle": "dashed"}),
        ("ideal band", "band-key", {"borderColor": ideal, "background": fill}),
    )
    present = set(scenes(opened.timeline))
    road = [scene_swatch(scene) for scene in SCENE_TITLES if scene in present]
    return html.Div(
        [
            *(
                html.Span([html.Span(className=key, style=style), name], className="legend-item")
                for name, key, style in keys
            ),
            *(outcome_text(outcome) for outcome in Outcome),
            html.Strong("Road:"),
            *(road or [f"no road context ({opened.stored.road_context})"]),
        ],
        className="legend",
    )


def _no_timeline(trip: StoredTrip) -> Any:
    return notice(
        "No traces",
        "The timeline of this trip is not in the results folder any more. "
        f"Scoring {trip.trip_path} again makes it anew.",
    )


def _events(opened: OpenTrip) -> Any:
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
            html.Div(_event_table(opened, 1) if count else None, id="events-table"),
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


def _event_table(opened: OpenTrip, page: int) -> Any:
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


def _provenance(trip: StoredTrip) -> Any:
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
