"""Kill the logger with -9 at random moments, and see what a recovered trip has lost.

The real program records a video file that replays in real time and an emulated adapter whose
every answer is noted. It is killed at a random moment after its start: while it connects, while
it records, while it changes video files (every two seconds here), and, in a fifth of the trials,
while it closes a trip after SIGTERM. Then the trip is recovered and compared:

    recovered               trials after which every trip opened, verified and decoded
    worst_frame_loss_s      how long before the kill the oldest picture was handed to the muxer
                            that the recovered trip does not hold; 0 where none is lost
    frames_lost             pictures handed to the muxer, at any moment, that are not in the trip
    worst_picture_age_s     age, at the kill, of the newest picture in the trip; one picture's
                            interval (0.033 s), the time to encode it, and pictures that still
                            waited for the encoder on a busy machine are part of it
    worst_row_loss_s        age, at the kill, of the oldest answer of the adapter without a row
    wrong_values            rows whose value the adapter never sent at that moment, and frames of
                            the video that do not decode or have no row or the wrong time
    frames_never_encoded    pictures dropped before the encoder because the machine was too busy

What was handed to the muxer, and when, is noted by a few lines around the recorder's own hand-over,
in memory shared with this program (`--noting`); nothing else of the logger is touched.

    python benchmarks/crash.py --trials 200 --json crash.json
"""

from __future__ import annotations

import argparse
import json
import mmap
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from onboard.emulator import Elm327, TcpAdapter, Vehicle
from onboard.errors import TripError
from onboard.recovery import recover
from onboard.trip import Trip, find_trips

GOALS = {"worst_frame_loss_s": 0.1, "worst_row_loss_s": 1.0, "wrong_values": 0}
FPS = 30
NOTES = 4096
"""Notes of hand-overs kept; a trial has some 200."""
SAME_PICTURE_NS = 20_000
"""Presentation times count in 1/90000 s, 11 µs."""


@dataclass
class Source:
    """A vehicle whose every answer is known afterwards."""

    answers: list[tuple[int, float, float]] = field(default_factory=list)

    def __call__(self) -> dict[str, float]:
        now_ns = time.monotonic_ns()
        k = len(self.answers)
        # Every answer differs from its neighbours, so that a mix-up shows.
        rpm, speed = 800 + (k * 7) % 5000 + 0.25 * (k % 4), float((k * 3) % 200)
        self.answers.append((now_ns, rpm, speed))
        return {"rpm": rpm, "speed_kmh": speed, "coolant_temp_c": 85.0}


@dataclass
class Outcome:
    """What one trial lost."""

    recovered: bool = True
    frame_loss_s: float = 0.0
    frames_lost: int = 0
    picture_age_s: float | None = None
    row_loss_s: float = 0.0
    wrong: int = 0
    skipped: int = 0
    why: str = ""


