"""The page that lists the trips, a page of rows at a time."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from dashboard.archive import Archive
from dashboard.badges import aria, notice, trip_href
from offline.results.display import (
    BAND_COLOURS,
    BAND_TEXT_COLOURS,
    MISSING,
    number,
    origin_text,
    utc_text,
)
from offline.results.rows import TripFilter, TripRow
from offline.verdicts import has_road_context

PAGE_ROWS: Final = 50

_COLUMNS: Final[list[dict[str, Any]]] = [
    {
        "field": "started",
        "headerName": "Trip",
        "cellRenderer": "TripLink",
        "sortable": True,
        "sort": "desc",
        "filter": "agTextColumnFilter",
        "minWidth": 190,
        "flex": 2,
    },
    {
        "field": "driver",
        "headerName": "Driver",
        "sortable": True,
        "filter": "agTextColumnFilter",
        "minWidth": 160,
        "flex": 2,
    },
    {
        "field": "vehicle",
        "headerName": "Vehicle",
        "sortable": True,
        "filter": "agTextColumnFilter",
        "minWidth": 110,
        "flex": 1.3,
    },
    {
        "field": "score",
        "headerName": "Score (likely range)",
        "cellRenderer": "ScoreCell",
        "sortable": True,
        "minWidth": 180,
        "flex": 1.6,
    },
    {"field": "without", "headerName": "Without road context", "minWidth": 110, "flex": 1},
    {
        "field": "distance",
        "headerName": "Distance, km",
        "sortable": True,
        "type": "rightAligned",
        "minWidth": 100,
        "flex": 0.9,
    },
    {
        "headerName": "Events",
        "children": [
            {"field": "kept", "headerName": "▼ kept", "type": "rightAligned", "width": 95},
            {
                "field": "exonerated",
                "headerName": "● exonerated",
                "type": "rightAligned",
                "width": 130,
            },
            {
                "field": "undetermined",
                "headerName": "□ undeter\u00admined",
                "type": "rightAligned",
                "width": 130,
            },
        ],
    },
    {
        "field": "spared",
        "headerName": "Points spared",
        "headerTooltip": "What the exonerated events would have cost without road context",
        "sortable": True,
        "type": "rightAligned",
        "minWidth": 100,
        "flex": 0.9,
    },
    {"field": "origin", "headerName": "Origin", "minWidth": 150, "flex": 1.6},
]


def layout(archive: Archive, query: str) -> Any:
    """Build the page; `query` may name a driver or a vehicle to begin with."""
    if archive.store.count_trips() == 0:
        return notice(
            "No trips yet",
            "This store holds no scored trip. Score a folder of trips with the same --store and "
            "--results as this dashboard:",
            dmc.Code("gradewise-offline score TRIPS --store URL --results DIR", block=True),
        )
    asked = parse_qs(query.removeprefix("?"))
    drivers = sorted(standing.name for standing in archive.store.drivers())
    vehicles = sorted(standing.name for standing in archive.store.vehicles())
    return dmc.Stack(
        [
            dmc.Group(
                [
                    html.Div(
                        [
                            dmc.Title("Trips", order=1),
                            dmc.Text(id="trips-count", c="dimmed", **aria(live="polite")),
                        ]
                    ),
                    dmc.Group(
                        [
                            dmc.TextInput(
                                id="trips-text",
                                label="Search",
                                placeholder="trip, vehicle or driver",
                                debounce=300,
                                w=220,
                            ),
                            _select("trips-driver", "Driver", drivers, asked.get("driver")),
                            _select("trips-vehicle", "Vehicle", vehicles, asked.get("vehicle")),
                        ],
                        align="end",
                    ),
                ],
                justify="space-between",
                align="end",
            ),
            dag.AgGrid(
                id="trips-grid",
                columnDefs=_COLUMNS,
                defaultColDef={
                    "sortable": False,
                    "resizable": True,
                    "wrapHeaderText": True,
                    "autoHeaderHeight": True,
                    "suppressHeaderMenuButton": True,
                    "suppressHeaderFilterButton": True,
                },
                rowModelType="infinite",
                getRowId="params.data.trip_id",
                dashGridOptions={
                    "cacheBlockSize": PAGE_ROWS,
                    "maxBlocksInCache": 10,
                    "rowHeight": 44,
                    "pagination": True,
                    "paginationPageSize": PAGE_ROWS,
                    "paginationPageSizeSelector": False,
                    "ensureDomOrder": True,
                    "suppressMultiSort": True,
                },
                className="trips-grid",
                style={"height": "calc(100vh - 190px)", "minHeight": "320px"},
            ),
        ],
        gap="md",
    )


def register(app: Dash, archive: Archive) -> None:
    """Add the page's callbacks to an application."""

    @app.callback(
        Output("trips-grid", "filterModel"),
        Input("trips-text", "value"),
        Input("trips-driver", "value"),
        Input("trips-vehicle", "value"),
    )
    def filtered(text: str | None, driver: str | None, vehicle: str | None) -> dict[str, Any]:
        wanted = {"started": (text or "").strip(), "driver": driver, "vehicle": vehicle}
        return {
            column: {"filterType": "text", "type": "equals", "filter": value}
            for column, value in wanted.items()
            if value
        }

    @app.callback(
        Output("trips-grid", "getRowsResponse"),
        Output("trips-count", "children"),
        Input("trips-grid", "getRowsRequest"),
        State("trips-grid", "id"),
    )
    def rows(request: dict[str, Any] | None, _grid: str) -> Any:
        if request is None:
            return no_update, no_update
        answer = page_of_trips(archive, request)
        count = answer["rowCount"]
        said = "1 trip" if count == 1 else f"{count} trips" if count else "No trip matches."
        return answer, said


