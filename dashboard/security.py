"""Headers that keep a page to its own server."""

from __future__ import annotations

from dash import Dash
from flask import Response


def register(app: Dash) -> None:
    """Let pages load nothing from elsewhere and run no script but the dashboard's own."""
    # Dash starts its renderer in an inline script: its hash is allowed, nothing else inline.
    scripts = " ".join(app.csp_hashes())
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {scripts}".rstrip(),
            # Mantine, AG Grid and plotly.js set styles from scripts.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )

    @app.server.after_request
    def sealed(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response
