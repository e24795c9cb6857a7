"""The logger as a program, with a replaying camera and an emulated adapter."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from onboard.recovery import recover
from onboard.stills import BETWEEN, MOTION_STILL_SIZE
from onboard.trip import Trip, find_trips


def only_trip(trips: Path) -> Trip:
    (path,) = find_trips(trips)
    return Trip.open(path)


def test_a_trip_begins_and_ends_with_the_engine(
    start_logger, engine_bay, camera_file, onboard_program
) -> None:
    engine_bay.values |= {"rpm": 0.0, "fuel_level_percent": 40.0}
    logger = start_logger(
        *("--obd", engine_bay.url, "--camera", camera_file, "--once"),
        *("--vehicle", "B-GW 1", "--driver", "Jo"),
        config='[trip]\nend_after_off_s = 2\n[obd]\nprotocol = "6"\n'
        "[camera]\nsegment_s = 2\nfps = 15\n",
    )
    logger.wait_for("vehicle answers")
    time.sleep(0.7)
    assert not list(find_trips(logger.trips))

    engine_bay.values["rpm"] = 812.5
    logger.wait_for("begins: the engine runs")
    time.sleep(3.0)
    shown = onboard_program("status", "--config", logger.config)
    assert "recording" in shown.stdout
    assert "812.5 rpm" in shown.stdout
    assert onboard_program("driver", "Ann", "--config", logger.config).returncode == 0
    logger.wait_for("driver: Ann")
    engine_bay.values.clear()
    assert logger.process.wait(60) == 0

    with only_trip(logger.trips) as trip:
        trip.verify()
        assert trip.info.ended_why == "ignition off"
        assert (trip.info.vehicle, trip.info.driver) == ("B-GW 1", "Ann")
        assert trip.info.vin == engine_bay.vehicle.vin
        assert trip.info.origin["obd"] == "emulated"
        assert trip.info.origin["video"] == "replayed"
        samples = trip.samples()
        for name, value in (("rpm", 812.5), ("speed_kmh", 50.0), ("coolant_temp_c", 88.0)):
            read = samples[name].value
            assert set(read[np.isfinite(read)]) == {value}
        # What is asked for every 5 s and every minute is there from the beginning.
        begun_ns = samples["rpm"].t_mono_ns[0]
        for name in ("coolant_temp_c", "fuel_level_percent"):
            assert (samples[name].t_mono_ns[0] - begun_ns) / 1e9 < 2.0
        assert np.nanmin(samples["rpm"].round_trip_ms) >= 10.0
        frames = trip.frames()
        assert frames.index.tolist() == list(range(frames.index.size))
        assert np.diff(frames.t_mono_ns) == pytest.approx(1e9 / 15, abs=1e6)
        assert len(trip.video_files()) >= 2
        for file in trip.video_files():
            assert file.suffix == ".mp4"
            with av.open(str(file)) as video:
                pictures = list(video.decode(video=0))
            assert [p.pts for p in pictures] == frames.pts[
                frames.segment == int(file.stem)
            ].tolist()
            keyframes = [p.time for p in pictures if p.key_frame]
            assert max(np.diff([*keyframes, pictures[-1].time]), default=0) < 0.58
        stills = list(trip.stills())
        assert np.diff([s.t_mono_ns for s in stills][1:]) == pytest.approx(5e8, abs=7e7)
        assert stills[0].jpeg.startswith(b"\xff\xd8")
        # Between two stills lie two motion stills, at thirds of the time as near as pictures are.
        times = np.array([s.t_mono_ns for s in stills])[1:]
        between = np.array([s.t_mono_ns for s in trip.motion_stills()])
        for first, last in itertools.pairwise(times.tolist()):
            inside = between[(between > first) & (between < last)]
            assert inside.size == len(BETWEEN)
            assert (inside - first) / (last - first) == pytest.approx(np.array(BETWEEN), abs=0.16)
        clock = trip.clock()
        fitted = clock.utc_ns(clock.t_mono_ns)
        assert fitted is not None
        assert np.abs(fitted - clock.utc_ns_read).max() < 50_000_000


def test_now_needs_no_engine_and_sigterm_closes(start_logger, camera_file) -> None:
    config = "[camera]\nfps = 15\nfov_deg = 72.0\n"
    logger = start_logger("--camera", camera_file, "--now", config=config)
    logger.wait_for("begins: asked to")
    time.sleep(1.5)
    assert logger.stop() == 0
    with only_trip(logger.trips) as trip:
        assert trip.info.ended_why == "stopped by SIGTERM"
        assert trip.info.vehicle == "vehicle"
        assert trip.info.fov_deg == 72.0
        assert trip.frames().index.size >= 8
        assert trip.samples() == {}


def test_another_camera_than_configured_has_no_field_of_view(start_logger, camera_file) -> None:
    config = '[camera]\nsource = "/dev/video7"\nfov_deg = 72.0\n'
    logger = start_logger("--camera", camera_file, "--now", "--once", "--fast", config=config)
    assert logger.process.wait(60) == 0
    with only_trip(logger.trips) as trip:
        assert trip.info.fov_deg is None


def test_a_file_as_fast_as_possible(start_logger, camera_file) -> None:
    logger = start_logger("--camera", camera_file, "--now", "--once", "--fast")
    assert logger.process.wait(60) == 0
    with only_trip(logger.trips) as trip:
        assert trip.info.ended_why == "the video ended"
        assert trip.frames().index.size == 300
        assert sum(1 for _ in trip.stills()) == pytest.approx(40, abs=1)
        for small in trip.motion_stills():
            decoded = cv2.imdecode(np.frombuffer(small.jpeg, np.uint8), cv2.IMREAD_UNCHANGED)
            assert decoded.shape == MOTION_STILL_SIZE[::-1]


def test_motion_stills_can_be_left_out(start_logger, camera_file) -> None:
    config = "[camera]\nmotion_stills = false\n"
    logger = start_logger("--camera", camera_file, "--now", "--once", "--fast", config=config)
    assert logger.process.wait(60) == 0
    with only_trip(logger.trips) as trip:
        assert sum(1 for _ in trip.stills()) == pytest.approx(40, abs=1)
        assert list(trip.motion_stills()) == []


SLOW_DISK = """
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) { usleep(1500000); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { usleep(1500000); return syscall(SYS_fdatasync, fd); }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="the slow disk is a C library")
def test_pictures_do_not_wait_for_a_slow_disk(start_logger, camera_file, tmp_path) -> None:
    (tmp_path / "slow.c").write_text(SLOW_DISK)
    library = tmp_path / "slow.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "slow.c"], check=True)
    logger = start_logger(
        *("--camera", camera_file, "--now"),
        config="[camera]\nfps = 15\nsegment_s = 2\n",
        LD_PRELOAD=str(library),
    )
    logger.wait_for("begins")
    time.sleep(7.0)
    logger.process.kill()
    logger.process.wait()
    (path,) = find_trips(logger.trips)
    report = recover(path)
    with Trip.open(path) as trip:
        frames = trip.frames()
    assert frames.index.size > 45
    assert set(frames.segment) >= {0, 1}
    # Rows still waited for the disk; the video had them all, across the change of files.
    assert report.frames_restored > 0
    assert np.diff(frames.t_mono_ns) == pytest.approx(1e9 / 15, abs=1e6)


