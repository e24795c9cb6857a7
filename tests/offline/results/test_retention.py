"""What a purge, an erasure and an export leave, take and give."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from offline.cli import group
from offline.results import Period, ResultStore
from offline.results.export import table_of, write_table
from offline.results.retention import MARK, erase_person, purge
from offline.verdicts import TripResult

MakeResult = Callable[..., TripResult]
STILLS = [(0, b"jpeg")]
SECOND_DAY = date(2026, 1, 2)


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[ResultStore]:
    with ResultStore.open(store_url, tmp_path / "results") as opened:
        yield opened


@pytest.fixture
def fleet(store: ResultStore, tmp_path: Path, make_result: MakeResult) -> list[TripResult]:
    """Eight trips on two days of two drivers in one vehicle, with their recordings."""
    results = []
    for number in range(8):
        folder = tmp_path / "trips" / f"trip-{number:05d}"
        (folder / "video").mkdir(parents=True)
        database = sqlite3.connect(folder / "trip.sqlite")
        database.executescript("CREATE TABLE stills (jpeg); INSERT INTO stills VALUES ('jpeg');")
        # Older loggers kept none.
        if number % 2:
            database.executescript(
                "CREATE TABLE motion_stills (jpeg); INSERT INTO motion_stills VALUES ('jpeg');"
            )
        database.close()
        (folder / "video" / "0000.mp4").write_bytes(b"v" * 1000)
        result = make_result(number, driver="ann" if number % 2 else "bob", trip_path=str(folder))
        store.put(result, STILLS)
        results.append(result)
    return results


def test_a_purge_of_timelines_takes_the_seconds_and_leaves_the_scores(
    store: ResultStore, fleet: list[TripResult]
) -> None:
    counted = purge(store, SECOND_DAY, timelines=True, dry_run=True)
    assert store.trip(fleet[0].trip_id).has_timeline
    removed = purge(store, SECOND_DAY, timelines=True)
    assert counted == removed
    assert (removed.trips, removed.files, removed.folders) == (4, 8, 0)
    for number, result in enumerate(fleet):
        trip = store.trip(result.trip_id)
        assert trip.has_timeline == trip.has_labels == (number >= 4)
        assert trip.has_stills
        assert trip.score == result.score
        assert store.events(result.trip_id) == result.verdicts
    assert len(store.files.names()) == 8 * 3 - 8
    assert purge(store, SECOND_DAY, timelines=True).trips == 0


def test_a_purge_of_video_takes_pictures_and_marks_the_trip(
    store: ResultStore, fleet: list[TripResult]
) -> None:
    removed = purge(store, SECOND_DAY, video=True)
    assert (removed.trips, removed.files) == (4, 8)
    for number, result in enumerate(fleet):
        folder = Path(result.trip_path)
        assert (folder / "video" / "0000.mp4").exists() == (number >= 4)
        assert (folder / MARK).exists() == (number < 4)
        assert (store.still(result.trip_id, 0) is not None) == (number >= 4)
        assert store.trip(result.trip_id).has_timeline
    for number, tables in ((0, ["stills"]), (1, ["stills", "motion_stills"])):
        database = sqlite3.connect(Path(fleet[number].trip_path) / "trip.sqlite")
        for table in tables:
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        database.close()
    assert purge(store, SECOND_DAY, video=True).trips == 0


def test_a_purge_of_personal_data_leaves_trips_of_nobody(
    store: ResultStore, fleet: list[TripResult]
) -> None:
    store.put(replace(fleet[0], score=replace(fleet[0].score, value=1.0)), STILLS)
    removed = purge(store, SECOND_DAY, personal=True)
    assert (removed.trips, removed.folders) == (4, 4)
    assert [store.trip(result.trip_id).driver for result in fleet] == [""] * 4 + [
        "bob", "ann", "bob", "ann",
    ]  # fmt: skip
    assert store.history(fleet[0].trip_id) == []
    assert [s.trips for s in store.drivers()] == [2, 2]
    assert [s.trips for s in store.vehicles()] == [8]
    assert [Path(result.trip_path).exists() for result in fleet] == [False] * 4 + [True] * 4


def test_an_erased_driver_is_gone_and_only_that_driver(
    store: ResultStore, fleet: list[TripResult]
) -> None:
    store.put(replace(fleet[1], score=replace(fleet[1].score, value=1.0)), STILLS)
    counted = erase_person(store, "ann", recordings=True, dry_run=True)
    assert store.count_trips() == 8
    assert erase_person(store, "ann", recordings=True) == counted
    assert (counted.trips, counted.folders) == (4, 4)
    assert {row.driver for row in store.trips()} == {"bob"}
    assert [s.name for s in store.drivers()] == ["bob"]
    assert [s.trips for s in store.vehicles(Period.year(2026))] == [4]
    assert store.history(fleet[1].trip_id) == []
    assert len(store.files.names()) == 4 * 3
    assert store.erased() == {r.provenance.trip_sha256 for r in fleet if r.driver == "ann"}
    assert [Path(r.trip_path).exists() for r in fleet] == [r.driver == "bob" for r in fleet]
    with store.transaction() as connection:
        everything = [
            str(value)
            for table in ("trips", "drivers", "history", "driver_days", "driver_months", "events")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
            for value in row
        ]
    assert not [value for value in everything if "ann" in value.split()]


@pytest.mark.parametrize("file_format", ["csv", "parquet", "xlsx"])
def test_an_exported_table_is_read_back(
    file_format: str, store: ResultStore, fleet: list[TripResult], tmp_path: Path
) -> None:
    if store.engine.dialect.name == "postgresql" and file_format != "csv":
        pytest.skip("the format does not depend on the database")
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "xlsx": _read_xlsx}[file_format]
    sizes = {}
    for subject in ("trips", "events", "drivers", "vehicles"):
        table = table_of(store, subject, Period(SECOND_DAY, SECOND_DAY))
        path = tmp_path / f"{subject}.{file_format}"
        write_table(table, path, file_format)
        again = read(path)
        assert list(again.columns) == list(table.columns)
        sizes[subject] = len(again)
        if subject == "trips":
            assert again["trip_id"].tolist() == [r.trip_id for r in fleet[4:]]
            assert again["score"].tolist() == [r.score.value for r in fleet[4:]]
        if subject == "events":
            assert pd.isna(again["probability"].iloc[2])
            assert again["outcome"].iloc[1] == "exonerated"
    assert sizes == {"trips": 4, "events": 12, "drivers": 2, "vehicles": 1}


def _read_xlsx(path: Path) -> pd.DataFrame:
    """Read the cells of a sheet; pandas' reader is not among our dependencies."""
    import zipfile
    from xml.etree import ElementTree

    space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        strings = [
            "".join(node.itertext())
            for node in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in sheet.iterfind(".//m:row", space):
        cells = {}
        for cell in row.iterfind("m:c", space):
            value = cell.findtext("m:v", namespaces=space)
            column = "".join(c for c in cell.attrib["r"] if c.isalpha())
            if value is not None:
                is_text = cell.get("t") == "s"
                cells[column] = strings[int(value)] if is_text else float(value)
        rows.append(cells)
    table = pd.DataFrame([[row.get(c) for c in rows[0]] for row in rows[1:]])
    return table.set_axis(list(rows[0].values()), axis=1)


def test_a_driver_called_like_a_formula_stays_a_name(
    tmp_path: Path, make_result: MakeResult
) -> None:
    with ResultStore.open(None, tmp_path / "r") as store:
        store.put(make_result(1, driver="=1+1"))
        table = table_of(store, "trips", Period())
    write_table(table, tmp_path / "t.xlsx", "xlsx")
    assert _read_xlsx(tmp_path / "t.xlsx")["driver"].tolist() == ["=1+1"]


def test_the_commands_ask_before_they_delete(
    tmp_path: Path, make_result: MakeResult, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "r"
    with ResultStore.open(None, results) as store:
        store.put(make_result(1), STILLS)
    where = ["--results", str(results)]

    def say(*arguments: str) -> tuple[int, str, str]:
        code = group.run([*arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, err = say("purge", *where, "--before", "2026-02-01", "--timelines")
    assert (code, out.split()[:4]) == (0, ["would", "remove", "2", "files"])
    assert "--yes" in err
    assert say("purge", *where, "--before", "2026-02-01")[0] == 2
    code, out, _ = say("purge", *where, "--before", "2026-02-01", "--timelines", "--yes", "--json")
    assert (code, json.loads(out)["files"]) == (0, 2)

    code, out, _ = say("person", "export", *where, "ann")
    document = json.loads(out)
    assert (code, document["trips"][0]["score"]["value"]) == (0, 81.0)
    assert len(document["trips"][0]["events"]) == 3
    assert document["months"][0]["trips"] == 1
    code, out, err = say("person", "export", *where, "nobody")
    assert (code, out) == (2, "")
    assert "nothing is stored about a driver 'nobody'" in err
    assert say("person", "erase", *where, "ann")[1].startswith("would erase 1 trips")
    assert say("person", "erase", *where, "ann", "--yes")[1].startswith("erased 1 trips")
    assert say("export", "trips", *where, "--out", str(tmp_path / "t.csv"))[0] == 0
    assert (tmp_path / "t.csv").read_text().count("\n") == 1
    assert say("export", "trips", *where, "--out", str(tmp_path / "t.doc"))[0] == 2
    assert say("failed", *where)[1] == "no trip is set aside\n"
