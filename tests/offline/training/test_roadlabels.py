"""Labels from sensors agree with the road that the sensors were driven over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from offline import roadscene
from offline.commands.label import command as label
from offline.corners import REAR_AXLE_M
from offline.errors import InputError
from offline.training import roadlabels
from onboard.trip import Trip, TripWriter

START_NS = 5_000_000_000_000
SPEED_MPS = 10.0


def write_trip(root: Path, signals: dict[str, np.ndarray], t_s: np.ndarray) -> Path:
    writer = TripWriter.create(
        root, vehicle="car", driver="d", started_utc_ns=1_760_000_000 * 10**9
    )
    jpeg = b"\xff\xd8 still \xff\xd9"
    for second in range(int(t_s[-1]) + 1):
        at = START_NS + second * 10**9
        writer.add_clock(at, at, 1_760_000_000 * 10**9 + second * 10**9, "boot")
    for k, t in enumerate(t_s):
        at = START_NS + round(t * 1e9)
        for signal, values in signals.items():
            writer.add_sample(at, signal, float(values[k]), "ok", 0.0)
        if k % 5 == 0:
            writer.add_frame(k, 0, k, at)
            writer.add_still(k, jpeg)
    writer.commit()
    path = writer.path
    writer.close("engine off")
    return path


def hilly_drive(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Sixty seconds: level, then a 6 % climb from 200 m, a left corner at 450 m."""
    t = np.arange(0, 60, 0.1)
    s = t * SPEED_MPS
    altitude = np.clip(s - 200.0, 0.0, 200.0) * 0.06
    yaw = np.where((s >= 450.0) & (s < 465.0), SPEED_MPS / 10.0, 0.0)
    return t, {
        "speed_kmh": np.full(t.size, SPEED_MPS * 3.6),
        "gps_altitude_m": 100.0 + altitude + rng.normal(0, 0.3, t.size),
        "yaw_rate_rad_s": yaw + rng.normal(0, 0.005, t.size),
    }


def test_a_climb_and_a_corner_are_labelled_where_they_are(tmp_path: Path) -> None:
    t, signals = hilly_drive(np.random.default_rng(1))
    path = write_trip(tmp_path / "trips", signals, t)
    out = tmp_path / "labels"
    done = CliRunner().invoke(
        label, [str(path), "--out", str(out), "--json"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out / "labels.csv")
    assert json.loads(done.stdout)["stills"] == len(table)
    assert table["speed_mps"].median() == pytest.approx(SPEED_MPS, abs=0.2)
    s = table["t_s"] * SPEED_MPS
    climb, flat = table[(s > 240) & (s < 350)], table[(s > 60) & (s < 150)]
    assert (climb["slope"] == "uphill").mean() > 0.95
    assert (flat["slope"] == "level").mean() > 0.95
    assert climb["grade_percent"].mean() == pytest.approx(6.0, abs=0.3)
    approach = table[(s > 440) & (s < 450)]
    assert (approach["course"] == "left_turn").all()
    assert (table[s < 400]["course"] == "straight").mean() > 0.95
    assert (out / table["file"][0]).exists()


def test_noise_widens_the_deviation_and_blanks_the_label(tmp_path: Path) -> None:
    t, signals = hilly_drive(np.random.default_rng(2))
    noise = np.random.default_rng(3).normal(0, 12.0, t.size)
    signals["gps_altitude_m"] = signals["gps_altitude_m"] + noise
    path = write_trip(tmp_path / "trips", signals, t)
    ahead = roadlabels.road_ahead(Trip.open(path), np.array([25.0]), START_NS)
    assert ahead.grade_sd_percent[0] > 2.0
    slope, _ = roadlabels.label_probabilities(ahead)
    surer = replace(ahead, grade_sd_percent=np.array([0.5]))
    assert slope.max() < roadlabels.label_probabilities(surer)[0].max()


def test_a_recorded_yaw_rate_is_the_roads_at_the_rear_axle(tmp_path: Path) -> None:
    """The camera is in the corner before the vehicle turns."""
    t = np.arange(0, 60, 0.1)
    s = t * SPEED_MPS
    turning = (s >= 450.0) & (s < 465.0)  # by 1.5 rad while the axle is there
    path = write_trip(
        tmp_path / "trips",
        {"speed_kmh": np.full(t.size, 36.0), "yaw_rate_rad_s": np.where(turning, 1.0, 0.0)},
        t,
    )
    into_m = np.array([4.0, 8.0, 12.0])
    reach_s = (450.0 - REAR_AXLE_M - roadscene.HEADING_WINDOW_M + into_m) / SPEED_MPS
    ahead = roadlabels.road_ahead(Trip.open(path), reach_s, START_NS)
    assert ahead.heading_change_deg == pytest.approx(np.degrees(into_m / 10.0), abs=4.0)


def test_a_gpx_track_beside_the_trip_serves_as_well(tmp_path: Path) -> None:
    t, signals = hilly_drive(np.random.default_rng(4))
    path = write_trip(tmp_path / "trips", {"speed_kmh": signals["speed_kmh"]}, t)
    points = []
    for k in range(0, t.size, 10):
        stamp = pd.Timestamp(1_760_000_000 * 10**9 + round(t[k] * 1e9), tz="UTC").isoformat()
        north = 52.0 + np.degrees(t[k] * SPEED_MPS / roadlabels.EARTH_RADIUS_M)
        points.append(
            f"<trkpt lat='{north:.8f}' lon='13.0'><ele>{signals['gps_altitude_m'][k]:.2f}</ele>"
            f"<time>{stamp}</time></trkpt>"
        )
    gpx = tmp_path / "track.gpx"
    gpx.write_text(
        "<gpx xmlns='http://www.topografix.com/GPX/1/1'><trk><trkseg>"
        + "".join(points) + "</trkseg></trk></gpx>"
    )  # fmt: skip
    ahead = roadlabels.road_ahead(Trip.open(path), np.array([10.0, 30.0]), START_NS, gpx)
    assert ahead.grade_percent == pytest.approx([0.0, 6.0], abs=1.5)
    assert abs(ahead.heading_change_deg).max() < 2.0


def test_a_trip_that_says_nothing_about_the_road_is_refused(tmp_path: Path) -> None:
    t, signals = hilly_drive(np.random.default_rng(5))
    path = write_trip(tmp_path / "trips", {"speed_kmh": signals["speed_kmh"]}, t)
    with pytest.raises(InputError, match="nothing to label from"):
        roadlabels.road_ahead(Trip.open(path), np.array([1.0]), START_NS)