def test_an_earlier_trip_is_recovered_at_the_start(start_logger, camera_file, tmp_path) -> None:
    first = start_logger("--camera", camera_file, "--now")
    first.wait_for("begins")
    time.sleep(1.5)
    first.process.kill()
    first.process.wait()
    (cut,) = find_trips(first.trips)
    second = start_logger("--camera", camera_file, "--now")
    second.wait_for(f"recovery: {cut.name}: closed")
    assert second.stop() == 0
    assert Trip.open(cut).info.ended_why == "cut short"


def test_the_watchdog_is_fed_only_while_every_part_lives(
    start_logger, engine_bay, camera_file, tmp_path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        metrics = tmp_path / "gradewise.prom"
        logger = start_logger(
            *("--camera", camera_file, "--obd", engine_bay.url, "--now"),
            config=f'prometheus_file = "{metrics}"\n[camera]\nfps = 15\n',
            NOTIFY_SOCKET=str(tmp_path / "notify"),
        )
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"
        time.sleep(2.5)
        said = metrics.read_text()
        assert 'gradewise_part_alive{part="camera"} 1' in said
        assert "# TYPE gradewise_frames_total counter" in said
        status = json.loads((logger.state / "status.json").read_text())
        assert set(status["parts"]) == {"camera", "obd", "recorder", "video"}
        logger.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing to record"),
        (["--camera", "x.mp4"], "add --now"),
        (["--camera", "x.mp4", "--now", "--duration", "0"], "duration"),
    ],
)
def test_bad_options_are_refused(onboard_program, tmp_path, options, words) -> None:
    done = onboard_program("record", "--to", tmp_path / "trips", *options)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_driver_file_that_cannot_be_written(onboard_program, tmp_path) -> None:
    (tmp_path / "file").touch()
    config = tmp_path / "onboard.toml"
    config.write_text(f'[service]\ndriver_file = "{tmp_path}/file/driver"\n')
    done = onboard_program(
        *("record", "--config", config, "--camera", "x.mp4", "--now", "--driver", "Jo")
    )
    assert done.returncode == 2
    assert "file/driver: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_storage_that_cannot_be_written(onboard_program, tmp_path) -> None:
    (tmp_path / "file").touch()
    done = onboard_program(
        "record", "--to", tmp_path / "file" / "trips", "--camera", "x.mp4", "--now"
    )
    assert done.returncode == 2
    assert "trips cannot be kept in" in done.stderr
    assert done.stderr.count("\n") == 1
