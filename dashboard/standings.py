"""The pages of drivers and of vehicles, from the store's summaries."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from dashboard.archive import Archive
from dashboard.badges import notice
from offline.results.display import number
from offline.results.rows import Standing

PAGE_ROWS = 50


def layout(archive: Archive, who: str) -> Any:
    """Build the page of all `driver`s or all `vehicle`s."""
    standings = _standings(archive, who)
    if not standings:
        sentence = (
            "No driver signed in on any scored trip: `gradewise-onboard driver` does that."
            if who == "driver" and archive.store.count_trips()
            else "This store holds no scored trip yet: `gradewise-offline score` fills it."
        )
        return notice(f"No {who}s yet", sentence)
    pages = -(-len(standings) // PAGE_ROWS)
    return dmc.Stack(
        [
            dmc.Title(f"{who.capitalize()}s", order=1),
            dmc.Text(
                "All trips together, scored by the formula of a single trip, with the interval; "
                "events per 100 km count only those that were kept.",
                c="dimmed",
            ),
            html.Div(_table(standings[:PAGE_ROWS], who), id="standings-table"),
            dmc.Pagination(
                id="standings-page",
                total=pages,
                value=1,
                style={} if pages > 1 else {"display": "none"},
            ),
            dmc.Box(who, id="standings-who", display="none"),
        ],
        gap="md",
    )


def register(app: Dash, archive: Archive) -> None:
    """Add the pages' callbacks to an application."""

    @app.callback(
        Output("standings-table", "children"),
        Input("standings-page", "value"),
        State("standings-who", "children"),
        prevent_initial_call=True,
    )
    def turned(page: int | None, who: str) -> Any:
        if page is None or who not in ("driver", "vehicle"):
            return no_update
        start = (page - 1) * PAGE_ROWS
        return _table(_standings(archive, who)[start : start + PAGE_ROWS], who)


def _standings(archive: Archive, who: str) -> list[Standing]:
    return archive.store.drivers() if who == "driver" else archive.store.vehicles()


def _table(standings: list[Standing], who: str) -> Any:
    heads = (
        who.capitalize(),
        "Score",
        "Without road context",
        "Trips",
        "Distance, km",
        "Events per 100 km",
        "Exonerated",
        "Undetermined",
        "Points spared",
        "Simulated trips",
    )
    return dmc.TableScrollContainer(
        dmc.Table(
            [
                dmc.TableThead(
                    dmc.TableTr(
                        [
                            dmc.TableTh(head, ta="left" if not column else "right")
                            for column, head in enumerate(heads)
                        ]
                    )
                ),
                dmc.TableTbody([_line(standing, who) for standing in standings]),
            ],
            striped=True,
            highlightOnHover=True,
            withTableBorder=True,
        ),
        minWidth=900,
    )


def _score(standing: Standing) -> Any:
    if standing.score is None:
        return dmc.Text(standing.reason, size="sm", c="dimmed", span=True)
    interval = f" ({number(standing.low)} to {number(standing.high)})"
    return f"{number(standing.score, 1)} {standing.band}{interval}"


def _line(standing: Standing, who: str) -> Any:
    cells = (
        _score(standing),
        number(standing.score_without_context, 1),
        str(standing.trips),
        number(standing.distance_km, 1),
        number(standing.events_per_100_km, 1),
        str(standing.events_exonerated),
        str(standing.events_undetermined),
        number(standing.points_spared, 1),
        str(standing.simulated_trips) if standing.simulated_trips else "none",
    )
    return dmc.TableTr(
        [
            dmc.TableTh(
                dmc.Anchor(
                    standing.name, href=f"/?{urlencode({who: standing.name})}", refresh=False
                )
            ),
            *(dmc.TableTd(cell, ta="right") for cell in cells),
        ]
    )
