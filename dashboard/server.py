"""The web server: gunicorn around the application."""

from __future__ import annotations

import socket
from typing import Any

import click
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from dashboard.errors import ServeError

THREADS = 8


def serve(store_url: str | None, results_dir: str, *, host: str, port: int, workers: int) -> None:
    """Serve until interrupted.

    Raises
    ------
    StoreError
        If the store cannot be opened.
    ServeError
        If nothing can listen on that address.
    """
    _claim(host, port)
    # Dash takes seconds to import: not before the address is known to be free.
    from dashboard.app import create_app

    app = create_app(store_url, results_dir)
    # Dash registers component libraries at the first request (its issue 3971): workers forked
    # before it would answer the first page with an error.
    with app.server.test_client() as client:
        client.get("/")
        client.get("/_dash-layout")
        client.get("/_dash-dependencies")
    # A database connection must not be shared by forked processes.
    app.server.extensions["gradewise"].store.close()
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Gradewise dashboard on http://{shown}:{port}/  (Ctrl-C stops it)", err=True)
    _Server(app.server, f"{shown}:{port}", workers).run()


class _Server(BaseApplication):
    def __init__(self, wsgi: Any, address: str, workers: int) -> None:
        self._wsgi = wsgi
        self._settings = {
            "bind": address,
            "workers": workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "preload_app": True,
            "loglevel": "warning",
            "timeout": 60,
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._wsgi


def _claim(host: str, port: int) -> None:
    """Find out now what gunicorn would retry for five seconds and then log as a traceback."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ServeError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --host or --port"
        ) from None
