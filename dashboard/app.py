"""The application: pages over a result store."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard import media, security, standings, trip, trips
from dashboard.archive import Archive, TripAbsentError
from dashboard.badges import aria, notice
from dashboard.themes import FONTS
from offline.errors import StoreError
from offline.results.store import ResultStore

_NAVIGATION = (("Trips", "/"), ("Drivers", "/drivers"), ("Vehicles", "/vehicles"))


def create_app(store_url: str | None, results_dir: str | Path) -> Dash:
    """Make the application on a result store, opened read-only.

    Parameters
    ----------
    store_url : str or None
        As for `offline.results.store.ResultStore.open`.
    results_dir : str or Path

    Raises
    ------
    StoreError
        If there is no such store, or it has a schema this program does not know.
    """
    archive = Archive(ResultStore.open(store_url, results_dir, read_only=True))
    app = Dash(
        __name__,
        title="Gradewise",
        update_title="",
        suppress_callback_exceptions=True,
        serve_locally=True,
        include_assets_files=True,
    )
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    app.layout = _shell()
    app.server.extensions["gradewise"] = archive
    _register(app, archive)
    trips.register(app, archive)
    trip.register(app, archive)
    standings.register(app, archive)
    media.register(app.server, archive)
    security.register(app)
    return app


def page(archive: Archive, pathname: str | None, query: str | None) -> Any:
    """Build the page that an address means."""
    parts = [unquote(part) for part in (pathname or "/").strip("/").split("/") if part]
    if not parts:
        return trips.layout(archive, query or "")
    if parts in (["drivers"], ["vehicles"]):
        return standings.layout(archive, parts[0].removesuffix("s"))
    if parts[0] == "trips" and len(parts) > 1:
        try:
            return trip.layout(archive, "/".join(parts[1:]))
        except TripAbsentError:
            return notice(
                "No such trip",
                "The store has no trip of that name; it may have been purged.",
                dmc.Anchor("All trips", href="/", refresh=False),
            )
        except StoreError as problem:
            return notice("This trip cannot be shown", str(problem))
    return notice("No such page", dmc.Anchor("All trips", href="/", refresh=False))


def _shell() -> Any:
    return dmc.MantineProvider(
        [
            dcc.Location(id="address", refresh="callback-nav"),
            dcc.Store(id="theme", storage_type="local"),
            html.A("Skip to the content", href="#page", className="skip"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(
                        dmc.Group(
                            [
                                dmc.Group(
                                    [
                                        dmc.Text("Gradewise", fw=800, size="xl"),
                                        html.Nav(
                                            dmc.Group(
                                                [
                                                    dmc.Anchor(title, href=href, refresh=False)
                                                    for title, href in _NAVIGATION
                                                ],
                                                gap="md",
                                                wrap="nowrap",
                                            ),
                                            **aria(label="Pages"),
                                        ),
                                    ],
                                    gap="lg",
                                    wrap="nowrap",
                                ),
                                dmc.ActionIcon(
                                    "◐",
                                    id="theme-choice",
                                    variant="default",
                                    size="lg",
                                    **aria(label="Light or dark"),
                                ),
                            ],
                            h="100%",
                            px="md",
                            wrap="nowrap",
                            justify="space-between",
                        )
                    ),
                    dmc.AppShellMain(html.Div(id="page", tabIndex="-1")),
                ],
                header={"height": 56},
                padding="md",
            ),
        ],
        id="provider",
        theme={
            "fontFamily": FONTS,
            "primaryColor": "blue",
            "primaryShade": {"light": 8, "dark": 8},
        },
    )


def _register(app: Dash, archive: Archive) -> None:
    @app.callback(
        Output("page", "children"), Input("address", "pathname"), Input("address", "search")
    )
    def routed(pathname: str | None, query: str | None) -> Any:
        return page(archive, pathname, query)

    app.clientside_callback(
        ClientsideFunction("gradewise", "choose"),
        Output("theme", "data"),
        Input("theme-choice", "n_clicks"),
        State("theme", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("gradewise", "wear"),
        Output("provider", "forceColorScheme"),
        Input("theme", "data"),
    )
