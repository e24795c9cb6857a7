"""Files that the pages link to: camera stills and PDF scorecards."""

from __future__ import annotations

from flask import Flask, Response, abort, request
from werkzeug.http import generate_etag

from dashboard.archive import Archive, TripAbsentError
from offline.results.scorecard import scorecard_pdf


def register(server: Flask, archive: Archive) -> None:
    """Add the routes to a server. Every one asks the store whether it has that trip."""

    @server.get("/media/stills/<path:trip_id>/<int:frame>.jpg")
    def still(trip_id: str, frame: int) -> Response:
        try:
            archive.trip(trip_id)
            jpeg = archive.store.still(trip_id, frame)
        except TripAbsentError:
            jpeg = None
        if jpeg is None:
            abort(404)
        return _answer(jpeg, "image/jpeg")

    @server.get("/media/scorecards/<path:trip_id>.pdf")
    def scorecard(trip_id: str) -> Response:
        try:
            opened = archive.open(trip_id)
        except TripAbsentError:
            abort(404)
        pdf = scorecard_pdf(opened.stored, opened.verdicts, opened.timeline)
        response = _answer(pdf, "application/pdf")
        name = trip_id.replace("/", "-")
        response.headers.set("Content-Disposition", "attachment", filename=f"{name}.pdf")
        return response


def _answer(content: bytes, kind: str) -> Response:
    response = Response(content, mimetype=kind)
    # A trip scored again may have another picture under the same address: ask each time, and
    # send it only if it changed.
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(generate_etag(content))
    response.make_conditional(request)
    return response
