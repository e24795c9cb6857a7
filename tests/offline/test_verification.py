"""A stored result is the recomputed one, or it is said what differs."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offline.cli import group
from offline.pipeline import score_trip
from offline.policy import load_policy
from offline.results import ResultStore
from offline.verdicts import TripResult
from offline.verification import compare
from onboard.trip import TripWriter

from .golden.make_golden import HERE

CAR = load_policy("car")


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real trip folder with the samples of a golden recording, and no video."""
    root = tmp_path_factory.mktemp("trips")
    writer = TripWriter.create(root, vehicle="van-7", driver="Ada", vehicle_class="car")
    with np.load(HERE / "mountain_harsh_car_1hz.npz") as arrays:
        start = min(int(arrays[k][0]) for k in arrays.files if k.startswith("t/"))
        for second in range(300):
            t = start + second * 1_000_000_000
            writer.add_clock(t, t, 1_790_000_000_000_000_000 + second * 1_000_000_000, "boot")
        for key in arrays.files:
            if key.startswith("t/"):
                name = key.removeprefix("t/")
                for t, value in zip(arrays[key], arrays[f"value/{name}"], strict=True):
                    missing = bool(np.isnan(value))
                    writer.add_sample(
                        int(t),
                        name,
                        None if missing else float(value),
                        "timeout" if missing else "ok",
                        20.0,
                    )
    writer.commit()
    writer.close("test")
    return writer.path


@lru_cache(maxsize=2)
def result(path: Path) -> TripResult:
    return score_trip(path, classifier=None, policy=CAR, road_context=False)


def test_a_result_is_identical_to_itself_made_again(trip: Path):
    one, two = result(trip), score_trip(trip, classifier=None, policy=CAR, road_context=False)
    found = compare(one, one.verdicts, one.timeline, two)
    assert found.identical
    assert found.stored_sha256 == found.recomputed_sha256


def test_a_purged_timeline_is_not_missed(trip: Path):
    one = result(trip)
    assert compare(one, one.verdicts, pd.DataFrame(), one).identical


@pytest.mark.parametrize("change", ["policy", "score", "points", "cell", "rows", "column"])
def test_every_change_is_named(trip: Path, change: str):
    fresh = result(trip)
    stored, verdicts, timeline = fresh, fresh.verdicts, fresh.timeline.copy()
    if change == "policy":
        stored = replace(fresh, provenance=replace(fresh.provenance, policy_sha256="0" * 64))
        told = "provenance.policy_sha256"
    elif change == "score":
        value = np.nextafter(fresh.score.value, 100)
        stored = replace(fresh, score=replace(fresh.score, value=float(value)))
        told = "score.value"
    elif change == "points":
        verdicts = (replace(verdicts[0], points=verdicts[0].points + 1e-9), *verdicts[1:])
        told = "verdicts[0].points"
    elif change == "cell":
        timeline.loc[100, "distance_m"] += 1e-9
        told = "timeline.distance_m"
    elif change == "rows":
        timeline = timeline.iloc[:-1]
        told = "rows stored"
    else:
        timeline = timeline.drop(columns="gear")
        told = "gear"
    found = compare(stored, verdicts, timeline, fresh)
    assert not found.identical
    assert any(told in line for line in found.differences)
    assert found.stored_sha256 != found.recomputed_sha256


def test_the_command_verifies_what_the_store_holds(trip: Path, tmp_path: Path, capsys):
    with ResultStore.open(None, tmp_path) as store:
        store.put(result(trip))
    arguments = ["verify", str(trip), "--results", str(tmp_path), "--no-road-context"]
    assert group.run(arguments) == 0
    assert "identical" in capsys.readouterr().out
    strict = tmp_path / "car.toml"
    from .test_policy import shipped_text

    strict.write_text(shipped_text().replace("enter_rpm = 3500.0", "enter_rpm = 3300.0"), "utf-8")
    assert group.run([*arguments, "--policy", str(strict)]) == 1
    assert "policy_sha256" in capsys.readouterr().out


def test_a_trip_that_is_not_stored_is_one_clear_line(trip: Path, tmp_path: Path, capsys):
    with ResultStore.open(None, tmp_path):
        pass
    assert group.run(["verify", str(trip), "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_trip_with_altitude_and_no_video_is_scored_by_its_measured_slope(tmp_path: Path, capsys):
    writer = TripWriter.create(tmp_path / "trips", vehicle="van-8", driver="Ada")
    for step in range(300):
        t = 5_000_000_000_000 + step * 500_000_000
        writer.add_clock(t, t, 1_790_000_000_000_000_000 + step * 500_000_000, "boot")
        climbed = 0.06 * 60 / 3.6 * min(max(step / 2 - 45, 0.0), 50.0)
        high = 4000.0 if 120 <= step <= 160 else 2000.0
        for name, value in (
            ("speed_kmh", 60.0), ("rpm", high), ("load_percent", 80.0 if high > 3000 else 30.0),
            ("gps_altitude_m", 100.0 + climbed),
        ):  # fmt: skip
            writer.add_sample(t, name, value, "ok", 20.0)
    writer.commit()
    writer.close("test")
    one = score_trip(writer.path, classifier=None, policy=CAR)
    assert one.road_context == "measured slope"
    assert [v.outcome.value for v in one.verdicts] == ["exonerated"]
    off = score_trip(writer.path, classifier=None, policy=CAR, road_context=False)
    assert off.road_context == "switched off"
    assert [v.outcome.value for v in off.verdicts] == ["kept"]

    results = tmp_path / "results"
    assert group.run(["score", str(tmp_path / "trips"), "--results", str(results)]) == 0
    assert "no road context" not in capsys.readouterr().out
    with ResultStore.open(None, results) as store:
        assert store.trip(one.trip_id).road_context == "measured slope"
    assert group.run(["verify", str(writer.path), "--results", str(results)]) == 0
    assert "identical" in capsys.readouterr().out