def main() -> None:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="Ten trials.")
    parser.add_argument("--mjpeg", action="store_true", help="Pass MJPEG through.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    trials = 10 if arguments.quick else arguments.trials
    chance = random.Random(arguments.seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="crash-") as name:
        folder = Path(name)
        video = make_video(folder, arguments.mjpeg)
        source = Source()
        adapter = TcpAdapter(Elm327(Vehicle(source), delay_s=0.02))
        try:
            for number in range(trials):
                closing = chance.random() < 0.2
                recording = closing or chance.random() < 0.75
                # A machine may take seconds to start; most moments count from the first video.
                after_s = chance.uniform(0.0, 5.0) if recording else chance.uniform(0.2, 4.0)
                outcome = trial(
                    folder, video, adapter.url, source, recording, after_s, closing, chance
                )
                outcomes.append(outcome)
                if outcome.wrong or not outcome.recovered or number % 20 == 19:
                    print(f"trial {number + 1}: {outcome}", file=sys.stderr, flush=True)
        finally:
            adapter.stop()
    ages = [o.picture_age_s for o in outcomes if o.picture_age_s is not None]
    figures = {
        "trials": float(trials),
        "recovered": float(sum(o.recovered for o in outcomes)),
        "trials_with_video": float(len(ages)),
        "worst_frame_loss_s": max(o.frame_loss_s for o in outcomes),
        "frames_lost": float(sum(o.frames_lost for o in outcomes)),
        "median_picture_age_s": float(np.median(ages)) if ages else 0.0,
        "p95_picture_age_s": float(np.percentile(ages, 95)) if ages else 0.0,
        "worst_picture_age_s": max(ages, default=0.0),
        "worst_row_loss_s": max(o.row_loss_s for o in outcomes),
        "wrong_values": float(sum(o.wrong for o in outcomes)),
        "frames_never_encoded": float(sum(o.skipped for o in outcomes)),
    }
    for key, value in figures.items():
        goal = GOALS.get(key)
        print(f"{key:22} {value:9.3f}" + (f"   goal <= {goal}" if goal is not None else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=1))


def make_video(folder: Path, mjpeg: bool) -> Path:
    """A minute of test picture."""
    made = folder / ("camera.avi" if mjpeg else "camera.mp4")
    picture = f"testsrc2=size=640x360:rate={FPS}:duration=60"
    h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "15"]
    encode = ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"] if mjpeg else h264
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", picture, *encode, str(made)],
        check=True,
    )
    return made


def trial(
    folder: Path,
    video: Path,
    obd: str,
    source: Source,
    recording: bool,
    after_s: float,
    closing: bool,
    chance: random.Random,
) -> Outcome:
    """Start the logger, kill it, recover its trip, compare."""
    trips = folder / "trips"
    shutil.rmtree(trips, ignore_errors=True)
    source.answers.clear()
    config = folder / "crash.toml"
    config.write_text(
        f'[service]\nstate_folder = "{folder}/state"\n'
        '[obd]\nprotocol = "6"\n[camera]\nsegment_s = 2\ncopy_mjpeg = true\n'
    )
    notes = folder / "handed-over"
    notes.write_bytes(bytes(8 + 16 * NOTES))
    options = ["--now", "--camera", str(video), "--obd", obd, "--to", str(trips)]
    logger = subprocess.Popen(
        [sys.executable, __file__, "--noting", notes, "record", "--config", config, *options],
        stderr=subprocess.DEVNULL,
    )
    if recording:
        end = time.monotonic() + 60
        while not any(trips.glob("*/*/video/*")) and time.monotonic() < end:
            time.sleep(0.02)
    time.sleep(after_s)
    ended_ns = time.monotonic_ns()
    if closing:
        logger.send_signal(signal.SIGTERM)
        time.sleep(chance.uniform(0.0, 0.6))
    killed_ns = time.monotonic_ns()
    if not closing:
        ended_ns = killed_ns
    logger.kill()
    logger.wait()
    outcome = Outcome()
    kept = [np.empty(0, dtype=np.int64)]
    found = list(find_trips(trips)) if trips.exists() else []
    for path in found:
        try:
            recover(path)
            with Trip.open(path) as trip:
                trip.verify()
                compare(trip, source, ended_ns, outcome)
                kept.append(trip.frames().t_mono_ns)
        except TripError as problem:
            outcome.recovered = False
            outcome.why = str(problem)
    taken_ns, handed_ns = handed_over(notes)
    lost = handed_ns[~among(taken_ns, np.sort(np.concatenate(kept)))]
    lost = lost[lost < killed_ns]
    outcome.frames_lost = lost.size
    if lost.size:
        outcome.frame_loss_s = (killed_ns - int(lost.min())) / 1e9
    return outcome


