"""Pages, files and headers of the application, on a real store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from dash import Dash
from plotly.utils import PlotlyJSONEncoder

from dashboard.app import create_app, page
from dashboard.archive import Archive, TripAbsentError
from dashboard.trips import page_of_trips
from offline.errors import StoreError
from offline.results import ResultStore

FULL = "van-07/20260528T080000Z-abc123"
BARE = "van-08/20260529T090000Z-def456"


@pytest.fixture(scope="module")
def app(results_dir: Path) -> Dash:
    return create_app(None, results_dir)


@pytest.fixture(scope="module")
def archive(app: Dash) -> Archive:
    found: Archive = app.server.extensions["gradewise"]
    return found


def text_of(layout: Any) -> str:
    return json.dumps(layout, cls=PlotlyJSONEncoder, ensure_ascii=False)


def ask(**changed: Any) -> dict[str, Any]:
    return {"startRow": 0, "endRow": 50, "sortModel": [], "filterModel": {}} | changed


def test_the_list_is_paged_and_worded(archive: Archive) -> None:
    answer = page_of_trips(archive, ask())
    assert answer["rowCount"] == 62
    assert len(answer["rowData"]) == 50
    first = answer["rowData"][0]
    assert first["driver"] == "Jana Novák"
    assert (first["score"], first["band"], first["interval"]) == ("87", "B", "79–93")
    assert (first["without"], first["kept"], first["exonerated"]) == ("74", "1", "1")
    assert first["origin"] == "OBD simulated"
    rest = page_of_trips(archive, ask(startRow=50, endRow=100))["rowData"]
    assert len(rest) == 12
    bare = rest[-1]  # without a clock it sorts last
    assert (bare["driver"], bare["score"], bare["band"], bare["interval"]) == ("–", "–", "–", "")
    assert (bare["without"], bare["origin"]) == ("– (no video)", "No video")


def test_the_list_is_sorted_and_filtered_by_the_store(archive: Archive) -> None:
    by_score = ask(sortModel=[{"colId": "score", "sort": "asc"}], endRow=3)
    assert [row["score"] for row in page_of_trips(archive, by_score)["rowData"]] == [
        "30", "31", "32"
    ]  # fmt: skip
    one = {"filterType": "text", "type": "equals", "filter": "Ben Okoye"}
    answer = page_of_trips(archive, ask(filterModel={"driver": one}))
    assert answer["rowCount"] == 20
    assert {row["driver"] for row in answer["rowData"]} == {"Ben Okoye"}


def test_a_forged_request_gets_no_more_than_two_pages(archive: Archive) -> None:
    assert len(page_of_trips(archive, ask(endRow=10**9))["rowData"]) == 62
    assert page_of_trips(archive, ask(startRow=10, endRow=5))["rowData"] == []
    with pytest.raises(StoreError, match="sorted"):
        page_of_trips(archive, ask(sortModel=[{"colId": "1; DROP TABLE trips", "sort": "asc"}]))


def test_a_trip_page_shows_both_scores_origin_and_sentences(archive: Archive) -> None:
    shown = text_of(page(archive, f"/trips/{quote(FULL)}", ""))
    for told in (
        "Jana Novák",
        "OBD simulated",
        "likely between 79 and 93",
        "The road explains 13 points",
        "while climbing",
        "not measured",
        "a" * 64,
    ):
        assert told in shown, told
    assert len(shown) < 60_000  # no trace travels with the page


def test_a_trip_without_camera_and_score_says_so(archive: Archive) -> None:
    shown = text_of(page(archive, f"/trips/{quote(BARE)}", ""))
    for told in (
        "No score",
        "too short to score",
        "scored without: no video",
        "Driver not signed in",
        "no road context (no video)",
        "passed a limit",
    ):
        assert told in shown, told


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/trips/van-07/nope", "No such trip"),
        ("/trips/../../etc/passwd", "No such trip"),
        ("/trips/%2e%2e/secret", "No such trip"),
        ("/nowhere", "No such page"),
        ("/drivers", "Chloé Martin"),
        ("/vehicles", "van-07"),
        ("/", "trips-grid"),
        ("/trips/car-00/20260401T000000Z-x", "No traces"),
    ],
)
def test_every_address_has_a_page(path: str, told: str, archive: Archive) -> None:
    assert told in text_of(page(archive, path, ""))


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    ResultStore.open(None, tmp_path).close()
    archive = create_app(None, tmp_path).server.extensions["gradewise"]
    for path in ("/", "/drivers", "/vehicles"):
        assert "gradewise-offline score" in text_of(page(archive, path, ""))


def test_without_a_store_there_is_no_application(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="gradewise-offline score"):
        create_app(None, tmp_path)


def test_stills_and_scorecards_are_served_only_for_stored_trips(app: Dash) -> None:
    client = app.server.test_client()
    still = client.get(f"/media/stills/{FULL}/250.jpg")
    assert still.status_code == 200
    assert still.data[:2] == b"\xff\xd8"
    again = client.get(f"/media/stills/{FULL}/250.jpg",
                       headers={"If-None-Match": still.headers["ETag"]})  # fmt: skip
    assert again.status_code == 304
    assert client.get(f"/media/stills/{FULL}/251.jpg").status_code == 404
    assert client.get(f"/media/stills/{BARE}/250.jpg").status_code == 404
    assert client.get("/media/stills/../../../etc/passwd/1.jpg").status_code == 404
    pdf = client.get(f"/media/scorecards/{FULL}.pdf")
    assert pdf.data[:5] == b"%PDF-"
    assert "van-07-20260528T080000Z-abc123.pdf" in pdf.headers["Content-Disposition"]
    assert client.get("/media/scorecards/van-07/nope.pdf").status_code == 404


def test_pages_may_load_nothing_from_elsewhere(app: Dash) -> None:
    answer = app.server.test_client().get("/")
    policy = dict(
        part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert "'sha256-" in policy["script-src"]
    assert "http" not in " ".join(policy.values())
    assert b"https://" not in answer.data


def test_a_trip_scored_again_is_read_again(
    results_dir: Path, tmp_path: Path, make_trip: Any
) -> None:
    with ResultStore.open(None, tmp_path) as store:
        store.put(make_trip())
        archive = create_app(None, tmp_path).server.extensions["gradewise"]
        first = archive.open(FULL)
        assert archive.open(FULL) is first
        store.put(make_trip(driver="Somebody Else"))
        assert archive.open(FULL).stored.driver == "Somebody Else"
        with pytest.raises(TripAbsentError):
            archive.open("van-07/nope")


def test_a_lost_timeline_is_said_on_the_page(tmp_path: Path, make_trip: Any) -> None:
    with ResultStore.open(None, tmp_path) as store:
        store.put(make_trip())
    for path in (tmp_path / "timelines").rglob("*.parquet"):
        path.unlink()
    archive = create_app(None, tmp_path).server.extensions["gradewise"]
    assert "This trip cannot be shown" in text_of(page(archive, f"/trips/{FULL}", ""))


def test_the_dashboard_imports_nothing_heavy() -> None:
    code = (
        "import sys, dashboard.app, dashboard.server\n"
        "heavy = {'cv2', 'tensorflow', 'keras', 'ai_edge_litert', 'av', 'obd', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
