"""Kill the logger with -9 at random moments, and see what a recovered trip has lost.

The real program records a video file that replays in real time and an emulated adapter whose
every answer is noted. It is killed at a random moment after its start: while it connects, while
it records, while it changes video files (every two seconds here), and, in a fifth of the trials,
while it closes a trip after SIGTERM. Then the trip is recovered and compared:

    recovered             trials after which every trip opened, verified and decoded
    worst_frame_loss_s    age, at the kill, of the newest recorded picture; one picture's interval
                          (0.033 s), the time to encode it, and pictures still waiting for the
                          encoder on a busy machine are part of it
    worst_row_loss_s      age, at the kill, of the oldest answer of the adapter that has no row
    wrong_values          rows whose value the adapter never sent at that moment, and frames of
                          the video that do not decode or have no row or the wrong time
    frames_never_encoded  pictures dropped before the encoder because the machine was too busy

    python benchmarks/crash.py --trials 200 --json crash.json
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from onboard.emulator import Elm327, TcpAdapter, Vehicle
from onboard.errors import TripError
from onboard.recovery import recover
from onboard.trip import Trip, find_trips

GOALS = {"worst_frame_loss_s": 0.1, "worst_row_loss_s": 1.0, "wrong_values": 0}
FPS = 30


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
    frame_loss_s: float | None = None
    row_loss_s: float = 0.0
    wrong: int = 0
    skipped: int = 0
    why: str = ""


def main() -> None:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="Ten trials.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    trials = 10 if arguments.quick else arguments.trials
    chance = random.Random(arguments.seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="crash-") as name:
        folder = Path(name)
        video = make_video(folder)
        source = Source()
        adapter = TcpAdapter(Elm327(Vehicle(source), delay_s=0.02))
        try:
            for number in range(trials):
                closing = chance.random() < 0.2
                after_s = chance.uniform(0.5, 7.0)
                outcome = trial(folder, video, adapter.url, source, after_s, closing, chance)
                outcomes.append(outcome)
                if outcome.wrong or not outcome.recovered or number % 20 == 19:
                    print(f"trial {number + 1}: {outcome}", file=sys.stderr, flush=True)
        finally:
            adapter.stop()
    losses = [o.frame_loss_s for o in outcomes if o.frame_loss_s is not None]
    figures = {
        "trials": float(trials),
        "recovered": float(sum(o.recovered for o in outcomes)),
        "trials_with_video": float(len(losses)),
        "median_frame_loss_s": float(np.median(losses)) if losses else 0.0,
        "p95_frame_loss_s": float(np.percentile(losses, 95)) if losses else 0.0,
        "trials_above_goal": float(sum(loss > GOALS["worst_frame_loss_s"] for loss in losses)),
        "worst_frame_loss_s": max(losses, default=0.0),
        "worst_row_loss_s": max(o.row_loss_s for o in outcomes),
        "wrong_values": float(sum(o.wrong for o in outcomes)),
        "frames_never_encoded": float(sum(o.skipped for o in outcomes)),
    }
    for key, value in figures.items():
        goal = GOALS.get(key)
        print(f"{key:22} {value:9.3f}" + (f"   goal <= {goal}" if goal is not None else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=1))


def make_video(folder: Path) -> Path:
    """A minute of test picture."""
    made = folder / "camera.mp4"
    picture = f"testsrc2=size=640x360:rate={FPS}:duration=60"
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", str(made)]
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", picture, *encode], check=True
    )
    return made


def trial(
    folder: Path,
    video: Path,
    obd: str,
    source: Source,
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
        '[obd]\nprotocol = "6"\n[camera]\nsegment_s = 2\n'
    )
    options = ["--now", "--camera", str(video), "--obd", obd, "--to", str(trips)]
    logger = subprocess.Popen(
        [sys.executable, "-m", "onboard.cli", "record", "--config", str(config), *options],
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after_s)
    ended_ns = time.monotonic_ns()
    if closing:
        logger.send_signal(signal.SIGTERM)
        time.sleep(chance.uniform(0.0, 0.6))
    else:
        ended_ns = time.monotonic_ns()
    logger.kill()
    logger.wait()
    outcome = Outcome()
    found = list(find_trips(trips)) if trips.exists() else []
    for path in found:
        try:
            recover(path)
            with Trip.open(path) as trip:
                trip.verify()
                compare(trip, source, ended_ns, outcome)
        except TripError as problem:
            outcome.recovered = False
            outcome.why = str(problem)
    return outcome


def compare(trip: Trip, source: Source, ended_ns: int, outcome: Outcome) -> None:
    """Compare a recovered trip with what camera and adapter gave."""
    frames = trip.frames()
    if frames.t_mono_ns.size:
        outcome.frame_loss_s = max(0.0, (ended_ns - int(frames.t_mono_ns[-1])) / 1e9)
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
    main()
