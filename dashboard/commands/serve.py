"""`gradewise-dashboard serve`."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Result store, sqlite:///FILE or postgresql://…  [default: gradewise.sqlite in --results]",
)
@click.option(
    "--results",
    "results_dir",
    metavar="DIR",
    default="results",
    show_default=True,
    help="Folder of timelines, labels and stills.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8050, show_default=True, help="Its port."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Processes that answer, eight threads each.",
)
def command(store_url: str | None, results_dir: str, host: str, port: int, workers: int) -> None:
    """Serve the scored trips of a result store as web pages.

    The store is only read. There is no login: keep to 127.0.0.1, or put a server that asks for
    one in front.
    """
    from dashboard.server import serve

    serve(store_url, results_dir, host=host, port=port, workers=workers)
