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
    notice,
    outcome_text,
    scene_swatch,
)
from dashboard.eventtable import event_table, events
from dashboard.moment import moment, row_at
from dashboard.panel import moment_panel
from dashboard.roadstrip import tints
from dashboard.themes import THEMES
from dashboard.timeaxis import cursor, zoom_window
from dashboard.traces import figure, traces
from dashboard.tripsummary import head, provenance, score_card
from offline.results.display import (
    SCENE_TITLES,
)
from offline.results.lanes import peak_row, scenes
from offline.results.rows import StoredTrip
from offline.verdicts import Outcome

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
            head(opened.stored),
            score_card(opened.stored),
            _drive(opened) if len(opened.timeline) else _no_timeline(opened.stored),
            events(opened),
            provenance(opened.stored),
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
        return no_update if page is None else event_table(archive.open(trip_id), page)


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
        ("ideal", "line-key ideal", {"borderColor": ideal}),
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