def log_with_notes(notes: Path) -> None:
    """Be the logger, and note each picture as it is handed to the muxer."""
    from onboard.cli import main as logger
    from onboard.videofile import VideoFile

    with notes.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    hand_over = VideoFile._mux
    count = 0

    def noted(self: VideoFile, packet: av.Packet) -> None:
        nonlocal count
        taken_ns = self.start_ns + round(packet.pts * 1e9 * packet.time_base)
        struct.pack_into("<qq", memory, 8 + 16 * (count % NOTES), taken_ns, time.monotonic_ns())
        count += 1
        struct.pack_into("<q", memory, 0, count)
        hand_over(self, packet)

    VideoFile._mux = noted  # type: ignore[method-assign]
    logger()


def handed_over(notes: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When each picture was taken, and when it was handed to the muxer."""
    numbers = np.frombuffer(notes.read_bytes(), dtype="<i8")
    pairs = numbers[1:].reshape(-1, 2)[: min(int(numbers[0]), NOTES)]
    return pairs[:, 0], pairs[:, 1]


def among(times_ns: NDArray[np.int64], kept_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which times are, but for rounding, among those kept (ascending)."""
    after = np.searchsorted(kept_ns, times_ns - SAME_PICTURE_NS)
    found = np.append(kept_ns, np.iinfo(np.int64).max)[after]
    return found <= times_ns + SAME_PICTURE_NS


def compare(trip: Trip, source: Source, ended_ns: int, outcome: Outcome) -> None:
    """Compare a recovered trip with what camera and adapter gave."""
    frames = trip.frames()
    if frames.t_mono_ns.size:
        outcome.picture_age_s = max(0.0, (ended_ns - int(frames.t_mono_ns[-1])) / 1e9)
        steps = np.diff(frames.t_mono_ns) / 1e9 * FPS
        off = np.abs(steps - np.round(steps)) > 0.03
        if off.any() or (steps < 0.5).any():
            outcome.wrong += int(off.sum())
            outcome.why += f" frame times {steps[off][:3]}"
        outcome.skipped = int((np.round(steps) - 1).sum())
        if (np.diff(frames.index) != 1).any():
            outcome.wrong += 1
            outcome.why += " frame indices"
    decoded = 0
    for file in trip.video_files():
        own = frames.segment == int(file.stem)
        with av.open(str(file)) as video:
            pts = [frame.pts for frame in video.decode(video=0)]
        decoded += len(pts)
        if pts != frames.pts[own].tolist():
            outcome.wrong += 1
            outcome.why += f" {file.name}: {len(pts)} pictures, {int(own.sum())} rows"
    if decoded != frames.pts.size:
        outcome.wrong += 1
        outcome.why += f" {decoded} pictures, {frames.pts.size} rows"
    samples = trip.samples()
    answers = np.array([a[0] for a in source.answers], dtype=np.int64)
    recorded = np.zeros(answers.size, dtype=bool)
    for column, name in ((1, "rpm"), (2, "speed_kmh")):
        if name not in samples:
            continue
        series = samples[name]
        rows = zip(series.t_mono_ns, series.value, series.round_trip_ms, strict=True)
        for t_mono_ns, value, round_trip_ms in rows:
            half_ns = 0 if np.isnan(round_trip_ms) else int(round_trip_ms * 5e5)
            lo = np.searchsorted(answers, t_mono_ns - half_ns)
            hi = np.searchsorted(answers, t_mono_ns + half_ns, side="right")
            given = [source.answers[k][column] for k in range(lo, hi)]
            if np.isfinite(value) and value not in given:
                outcome.wrong += 1
                outcome.why += f" {name} {value} at {t_mono_ns}"
            if name == "rpm":
                recorded[lo:hi] = True
    if "rpm" in samples:
        # Answers before the first row were asked while connecting, and are no readings.
        first = np.searchsorted(answers, samples["rpm"].t_mono_ns[0])
        lost = answers[first:][~recorded[first:]]
        lost = lost[lost < ended_ns]
        if lost.size:
            outcome.row_loss_s = (ended_ns - int(lost.min())) / 1e9


if __name__ == "__main__":
    if sys.argv[1:2] == ["--noting"]:
        noting = Path(sys.argv[2])
        del sys.argv[1:3]
        log_with_notes(noting)
    else:
        main()
