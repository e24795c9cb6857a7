"""Taking offloaded trips in: verified, once, whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from offline.errors import InputError
from offline.ingest import Outcome, ingest
from onboard.trip import Trip, TripWriter, find_trips


def make_trip(root: Path, trip_id: str = "drive", rpm: float = 900) -> Path:
    writer = TripWriter.create(root, vehicle="v", driver="d", trip_id=trip_id)
    writer.add_sample(1, "rpm", rpm)
    writer.close("test")
    return writer.path


def test_twice_changes_nothing(tmp_path: Path) -> None:
    arrived, archive = tmp_path / "arrived", tmp_path / "archive"
    source = make_trip(arrived)
    (source / "sent.json").write_text("{}")
    (first,) = ingest(arrived, archive)
    assert first.outcome is Outcome.TAKEN
    assert first.target == archive / "v" / "drive"
    with Trip.open(archive / "v" / "drive") as trip:
        trip.verify()
    before = (archive / "v" / "drive" / "manifest.json").stat().st_mtime_ns
    (second,) = ingest(arrived, archive)
    assert second.outcome is Outcome.KNOWN
    assert (archive / "v" / "drive" / "manifest.json").stat().st_mtime_ns == before


def test_removing_what_is_safe(tmp_path: Path) -> None:
    arrived, archive = tmp_path / "arrived", tmp_path / "archive"
    make_trip(arrived, "a")
    open_trip = TripWriter.create(arrived, vehicle="v", driver="d", trip_id="b")
    results = {r.source.name: r.outcome for r in ingest(arrived, archive, remove=True)}
    assert results == {"a": Outcome.TAKEN, "b": Outcome.ARRIVING}
    assert list(find_trips(arrived)) == [open_trip.path]
    open_trip.close("test")


def test_damage_on_the_way_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    arrived, archive = tmp_path / "arrived", tmp_path / "archive"
    source = make_trip(arrived)
    with (source / "trip.sqlite").open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    (result,) = ingest(arrived, archive, remove=True)
    assert result.outcome is Outcome.REFUSED
    assert "SHA-256" in result.problem
    assert source.exists()
    assert not list(archive.rglob("*.sqlite"))


def test_other_content_under_the_same_name_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    make_trip(tmp_path / "one", rpm=900)
    make_trip(tmp_path / "two", rpm=901)
    list(ingest(tmp_path / "one", archive))
    (result,) = ingest(tmp_path / "two", archive)
    assert result.outcome is Outcome.REFUSED
    assert "other content" in result.problem
    with Trip.open(archive / "v" / "drive") as trip:
        assert trip.samples()["rpm"].value.tolist() == [900]


def test_an_archive_that_cannot_be_written(tmp_path: Path) -> None:
    make_trip(tmp_path / "arrived")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        list(ingest(tmp_path / "arrived", tmp_path / "file" / "archive"))


def test_as_a_program(tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "offline.cli", "ingest", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    make_trip(tmp_path / "arrived")
    shutil.copytree(tmp_path / "arrived" / "v", tmp_path / "arrived" / "w")
    done = run(tmp_path / "arrived", "--to", tmp_path / "archive", "--json")
    assert done.returncode == 0, done.stderr
    assert [r["outcome"] for r in json.loads(done.stdout)] == ["taken", "taken"]
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", "--to", tmp_path / "archive").returncode == 2
    assert run(tmp_path / "nowhere", "--to", tmp_path / "archive").returncode == 2
