from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_samples import make
from data_samples.drives import drive_video
from data_samples.simulator.vehicle import CAR
from offline.video import index_video
from onboard.signals import ALWAYS
from onboard.trip import Trip, find_trips

FOLDERS = sorted(find_trips(make.TRIPS))
MOST_BYTES = 25_000_000


def test_every_sample_is_there_and_small() -> None:
    ids = {folder.name for folder in FOLDERS}
    assert ids == {sample.trip_id for sample in make.SAMPLES}
    whole = make.TRIPS.parent
    assert sum(file.stat().st_size for file in whole.rglob("*") if file.is_file()) < MOST_BYTES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_sample_is_a_sound_trip_that_says_where_it_comes_from(folder: Path) -> None:
    sample = next(sample for sample in make.SAMPLES if sample.trip_id == folder.name)
    with Trip.open(folder) as trip:
        trip.verify()
        assert trip.info.origin == dict(sample.origin)
        assert trip.info.origin["obd"] == "simulated"
        assert trip.info.origin["note"] in (folder / "README.md").read_text()
        samples, frames = trip.samples(), trip.frames()
        assert set(ALWAYS) <= set(samples)
        # The log covers the video, and the video has its own times.
        assert samples["speed_kmh"].t_mono_ns[0] <= frames.t_mono_ns[0] + 300_000_000
        assert samples["speed_kmh"].t_mono_ns[-1] >= frames.t_mono_ns[-1] - 1_000_000_000
        index = index_video(trip.video_files()[0])
        assert index.pts.tolist() == frames.pts.tolist()
        assert np.diff(index.t_s[index.keyframe]).max() <= 0.56
        stills = sum(1 for _ in trip.stills())
        assert stills == pytest.approx(2 * index.t_s[-1], abs=2)
        assert trip.clock().utc_ns(frames.t_mono_ns) is not None


def labels_of(folder: Path, seconds: int = 40, wheel_rad: float = 0.0) -> Path:
    """A made-up drive at 20 Hz: a bend at 10 s, a climb from 20 to 28 s."""
    t_s = np.arange(0, seconds, 0.05)
    wheel = np.where((t_s > 10) & (t_s < 13), wheel_rad, 0.0)
    label = np.where((t_s >= 20) & (t_s < 28), "uphill", "")
    path = folder / "labels.csv"
    pd.DataFrame({"t_s": t_s, "steering_wheel_rad": wheel, "label": label}).to_csv(path)
    return path


def test_road_and_speed_agree_with_the_video(tmp_path: Path) -> None:
    plan = make.SR92_B.plan
    driven = drive_video(labels_of(tmp_path, wheel_rad=0.6), plan)
    seconds = driven.drive.t_s - driven.video_start_s
    climbing = seconds[driven.drive.grade_percent > plan.grade_percent / 2]
    # The label is of what the camera sees; the car is there a second later.
    assert climbing[0] == pytest.approx(20.7, abs=0.8)
    assert climbing[-1] == pytest.approx(28.7, abs=0.8)
    bend = (seconds > 10.5) & (seconds < 12.5)
    assert driven.drive.curvature_per_m[bend].mean() == pytest.approx(0.0142, rel=0.25)
    lateral = driven.drive.speed_mps**2 * np.abs(driven.drive.curvature_per_m)
    assert lateral.max() < 1.6 * plan.lateral_mps2
    assert driven.end_s == pytest.approx(driven.video_start_s + 39.95, abs=0.01)


def test_the_hill_makes_the_small_car_rev_and_the_plain_does_not(tmp_path: Path) -> None:
    path = labels_of(tmp_path)
    hilly = drive_video(path, make.SR92_B.plan).drive
    table = pd.read_csv(path).assign(label="")
    table.to_csv(path)
    flat = drive_video(path, make.SR92_B.plan).drive
    assert hilly.rpm.max() > 3500
    assert flat.rpm.max() < 3300


def test_the_sample_vehicles_are_those_that_policies_know() -> None:
    known = {
        tomllib.loads(path.read_text())["vehicle_class"]
        for path in (Path(make.__file__).parents[1] / "offline" / "policies").glob("*.toml")
    }
    assert {sample.plan.vehicle.vehicle_class for sample in make.SAMPLES} <= known
    assert CAR.vehicle_class in known