def page_of_trips(archive: Archive, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a grid's request for rows.

    Parameters
    ----------
    request : dict
        AG Grid's `getRowsRequest`: `startRow`, `endRow`, `sortModel`, `filterModel`.

    Returns
    -------
    dict
        `rowData`, worded, and `rowCount`, the number of trips the filters leave.
    """
    filters = request.get("filterModel") or {}

    def chosen(column: str) -> str | None:
        value = filters.get(column, {}).get("filter")
        return value if isinstance(value, str) and value else None

    wanted = TripFilter(text=chosen("started"), driver=chosen("driver"), vehicle=chosen("vehicle"))
    sort = next(iter(request.get("sortModel") or []), {"colId": "started", "sort": "desc"})
    order = ("-" if sort["sort"] == "desc" else "") + str(sort["colId"])
    start = max(int(request.get("startRow", 0)), 0)
    # A page is what this page asks for; a forged request gets no more.
    limit = min(max(int(request.get("endRow", PAGE_ROWS)) - start, 0), 2 * PAGE_ROWS)
    trips = archive.store.trips(wanted, order, limit, start)
    intervals = archive.intervals([trip.trip_id for trip in trips])
    return {
        "rowData": [_row(trip, intervals.get(trip.trip_id)) for trip in trips],
        "rowCount": archive.store.count_trips(wanted),
    }


def _row(trip: TripRow, interval: tuple[float, float] | None) -> dict[str, Any]:
    band = trip.band or ""
    return {
        "trip_id": trip.trip_id,
        "href": trip_href(trip.trip_id),
        "started": trip.trip_id if trip.started_utc_ns is None else utc_text(trip.started_utc_ns),
        "driver": trip.driver or MISSING,
        "vehicle": trip.vehicle,
        "score": number(trip.score),
        "band": band or MISSING,
        "interval": "" if interval is None else f"{interval[0]:.0f}–{interval[1]:.0f}",
        "colour": BAND_COLOURS.get(band, ""),
        "text_colour": BAND_TEXT_COLOURS.get(band, ""),
        "without": number(trip.score_without_context)
        if has_road_context(trip.road_context)
        else f"{MISSING} ({trip.road_context})",
        "distance": number(trip.distance_km, 1),
        "kept": str(trip.events_kept),
        "exonerated": str(trip.events_exonerated),
        "undetermined": str(trip.events_undetermined),
        "spared": number(trip.points_spared, 1),
        "origin": origin_text(trip.origin) or "Recorded",
    }


def _select(name: str, label: str, names: list[str], asked: list[str] | None) -> Any:
    return dmc.Select(
        id=name,
        label=label,
        placeholder="all",
        data=names,
        value=asked[0] if asked and asked[0] in names else None,
        searchable=True,
        clearable=True,
        # The rest is found by typing: a fleet has thousands of drivers.
        limit=50,
        nothingFoundMessage=f"no such {label.lower()}",
        w=200,
    )
