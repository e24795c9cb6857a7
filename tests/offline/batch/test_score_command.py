"""`gradewise-offline score` as a person runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from offline.cli import group
from offline.results import ResultStore
from offline.results.schema import NO_ROAD_CONTEXT

MakeTrip = Callable[..., Path]


def score(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = group.run(["score", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_fleet_is_scored_once_and_shown_every_time(
    tmp_path: Path, make_trip: MakeTrip, capsys: pytest.CaptureFixture[str]
) -> None:
    root, results = tmp_path / "my trips", tmp_path / "results"
    trips = [make_trip(root, n, seconds=20) for n in range(2)]
    code, out, err = score(capsys, root, "--results", results, "--workers", 2)
    assert (code, err) == (0, "")
    assert "2 scored" in out
    for trip in trips:
        assert f"van-1/{trip.name}" in out
    assert "simulated" in out

    code, out, _ = score(capsys, root, "--results", results, "--json")
    told = json.loads(out)
    assert (code, told["scored"], len(told["unchanged"])) == (0, [], 2)
    first = told["trips"][0]
    assert first["provenance"]["software"].startswith("gradewise ")
    assert first["origin"]["obd"] == "simulated"
    with ResultStore.open(None, results, read_only=True) as store:
        trip_id = first["trip_id"]
        assert len(store.labels(trip_id)) == 40
        assert store.still_frames(trip_id) == list(range(0, 120, 3))
        assert len(store.timeline(trip_id)) >= 99

    code, out, _ = score(capsys, trips[0], "--results", results, "--no-road-context")
    assert (code, "1 scored" in out, "without road context" in out) == (0, True, True)
    with ResultStore.open(None, results, read_only=True) as store:
        assert store.trip(trip_id).road_context == "camera"
        assert store.trip(trip_id, NO_ROAD_CONTEXT).road_context == "switched off"
        assert store.count_trips() == 2


def test_a_trip_that_failed_gives_exit_code_1_and_its_reason(
    tmp_path: Path, make_trip: MakeTrip, capsys: pytest.CaptureFixture[str]
) -> None:
    root, results = tmp_path / "trips", tmp_path / "results"
    bad = make_trip(root, 1, seconds=0, stills=False)
    code, out, _ = score(capsys, root, "--results", results)
    assert code == 1
    assert "0 scored, 1 failed" in out
    assert "no samples and no frames" in out
    code, out, _ = score(capsys, root, "--results", results)
    assert (code, "1 set aside before" in out) == (0, True)
    assert score(capsys, bad, "--results", results)[0] == 1
    # A wrong clock is set aside, unless it may count without a date.
    lost_clock = make_trip(root, 2, seconds=5, stills=False, started_utc_ns=1_000_000_000)
    code, out, _ = score(capsys, root, "--results", results)
    assert (code, "its clock says 1970-01-01" in out) == (1, True)
    assert score(capsys, lost_clock, "--results", results, "--undated")[0] == 0
    with ResultStore.open(None, results, read_only=True) as store:
        (row,) = store.trips()
        assert row.started_utc_ns is None
        assert [Path(one.trip_path).name for one in store.failed()] == [bad.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/empty"], "holds no trip"),
        (["{tmp}/half", "--store", "sqlite:////proc/x/y.sqlite"], "cannot make the store's"),
        (
            ["{tmp}/half", "--store", "sqlite:////proc/y.sqlite"],
            "cannot open the store /proc/y.sqlite: unable to open database file",
        ),
        (["{tmp}/half", "--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers"),
        (["{tmp}/empty", "--model", "none"], "no released model 'none'"),
        (["{tmp}/empty", "--policy", "{tmp}/none.toml"], "none.toml"),
        (["{tmp}/half", "--results", "/proc/results"], "/proc/results"),
        (["{tmp}/nowhere"], "does not exist"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "trip.sqlite").touch()
    if "--results" not in arguments:
        arguments = [*arguments, "--results", f"{tmp_path}/results"]
    code, out, err = score(capsys, *(a.replace("{tmp}", str(tmp_path)) for a in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1 or "Usage" in err
    assert not (tmp_path / "results").exists()
    assert "Traceback" not in err


def test_scoring_again_lists_what_changed(
    tmp_path: Path, make_trip: MakeTrip, capsys: pytest.CaptureFixture[str]
) -> None:
    root, results = tmp_path / "100%? #1 trips", tmp_path / "100%? #1 results"
    trip = make_trip(root, 1, seconds=20)
    assert score(capsys, root, "--results", results)[0] == 0
    assert (results / "gradewise.sqlite").is_file()
    code, out, _ = score(capsys, root, "--results", results, "--rescore")
    assert (code, "Scored again with the same result: 1." in out) == (0, True)
    # Another policy, under which the idling at the start or the score differs.
    stricter = tmp_path / "stricter.toml"
    text = (files("offline") / "policies" / "car.toml").read_text("utf-8")
    stricter.write_text(re.sub(r"half_points = [\d.]+", "half_points = 20.0", text))
    code, out, _ = score(capsys, root, "--results", results, "--policy", stricter)
    assert (code, "Changed by scoring again:" in out) == (0, True)
    assert re.search(rf"van-1/{trip.name}: score [\d.]+ is now [\d.]+", out)


@pytest.mark.parametrize(
    "command", [["failed", "--forget"], ["purge", "--before", "2026-01-01", "--video", "--yes"]]
)
def test_what_only_takes_away_makes_no_store(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert group.run([*command, "--results", str(tmp_path / "results")]) == 2
    assert "there is no store at" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
