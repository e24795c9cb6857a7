"""A trip that is replayed as devices and recorded again is the same trip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from onboard.stills import encode_still
from onboard.trip import Trip, TripWriter, find_trips

SECOND = 1_000_000_000


def speed(t_s: np.ndarray) -> np.ndarray:
    return 40 + 30 * np.sin(t_s)


def original(root: Path) -> Path:
    writer = TripWriter.create(
        root, vehicle="v", driver="d", origin={"video": "recorded", "obd": "simulated"}
    )
    writer.set_vin("WVWZZZ1JZXW000001")
    for k in range(120):
        t_ns = k * SECOND // 10
        writer.add_sample(t_ns, "rpm", 1000 + 10 * k)
        writer.add_sample(t_ns, "speed_kmh", float(np.round(speed(np.array(k / 10)))))
        writer.add_sample(t_ns, "coolant_temp_c", 70 + k // 30)
    for k in range(25):
        grey = np.full((180, 320, 3), 10 * k, np.uint8)
        writer.add_frame(k, -1, -1, k * SECOND // 2)
        writer.add_still(k, encode_still(grey))
    writer.close("test")
    return writer.path


def test_replayed_and_recorded_again(tmp_path: Path, start_logger) -> None:
    path = original(tmp_path / "original")
    replay = subprocess.Popen(
        [
            *(sys.executable, "-m", "onboard.cli", "replay", str(path)),
            *("--camera-port", "0", "--obd-port", "0", "--delay-ms", "10"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert replay.stdout is not None
    devices = replay.stdout.readline().split()
    assert (devices[0], devices[2]) == ("--obd", "--camera")
    logger = start_logger(
        *devices, "--once", config='[trip]\nend_after_off_s = 2\n[obd]\nprotocol = "6"\n'
    )
    try:
        assert logger.process.wait(120) == 0, logger.said.read_text()
    finally:
        replay.kill()
        replay.communicate()
    (again,) = find_trips(logger.trips)
    with Trip.open(again) as trip:
        assert trip.info.vin == "WVWZZZ1JZXW000001"
        assert trip.info.origin["obd"] == "simulated"
        assert trip.info.origin["video"] == "replayed"
        assert path.name in trip.info.origin["note"]
        rpm, kmh = trip.samples()["rpm"], trip.samples()["speed_kmh"]
        good = np.isfinite(rpm.value) & (rpm.value > 1000)
        # Engine speed rises by 100 a second, so it tells where in the trip each reading lies.
        t_s = (rpm.value[good] - 1000) / 100
        offset = np.median(rpm.t_mono_ns[good] / 1e9 - t_s)
        driven = np.isfinite(kmh.value) & (kmh.t_mono_ns / 1e9 - offset > 0.5)
        wanted = speed(kmh.t_mono_ns[driven] / 1e9 - offset)
        assert np.percentile(np.abs(kmh.value[driven] - wanted), 90) < 3.0
        assert np.nanmax(rpm.value) > 2100
        assert sum(1 for _ in trip.stills()) >= 15


def test_a_trip_with_nothing_to_play(tmp_path: Path, onboard_program) -> None:
    writer = TripWriter.create(tmp_path, vehicle="v", driver="d")
    writer.close("test")
    done = onboard_program("replay", writer.path)
    assert done.returncode == 2
    assert "neither pictures nor readings" in done.stderr
